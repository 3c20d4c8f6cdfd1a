//! Reasoning items, which hold thoughts and whatever a provider wants back with them.

use std::borrow::Cow;

use crate::Dialect;
use crate::canonical::{Content, Part, Signature};
use crate::json::{DecodeError, Object};

use super::HERE;

/// In front of thoughts that only the provider that is named behind it can read.
const REDACTED: &str = "redacted:";

/// What a reasoning item says.
#[derive(Debug)]
pub(super) enum Thought {
    Part(Part),
    /// What signs the item after it, see [`Signature::for_next`].
    SignsNext(Signature),
    Nothing,
}

pub(super) fn decode(mut item: Object<'_>) -> Result<Thought, DecodeError> {
    let mut texts = Vec::new();
    // The summary, or where a server shows thoughts as they are, these.
    for key in ["summary", "content"] {
        for part in item.list(key)?.unwrap_or_default() {
            texts.extend(part.object()?.string("text")?);
        }
        if !texts.is_empty() {
            break;
        }
    }
    let text = texts.join("\n\n");
    let id = item.string("id")?.unwrap_or_default();
    Ok(match item.string("encrypted_content")?.filter(|sealed| !sealed.is_empty()) {
        Some(sealed) => unseal(text, &id, &sealed),
        None if text.is_empty() => Thought::Nothing,
        None => Thought::Part(Content::Thinking { text }.into()),
    })
}

fn unseal(text: String, id: &str, sealed: &str) -> Thought {
    if let Some(signature) = Signature::from_for_next(sealed) {
        return Thought::SignsNext(signature);
    }
    if let Some(tagged) = sealed.strip_prefix(REDACTED) {
        let Signature { of, data } = Signature::from_tagged(tagged, HERE);
        return Thought::Part(Content::RedactedThinking { of, data }.into());
    }
    let signature = signature(id, sealed);
    if signature.of == HERE && text.is_empty() {
        return Thought::Part(Content::RedactedThinking { of: HERE, data: signature.data }.into());
    }
    let mut part = Part::new(Content::Thinking { text });
    part.signature = Some(signature);
    Thought::Part(part)
}

/// OpenAI's is of use only with the id of its item: base64 has no `|`.
pub(super) fn signature(id: &str, sealed: &str) -> Signature {
    let mut signature = Signature::from_tagged(sealed, HERE);
    if signature.of == HERE && !id.is_empty() {
        signature.data = format!("{id}|{}", signature.data);
    }
    signature
}

/// The id, where it is told, and `encrypted_content`.
pub(super) fn seal(signature: &Signature) -> (Option<&str>, Cow<'_, str>) {
    if signature.of != HERE {
        return (None, Cow::Owned(signature.tagged(HERE)));
    }
    match signature.data.split_once('|') {
        Some((id, sealed)) => (Some(id), Cow::Borrowed(sealed)),
        None => (None, Cow::Borrowed(&signature.data)),
    }
}

/// `encrypted_content` of thoughts that only a provider of `of` can read, and their id.
pub(super) fn seal_redacted(of: Dialect, data: &str) -> (Option<&str>, Cow<'_, str>) {
    if of != HERE {
        return (None, Cow::Owned(format!("{REDACTED}{}", Signature::new(of, data).tagged(HERE))));
    }
    match data.split_once('|') {
        Some((id, sealed)) => (Some(id), Cow::Borrowed(sealed)),
        None => (None, Cow::Borrowed(data)),
    }
}
