//! An answer for a client.

use serde::Serialize;

use crate::canonical::{ChatAnswer, Choice, Content};
use crate::json;

use super::request_out::{KnownPiece, WireCall, call};
use super::{finish_name, logprobs, usage};

#[derive(Debug, Serialize)]
struct WireAnswer<'a> {
    id: &'a str,
    finish_reason: &'static str,
    message: WireMessage<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<usage::WireUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<logprobs::WireLogprob<'a>>>,
}

#[derive(Debug, Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    content: Vec<KnownPiece<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
}

/// The body of an answer: the first choice, since there is but one here. Signatures have no place and are not needed by
/// Cohere's own models; a client's next turn goes without them.
pub fn encode_answer(answer: &ChatAnswer) -> Vec<u8> {
    let none = Choice::default();
    let choice = answer.choices.first().unwrap_or(&none);
    let (mut content, mut tool_calls) = (Vec::new(), Vec::new());
    for part in &choice.parts {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => content.push(KnownPiece::Text { text }),
            Content::Thinking { text } if !text.is_empty() => content.push(KnownPiece::Thinking { thinking: text }),
            Content::ToolCall { id, name, arguments } => tool_calls.push(call(id, name, arguments)),
            _ => {}
        }
    }
    json::bytes(&WireAnswer {
        id: &answer.id,
        finish_reason: choice.finish.as_ref().map_or("ERROR", finish_name),
        message: WireMessage { role: "assistant", content, tool_calls },
        usage: answer.usage.as_ref().map(usage::encode),
        logprobs: choice.logprobs.as_ref().map(logprobs::encode),
    })
}
