//! The few fields of a request that a gateway must know, found without parsing the rest, and the few edits that it may
//! make: everything else goes upstream byte for byte, because providers' prompt caches key on exact bytes.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use peerway_dialect::Dialect;

use super::Call;
use super::bounds::{Bounds, bound_of, bounds_of_config};
use super::edit::Edits;
use crate::dialect::json::{Malformed, Shape, Value, keyed_members, members};

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
    #[error("the form cannot be read: {0}")]
    Form(&'static str),
}

impl EnvelopeError {
    /// The field to name in `error.param`.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Malformed(_) | Self::Form(_) => None,
            Self::Missing { field } | Self::WrongShape { field, .. } | Self::Twice { field } => Some(field),
        }
    }
}

/// What a request says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    dialect: Dialect,
    pub model: String,
    /// Where the body tells it.
    model_range: Option<Range<usize>>,
    pub stream: bool,
    /// Whether the client wants the usage in its stream; dialects in which nobody has to ask always have it.
    pub include_usage: bool,
    stream_options: Option<Value>,
    /// What bounds the answer's length, whether it is one or not.
    bounds: Bounds,
    /// The object that holds the bound, in dialects that have one.
    config: Option<Value>,
    /// The value of `fallbacks`: further models to try, which are the gateway's business.
    fallbacks: Option<Range<usize>>,
    /// That member with its key and comma.
    fallbacks_member: Option<Range<usize>>,
    /// Offset behind the object's opening brace, where a member can be put in, and whether others follow it.
    first_member: usize,
    has_members: bool,
}

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

fn is_config(dialect: Dialect, key: &str) -> bool {
    match dialect {
        Dialect::Gemini => matches!(key, "generationConfig" | "generation_config"),
        Dialect::Bedrock => key == "inferenceConfig",
        _ => false,
    }
}

impl Envelope {
    /// Of a body that is no JSON, of which the rest is known already.
    pub fn told(dialect: Dialect, model: String, stream: bool) -> Self {
        Self {
            dialect,
            model,
            model_range: None,
            stream,
            include_usage: true,
            stream_options: None,
            bounds: Bounds::default(),
            config: None,
            fallbacks: None,
            fallbacks_member: None,
            first_member: 0,
            has_members: false,
        }
    }

    /// Scans a request body. A field that decides something must not be given twice: parsers differ in which one
    /// they take, and the provider's must not see another model than the one that was allowed.
    pub fn scan(call: &Call, body: &[u8]) -> Result<Self, EnvelopeError> {
        let dialect = call.dialect;
        let mut model: Option<(String, Range<usize>)> = None;
        let (mut stream, mut options, mut config) = (None, None, None);
        let mut bounds = Bounds::default();
        let mut wrong = Ok(());
        let mut twice = None;
        let mut fallbacks: Option<(Range<usize>, Range<usize>)> = None;
        // The end of the member before, and whether the fallbacks' member is the first and ends at the next one.
        let (mut before, mut cut_to_next) = (None, false);
        keyed_members(body, 0..body.len(), |key, key_start, value| {
            if std::mem::take(&mut cut_to_next)
                && let Some((_, member)) = &mut fallbacks
            {
                member.end = key_start;
            }
            let end = value.range.end;
            let repeated = match key.as_ref() {
                "model" => {
                    let name = value.text(body).map(Cow::into_owned).unwrap_or_default();
                    model.replace((name, value.range)).map(|_| "model")
                }
                "stream" => stream.replace(value.shape).map(|_| "stream"),
                "stream_options" => options.replace(value).map(|_| "stream_options"),
                "fallbacks" => {
                    cut_to_next = before.is_none();
                    let member = before.unwrap_or(key_start)..end;
                    fallbacks.replace((value.range, member)).map(|_| "fallbacks")
                }
                key if is_config(dialect, key) => {
                    let name = bound_of(dialect, false).0.unwrap_or_default();
                    config.replace(value).map(|_| name)
                }
                key => {
                    if let Some(name) = Bounds::in_body(dialect, key) {
                        let taken = bounds.take(body, name, key_start, &value);
                        wrong = std::mem::replace(&mut wrong, Ok(())).and(taken);
                    }
                    None
                }
            };
            before = Some(end);
            twice = twice.or(repeated);
            Ok(())
        })?;
        if let Some(field) = twice {
            return Err(EnvelopeError::Twice { field });
        }
        wrong?;
        if let Some(Value { shape: Shape::Object, range }) = &config {
            // Keys that cannot be read could hide one.
            bounds = bounds_of_config(dialect, body, range.clone())??;
        }
        let (model, model_range) = match (&call.model, model) {
            (Some(told), in_body) => (told.clone(), in_body.map(|(_, range)| range)),
            (None, Some((told, range))) => (told, Some(range)),
            (None, None) => return Err(EnvelopeError::Missing { field: "model" }),
        };
        if model.is_empty() {
            return Err(EnvelopeError::WrongShape { field: "model", expected: "a non-empty string" });
        }
        let stream = match (call.stream, stream) {
            (Some(told), _) => told,
            (None, None | Some(Shape::False | Shape::Null)) => false,
            (None, Some(Shape::True)) => true,
            (None, Some(_)) => {
                return Err(EnvelopeError::WrongShape { field: "stream", expected: "true or false" });
            }
        };
        let must_ask = matches!(dialect, Dialect::OpenAiChat | Dialect::OpenAiCompletions);
        let asked = options.as_ref().filter(|_| must_ask).map(|value| include_usage(body, value)).transpose()?;
        let (fallbacks, fallbacks_member) = fallbacks.unzip();
        Ok(Self {
            dialect,
            model,
            model_range,
            stream,
            include_usage: asked.unwrap_or(!must_ask),
            stream_options: options,
            bounds,
            config,
            fallbacks,
            fallbacks_member,
            first_member: memchr::memchr(b'{', body).map_or(0, |brace| brace + 1),
            has_members: before.is_some(),
        })
    }

    /// What stands under `fallbacks`, as JSON.
    pub fn fallbacks<'a>(&self, body: &'a [u8]) -> Option<&'a [u8]> {
        self.fallbacks.clone().map(|range| &body[range])
    }

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
    use crate::operation::Operation;

    fn scan(body: &str) -> Result<Envelope, EnvelopeError> {
        Envelope::scan(&chat(), body.as_bytes())
    }

    fn chat() -> Call {
        Call::new(Dialect::OpenAiChat, Operation::Chat)
    }

    fn rewritten(body: &str, rewrite: Rewrite<'_>) -> String {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        String::from_utf8(scan(body).unwrap().rewrite(&bytes, rewrite).to_vec()).unwrap()
    }

    #[test]
    fn a_key_that_cannot_be_read_hides_no_bound() {
        let mut call = Call::new(Dialect::Bedrock, Operation::Chat);
        (call.model, call.stream) = (Some("m".to_owned()), Some(false));
        let body = br#"{"inferenceConfig":{"\ud800":1,"maxTokens":100000}}"#;
        assert!(matches!(Envelope::scan(&call, body), Err(EnvelopeError::Malformed(_))));
        let body = Bytes::from_static(br#"{"inferenceConfig":{"\u0061":1,"maxTokens":100000}}"#);
        let rewrite = Rewrite { max_output: Some(7), ..Rewrite::default() };
        let edited = Envelope::scan(&call, &body).unwrap().rewrite(&body, rewrite);
        assert_eq!(edited, r#"{"inferenceConfig":{"\u0061":1,"maxTokens":7}}"#);
    }

    #[test]
    fn reads_what_the_gateway_needs() {
        let envelope = scan(
            r#"{"messages":[{"role":"user","content":"\"model\":\"x\""}],"model":"openai\/gpt-4o","stream":true,
               "stream_options":{"include_usage":true},"n":3,"tools":[{}]}"#,
        )
        .unwrap();
        assert_eq!(envelope.model, "openai/gpt-4o");
        assert!(envelope.stream && envelope.include_usage);
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
            (r#"{"model":"a","max_tokens":true}"#, "`max_tokens` must be a number of tokens"),
            (r#"{"model":"a","max_completion_tokens":"some"}"#, "`max_completion_tokens` must be a number of tokens"),
            (r#"{"model":"a","max_tokens":5,"max_tokens":50}"#, "`max_tokens` is given twice"),
            (r#"{"model":"a""#, "the body is not valid JSON: expected `,` or `}` at byte 12"),
        ] {
            assert_eq!(scan(body).unwrap_err().to_string(), message, "{body}");
        }
    }

    #[test]
    fn leaves_the_bytes_alone_without_an_edit() {
        let body = Bytes::from_static(br#"{ "model" : "gpt-4o", "stream":false }"#);
        let edit = Rewrite { model: Some("gpt-4o"), ask_for_usage: true, ..Rewrite::default() };
        let same = Envelope::scan(&chat(), &body).unwrap().rewrite(&body, edit);
        assert_eq!(same.as_ptr(), body.as_ptr(), "not even copied");
    }

    #[test]
    fn puts_in_a_bound_where_there_is_none() {
        let edit = Rewrite { max_output: Some(64), ..Rewrite::default() };
        assert_eq!(rewritten(r#"{"model":"echo"}"#, edit), r#"{"max_tokens":64,"model":"echo"}"#);
        for nothing in ["null", "-1", "-1e6", "\"-1\""] {
            let body = format!("{{\"model\":\"m\",\"max_tokens\":{nothing}}}");
            assert_eq!(rewritten(&body, edit), r#"{"model":"m","max_tokens":64}"#);
        }
        assert_eq!(
            rewritten(r#"{"max_completion_tokens" : -1 ,"model":"m"}"#, edit),
            r#"{"max_tokens":64 ,"model":"m"}"#,
            "under the name that the provider knows"
        );
        let newer = Rewrite { max_completion_tokens: true, ..edit };
        assert_eq!(
            rewritten(r#"{"max_tokens":-1,"model":"m","max_completion_tokens":null}"#, newer),
            r#"{"max_tokens":null,"model":"m","max_completion_tokens":64}"#
        );
        let edit = Rewrite { ask_for_usage: true, ..edit };
        assert_eq!(
            rewritten(r#" {"stream":true,"model":"echo"}"#, edit),
            r#" {"stream_options":{"include_usage":true},"max_tokens":64,"stream":true,"model":"echo"}"#
        );
    }

    #[test]
    fn edits_only_the_model_and_the_stream_options() {
        let edit = Rewrite { model: Some("echo"), ask_for_usage: true, ..Rewrite::default() };
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

    fn bounded(call: &Call, body: &str) -> String {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let envelope = Envelope::scan(call, &bytes).unwrap();
        let edited = envelope.rewrite(&bytes, Rewrite { model: Some("m"), max_output: Some(64), ..Rewrite::default() });
        String::from_utf8(edited.to_vec()).unwrap()
    }

    #[test]
    fn puts_in_a_bound_where_each_dialect_has_it() {
        let gemini = Call::gemini("v1/models/m:generateContent", None).unwrap();
        let bedrock = Call::bedrock("m/converse").unwrap();
        let responses = Call::new(Dialect::OpenAiResponses, Operation::Responses);
        for (call, body, expected) in [
            (&gemini, "{}", r#"{"generationConfig":{"maxOutputTokens":64}}"#),
            (&gemini, r#"{"contents":[]}"#, r#"{"generationConfig":{"maxOutputTokens":64},"contents":[]}"#),
            (
                &gemini,
                r#"{"generation_config":{"topK":1}}"#,
                r#"{"generation_config":{"maxOutputTokens":64,"topK":1}}"#,
            ),
            (
                &gemini,
                r#"{"generationConfig":{"maxOutputTokens":null}}"#,
                r#"{"generationConfig":{"maxOutputTokens":64}}"#,
            ),
            (&gemini, r#"{"generationConfig":null}"#, r#"{"generationConfig":{"maxOutputTokens":64}}"#),
            (&bedrock, r#"{"inferenceConfig":{ }}"#, r#"{"inferenceConfig":{"maxTokens":64 }}"#),
            (&responses, r#"{"model":"m"}"#, r#"{"max_output_tokens":64,"model":"m"}"#),
        ] {
            assert_eq!(bounded(call, body), expected, "{body}");
            serde_json::from_str::<serde_json::Value>(expected).unwrap();
        }
    }

    #[test]
    fn a_path_tells_more_than_a_body() {
        let gemini = Call::gemini("v1/models/demo/echo:generateContent", None).unwrap();
        let body = Bytes::from_static(br#"{"model":"models/dearer","contents":[]}"#);
        let envelope = Envelope::scan(&gemini, &body).unwrap();
        assert_eq!(envelope.model, "demo/echo");
        let edited = envelope.rewrite(&body, Rewrite { model: Some("echo"), ..Rewrite::default() });
        assert_eq!(edited, &br#"{"model":"models/echo","contents":[]}"#[..]);
    }

    #[test]
    fn fallbacks_stay_here() {
        let edit = Rewrite { model: Some("echo"), max_output: Some(64), ..Rewrite::default() };
        for (body, expected) in [
            (r#"{"model":"a" , "fallbacks":["b"]}"#, r#"{"max_tokens":64,"model":"echo"}"#),
            (r#"{"fallbacks": ["b", {"model":"c"}] , "model":"a"}"#, r#"{"max_tokens":64,"model":"echo"}"#),
            (r#"{ "x":1,"fallbacks":[],"model":"a"}"#, r#"{"max_tokens":64, "x":1,"model":"echo"}"#),
        ] {
            assert_eq!(rewritten(body, edit), expected, "{body}");
        }
        let body = br#"{"model":"a","fallbacks":["b", {}]}"#;
        assert_eq!(Envelope::scan(&chat(), body).unwrap().fallbacks(body), Some(&br#"["b", {}]"#[..]));
        assert_eq!(scan(r#"{"model":"a","fallbacks":[],"fallbacks":[]}"#).unwrap_err().field(), Some("fallbacks"));
    }
}
