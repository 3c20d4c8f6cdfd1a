//! Text completions, answered by chat models: the prompt becomes one user message, the answer's text comes back as
//! `choices[].text`.
//!
//! Rules: one prompt a request, as text; `echo` puts the prompt before each answer's text; `suffix` is refused, since a chat
//! model does not fill in; `best_of` is dropped. Without `max_tokens` the chat model's own default holds, not the 16
//! tokens of the old API. Thoughts and tool calls have no place in the answer.

mod answer;
mod logprobs;
mod request;
mod stream;

pub use answer::encode_answer;
pub use request::{TextRequest, decode_request};
pub use stream::StreamEncoder;

pub use super::error::encode_error;

use crate::canonical::Finish;

fn finish_name(finish: &Finish) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
        Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls | Finish::Other(_) => "stop",
    }
}
