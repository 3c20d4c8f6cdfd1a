//! `usage` of chat, `meta` of the others.

use serde::Serialize;

use crate::canonical::Usage;
use crate::json::Object;

#[derive(Debug, Serialize)]
pub(super) struct WireUsage {
    billed_units: WireTokens,
    tokens: WireTokens,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct WireTokens {
    input_tokens: u64,
    output_tokens: u64,
}

pub(super) fn encode(usage: &Usage) -> WireUsage {
    let tokens = WireTokens { input_tokens: usage.input, output_tokens: usage.output };
    let cached_tokens = (usage.cached_input > 0).then_some(usage.cached_input);
    WireUsage { billed_units: tokens, tokens, cached_tokens }
}

/// What the model read and wrote; what is billed (without Cohere's own preamble) where only that is told. Lenient: what
/// is odd counts as not told.
pub(super) fn decode(mut object: Object<'_>) -> Usage {
    let cached_input = object.count("cached_tokens");
    let mut both = |key| object.object(key).ok().flatten();
    let (tokens, billed) = (both("tokens"), both("billed_units"));
    let mut usage = Usage { cached_input, ..Usage::default() };
    for mut told in tokens.into_iter().chain(billed) {
        let (input, output) = (told.count("input_tokens"), told.count("output_tokens"));
        if usage.input == 0 {
            usage.input = input;
        }
        if usage.output == 0 {
            usage.output = output;
        }
        usage.input_image = usage.input_image.max(told.count("image_tokens"));
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn tokens_before_bills() {
        let body = br#"{"billed_units":{"input_tokens":17.0,"output_tokens":12},
            "tokens":{"input_tokens":215.0,"output_tokens":12.0},"cached_tokens":100}"#;
        let usage = decode(Object::parse(body).unwrap());
        assert_eq!(usage, Usage { input: 215, output: 12, cached_input: 100, ..Usage::default() });
        assert_eq!(decode(Object::parse(&json::bytes(&encode(&usage))).unwrap()), usage);
        let billed = decode(Object::parse(br#"{"billed_units":{"input_tokens":3}}"#).unwrap());
        assert_eq!((billed.input, billed.output), (3, 0));
    }
}
