//! Content blocks as they come: unions, so objects with one member.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Dropped;
use crate::canonical::{CacheMark, Content, Part, Signature, Source};
use crate::json::{DecodeError, Item, Object};

use super::{HERE, media};

/// A block, or what it says of the parts beside it.
#[derive(Debug)]
pub(super) enum Block {
    Part(Part),
    CachePoint(CacheMark),
    /// What a gateway gave a client to hold, see [`Signature::for_next`].
    SignsNext(Signature),
}

/// Appends the parts of a list of blocks. Returns a mark for what was before the first of them.
pub(super) fn decode_blocks(
    list: Vec<Item<'_>>,
    parts: &mut Vec<Part>,
    unread: &mut Dropped,
) -> Result<Option<CacheMark>, DecodeError> {
    let (mut before, mut next) = (None, None);
    for item in list {
        match decode_block(item, unread)? {
            Block::SignsNext(signature) => next = Some(signature),
            Block::Part(mut part) => {
                part.signature = part.signature.or_else(|| next.take());
                parts.push(part);
            }
            Block::CachePoint(mark) => match parts.last_mut() {
                Some(last) => last.cache = Some(mark),
                None => before = Some(mark),
            },
        }
    }
    Ok(before)
}

pub(super) fn decode_block(item: Item<'_>, unread: &mut Dropped) -> Result<Block, DecodeError> {
    let whole = item.clone();
    let mut object = item.object()?;
    if let Some(point) = object.object("cachePoint")? {
        return cache_point(point).map(Block::CachePoint);
    }
    let mut signature = None;
    let content = if let Some(text) = object.string("text")? {
        Some(Content::Text(text))
    } else if let Some(json) = object.take("json") {
        Some(Content::Text(json.raw().to_owned()))
    } else if let Some(image) = object.object("image")? {
        decode_image(image)?
    } else if let Some(document) = object.object("document")? {
        decode_document(document)?
    } else if let Some(audio) = object.object("audio")? {
        decode_audio(audio)?
    } else if let Some(call) = object.object("toolUse")? {
        decode_call(call)?
    } else if let Some(result) = object.object("toolResult")? {
        Some(decode_result(result, unread)?)
    } else if let Some(reasoning) = object.object("reasoningContent")? {
        let content = decode_reasoning(reasoning, &mut signature)?;
        if let Some(next) = signature.as_ref().and_then(|signature| Signature::from_for_next(&signature.data)) {
            return Ok(Block::SignsNext(next));
        }
        Some(content)
    } else if let Some(cited) = object.object("citationsContent")? {
        Some(Content::Text(decode_cited(cited, unread)?))
    } else {
        None
    };
    let content = content.unwrap_or_else(|| Content::Other { of: HERE, json: whole.json() });
    Ok(Block::Part(Part { content, cache: None, signature }))
}

pub(super) fn cache_point(mut point: Object<'_>) -> Result<CacheMark, DecodeError> {
    Ok(CacheMark { ttl: point.string("ttl")? })
}

fn decode_image(mut image: Object<'_>) -> Result<Option<Content>, DecodeError> {
    let format = image.need("format")?;
    let media_type = media::image_type(&format.string()?).ok_or_else(|| format.expected("png, jpeg, gif or webp"))?;
    let source = decode_source(&mut image, media_type)?;
    Ok(source.map(|source| Content::Image { source, detail: None }))
}

fn decode_document(mut document: Object<'_>) -> Result<Option<Content>, DecodeError> {
    let name = document.string("name")?;
    let context = document.string("context")?;
    let cite = match document.object("citations")? {
        Some(mut citations) => citations.boolean("enabled")?.unwrap_or(false),
        None => false,
    };
    let format = document.take("format");
    let media_type = match &format {
        Some(format) => media::document_type(&format.string()?)
            .ok_or_else(|| format.expected("pdf, csv, doc, docx, xls, xlsx, html, txt or md"))?,
        None => "text/plain",
    };
    let Some(source) = decode_source(&mut document, media_type)? else { return Ok(None) };
    // Plain text of another format has no place in the middle; what says a bucket's format is its name.
    let odd = match &source {
        Source::Text(_) => media_type != "text/plain",
        Source::Id { id, .. } => media::format_of_name(id).and_then(media::document_type) != Some(media_type),
        _ => false,
    };
    Ok((!odd).then_some(Content::File { source, name, context, cite }))
}

/// `None` where only Bedrock understands the source.
fn decode_source(block: &mut Object<'_>, media_type: &str) -> Result<Option<Source>, DecodeError> {
    let mut source = block.need("source")?.object()?;
    if let Some(data) = source.string("bytes")? {
        return Ok(Some(Source::Base64 { media_type: media_type.to_owned(), data }));
    }
    if let Some(text) = source.string("text")? {
        return Ok(Some(Source::Text(text)));
    }
    let Some(mut place) = source.object("s3Location")? else { return Ok(None) };
    let id = place.need("uri")?.string()?;
    Ok((!place.has("bucketOwner")).then_some(Source::Id { of: HERE, id }))
}

fn decode_audio(mut audio: Object<'_>) -> Result<Option<Content>, DecodeError> {
    let format = audio.need("format")?.string()?;
    let mut source = audio.need("source")?.object()?;
    Ok(source.string("bytes")?.map(|data| Content::Audio { format, data }))
}

fn decode_call(mut call: Object<'_>) -> Result<Option<Content>, DecodeError> {
    if call.has("type") {
        return Ok(None);
    }
    let arguments = match call.take("input") {
        Some(input) => input.json().compact(),
        None => "{}".to_owned(),
    };
    Ok(Some(Content::ToolCall { id: call.need("toolUseId")?.string()?, name: call.need("name")?.string()?, arguments }))
}

fn decode_result(mut result: Object<'_>, unread: &mut Dropped) -> Result<Content, DecodeError> {
    let call_id = result.need("toolUseId")?.string()?;
    let is_error = result.string("status")?.as_deref() == Some("error");
    let mut parts = Vec::new();
    if let Some(list) = result.list("content")? {
        let stray = decode_blocks(list, &mut parts, unread)?;
        unread.note_if(stray.is_some(), "toolResult.content.cachePoint");
    }
    Ok(Content::ToolResult { call_id, parts, is_error })
}

fn decode_reasoning(mut reasoning: Object<'_>, signature: &mut Option<Signature>) -> Result<Content, DecodeError> {
    if let Some(data) = reasoning.string("redactedContent")? {
        return Ok(redacted(data));
    }
    let mut text = reasoning.need("reasoningText")?.object()?;
    *signature = text.string("signature")?.map(|signature| Signature::from_tagged(&signature, HERE));
    Ok(Content::Thinking { text: text.string("text")?.unwrap_or_default() })
}

/// `redactedContent` is bytes, so what is not Claude's stands in it as base64 of its tagged form.
pub(super) fn redacted(data: String) -> Content {
    let foreign = STANDARD.decode(&data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let tagged = Signature::from_tagged(foreign.as_deref().unwrap_or_default(), HERE);
    if tagged.is_for(HERE) {
        let native = Signature::from_tagged("", HERE);
        return Content::RedactedThinking { of: native.of, data };
    }
    Content::RedactedThinking { of: tagged.of, data: tagged.data }
}

fn decode_cited(mut cited: Object<'_>, unread: &mut Dropped) -> Result<String, DecodeError> {
    let mut text = String::new();
    for item in cited.list("content")?.unwrap_or_default() {
        text.push_str(&item.object()?.string("text")?.unwrap_or_default());
    }
    cited.note_rest("citationsContent", unread);
    Ok(text)
}
