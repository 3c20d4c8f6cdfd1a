//! The few fields of a request that a gateway must know, found without parsing the rest, and the two edits that it
//! may make: everything else goes upstream byte for byte, because providers' prompt caches key on exact bytes.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::dialect::json::{Malformed, Shape, Value, members};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the body is not valid JSON: {0}")]
    Malformed(#[from] Malformed),
    #[error("`{field}` is missing")]
    Missing { field: &'static str },
    #[error("`{field}` must be {expected}")]
    WrongShape { field: &'static str, expected: &'static str },
    #[error("`{field}` is given twice")]
    Twice { field: &'static str },
}

impl EnvelopeError {
    /// The field to name in `error.param`.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Malformed(_) => None,
            Self::Missing { field } | Self::WrongShape { field, .. } | Self::Twice { field } => Some(field),
        }
    }
}

/// What a chat completion request says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub model: String,
    model_range: Range<usize>,
    pub stream: bool,
    /// Whether the client asked for the usage chunk at the end of a stream.
    pub include_usage: bool,
    stream_options: Option<Value>,
    pub has_tools: bool,
    /// Number of choices asked for.
    pub n: u64,
    /// Bounds of the answer's length that are given and null, which is none.
    null_bounds: Vec<(&'static str, Range<usize>)>,
    /// Offset behind the object's opening brace, where a member can be put in.
    first_member: usize,
}

/// How the upstream's bytes differ from the client's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rewrite<'a> {
    /// The upstream's name of the model.
    pub model: Option<&'a str>,
    /// Ask for the usage chunk, as nothing else tells what a stream cost.
    pub ask_for_usage: bool,
    /// Bound the answer's length, in tokens, under this name. For requests that have no bound of their own.
    pub max_output: Option<(&'static str, u64)>,
}

impl Envelope {
    /// Scans a request body. A field that decides something must not be given twice: parsers differ in which one
    /// they take, and the provider's must not see another model than the one that was allowed.
    pub fn scan(body: &[u8]) -> Result<Self, EnvelopeError> {
        let mut model: Option<(String, Range<usize>)> = None;
        let (mut stream, mut options, mut tools, mut n) = (None, None, None, None);
        let mut null_bounds = Vec::new();
        let mut twice = None;
        members(body, 0..body.len(), |key, value| {
            let repeated = match key.as_ref() {
                "model" => {
                    let name = value.text(body).map(Cow::into_owned).unwrap_or_default();
                    model.replace((name, value.range)).map(|_| "model")
                }
                "stream" => stream.replace(value.shape).map(|_| "stream"),
                "stream_options" => options.replace(value).map(|_| "stream_options"),
                "tools" => tools.replace(value).map(|_| "tools"),
                "n" => n.replace(value).map(|_| "n"),
                "max_tokens" if value.shape == Shape::Null => {
                    null_bounds.push(("max_tokens", value.range));
                    None
                }
                "max_completion_tokens" if value.shape == Shape::Null => {
                    null_bounds.push(("max_completion_tokens", value.range));
                    None
                }
                _ => None,
            };
            twice = twice.or(repeated);
            Ok(())
        })?;
        if let Some(field) = twice {
            return Err(EnvelopeError::Twice { field });
        }
        let (model, model_range) = model.ok_or(EnvelopeError::Missing { field: "model" })?;
        if model.is_empty() {
            return Err(EnvelopeError::WrongShape { field: "model", expected: "a non-empty string" });
        }
        let stream = match stream {
            None | Some(Shape::False | Shape::Null) => false,
            Some(Shape::True) => true,
            Some(_) => return Err(EnvelopeError::WrongShape { field: "stream", expected: "true or false" }),
        };
        let n = match n.filter(|value| value.shape != Shape::Null) {
            None => 1,
            Some(value) => {
                value.integer(body).ok_or(EnvelopeError::WrongShape { field: "n", expected: "a positive integer" })?
            }
        };
        Ok(Self {
            model,
            model_range,
            stream,
            include_usage: options.as_ref().map(|value| include_usage(body, value)).transpose()?.unwrap_or(false),
            stream_options: options,
            has_tools: tools.is_some_and(|value| value.shape == Shape::Array && value.range.len() > 2),
            n,
            null_bounds,
            first_member: memchr::memchr(b'{', body).map_or(0, |brace| brace + 1),
        })
    }

    /// The body for the upstream. Without an edit the client's own bytes are returned, uncopied.
    pub fn rewrite(&self, body: &Bytes, rewrite: Rewrite<'_>) -> Bytes {
        let model = rewrite.model.filter(|name| *name != self.model);
        let usage = rewrite.ask_for_usage && self.stream && !self.include_usage;
        if model.is_none() && !usage && rewrite.max_output.is_none() {
            return body.clone();
        }
        const ASK: &[u8] = b"\"stream_options\":{\"include_usage\":true},";
        const OPTION: &[u8] = b"{\"include_usage\":true}";
        let quoted = model.map(|name| serde_json::Value::from(name).to_string());
        let mut edits: Vec<(Range<usize>, Cow<'_, [u8]>)> = Vec::with_capacity(2);
        if let Some(quoted) = &quoted {
            edits.push((self.model_range.clone(), Cow::Borrowed(quoted.as_bytes())));
        }
        if usage {
            match &self.stream_options {
                Some(Value { shape: Shape::Object, range }) => {
                    edits.push((range.clone(), Cow::Owned(with_usage(&body[range.clone()]))));
                }
                Some(null) => edits.push((null.range.clone(), Cow::Borrowed(OPTION))),
                None => edits.push((self.first_member..self.first_member, Cow::Borrowed(ASK))),
            }
        }
        if let Some((name, tokens)) = rewrite.max_output {
            // A second member of the name would leave it to the provider which of them counts.
            let mut given = self.null_bounds.iter().filter(|(given, _)| *given == name).peekable();
            if given.peek().is_none() {
                let member = format!("\"{name}\":{tokens},");
                edits.push((self.first_member..self.first_member, Cow::Owned(member.into_bytes())));
            }
            edits.extend(given.map(|(_, range)| (range.clone(), Cow::Owned(tokens.to_string().into_bytes()))));
        }
        edits.sort_by_key(|(range, _)| range.start);
        let growth: usize = edits.iter().map(|(_, text)| text.len()).sum();
        let mut edited = Vec::with_capacity(body.len() + growth);
        let mut from = 0;
        for (range, text) in edits {
            edited.extend_from_slice(&body[from..range.start]);
            edited.extend_from_slice(&text);
            from = range.end;
        }
        edited.extend_from_slice(&body[from..]);
        Bytes::from(edited)
    }
}

fn include_usage(body: &[u8], options: &Value) -> Result<bool, EnvelopeError> {
    if options.shape == Shape::Null {
        return Ok(false);
    }
    if options.shape != Shape::Object {
        return Err(EnvelopeError::WrongShape { field: "stream_options", expected: "an object" });
    }
    let mut include = false;
    members(body, options.range.clone(), |key, value| {
        if key == "include_usage" {
            include = value.shape == Shape::True;
        }
        Ok(())
    })?;
    Ok(include)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(body: &str) -> Result<Envelope, EnvelopeError> {
        Envelope::scan(body.as_bytes())
    }

    fn rewritten(body: &str, rewrite: Rewrite<'_>) -> String {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        String::from_utf8(scan(body).unwrap().rewrite(&bytes, rewrite).to_vec()).unwrap()
    }

    #[test]
    fn reads_what_the_gateway_needs() {
        let envelope = scan(
            r#"{"messages":[{"role":"user","content":"\"model\":\"x\""}],"model":"openai\/gpt-4o","stream":true,
               "stream_options":{"include_usage":true},"n":3,"tools":[{}]}"#,
        )
        .unwrap();
        assert_eq!(envelope.model, "openai/gpt-4o");
        assert!(envelope.stream && envelope.include_usage && envelope.has_tools);
        assert_eq!(envelope.n, 3);
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        for (body, message) in [
            (r#"{"messages":[]}"#, "`model` is missing"),
            (r#"{"model":7}"#, "`model` must be a non-empty string"),
            (r#"{"model":"a","model":"b"}"#, "`model` is given twice"),
            (r#"{"model":"a","mod\u0065l":"b"}"#, "`model` is given twice"),
            (r#"{"model":"a","stream":"yes"}"#, "`stream` must be true or false"),
            (r#"{"model":"a","stream_options":[]}"#, "`stream_options` must be an object"),
            (r#"{"model":"a""#, "the body is not valid JSON: expected `,` or `}` at byte 12"),
        ] {
            assert_eq!(scan(body).unwrap_err().to_string(), message, "{body}");
        }
    }

    #[test]
    fn leaves_the_bytes_alone_without_an_edit() {
        let body = Bytes::from_static(br#"{ "model" : "gpt-4o", "stream":false }"#);
        let same = Envelope::scan(&body)
            .unwrap()
            .rewrite(&body, Rewrite { model: Some("gpt-4o"), ask_for_usage: true, max_output: None });
        assert_eq!(same.as_ptr(), body.as_ptr(), "not even copied");
    }

    #[test]
    fn puts_in_a_bound_where_there_is_none() {
        let edit = Rewrite { max_output: Some(("max_tokens", 64)), ..Rewrite::default() };
        assert_eq!(rewritten(r#"{"model":"echo"}"#, edit), r#"{"max_tokens":64,"model":"echo"}"#);
        assert_eq!(rewritten(r#"{"model":"m","max_tokens":null}"#, edit), r#"{"model":"m","max_tokens":64}"#);
        let edit = Rewrite { ask_for_usage: true, ..edit };
        assert_eq!(
            rewritten(r#" {"stream":true,"model":"echo"}"#, edit),
            r#" {"stream_options":{"include_usage":true},"max_tokens":64,"stream":true,"model":"echo"}"#
        );
    }

    #[test]
    fn edits_only_the_model_and_the_stream_options() {
        let edit = Rewrite { model: Some("echo"), ask_for_usage: true, max_output: None };
        for (body, expected) in [
            (
                r#"{"z":1, "model":"demo/echo","x":[ 1 ],"stream":false}"#,
                r#"{"z":1, "model":"echo","x":[ 1 ],"stream":false}"#,
            ),
            (
                r#" {"model":"demo/echo","stream":true}"#,
                r#" {"stream_options":{"include_usage":true},"model":"echo","stream":true}"#,
            ),
            (
                r#"{"stream":true,"stream_options":{},"model":"demo/echo"}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true},"model":"echo"}"#,
            ),
            (
                r#"{"stream_options":{"a":[1, 2],"include_usage":false},"stream":true,"model":"demo/echo"}"#,
                r#"{"stream_options":{"include_usage":true,"a":[1, 2]},"stream":true,"model":"echo"}"#,
            ),
            (
                r#"{"model":"demo/echo","stream":true,"stream_options":{"include_usage":true}}"#,
                r#"{"model":"echo","stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"model":"demo/echo","stream":true,"stream_options":null}"#,
                r#"{"model":"echo","stream":true,"stream_options":{"include_usage":true}}"#,
            ),
        ] {
            assert_eq!(rewritten(body, edit), expected, "{body}");
        }
    }
}
