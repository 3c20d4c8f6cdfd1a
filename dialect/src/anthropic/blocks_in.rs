//! Content blocks as clients and providers send them.

use super::HERE;
use crate::Dropped;
use crate::canonical::{CacheMark, Content, Part, Signature, Source};
use crate::json::{DecodeError, Item, Object};

/// A string, or a list of blocks.
pub(super) fn decode_content(item: Item<'_>, unread: &mut Dropped) -> Result<Vec<Part>, DecodeError> {
    if item.is_string() {
        let text = item.string()?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![Part::text(text)] });
    }
    if !item.is_list() {
        return Err(item.expected("a string or an array of content blocks"));
    }
    item.list()?.into_iter().map(|block| decode_block(block, 0, unread)).collect()
}

/// One block; `depth` counts the tool results around it.
pub(super) fn decode_block(item: Item<'_>, depth: u32, unread: &mut Dropped) -> Result<Part, DecodeError> {
    let whole = item.clone();
    let mut block = item.object()?;
    let cache = cache_mark(&mut block)?;
    let kind = block.need("type")?.string()?;
    let mut signature = None;
    let content = match kind.as_str() {
        "text" => Some(Content::Text(block.need("text")?.string()?)),
        "image" => decode_source(&mut block)?.map(|source| Content::Image { source, detail: None }),
        "document" => decode_document(&mut block)?,
        "tool_use" => {
            // A call by the model itself; one by code that ran at the provider is of Anthropic's alone.
            if block
                .object("caller")?
                .is_some_and(|mut caller| caller.take("type").is_none_or(|kind| kind.raw() != "\"direct\""))
            {
                return Ok(Content::Other { of: HERE, json: whole.json() }.into());
            }
            let input = block.take("input");
            let arguments = match input {
                Some(input) if input.is_object() => input.json().compact(),
                Some(input) => return Err(input.expected("an object")),
                None => "{}".to_owned(),
            };
            Some(Content::ToolCall { id: block.need("id")?.string()?, name: block.need("name")?.string()?, arguments })
        }
        "tool_result" if depth == 0 => {
            let parts = match block.take("content") {
                Some(content) if content.is_list() => {
                    let inner = content.list()?.into_iter();
                    inner.map(|block| decode_block(block, depth + 1, unread)).collect::<Result<_, _>>()?
                }
                Some(content) => decode_content(content, unread)?,
                None => Vec::new(),
            };
            let call_id = block.need("tool_use_id")?.string()?;
            Some(Content::ToolResult { call_id, parts, is_error: block.boolean("is_error")?.unwrap_or(false) })
        }
        "thinking" => {
            let told = block.string("signature")?.filter(|told| !told.is_empty());
            signature = told.map(|told| Signature::from_tagged(&told, HERE));
            Some(Content::Thinking { text: block.need("thinking")?.string()? })
        }
        "redacted_thinking" => {
            let tagged = Signature::from_tagged(&block.need("data")?.string()?, HERE);
            Some(Content::RedactedThinking { of: tagged.of, data: tagged.data })
        }
        _ => None,
    };
    match content {
        Some(content) => {
            block.note_rest("content", unread);
            Ok(Part { content, cache, signature })
        }
        None => Ok(Content::Other { of: HERE, json: whole.json() }.into()),
    }
}

pub(super) fn cache_mark(object: &mut Object<'_>) -> Result<Option<CacheMark>, DecodeError> {
    let Some(mut mark) = object.object("cache_control")? else { return Ok(None) };
    Ok(Some(CacheMark { ttl: mark.string("ttl")? }))
}

/// `None` for a source that has no form elsewhere.
fn decode_source(block: &mut Object<'_>) -> Result<Option<Source>, DecodeError> {
    let mut source = block.need("source")?.object()?;
    Ok(match source.need("type")?.string()?.as_str() {
        "base64" => Some(Source::Base64 {
            media_type: source.need("media_type")?.string()?,
            data: source.need("data")?.string()?,
        }),
        "url" => Some(Source::Url(source.need("url")?.string()?)),
        "file" => Some(Source::Id { of: HERE, id: source.need("file_id")?.string()? }),
        "text" => Some(Source::Text(source.need("data")?.string()?)),
        _ => None,
    })
}

fn decode_document(block: &mut Object<'_>) -> Result<Option<Content>, DecodeError> {
    let Some(source) = decode_source(block)? else { return Ok(None) };
    let cite = match block.object("citations")? {
        Some(mut citations) => citations.boolean("enabled")?.unwrap_or(false),
        None => false,
    };
    Ok(Some(Content::File { source, name: block.string("title")?, context: block.string("context")?, cite }))
}
