//! `usage` of responses.

use serde::Serialize;

use crate::canonical::Usage;
use crate::json::Object;

#[derive(Debug, Serialize)]
pub(super) struct WireUsage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Debug, Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Debug, Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

pub(super) fn encode(usage: &Usage) -> WireUsage {
    WireUsage {
        input_tokens: usage.input,
        input_tokens_details: InputDetails { cached_tokens: usage.cached_input, cache_write_tokens: usage.cache_write },
        output_tokens: usage.output,
        output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning },
        total_tokens: usage.total(),
    }
}

/// Lenient: what is odd counts as not told.
pub(super) fn decode(mut object: Object<'_>) -> Usage {
    let mut usage =
        Usage { input: object.count("input_tokens"), output: object.count("output_tokens"), ..Usage::default() };
    if let Ok(Some(mut details)) = object.object("input_tokens_details") {
        usage.cached_input = details.count("cached_tokens");
        usage.cache_write = details.count("cache_write_tokens");
    }
    if let Ok(Some(mut details)) = object.object("output_tokens_details") {
        usage.reasoning = details.count("reasoning_tokens");
    }
    usage
}
