//! Pieces of content: text, images, files, audio.

use std::borrow::Cow;

use serde::Serialize;

use crate::canonical::{CacheMark, Content, Part, Source};
use crate::json::{DecodeError, Item, Object};
use crate::{Dialect, Dropped, Json, Unsupported};

use super::{Target, thinking};

const HERE: Dialect = Dialect::OpenAiChat;

/// `content` of a message: text, or a list of pieces.
pub(super) fn decode_content(item: Item<'_>, unread: &mut Dropped) -> Result<Vec<Part>, DecodeError> {
    if item.is_string() {
        let text = item.string()?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![Part::text(text)] });
    }
    if !item.is_list() {
        return Err(item.expected("a string or an array of content parts"));
    }
    item.list()?.into_iter().map(|item| decode_part(item, unread)).collect()
}

fn decode_part(item: Item<'_>, unread: &mut Dropped) -> Result<Part, DecodeError> {
    let json = item.clone();
    let mut object = item.object()?;
    let cache = cache_mark(&mut object)?;
    let kind = object.need("type")?.string()?;
    let content = match kind.as_str() {
        "text" => Content::Text(object.need("text")?.string()?),
        "refusal" => Content::Refusal(object.need("refusal")?.string()?),
        // Mistral's.
        "thinking" => Content::Thinking { text: thinking::words(object.need("thinking")?)? },
        "image_url" => {
            let image = object.need("image_url")?;
            let (url, detail) = if image.is_string() {
                (image.string()?, None)
            } else {
                let mut image = image.object()?;
                (image.need("url")?.string()?, image.string("detail")?.filter(|detail| detail != "auto"))
            };
            Content::Image { source: source_of_url(url), detail }
        }
        "input_audio" => {
            let mut audio = object.need("input_audio")?.object()?;
            Content::Audio { format: audio.need("format")?.string()?, data: audio.need("data")?.string()? }
        }
        "file" => {
            let mut file = object.need("file")?.object()?;
            let name = file.string("filename")?;
            let source = match (file.string("file_data")?, file.string("file_id")?) {
                (Some(data), _) => match source_of_url(data) {
                    Source::Url(data) => Source::Base64 { media_type: media_type_of(name.as_deref()).into(), data },
                    source => source,
                },
                (None, Some(id)) => Source::Id { of: HERE, id },
                (None, None) => return Err(DecodeError::Missing { field: file.place("file_data") }),
            };
            Content::File { source, name, context: None, cite: false }
        }
        _ => return Ok(Content::Other { of: HERE, json: json.json() }.into()),
    };
    object.note_rest("content", unread);
    Ok(Part { content, cache, signature: None })
}

/// Anthropic's `cache_control`, which OpenAI-like gateways take, or OpenAI's `prompt_cache_breakpoint`.
pub(in crate::openai) fn cache_mark(object: &mut Object<'_>) -> Result<Option<CacheMark>, DecodeError> {
    for key in ["cache_control", "prompt_cache_breakpoint"] {
        if let Some(mut mark) = object.object(key)? {
            return Ok(Some(CacheMark { ttl: mark.string("ttl")? }));
        }
    }
    Ok(None)
}

pub(in crate::openai) fn source_of_url(url: String) -> Source {
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match data {
        // Parameters such as `;charset=utf-8` say nothing of an image.
        Some((media_type, data)) => Source::Base64 {
            media_type: media_type.split(';').next().unwrap_or_default().to_owned(),
            data: data.to_owned(),
        },
        None => Source::Url(url),
    }
}

pub(in crate::openai) fn media_type_of(name: Option<&str>) -> &'static str {
    let extension = name.and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("txt") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("html") => "text/html",
        Some("json") => "application/json",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        // What OpenAI takes without a name.
        _ => "application/pdf",
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WireContent<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<WirePart<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WirePart<'a> {
    Known(KnownPart<'a>),
    Other(&'a Json),
}

#[derive(Debug, Default, Serialize)]
pub(super) struct KnownPart<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<WireImage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_audio: Option<WireAudio<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<WireFile<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<WireCache<'a>>,
}

#[derive(Debug, Serialize)]
struct WireImage<'a> {
    url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct WireAudio<'a> {
    data: &'a str,
    format: &'a str,
}

#[derive(Debug, Default, Serialize)]
struct WireFile<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct WireCache<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
}

/// The mark for a target that takes marks; noted as dropped for others.
pub(super) fn encode_cache<'a>(
    cache: Option<&'a CacheMark>,
    target: Target,
    dropped: &mut Dropped,
) -> Option<WireCache<'a>> {
    let mark = cache?;
    if !target.cache_control {
        dropped.note("cache_control");
        return None;
    }
    Some(WireCache { kind: "ephemeral", ttl: mark.ttl.as_deref() })
}

/// One text without a mark is a string, which every server understands; all else is a list.
pub(super) fn content_of(mut parts: Vec<WirePart<'_>>) -> Option<WireContent<'_>> {
    if let [WirePart::Known(KnownPart { kind: "text", text: Some(text), cache_control: None, .. })] = parts.as_slice() {
        return Some(WireContent::Text(Cow::Borrowed(text)));
    }
    parts.shrink_to_fit();
    (!parts.is_empty()).then_some(WireContent::Parts(parts))
}

/// A piece that is neither a call, a result nor a thought.
pub(super) fn encode_part<'a>(
    part: &'a Part,
    place: &str,
    target: Target,
    dropped: &mut Dropped,
) -> Result<WirePart<'a>, Unsupported> {
    let refuse = |reason: &'static str| Err(Unsupported::new(place, HERE, reason));
    let mut wire =
        KnownPart { cache_control: encode_cache(part.cache.as_ref(), target, dropped), ..KnownPart::default() };
    match &part.content {
        Content::Text(text) => {
            wire.kind = "text";
            wire.text = Some(text);
        }
        Content::Refusal(text) => {
            wire.kind = "refusal";
            wire.refusal = Some(text);
        }
        Content::Image { source, detail } => {
            let url = match source {
                Source::Url(url) => Cow::Borrowed(url.as_str()),
                Source::Base64 { media_type, data } => Cow::Owned(format!("data:{media_type};base64,{data}")),
                Source::Text(_) => return refuse("an image cannot be plain text"),
                Source::Id { .. } => return refuse("an image must be a URL or base64 data, not an upload's id"),
            };
            wire.kind = "image_url";
            wire.image_url = Some(WireImage { url, detail: detail.as_deref() });
        }
        Content::Audio { format, data } => {
            wire.kind = "input_audio";
            wire.input_audio = Some(WireAudio { data, format });
        }
        Content::File { source, name, context, cite } => {
            dropped.note_if(context.is_some(), "document.context");
            dropped.note_if(*cite, "document.citations");
            let mut file = WireFile { filename: name.as_deref(), ..WireFile::default() };
            match source {
                Source::Base64 { media_type, data } => {
                    file.file_data = Some(format!("data:{media_type};base64,{data}"));
                    // Refused without a name.
                    file.filename = file.filename.or(Some("document.pdf"));
                }
                Source::Id { of: Dialect::OpenAiChat | Dialect::OpenAiResponses, id } => file.file_id = Some(id),
                Source::Id { .. } => return refuse("the file is an upload at another provider"),
                Source::Url(_) => return refuse("a file must be base64 data, not a URL"),
                Source::Text(text) => {
                    wire.kind = "text";
                    wire.text = Some(text);
                    return Ok(WirePart::Known(wire));
                }
            }
            wire.kind = "file";
            wire.file = Some(file);
        }
        Content::Other { of: HERE, json } => return Ok(WirePart::Other(json)),
        Content::Other { .. } => return refuse("only the dialect it comes from has this kind of content"),
        Content::ToolCall { .. }
        | Content::ToolResult { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking { .. } => return refuse("this kind of content cannot stand here"),
    }
    Ok(WirePart::Known(wire))
}
