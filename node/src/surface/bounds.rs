//! What bounds the answer's length: the members in which each dialect has it, of which one and only one must say it where
//! the gateway does. What an answer is reserved by ([`crate::governance::Estimate`]) bounds what its provider is asked for.

use std::ops::Range;

use peerway_dialect::Dialect;

use super::EnvelopeError;
use super::edit::Edits;
use crate::dialect::json::{Malformed, Shape, Value, keyed_members, told_number};

/// The name of the object that holds the bound of an answer's length, and the name of the bound.
pub(super) fn bound_of(dialect: Dialect, max_completion_tokens: bool) -> (Option<&'static str>, &'static str) {
    match dialect {
        Dialect::OpenAiChat if max_completion_tokens => (None, "max_completion_tokens"),
        Dialect::OpenAiChat | Dialect::OpenAiCompletions | Dialect::Anthropic | Dialect::Cohere => (None, "max_tokens"),
        Dialect::OpenAiResponses => (None, "max_output_tokens"),
        Dialect::Gemini => (Some("generationConfig"), "maxOutputTokens"),
        Dialect::Bedrock => (Some("inferenceConfig"), "maxTokens"),
    }
}

/// A member that bounds the answer's length, in the body or in the object that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    name: &'static str,
    /// With its key.
    member: Range<usize>,
    value: Range<usize>,
}

/// The members that a dialect has for it: no dialect has more than two names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bounds([Option<Bound>; 2]);

impl Bounds {
    /// The name of a bound that is in the body itself.
    pub(super) fn in_body(dialect: Dialect, key: &str) -> Option<&'static str> {
        let names: &[&'static str] = match dialect {
            Dialect::OpenAiChat => &["max_tokens", "max_completion_tokens"],
            Dialect::OpenAiCompletions | Dialect::Anthropic | Dialect::Cohere => &["max_tokens"],
            Dialect::OpenAiResponses => &["max_output_tokens"],
            Dialect::Gemini | Dialect::Bedrock => &[],
        };
        names.iter().find(|name| **name == key).copied()
    }

    /// The name of one that is in an object of the body.
    fn in_config(dialect: Dialect, key: &str) -> Option<&'static str> {
        let names: &[&'static str] = match dialect {
            Dialect::Gemini => &["maxOutputTokens", "max_output_tokens"],
            Dialect::Bedrock => &["maxTokens"],
            _ => &[],
        };
        names.iter().find(|name| **name == key).copied()
    }

    /// Takes a member of this name in, if it says something that a provider may understand, and says it once.
    pub(super) fn take(
        &mut self,
        body: &[u8],
        name: &'static str,
        key_start: usize,
        value: &Value,
    ) -> Result<(), EnvelopeError> {
        let text = std::str::from_utf8(&body[value.range.clone()]).unwrap_or_default();
        let is_told = match value.shape {
            Shape::Null => true,
            Shape::Number => told_number(text).is_some(),
            Shape::Text => value.text(body).is_some_and(|text| told_number(&text).is_some()),
            Shape::Object | Shape::Array | Shape::True | Shape::False => false,
        };
        if !is_told {
            return Err(EnvelopeError::WrongShape { field: name, expected: "a number of tokens" });
        }
        if self.0.iter().flatten().any(|known| known.name == name) {
            return Err(EnvelopeError::Twice { field: name });
        }
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none()) {
            *free = Some(Bound { name, member: key_start..value.range.end, value: value.range.clone() });
        }
        Ok(())
    }

    /// Makes one of them a bound under this name. Tells whether there was one to make it of.
    pub(super) fn replace(&self, name: &str, tokens: u64, edits: &mut Edits<'_>) -> bool {
        let mut given: Vec<&Bound> = self.0.iter().flatten().collect();
        // A second member of the name would leave it to the provider which of them counts.
        given.sort_by_key(|bound| bound.name != name);
        let Some((first, others)) = given.split_first() else { return false };
        if first.name == name {
            edits.replace(first.value.clone(), tokens.to_string().into_bytes());
        } else {
            edits.replace(first.member.clone(), format!("\"{name}\":{tokens}").into_bytes());
        }
        for other in others {
            edits.replace(other.value.clone(), &b"null"[..]);
        }
        true
    }
}

/// The bounds in the object that holds them.
pub(super) fn bounds_of_config(
    dialect: Dialect,
    body: &[u8],
    range: Range<usize>,
) -> Result<Result<Bounds, EnvelopeError>, Malformed> {
    let (mut bounds, mut wrong) = (Bounds::default(), Ok(()));
    keyed_members(body, range, |key, key_start, value| {
        if let Some(name) = Bounds::in_config(dialect, &key) {
            let taken = bounds.take(body, name, key_start, &value);
            wrong = std::mem::replace(&mut wrong, Ok(())).and(taken);
        }
        Ok(())
    })?;
    Ok(wrong.map(|()| bounds))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::{Call, Envelope, Rewrite};
    use super::*;
    use crate::governance::Estimate;
    use crate::operation::Operation;

    fn call(dialect: Dialect) -> Call {
        match dialect {
            Dialect::Gemini => Call::gemini("v1/models/m:generateContent", None).unwrap(),
            Dialect::Bedrock => Call::bedrock("m/converse").unwrap(),
            Dialect::OpenAiResponses => Call::new(dialect, Operation::Responses),
            Dialect::OpenAiCompletions => Call::new(dialect, Operation::Completions),
            _ => Call::new(dialect, Operation::Chat),
        }
    }

    /// A body with these members where the dialect has its bounds.
    fn body(dialect: Dialect, bounds: &[(&str, String)]) -> Bytes {
        let members: Vec<String> = bounds.iter().map(|(name, value)| format!("\"{name}\" : {value}")).collect();
        let members = members.join(",");
        let text = match bound_of(dialect, false).0 {
            Some(config) => format!("{{\"{config}\":{{{members}}}}}"),
            None if members.is_empty() => "{\"model\":\"m\"}".to_owned(),
            None => format!("{{{members},\"model\":\"m\"}}"),
        };
        Bytes::from(text)
    }

    /// The most that a provider can read there, which takes the last of a name, and numbers for what looks like one.
    fn most(dialect: Dialect, body: &[u8], names: &[&str]) -> Option<f64> {
        let body: Value = serde_json::from_slice(body).unwrap();
        let holder = bound_of(dialect, false).0.map_or(&body, |config| &body[config]);
        let told = names.iter().filter_map(|name| match &holder[*name] {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().replace('_', "").parse().ok(),
            _ => None,
        });
        told.filter(|number| *number >= 0.0).reduce(f64::max)
    }

    fn value() -> impl Strategy<Value = String> {
        let number = prop_oneof![
            Just("null".to_owned()),
            any::<i64>().prop_map(|number| number.to_string()),
            (-200_000_i64..200_000).prop_map(|number| number.to_string()),
            (-1e6..1e6).prop_map(|number: f64| format!("{number:e}")),
            (0.0..1e6).prop_map(|number: f64| format!("{number:.2}")),
            Just("1e999".to_owned()),
            Just("18446744073709551616".to_owned()),
        ];
        prop_oneof![
            4 => number.clone(),
            2 => number.prop_map(|number| format!("\" {number}\"")),
            1 => prop_oneof![Just("true"), Just("[5]"), Just("{\"a\":5}"), Just("\"\""), Just("\"1_000\"")]
                .prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_never_more_than_what_is_reserved(
            dialect in prop::sample::select(Dialect::ALL.to_vec()),
            values in prop::collection::vec(value(), 0..3),
            backwards in any::<bool>(),
            max_completion_tokens in any::<bool>(),
        ) {
            let names: &[&str] = match dialect {
                Dialect::OpenAiChat => &["max_tokens", "max_completion_tokens"],
                Dialect::OpenAiResponses => &["max_output_tokens"],
                Dialect::Gemini => &["maxOutputTokens", "max_output_tokens"],
                Dialect::Bedrock => &["maxTokens"],
                _ => &["max_tokens"],
            };
            let mut given: Vec<(&str, String)> = names.iter().copied().zip(values).collect();
            if backwards {
                given.reverse();
            }
            let body = body(dialect, &given);
            let Ok(envelope) = Envelope::scan(&call(dialect), &body) else { return Ok(()) };
            let read = |body: &[u8]| Estimate::read(dialect, body).unwrap().asked_output;
            let sent = match read(&body) {
                Some(_) => body.clone(),
                None => envelope.rewrite(
                    &body,
                    Rewrite { max_output: Some(64), max_completion_tokens, ..Rewrite::default() },
                ),
            };
            let (reserved, most) = (read(&body).unwrap_or(64), most(dialect, &sent, names));
            prop_assert!(most.is_some_and(|most| most <= reserved as f64), "{most:?} > {reserved}: {sent:?}");
            if read(&body).is_none() {
                prop_assert_eq!(read(&sent), Some(64), "{:?}", sent);
            }
        }
    }
}
