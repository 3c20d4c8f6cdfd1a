//! A conversation as the items of `input`.

use std::borrow::Cow;

use serde::Serialize;

use crate::canonical::{Content, Message, Part, Role, Signature, Source};
use crate::{Dialect, Dropped, Json, Unsupported};

use super::{HERE, reasoning};

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WireItem<'a> {
    Message {
        role: &'static str,
        content: Vec<WirePart<'a>>,
    },
    Reasoning {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        summary: Vec<WireSummary<'a>>,
        encrypted_content: Cow<'a, str>,
    },
    FunctionCall {
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    FunctionCallOutput {
        call_id: &'a str,
        output: WireOutput<'a>,
    },
    #[serde(untagged)]
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "summary_text")]
pub(super) struct WireSummary<'a> {
    pub(super) text: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WireOutput<'a> {
    Text(&'a str),
    Parts(Vec<WirePart<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WirePart<'a> {
    InputText {
        text: &'a str,
    },
    OutputText {
        text: &'a str,
        annotations: [(); 0],
    },
    Refusal {
        refusal: &'a str,
    },
    InputImage {
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        detail: &'a str,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
    },
    InputAudio {
        input_audio: WireAudio<'a>,
    },
    #[serde(untagged)]
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
pub(super) struct WireAudio<'a> {
    data: &'a str,
    format: &'a str,
}

pub(super) fn encode_items<'a>(
    messages: &'a [Message],
    first: usize,
    dropped: &mut Dropped,
) -> Result<Vec<WireItem<'a>>, Unsupported> {
    let mut items = Vec::with_capacity(messages.len());
    for (at, message) in messages.iter().enumerate() {
        let place = format!("messages[{}]", first + at);
        dropped.note_if(message.name.is_some(), "messages.name");
        let role = match message.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => {
                results(message, &place, &mut items, dropped)?;
                continue;
            }
        };
        let mut said = Vec::new();
        for (inner, part) in message.parts.iter().enumerate() {
            let item = if message.role == Role::Assistant { own_item(part, dropped) } else { Ok(None) };
            match item {
                Ok(Some(item)) => {
                    flush(role, &mut said, &mut items);
                    items.push(item);
                }
                Ok(None) => said.push(encode_part(part, role, &format!("{place}.content[{inner}]"), dropped)?),
                Err(Nowhere) => {}
            }
        }
        // An assistant that has said nothing is left out: its message would be one without content.
        if message.parts.is_empty() && message.role != Role::Assistant {
            items.push(WireItem::Message { role, content: Vec::new() });
        }
        flush(role, &mut said, &mut items);
    }
    Ok(items)
}

fn flush<'a>(role: &'static str, said: &mut Vec<WirePart<'a>>, items: &mut Vec<WireItem<'a>>) {
    if !said.is_empty() {
        items.push(WireItem::Message { role, content: std::mem::take(said) });
    }
}

/// A part that is dropped and named.
struct Nowhere;

/// The item that a part of an assistant's turn is by itself; `None` for what is content of a message.
fn own_item<'a>(part: &'a Part, dropped: &mut Dropped) -> Result<Option<WireItem<'a>>, Nowhere> {
    let reasoning = |id, summary, encrypted_content| Ok(Some(WireItem::Reasoning { id, summary, encrypted_content }));
    match &part.content {
        Content::ToolCall { id, name, arguments } => {
            dropped.note_if(part.signature.is_some(), "thought_signature");
            dropped.note_if(part.cache.is_some(), "cache_control");
            Ok(Some(WireItem::FunctionCall { call_id: id, name, arguments }))
        }
        Content::Thinking { text } => match &part.signature {
            Some(signature) if signature.of == HERE => {
                let (id, sealed) = reasoning::seal(signature);
                let summary = if text.is_empty() { Vec::new() } else { vec![WireSummary { text }] };
                reasoning(id, summary, sealed)
            }
            _ => {
                dropped.note("thinking");
                Err(Nowhere)
            }
        },
        Content::RedactedThinking { of: HERE, data } => {
            let (id, sealed) = reasoning::seal_redacted(HERE, data);
            reasoning(id, Vec::new(), sealed)
        }
        Content::RedactedThinking { .. } => {
            dropped.note("thinking");
            Err(Nowhere)
        }
        // Items that came as items; pieces of content have other types.
        Content::Other { of: HERE, json } if !is_content(json) => Ok(Some(WireItem::Other(json))),
        _ => Ok(None),
    }
}

fn is_content(json: &Json) -> bool {
    let kind = json.to_value();
    let kind = kind.get("type").and_then(serde_json::Value::as_str).unwrap_or_default();
    kind.starts_with("input_") || kind.starts_with("output_")
}

fn results<'a>(
    message: &'a Message,
    place: &str,
    items: &mut Vec<WireItem<'a>>,
    dropped: &mut Dropped,
) -> Result<(), Unsupported> {
    for (at, part) in message.parts.iter().enumerate() {
        let place = format!("{place}.content[{at}]");
        let Content::ToolResult { call_id, parts, is_error } = &part.content else {
            return Err(Unsupported::new(place, HERE, "a tool message holds tool results alone"));
        };
        dropped.note_if(*is_error, "tool_result.is_error");
        dropped.note_if(part.cache.is_some(), "cache_control");
        let output = match parts.as_slice() {
            [Part { content: Content::Text(text), cache: None, .. }] => WireOutput::Text(text),
            [] => WireOutput::Text(""),
            parts => {
                let mut told = Vec::with_capacity(parts.len());
                for (inner, part) in parts.iter().enumerate() {
                    told.push(encode_part(part, "user", &format!("{place}.content[{inner}]"), dropped)?);
                }
                WireOutput::Parts(told)
            }
        };
        items.push(WireItem::FunctionCallOutput { call_id, output });
    }
    Ok(())
}

fn encode_part<'a>(
    part: &'a Part,
    role: &str,
    place: &str,
    dropped: &mut Dropped,
) -> Result<WirePart<'a>, Unsupported> {
    let refuse = |reason: &'static str| Err(Unsupported::new(place, HERE, reason));
    dropped.note_if(part.cache.is_some(), "cache_control");
    dropped.note_if(part.signature.as_ref().is_some_and(is_foreign), "thought_signature");
    Ok(match &part.content {
        Content::Text(text) if role == "assistant" => WirePart::OutputText { text, annotations: [] },
        Content::Text(text) => WirePart::InputText { text },
        Content::Refusal(refusal) if role == "assistant" => WirePart::Refusal { refusal },
        Content::Refusal(text) => WirePart::InputText { text },
        Content::Image { source, detail } => {
            let (image_url, file_id) = match source {
                Source::Url(url) => (Some(Cow::Borrowed(url.as_str())), None),
                Source::Base64 { media_type, data } => {
                    (Some(Cow::Owned(format!("data:{media_type};base64,{data}"))), None)
                }
                Source::Id { of: HERE | Dialect::OpenAiChat, id } => (None, Some(id.as_str())),
                Source::Id { .. } => return refuse("the image is an upload at another provider"),
                Source::Text(_) => return refuse("an image cannot be plain text"),
            };
            WirePart::InputImage { image_url, file_id, detail: detail.as_deref().unwrap_or("auto") }
        }
        Content::File { source, name, context, cite } => {
            dropped.note_if(context.is_some(), "document.context");
            dropped.note_if(*cite, "document.citations");
            let (mut file_data, mut file_url, mut file_id, mut filename) = (None, None, None, name.as_deref());
            match source {
                Source::Base64 { media_type, data } => {
                    file_data = Some(format!("data:{media_type};base64,{data}"));
                    // Refused without a name.
                    filename = filename.or(Some("document.pdf"));
                }
                Source::Url(url) => file_url = Some(url.as_str()),
                Source::Id { of: HERE | Dialect::OpenAiChat, id } => file_id = Some(id.as_str()),
                Source::Id { .. } => return refuse("the file is an upload at another provider"),
                Source::Text(text) => return Ok(WirePart::InputText { text }),
            }
            WirePart::InputFile { file_data, file_url, file_id, filename }
        }
        Content::Audio { format, data } => WirePart::InputAudio { input_audio: WireAudio { data, format } },
        Content::Other { of: HERE, json } => WirePart::Other(json),
        Content::Other { .. } => return refuse("only the dialect it comes from has this kind of content"),
        Content::ToolCall { .. }
        | Content::ToolResult { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking { .. } => return refuse("this kind of content cannot stand here"),
    })
}

fn is_foreign(signature: &Signature) -> bool {
    signature.of != HERE
}
