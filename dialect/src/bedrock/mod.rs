//! Bedrock's Converse and ConverseStream, as the service model of 2023-09-30 has them.
//!
//! The model and whether to stream are in the path, not in the body: [`decode_request`] leaves both to the caller.
//! Answers have neither an id nor a model's name.
//!
//! What is Bedrock's own and how it is carried:
//!
//! - A `cachePoint` becomes a mark on the part before it, wherever that is.
//! - `json` of a tool result becomes its text.
//! - Documents have a name from few characters, no two alike: others are written in these and named as changed.
//! - Ids of calls that Bedrock would not take are replaced by a hash of themselves, in calls and results alike.
//! - Videos, guarded content, search results and things in buckets of a given owner are for Bedrock alone.
//! - Whether a Claude can be held to a schema goes by [`crate::anthropic`], too: it is refused, or `strict` is dropped.
//! - Thoughts and `top_k` have no field of their own: `additionalModelRequestFields` holds them in Claude's form, for
//!   models with `claude` in their id, by the rules of [`crate::anthropic`]; for others they are dropped and named.
//!
//! Rooms: [`framing`] (the binary event stream), [`sigv4`] (signatures), and the model ids of paths.

mod answer_in;
mod answer_out;
mod blocks_in;
mod blocks_out;
mod embed;
mod error;
pub mod framing;
mod media;
mod path;
mod request_in;
mod request_out;
pub mod sigv4;
mod stream_in;
mod stream_out;
mod tools_out;
mod usage;

pub use answer_in::decode_answer;
pub use answer_out::encode_answer;
pub use embed::{decode_embed_answer, embeds, encode_embed_request};
pub use error::{decode_error, decode_named_error, encode_error, error_type};
pub use path::{BadModelId, decode_model_id, encode_model_id};
pub use request_in::decode_request;
pub use request_out::encode_request;
pub use stream_in::StreamDecoder;
pub use stream_out::StreamEncoder;

use crate::Dialect;
use crate::canonical::Finish;

const HERE: Dialect = Dialect::Bedrock;

/// Bedrock's word for the end, and back.
fn stop_name(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Other(_) => "end_turn",
        Finish::StopSequence(_) => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter | Finish::Refusal => "content_filtered",
    }
}

fn stop_of(name: &str) -> Finish {
    match name {
        "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::StopSequence(String::new()),
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "content_filtered" | "guardrail_intervened" => Finish::ContentFilter,
        "refusal" => Finish::Refusal,
        other => Finish::Other(other.to_owned()),
    }
}

/// Whether a model is one of Anthropic's; an ARN of an inference profile of one's own does not tell.
fn is_claude(model: &str) -> bool {
    model.contains("claude")
}
