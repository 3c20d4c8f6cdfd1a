//! The edits that an upstream's bytes have over the client's.

use std::borrow::Cow;

use bytes::Bytes;
use peerway_dialect::Dialect;

use super::Envelope;
use crate::dialect::json::{Shape, Value, members};
use crate::surface::bounds::bound_of;
use crate::surface::edit::Edits;

/// How the upstream's bytes differ from the client's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rewrite<'a> {
    /// The upstream's name of the model.
    pub model: Option<&'a str>,
    /// Ask for the usage chunk, as nothing else tells what a stream cost.
    pub ask_for_usage: bool,
    /// Bound the answer's length, in tokens. For requests that have no bound of their own: what stands in its place (null,
    /// less than nothing) is replaced.
    pub max_output: Option<u64>,
    /// OpenAI's newer models refuse the older name of the bound, and others do not know the newer one.
    pub max_completion_tokens: bool,
}

impl Envelope {
    /// The body without what is the gateway's business; without such, the client's own bytes, uncopied.
    pub fn cleared(&self, body: &Bytes) -> Bytes {
        let mut edits = Edits::default();
        if let Some(member) = self.fallbacks_member.clone() {
            edits.replace(member, &b""[..]);
        }
        edits.apply(body)
    }

    /// The body for an upstream that speaks the client's dialect. Without an edit the client's own bytes are returned,
    /// uncopied.
    pub fn rewrite(&self, body: &Bytes, rewrite: Rewrite<'_>) -> Bytes {
        const ASK: &str = "\"stream_options\":{\"include_usage\":true}";
        const OPTION: &str = "{\"include_usage\":true}";
        let mut edits = Edits::default();
        let mut members = Vec::new();
        if let Some(member) = self.fallbacks_member.clone() {
            edits.replace(member, &b""[..]);
        }
        if let (Some(range), Some(name)) = (&self.model_range, rewrite.model)
            && let Some(name) = self.model_in_body(name, &body[range.clone()])
        {
            edits.replace(range.clone(), serde_json::Value::from(name).to_string().into_bytes());
        }
        if rewrite.ask_for_usage && self.stream && !self.include_usage {
            match &self.stream_options {
                Some(Value { shape: Shape::Object, range }) => {
                    edits.replace(range.clone(), with_usage(&body[range.clone()]));
                }
                Some(null) => edits.replace(null.range.clone(), OPTION.as_bytes()),
                None => members.push(ASK.to_owned()),
            }
        }
        if let Some(tokens) = rewrite.max_output {
            self.bound(body, tokens, rewrite.max_completion_tokens, &mut edits, &mut members);
        }
        if !members.is_empty() {
            let others = if self.has_members { "," } else { "" };
            edits.insert(self.first_member, format!("{}{others}", members.join(",")).into_bytes());
        }
        edits.apply(body)
    }

    /// What the body is to say of the model, if it is not what it says.
    fn model_in_body<'n>(&self, name: &'n str, said: &[u8]) -> Option<Cow<'n, str>> {
        if self.dialect != Dialect::Gemini {
            return (self.model != name).then_some(Cow::Borrowed(name));
        }
        // Here the path tells it, and a body that tells another one must not be the one that is believed.
        let name = Cow::Owned(format!("models/{name}"));
        (said != serde_json::Value::from(&*name).to_string().as_bytes()).then_some(name)
    }

    fn bound<'e>(
        &self,
        body: &[u8],
        tokens: u64,
        max_completion_tokens: bool,
        edits: &mut Edits<'e>,
        new_members: &mut Vec<String>,
    ) {
        let (config, name) = bound_of(self.dialect, max_completion_tokens);
        if self.bounds.replace(name, tokens, edits) {
            return;
        }
        let member = format!("\"{name}\":{tokens}");
        let Some(config) = config else { return new_members.push(member) };
        match &self.config {
            Some(Value { shape: Shape::Object, range }) => {
                let is_empty = body[range.start + 1..range.end - 1].trim_ascii().is_empty();
                edits.insert(range.start + 1, (member + if is_empty { "" } else { "," }).into_bytes());
            }
            Some(null) => edits.replace(null.range.clone(), format!("{{{member}}}").into_bytes()),
            None => new_members.push(format!("\"{config}\":{{{member}}}")),
        }
    }
}

/// The client's stream options with `include_usage` set, the other options kept as they were written.
fn with_usage(options: &[u8]) -> Vec<u8> {
    let mut with = Vec::with_capacity(options.len() + 24);
    with.extend_from_slice(b"{\"include_usage\":true");
    let kept = members(options, 0..options.len(), |key, value| {
        if key != "include_usage" {
            with.push(b',');
            with.extend_from_slice(serde_json::Value::from(key.into_owned()).to_string().as_bytes());
            with.push(b':');
            with.extend_from_slice(&options[value.range]);
        }
        Ok(())
    });
    debug_assert!(kept.is_ok(), "the scan has walked these options before");
    with.push(b'}');
    with
}
