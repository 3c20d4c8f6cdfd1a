//! Gemini's dialect: `generateContent` and its stream, `countTokens`, embeddings; as Google's API reference of 2026 has
//! them for the Gemini API and Vertex AI.
//!
//! - [`path`]: the model and the method are in the path, not in the body
//! - [`frames`]: a stream is server-sent events (`alt=sse`) or, without it, one JSON array
//! - Members are read in `camelCase` and in `snake_case`, and written in `camelCase`.
//!
//! # What has no equal
//!
//! - Calls may come without ids: see [`crate::canonical::made_call_id`]. Results without ids belong to the calls of
//!   their name in the turn before, in order.
//! - `thoughtSignature` is base64: a foreign signature is written as the base64 of its tagged form. The signature of a
//!   text is read as a piece of thinking without words behind that text, as a stream tells it, and written back onto it.
//! - Models from Gemini 3 on refuse the calls of earlier turns without their signature; a call that another model made
//!   is sent with the words that Google provides for it.
//! - System and developer messages become the one `systemInstruction`; those after the first turn lose their place.
//! - `cachedContent` is content that only Gemini has: a system message with a piece of [`Content::Other`].
//! - Of answers these are neither kept nor named: `safetyRatings`, `avgLogprobs`, `tokenCount`, `createTime`.
//!
//! [`Content::Other`]: crate::canonical::Content::Other

mod answer_in;
mod answer_out;
mod config_in;
mod config_out;
mod count;
mod embed;
mod error;
mod fields;
pub mod frames;
mod logprobs;
mod parts_in;
mod parts_out;
pub mod path;
mod request_in;
mod request_out;
mod schema;
mod signature;
mod stream_in;
mod stream_out;
mod tools_in;
mod tools_out;
mod usage;

pub use answer_in::decode_answer;
pub use answer_out::encode_answer;
pub use count::{decode_count, decode_count_request, encode_count, encode_count_request};
pub use embed::{
    decode_batch_embed_request, decode_embed_answer, decode_embed_request, encode_batch_embed_answer,
    encode_embed_answer, encode_embed_request,
};
pub use error::{decode_error, encode_error};
pub use path::{Call, Method};
pub use request_in::decode_request;
pub use request_out::encode_request;
pub use stream_in::StreamDecoder;
pub use stream_out::{Form, StreamEncoder};

use crate::Dialect;
use crate::canonical::Finish;

const HERE: Dialect = Dialect::Gemini;

/// A model's resource name: `models/` in front unless it is a resource already.
fn resource(model: &str) -> String {
    let is_resource =
        ["models/", "tunedModels/", "publishers/", "projects/"].iter().any(|kind| model.starts_with(kind));
    if is_resource { model.to_owned() } else { format!("models/{model}") }
}

/// The version of a Gemini model, if its name tells: 3 and 1 of `gemini-3.1-pro`.
fn version(model: &str) -> Option<(u32, u32)> {
    let (_, rest) = model.rsplit_once("gemini-")?;
    let mut numbers = rest.split(|at: char| !at.is_ascii_digit() && at != '.').next()?.split('.');
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

/// The generation of a Gemini model.
fn generation(model: &str) -> Option<u32> {
    version(model).map(|(major, _)| major)
}

/// The reasons that this model's own filters give.
const FILTERED: [&str; 8] = [
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
];

/// Reasons that no other dialect has, written back as they were.
const OWN: [&str; 8] = [
    "LANGUAGE",
    "OTHER",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "NO_IMAGE",
    "IMAGE_OTHER",
    "MISSING_THOUGHT_SIGNATURE",
];

fn finish_name(finish: &Finish) -> &str {
    match finish {
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter | Finish::Refusal => "SAFETY",
        Finish::Other(name) if OWN.contains(&name.as_str()) => name,
        Finish::Stop | Finish::ToolCalls | Finish::StopSequence(_) | Finish::Other(_) => "STOP",
    }
}

/// `None` for the word that says that it has not ended.
fn finish_of(name: &str, calls: bool) -> Option<Finish> {
    Some(match name {
        "" | "FINISH_REASON_UNSPECIFIED" => return None,
        "STOP" if calls => Finish::ToolCalls,
        "STOP" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        name if FILTERED.contains(&name) => Finish::ContentFilter,
        other => Finish::Other(other.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_generations() {
        for (model, told) in [
            ("gemini-3.1-pro", Some(3)),
            ("models/gemini-2.5-flash", Some(2)),
            ("google/gemini-10-ultra", Some(10)),
            ("gemini-pro", None),
            ("gemma-3", None),
        ] {
            assert_eq!(generation(model), told, "{model}");
        }
        assert_eq!(version("models/gemini-3.7-flash-preview"), Some((3, 7)));
        assert_eq!(version("gemini-3-pro"), Some((3, 0)));
    }
}
