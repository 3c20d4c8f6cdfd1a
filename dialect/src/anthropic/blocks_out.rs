//! Content blocks on their way to a provider.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::HERE;
use crate::canonical::{CacheMark, Content, Part, Source};
use crate::{Dialect, Dropped, Json, Unsupported};

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WireBlock<'a> {
    Known(Box<KnownBlock<'a>>),
    Other(&'a Json),
}

#[derive(Debug, Default, Serialize)]
pub(super) struct KnownBlock<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<WireSource<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    citations: Option<Citations>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_use_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<WireContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_error: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<WireCache<'a>>,
}

#[derive(Debug, Default, Serialize)]
struct WireSource<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Citations {
    enabled: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct WireCache<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WireContent<'a> {
    Text(&'a str),
    Blocks(Vec<WireBlock<'a>>),
}

/// One plain text is a string.
pub(super) fn content_of(blocks: Vec<WireBlock<'_>>) -> WireContent<'_> {
    if let [WireBlock::Known(block)] = blocks.as_slice()
        && let KnownBlock { text: Some(text), cache_control: None, .. } = block.as_ref()
    {
        return WireContent::Text(text);
    }
    WireContent::Blocks(blocks)
}

/// Anthropic keeps caches for five minutes or an hour; another time becomes the hour, which is named as changed.
pub(super) fn encode_cache<'a>(cache: Option<&'a CacheMark>, dropped: &mut Dropped) -> Option<WireCache<'a>> {
    let ttl = match cache?.ttl.as_deref() {
        None | Some("5m" | "1h") => cache?.ttl.as_deref(),
        Some(_) => {
            dropped.note("cache_control.ttl");
            Some("1h")
        }
    };
    Some(WireCache { kind: "ephemeral", ttl })
}

/// The block of a part, or none for what is left out: empty text, which Anthropic refuses, and the thoughts of others.
pub(super) fn encode_part<'a>(
    part: &'a Part,
    place: &str,
    dropped: &mut Dropped,
) -> Result<Option<WireBlock<'a>>, Unsupported> {
    let refuse = |reason: &'static str| Err(Unsupported::new(place, HERE, reason));
    let mut block = KnownBlock::default();
    match &part.content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => return Ok(None),
        Content::Text(text) | Content::Refusal(text) => {
            block.kind = "text";
            block.text = Some(text);
        }
        Content::Image { source, detail } => {
            dropped.note_if(detail.is_some(), "image_url.detail");
            block.kind = "image";
            block.source = match source {
                Source::Text(_) => return refuse("an image cannot be plain text"),
                source => Some(encode_source(source, place)?),
            };
        }
        Content::File { source, name, context, cite } => {
            block.kind = "document";
            block.source = Some(match as_text(source, place)? {
                Some(text) => text_source(Cow::Owned(text)),
                None => encode_source(source, place)?,
            });
            block.title = name.as_deref();
            block.context = context.as_deref();
            block.citations = cite.then_some(Citations { enabled: true });
        }
        Content::Audio { .. } => return refuse("audio is not taken"),
        Content::ToolCall { id, name, arguments } => {
            let input = if arguments.trim_ascii().is_empty() { "{}" } else { arguments };
            block.kind = "tool_use";
            block.id = Some(call_id(id));
            block.name = Some(name);
            block.input = match Json::parse(input) {
                Ok(input) if input.is_object() => Some(input),
                _ => return refuse("the arguments of a call must be a JSON object"),
            };
        }
        Content::ToolResult { call_id: id, parts, is_error } => {
            let mut inner = Vec::with_capacity(parts.len());
            for (at, part) in parts.iter().enumerate() {
                if matches!(part.content, Content::ToolResult { .. } | Content::ToolCall { .. }) {
                    return refuse("a tool result holds text, images and documents");
                }
                inner.extend(encode_part(part, &format!("{place}.content[{at}]"), dropped)?);
            }
            block.kind = "tool_result";
            block.tool_use_id = Some(call_id(id));
            block.content = (!inner.is_empty()).then(|| content_of(inner));
            block.is_error = is_error.then_some(true);
        }
        Content::Thinking { text } => match &part.signature {
            Some(signature) if signature.is_for(HERE) => {
                block.kind = "thinking";
                block.thinking = Some(text);
                block.signature = Some(&signature.data);
                return Ok(Some(WireBlock::Known(Box::new(block))));
            }
            _ => {
                dropped.note("thinking");
                return Ok(None);
            }
        },
        Content::RedactedThinking { of: Dialect::Anthropic | Dialect::Bedrock, data } => {
            block.kind = "redacted_thinking";
            block.data = Some(data);
            return Ok(Some(WireBlock::Known(Box::new(block))));
        }
        Content::RedactedThinking { .. } => {
            dropped.note("thinking");
            return Ok(None);
        }
        Content::Other { of: HERE, json } => return Ok(Some(WireBlock::Other(json))),
        Content::Other { .. } => return refuse("only the dialect it comes from has this kind of content"),
    }
    dropped.note_if(part.signature.is_some(), "thought_signature");
    block.cache_control = encode_cache(part.cache.as_ref(), dropped);
    Ok(Some(WireBlock::Known(Box::new(block))))
}

/// Documents are PDF or plain text: other text is sent as plain text.
fn as_text(source: &Source, place: &str) -> Result<Option<String>, Unsupported> {
    let Source::Base64 { media_type, data } = source else { return Ok(None) };
    if media_type == "application/pdf" {
        return Ok(None);
    }
    let is_text = media_type.starts_with("text/") || media_type == "application/json";
    let text = is_text.then(|| STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok())).flatten();
    if text.is_none() {
        return Err(Unsupported::new(place, HERE, format!("a document must be PDF or text, not {media_type}")));
    }
    Ok(text)
}

fn text_source(text: Cow<'_, str>) -> WireSource<'_> {
    WireSource { kind: "text", media_type: Some("text/plain"), data: Some(text), ..WireSource::default() }
}

fn encode_source<'a>(source: &'a Source, place: &str) -> Result<WireSource<'a>, Unsupported> {
    let empty = WireSource::default();
    Ok(match source {
        Source::Base64 { media_type, data } => {
            WireSource { kind: "base64", media_type: Some(media_type), data: Some(data.into()), ..empty }
        }
        Source::Url(url) => WireSource { kind: "url", url: Some(url), ..empty },
        Source::Text(text) => text_source(Cow::Borrowed(text)),
        Source::Id { of: HERE, id } => WireSource { kind: "file", file_id: Some(id), ..empty },
        Source::Id { .. } => return Err(Unsupported::new(place, HERE, "the file is an upload at another provider")),
    })
}

/// Anthropic takes `[A-Za-z0-9_-]+` alone. Other ids are made such, each in its own way, so that call and result meet.
fn call_id(id: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !id.is_empty() && id.chars().all(plain) {
        return Cow::Borrowed(id);
    }
    let kept: String = id.chars().take(64).map(|c| if plain(c) { c } else { '_' }).collect();
    Cow::Owned(format!("{kept}_{:016x}", crate::canonical::fnv1a(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids_of_others_become_plain_and_stay_apart() {
        assert_eq!(call_id("toolu_01-x"), "toolu_01-x");
        assert_ne!(call_id("functions.get:0"), call_id("functions.get.0"));
        assert!(call_id("functions.get:0").starts_with("functions_get_0_"));
        assert!(!call_id("").is_empty());
    }
}
