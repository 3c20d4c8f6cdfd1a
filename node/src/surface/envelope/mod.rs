//! The few fields of a request that a gateway must know, found without parsing the rest, and the few edits that it may
//! make: everything else goes upstream byte for byte, because providers' prompt caches key on exact bytes.
//!
//! `rewrite` makes the edits.

mod rewrite;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use peerway_dialect::Dialect;

pub use self::rewrite::Rewrite;
use super::Call;
use super::bounds::{Bounds, bound_of, bounds_of_config};
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
