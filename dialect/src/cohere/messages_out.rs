//! Messages for a provider.

use std::borrow::Cow;

use serde::Serialize;

use crate::canonical::{Content, Message, Part, Role, Source};
use crate::{Dropped, Json, Unsupported};

use super::HERE;
use super::documents::{self, WireDocument};

#[derive(Debug, Default, Serialize)]
pub(super) struct WireMessage<'a> {
    pub(super) role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<WireContent<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_call_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WireContent<'a> {
    Text(Cow<'a, str>),
    Pieces(Vec<WirePiece<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WirePiece<'a> {
    Known(KnownPiece<'a>),
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum KnownPiece<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str },
    ImageUrl { image_url: WireImage<'a> },
}

#[derive(Debug, Serialize)]
pub(super) struct WireImage<'a> {
    url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct WireCall<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: WireCalled<'a>,
}

#[derive(Debug, Serialize)]
struct WireCalled<'a> {
    name: &'a str,
    arguments: &'a str,
}

pub(super) fn call<'a>(id: &'a str, name: &'a str, arguments: &'a str) -> WireCall<'a> {
    WireCall { id, kind: "function", function: WireCalled { name, arguments } }
}

/// Messages on their way out.
pub(super) struct Messages<'a, 'd> {
    pub(super) wire: Vec<WireMessage<'a>>,
    pub(super) documents: Vec<WireDocument<'a>>,
    pub(super) dropped: &'d mut Dropped,
}

impl<'a> Messages<'a, '_> {
    pub(super) fn message(&mut self, message: &'a Message, at: usize) -> Result<(), Unsupported> {
        self.dropped.note_if(message.name.is_some(), "name");
        let role = match message.role {
            Role::Tool => return self.results(message, at),
            Role::Assistant => "assistant",
            Role::User => "user",
            Role::System | Role::Developer => "system",
        };
        let mut wire = WireMessage { role, ..WireMessage::default() };
        let mut pieces = Vec::with_capacity(message.parts.len());
        for (place, part) in message.parts.iter().enumerate() {
            let place = format!("messages[{at}].content[{place}]");
            match &part.content {
                Content::ToolCall { id, name, arguments } if message.role == Role::Assistant => {
                    self.dropped.note_if(part.signature.is_some(), "thought_signature");
                    self.dropped.note_if(part.cache.is_some(), "cache_control");
                    wire.tool_calls.push(call(id, name, arguments));
                }
                Content::Thinking { text } if message.role == Role::Assistant => match &part.signature {
                    None => pieces.push(WirePiece::Known(KnownPiece::Thinking { thinking: text })),
                    Some(_) => self.dropped.note("thinking"),
                },
                Content::RedactedThinking { .. } if message.role == Role::Assistant => self.dropped.note("thinking"),
                Content::File { cite, .. } => {
                    self.dropped.note_if(!cite, "document.citations");
                    self.documents.push(documents::encode(part, &place, self.dropped)?);
                }
                _ => pieces.push(self.piece(part, &place)?),
            }
        }
        wire.content = content(pieces);
        if wire.content.is_none() && wire.tool_calls.is_empty() {
            wire.content = Some(WireContent::Text("".into()));
        }
        self.wire.push(wire);
        Ok(())
    }

    fn piece(&mut self, part: &'a Part, place: &str) -> Result<WirePiece<'a>, Unsupported> {
        self.dropped.note_if(part.cache.is_some(), "cache_control");
        let refuse = |reason: &'static str| Err(Unsupported::new(place, HERE, reason));
        let known = match &part.content {
            Content::Text(text) | Content::Refusal(text) => KnownPiece::Text { text },
            Content::Image { source, detail } => {
                let url = match source {
                    Source::Url(url) => Cow::Borrowed(url.as_str()),
                    Source::Base64 { media_type, data } => Cow::Owned(format!("data:{media_type};base64,{data}")),
                    Source::Text(_) => return refuse("an image cannot be plain text"),
                    Source::Id { .. } => return refuse("an image must be a URL or base64 data, not an upload's id"),
                };
                KnownPiece::ImageUrl { image_url: WireImage { url, detail: detail.as_deref() } }
            }
            Content::Audio { .. } => return refuse("there is no sound in this dialect"),
            Content::Other { of: HERE, json } => return Ok(WirePiece::Other(json)),
            Content::Other { .. } => return refuse("only the dialect it comes from has this kind of content"),
            Content::File { .. }
            | Content::ToolCall { .. }
            | Content::ToolResult { .. }
            | Content::Thinking { .. }
            | Content::RedactedThinking { .. } => return refuse("this kind of content cannot stand here"),
        };
        Ok(WirePiece::Known(known))
    }

    /// Each result is a message of its own, and text alone.
    fn results(&mut self, message: &'a Message, at: usize) -> Result<(), Unsupported> {
        for (place, part) in message.parts.iter().enumerate() {
            let place = format!("messages[{at}].content[{place}]");
            let Content::ToolResult { call_id, parts, is_error } = &part.content else {
                return Err(Unsupported::new(place, HERE, "a tool message holds tool results alone"));
            };
            self.dropped.note_if(*is_error, "tool_result.is_error");
            self.dropped.note_if(part.cache.is_some(), "cache_control");
            let mut pieces = Vec::with_capacity(parts.len());
            for (inner, part) in parts.iter().enumerate() {
                if !matches!(part.content, Content::Text(_) | Content::Refusal(_)) {
                    let place = format!("{place}.content[{inner}]");
                    return Err(Unsupported::new(place, HERE, "tool results are text alone"));
                }
                pieces.push(self.piece(part, &place)?);
            }
            let content = content(pieces).or(Some(WireContent::Text("".into())));
            let tool_call_id = Some(call_id.as_str());
            self.wire.push(WireMessage { role: "tool", content, tool_call_id, ..WireMessage::default() });
        }
        Ok(())
    }
}

/// One text is a string; all else is a list.
fn content(pieces: Vec<WirePiece<'_>>) -> Option<WireContent<'_>> {
    if let [WirePiece::Known(KnownPiece::Text { text })] = pieces.as_slice() {
        return Some(WireContent::Text(Cow::Borrowed(text)));
    }
    (!pieces.is_empty()).then_some(WireContent::Pieces(pieces))
}
