//! `documents`: what the model may cite.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::canonical::{Content, Part, Source};
use crate::json::{DecodeError, Item};
use crate::{Dropped, Unsupported};

use super::HERE;

/// A text, or an object of which `data.text` is the text and `data.title` (or `id`) the name. What else there is in
/// `data` is shown to the model as well: then the text is the JSON of it all.
pub(super) fn decode(item: Item<'_>) -> Result<Part, DecodeError> {
    let (mut name, text);
    if item.is_string() {
        (name, text) = (None, item.string()?);
    } else {
        let mut object = item.object()?;
        name = object.string("id")?;
        let data = object.need("data")?;
        text = if data.is_string() {
            data.string()?
        } else {
            let json = data.raw();
            let mut data = data.object()?;
            let (told, title) = (data.string("text")?, data.string("title")?);
            match told {
                Some(text) if data.rest().is_empty() => {
                    name = title.or(name);
                    text
                }
                _ => json.to_owned(),
            }
        };
    }
    Ok(Content::File { source: Source::Text(text), name, context: None, cite: true }.into())
}

#[derive(Debug, Serialize)]
pub(super) struct WireDocument<'a> {
    data: WireData<'a>,
}

#[derive(Debug, Serialize)]
struct WireData<'a> {
    text: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
}

/// A file with text in it as a document; other files are refused.
pub(super) fn encode<'a>(part: &'a Part, place: &str, dropped: &mut Dropped) -> Result<WireDocument<'a>, Unsupported> {
    let refuse = || Err(Unsupported::new(place, HERE, "a file must be text: there are documents, and no other files"));
    let Content::File { source, name, context, .. } = &part.content else { return refuse() };
    dropped.note_if(part.cache.is_some(), "cache_control");
    dropped.note_if(context.is_some(), "document.context");
    let text = match source {
        Source::Text(text) => Cow::Borrowed(text.as_str()),
        Source::Base64 { media_type, data } if media_type.starts_with("text/") => {
            match STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
                Some(text) => Cow::Owned(text),
                None => return refuse(),
            }
        }
        _ => return refuse(),
    };
    Ok(WireDocument { data: WireData { text, title: name.as_deref() } })
}
