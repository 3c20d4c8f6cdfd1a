//! Pieces of `contents` and candidates, as they go out.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::canonical::{Content, Part, Signature, Source};
use crate::{Dropped, Json, Unsupported};

use super::{HERE, signature};

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WirePiece<'a> {
    Known(Box<WirePart<'a>>),
    Other(&'a Json),
}

impl<'a> From<WirePart<'a>> for WirePiece<'a> {
    fn from(part: WirePart<'a>) -> Self {
        Self::Known(Box::new(part))
    }
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WirePart<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inline_data: Option<WireBlob<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_data: Option<WireFile<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_response: Option<WireResult<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<Cow<'a, str>>,
}

impl WirePart<'_> {
    pub(super) fn is_plain_text(&self) -> bool {
        self.text.is_some() && self.thought.is_none()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireBlob<'a> {
    mime_type: Cow<'a, str>,
    data: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireFile<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'static str>,
    file_uri: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct WireCall<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) args: Json,
}

#[derive(Debug, Serialize)]
pub(super) struct WireResult<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    name: &'a str,
    response: Json,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<WirePiece<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Told<'a> {
    Output(&'a str),
    Error(&'a str),
}

pub(super) fn text(text: &str) -> WirePart<'_> {
    WirePart { text: Some(text), ..WirePart::default() }
}

pub(super) fn thought<'a>(text: &'a str, signature: Option<&Signature>) -> WirePart<'a> {
    let thought_signature = signature.map(|signature| signature::encode(signature).into());
    WirePart { text: Some(text), thought: Some(true), thought_signature, ..WirePart::default() }
}

pub(super) fn redacted(of: crate::Dialect, data: &str) -> WirePart<'static> {
    let thought_signature = Some(signature::encode_redacted(of, data).into());
    WirePart { text: Some(""), thought: Some(true), thought_signature, ..WirePart::default() }
}

/// Arguments as the object that they must be here; empty text is an empty object.
pub(super) fn arguments(text: &str) -> Option<Json> {
    if text.trim_ascii().is_empty() {
        return Some(Json::empty_object());
    }
    Json::parse(text).ok().filter(Json::is_object)
}

/// A piece of what a user or model said: text, image, file, audio.
pub(super) fn said<'a>(part: &'a Part, place: &str, dropped: &mut Dropped) -> Result<WirePiece<'a>, Unsupported> {
    let refuse = |reason: &'static str| Err(Unsupported::new(place, HERE, reason));
    dropped.note_if(part.cache.is_some(), "cache_control");
    let mut wire = match &part.content {
        Content::Text(said) | Content::Refusal(said) => text(said),
        Content::Image { source, detail } => {
            dropped.note_if(detail.is_some(), "image_url.detail");
            match source {
                Source::Base64 { media_type, data } => blob(media_type, data, None),
                Source::Url(url) => file(url, Some(media_type_of(url).unwrap_or("image/jpeg"))),
                Source::Text(_) => return refuse("an image cannot be plain text"),
                Source::Id { .. } => return refuse("the image is an upload at another provider"),
            }
        }
        Content::Audio { format, data } => blob(format!("audio/{format}"), data, None),
        Content::File { source, name, context, cite } => {
            dropped.note_if(context.is_some(), "document.context");
            dropped.note_if(*cite, "document.citations");
            match source {
                Source::Base64 { media_type, data } => blob(media_type, data, name.as_deref()),
                Source::Text(text) => blob("text/plain", STANDARD.encode(text), name.as_deref()),
                Source::Url(url) => {
                    dropped.note_if(name.is_some(), "document.title");
                    file(url, media_type_of(url))
                }
                Source::Id { .. } => return refuse("the file is an upload at another provider"),
            }
        }
        Content::Other { of: HERE, json } => return Ok(WirePiece::Other(json)),
        Content::Other { .. } => return refuse("only the dialect it comes from has this kind of content"),
        Content::ToolCall { .. }
        | Content::ToolResult { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking { .. } => return refuse("this kind of content cannot stand here"),
    };
    if let Some(signature) = &part.signature {
        if signature.is_for(HERE) {
            wire.thought_signature = Some(Cow::Borrowed(&signature.data));
        } else {
            dropped.note("thought_signature");
        }
    }
    Ok(wire.into())
}

/// An image or sound that a model made; `None` for what is not in the answer itself.
pub(super) fn media(part: &Part) -> Option<WirePart<'_>> {
    match &part.content {
        Content::Image { source: Source::Base64 { media_type, data }, .. } => Some(blob(media_type, data, None)),
        Content::Image { source: Source::Url(url), .. } => Some(file(url, media_type_of(url))),
        Content::Audio { format, data } => Some(blob(format!("audio/{format}"), data, None)),
        _ => None,
    }
}

fn blob<'a>(media_type: impl Into<Cow<'a, str>>, data: impl Into<Cow<'a, str>>, name: Option<&'a str>) -> WirePart<'a> {
    let inline_data = Some(WireBlob { mime_type: media_type.into(), data: data.into(), display_name: name });
    WirePart { inline_data, ..WirePart::default() }
}

fn file<'a>(url: &'a str, mime_type: Option<&'static str>) -> WirePart<'a> {
    WirePart { file_data: Some(WireFile { mime_type, file_uri: url }), ..WirePart::default() }
}

/// What a URL's ending says; Google wants to be told.
fn media_type_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        _ => return None,
    })
}

/// A result, with the name of the function that was called.
pub(super) fn result<'a>(
    call_id: &'a str,
    name: &'a str,
    parts: &'a [Part],
    is_error: bool,
    place: &str,
    dropped: &mut Dropped,
) -> Result<WirePart<'a>, Unsupported> {
    let (mut texts, mut shown) = (Vec::new(), Vec::new());
    for (at, part) in parts.iter().enumerate() {
        let place = format!("{place}.content[{at}]");
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => {
                dropped.note_if(part.cache.is_some(), "cache_control");
                texts.push(text.as_str());
            }
            Content::Image { source: Source::Url(_), .. } | Content::File { source: Source::Url(_), .. } => {
                let reason = "what a tool result shows must be base64 data, not a URL";
                return Err(Unsupported::new(place, HERE, reason));
            }
            _ => shown.push(said(part, &place, dropped)?),
        }
    }
    let response = response(&texts.join("\n"), is_error);
    let function_response = Some(WireResult { id: call_id, name, response, parts: shown });
    Ok(WirePart { function_response, ..WirePart::default() })
}

/// An object as it is, unless it would be read as something plain; anything else under `output` or `error`.
fn response(text: &str, is_error: bool) -> Json {
    if is_error {
        return Json::of(&Told::Error(text));
    }
    let looks_plain = |json: &Json| {
        let members = json.item("").members().unwrap_or_default();
        matches!(members.as_slice(), [] | [(_, _)] if members.first().is_none_or(|(key, item)| {
            (key == "output" || key == "error") && item.is_string()
        }))
    };
    match Json::parse(text) {
        Ok(json) if json.is_object() && !looks_plain(&json) => json,
        _ => Json::of(&Told::Output(text)),
    }
}
