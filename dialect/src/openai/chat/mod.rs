//! Chat completions.
//!
//! Beyond OpenAI's own fields these, which others have made common, are understood: `reasoning_content` (or
//! `reasoning`) for thoughts; `thinking_blocks` for thoughts with the signatures that Anthropic wants back;
//! `extra_content.google.thought_signature` on a tool call; `cache_control` on text, images and tools; `thinking` in
//! Anthropic's form; `top_k`.

mod answer_in;
mod answer_out;
mod calls_in;
mod messages_out;
pub(in crate::openai) mod parts;
mod request_in;
mod request_out;
mod stream_in;
mod stream_out;
mod target;
mod thinking;
mod tools_out;
mod unread;

pub use answer_in::decode_answer;
pub use answer_out::encode_answer;
pub use request_in::decode_request;
pub use request_out::{encode_request, encode_request_for};
pub use stream_in::StreamDecoder;
pub use stream_out::StreamEncoder;
pub use target::Target;

pub use super::error::{decode_error, encode_error};

use crate::canonical::Finish;

/// OpenAI's word for the end, and back. A refusal is not a stop: what it stopped is content.
fn finish_name(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Other(_) => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
    }
}

fn finish_of(name: &str) -> Finish {
    match name {
        "stop" | "eos" | "end_turn" => Finish::Stop,
        "length" | "max_tokens" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        other => Finish::Other(other.to_owned()),
    }
}
