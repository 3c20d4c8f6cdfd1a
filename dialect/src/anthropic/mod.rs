//! Anthropic messages, in both eras of its headers: what `anthropic-version` says changes nothing here, since bodies of
//! either era are read and written alike.
//!
//! What Anthropic's dialect wants and others do not tell is filled in by rule, see [`Target`]; token counting is a
//! messages request without an answer, see [`decode_count_request`].

mod answer_in;
mod answer_out;
mod blocks_in;
mod blocks_out;
mod count;
mod error;
mod request_in;
mod request_out;
mod stream_in;
mod stream_out;
mod target;
mod thinking;
mod usage;

pub use answer_in::decode_answer;
pub use answer_out::encode_answer;
pub use count::{decode_count_answer, decode_count_request, encode_count_answer, encode_count_request};
pub use error::{decode_error, encode_error};
pub use request_in::decode_request;
pub(crate) use request_out::{NOT_FORCED, sampling};
pub use request_out::{encode_request, encode_request_for};
pub use stream_in::StreamDecoder;
pub use stream_out::StreamEncoder;
pub use target::{NoThinking, Target, ThinkingStyle};
pub(crate) use thinking::plan;

use crate::Dialect;
use crate::canonical::Finish;

const HERE: Dialect = Dialect::Anthropic;

fn finish_of(name: &str, sequence: Option<String>) -> Finish {
    match name {
        "end_turn" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Refusal,
        "stop_sequence" => Finish::StopSequence(sequence.unwrap_or_default()),
        other => Finish::Other(other.to_owned()),
    }
}

/// `stop_reason` and `stop_sequence`.
fn finish_name(finish: &Finish) -> (&'static str, Option<&str>) {
    match finish {
        Finish::Stop => ("end_turn", None),
        Finish::Length => ("max_tokens", None),
        Finish::ToolCalls => ("tool_use", None),
        Finish::ContentFilter | Finish::Refusal => ("refusal", None),
        Finish::StopSequence(sequence) => ("stop_sequence", Some(sequence)),
        // The client is to send the turn back as it is.
        Finish::Other(name) if name == "pause_turn" => ("pause_turn", None),
        Finish::Other(_) => ("end_turn", None),
    }
}
