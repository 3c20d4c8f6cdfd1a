//! Pieces of `contents` and candidates, as they come.

use crate::Dropped;
use crate::canonical::{Content, Part, Source};
use crate::json::{DecodeError, Item};

use super::HERE;
use super::fields::Fields;
use super::signature::{self, Read, standard_base64};

/// What a part is, as far as a part tells without its neighbours.
pub(super) enum Piece {
    /// One part, or a text and what was signed with it.
    Parts(Vec<Part>),
    /// A call that may lack an id.
    Call { part: Part, id: Option<String> },
    /// A result that may lack the id of its call; its part's `call_id` is empty.
    Result { part: Part, id: Option<String>, name: String, place: String },
}

/// Reads one part. Hints on it that nothing can hold are noted in `unread`, as `parts.name`.
pub(super) fn decode(item: Item<'_>, unread: &mut Dropped) -> Result<Piece, DecodeError> {
    let json = item.clone();
    let mut fields = Fields::of(item)?;
    let thought = fields.boolean("thought")?.unwrap_or(false);
    let proof = fields.string("thoughtSignature")?.map_or(Read::Nothing, signature::decode);
    let signature = if let Read::Signature(signature) = &proof { Some(signature.clone()) } else { None };
    let text = fields.string("text")?;
    let inline = fields.object("inlineData")?;
    let file = fields.object("fileData")?;
    let call = fields.object("functionCall")?;
    let result = fields.object("functionResponse")?;
    let rest = fields.rest();
    // A clip of a video is not the video.
    let own = || Piece::Parts(vec![Content::Other { of: HERE, json: json.json() }.into()]);
    if rest.contains_key("videoMetadata") {
        return Ok(own());
    }
    let content = match (inline, file, call, result, text) {
        (Some(inline), ..) => blob(inline)?,
        (None, Some(file), ..) => match uploaded(file)? {
            Some(content) => content,
            None => return Ok(own()),
        },
        (None, None, Some(call), ..) => {
            note(rest.keys(), unread);
            let (content, id) = function_call(call)?;
            return Ok(Piece::Call { part: Part { content, cache: None, signature }, id });
        }
        (None, None, None, Some(result), _) => {
            note(rest.keys(), unread);
            return function_response(result, unread);
        }
        (None, None, None, None, text) if text.is_some() || rest.is_empty() => {
            note(rest.keys(), unread);
            return Ok(Piece::Parts(said(text.unwrap_or_default(), thought, proof)));
        }
        _ => return Ok(own()),
    };
    note(rest.keys(), unread);
    Ok(Piece::Parts(vec![Part { content, cache: None, signature }]))
}

fn note<'a>(rest: impl Iterator<Item = &'a String>, unread: &mut Dropped) {
    for key in rest {
        unread.note(format!("parts.{key}"));
    }
}

fn said(text: String, thought: bool, proof: Read) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut signature = None;
    match proof {
        Read::Redacted(part) => parts.push(part),
        Read::Signature(told) => signature = Some(told),
        Read::Nothing => {}
    }
    if thought {
        if !text.is_empty() || signature.is_some() {
            parts.push(Part { content: Content::Thinking { text }, cache: None, signature });
        }
        return parts;
    }
    if !text.is_empty() {
        parts.push(Part::text(text));
    }
    if signature.is_some() {
        parts.push(Part { content: Content::Thinking { text: String::new() }, cache: None, signature });
    }
    parts
}

fn blob(mut fields: Fields<'_>) -> Result<Content, DecodeError> {
    let media_type = fields.need("mimeType")?.string()?;
    let data = standard_base64(fields.need("data")?.string()?);
    let name = fields.string("displayName")?;
    Ok(match media_type.split_once('/') {
        Some(("image", _)) => Content::Image { source: Source::Base64 { media_type, data }, detail: None },
        Some(("audio", kind)) => {
            let format = match kind.split(';').next().unwrap_or_default() {
                "mpeg" | "mp3" | "x-mp3" => "mp3",
                "wav" | "x-wav" | "wave" | "vnd.wave" => "wav",
                other => other,
            };
            Content::Audio { format: format.to_owned(), data }
        }
        _ => Content::File { source: Source::Base64 { media_type, data }, name, context: None, cite: false },
    })
}

/// `None` for what only Google can open: its uploads, its storage, its videos.
fn uploaded(mut fields: Fields<'_>) -> Result<Option<Content>, DecodeError> {
    let url = fields.need("fileUri")?.string()?;
    let media_type = fields.string("mimeType")?.unwrap_or_default();
    let name = fields.string("displayName")?;
    let host = url.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let google = ["googleapis.com", "youtube.com", "youtu.be"];
    let theirs = google.iter().any(|name| host == *name || host.strip_suffix(name).is_some_and(|at| at.ends_with('.')));
    let plain = media_type.is_empty() || media_type.starts_with("image/") || media_type == "application/pdf";
    if host.is_empty() || theirs || !plain {
        return Ok(None);
    }
    let source = Source::Url(url);
    Ok(Some(if media_type.starts_with("image/") {
        Content::Image { source, detail: None }
    } else {
        Content::File { source, name, context: None, cite: false }
    }))
}

fn function_call(mut fields: Fields<'_>) -> Result<(Content, Option<String>), DecodeError> {
    for key in ["partialArgs", "willContinue"] {
        // Asked for by `streamFunctionCallArguments`, which is not carried over.
        if let Some(item) = fields.take(key)?.filter(|item| item.raw() != "false") {
            return Err(item.expected("absent: arguments in pieces are not translated"));
        }
    }
    let name = fields.need("name")?.string()?;
    let arguments = match fields.take("args")? {
        Some(args) if args.is_object() => compact(args.raw()),
        Some(args) => return Err(args.expected("an object")),
        None => "{}".to_owned(),
    };
    let id = fields.string("id")?.filter(|id| !id.is_empty());
    Ok((Content::ToolCall { id: String::new(), name, arguments }, id))
}

/// JSON as a model would have written it: Google prints it for people in one form of a stream and not in the other.
fn compact(raw: &str) -> String {
    let (mut line, mut in_string, mut escaped) = (String::with_capacity(raw.len()), false, false);
    for letter in raw.chars() {
        if in_string {
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else if letter.is_ascii_whitespace() {
            continue;
        } else {
            in_string = letter == '"';
        }
        line.push(letter);
    }
    line
}

/// `output` and `error` alone are how Google wants plain results; any other object is the result.
fn function_response(mut fields: Fields<'_>, unread: &mut Dropped) -> Result<Piece, DecodeError> {
    let name = fields.need("name")?.string()?;
    let place = fields.place("id");
    let id = fields.string("id")?.filter(|id| !id.is_empty());
    let (mut parts, mut is_error) = (Vec::new(), false);
    if let Some(response) = fields.take("response")? {
        let raw = response.raw();
        let members = response.members()?;
        let text = match members.as_slice() {
            [(key, item)] if (key == "output" || key == "error") && item.is_string() => {
                is_error = key == "error";
                item.string()?
            }
            [] => String::new(),
            _ => compact(raw),
        };
        if !text.is_empty() {
            parts.push(Part::text(text));
        }
    }
    for item in fields.list("parts")? {
        let mut part = Fields::of(item)?;
        let blob_item = part.need("inlineData")?;
        parts.push(blob(Fields::of(blob_item)?)?.into());
    }
    for key in fields.rest().keys() {
        unread.note(format!("functionResponse.{key}"));
    }
    let content = Content::ToolResult { call_id: String::new(), parts, is_error };
    Ok(Piece::Result { part: content.into(), id, name, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_arguments_are_the_same_json() {
        let raw = "{\n  \"a b\": \"c \\\" \\\\\",\n  \"d\": [1, 2]\n}";
        let line = compact(raw);
        assert_eq!(line, r#"{"a b":"c \" \\","d":[1,2]}"#);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&line), value(raw));
    }
}
