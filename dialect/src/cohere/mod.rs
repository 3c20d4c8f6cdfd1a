//! Cohere's dialect, version 2: `chat` and its stream, `rerank`, `embed`; as the API reference of 2026 has them.
//!
//! # What has no equal
//!
//! - `tool_plan` is a piece of thinking; thinking is written as thinking.
//! - `documents` of a request are files with text in front of the last user message, and text files become documents.
//! - There is no choice of one tool: it is `REQUIRED` with that tool alone.
//! - Numbers are held to Cohere's ranges (temperature to 1, `p` to 0.01..0.99, penalties to 0..1, `k` to 500), and named.
//! - `ERROR` and `TIMEOUT` are no end of an answer: in a stream they are an error, and a whole answer has not finished.
//! - The reason of a filter is read and written as `ERROR_TOXIC`, the word of the version before.
//! - Of answers `citations` are not kept and are named; the answer names no model.

mod answer_in;
mod answer_out;
mod documents;
mod embed;
mod error;
mod logprobs;
mod messages_out;
mod request_in;
mod request_out;
mod rerank;
mod stream_in;
mod stream_out;
mod usage;

pub use answer_in::decode_answer;
pub use answer_out::encode_answer;
pub(crate) use embed::encode_embed_body;
pub use embed::{decode_embed_answer, decode_embed_request, encode_embed_answer, encode_embed_request};
pub use error::{decode_error, encode_error};
pub use request_in::decode_request;
pub use request_out::encode_request;
pub use rerank::{decode_rerank_answer, decode_rerank_request, encode_rerank_answer, encode_rerank_request};
pub use stream_in::StreamDecoder;
pub use stream_out::StreamEncoder;

use crate::Dialect;
use crate::canonical::Finish;

const HERE: Dialect = Dialect::Cohere;

fn finish_name(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Other(_) => "COMPLETE",
        Finish::Length => "MAX_TOKENS",
        Finish::ToolCalls => "TOOL_CALL",
        Finish::StopSequence(_) => "STOP_SEQUENCE",
        Finish::ContentFilter | Finish::Refusal => "ERROR_TOXIC",
    }
}

/// `None` for words that say that the answer broke.
fn finish_of(name: &str) -> Option<Finish> {
    Some(match name {
        "ERROR" | "TIMEOUT" => return None,
        "COMPLETE" => Finish::Stop,
        "MAX_TOKENS" | "ERROR_LIMIT" => Finish::Length,
        "TOOL_CALL" => Finish::ToolCalls,
        "STOP_SEQUENCE" => Finish::StopSequence(String::new()),
        "ERROR_TOXIC" => Finish::ContentFilter,
        other => Finish::Other(other.to_owned()),
    })
}
