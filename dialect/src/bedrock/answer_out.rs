//! An answer for a client.

use serde::Serialize;

use crate::Json;
use crate::canonical::{ChatAnswer, Content, Finish, Part};
use crate::json;

use super::blocks_out::{WireBlock, WireReasoning, call, input_of, redacted, signs_next, thinking};
use super::{stop_name, usage};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireAnswer<'a> {
    output: Output<'a>,
    stop_reason: &'static str,
    usage: usage::WireUsage,
    metrics: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_response_fields: Option<StopSequence<'a>>,
}

#[derive(Debug, Serialize)]
struct Output<'a> {
    message: Message<'a>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<WireBlock<'a>>,
}

/// Time is not known here.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metrics {
    latency_ms: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct StopSequence<'a> {
    stop_sequence: &'a str,
}

impl<'a> StopSequence<'a> {
    pub(super) fn of(finish: Option<&'a Finish>) -> Option<Self> {
        match finish {
            Some(Finish::StopSequence(which)) if !which.is_empty() => Some(Self { stop_sequence: which }),
            _ => None,
        }
    }
}

/// The body of a Converse answer: the first choice, which is the only one a request of this dialect asks for.
pub fn encode_answer(answer: &ChatAnswer) -> Vec<u8> {
    let choice = answer.choices.first();
    let parts = choice.map(|choice| choice.parts.as_slice()).unwrap_or_default();
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    json::bytes(&WireAnswer {
        output: Output { message: Message { role: "assistant", content: parts.iter().flat_map(blocks).collect() } },
        stop_reason: finish.map_or("end_turn", stop_name),
        usage: usage::encode(&answer.usage.unwrap_or_default()),
        metrics: Metrics::default(),
        additional_model_response_fields: StopSequence::of(finish),
    })
}

/// A part, and before it what signs it if it is no thought.
fn blocks(part: &Part) -> impl Iterator<Item = WireBlock<'_>> {
    let thinks = matches!(part.content, Content::Thinking { .. });
    let signature = part.signature.as_ref().filter(|_| !thinks).map(signs_next);
    signature.into_iter().chain(block(part))
}

fn block(part: &Part) -> Option<WireBlock<'_>> {
    Some(match &part.content {
        Content::Text(text) | Content::Refusal(text) => WireBlock::Text(text),
        Content::Thinking { text } => thinking(text, part.signature.as_ref()),
        Content::RedactedThinking { of, data } => {
            WireBlock::ReasoningContent(WireReasoning::RedactedContent(redacted(*of, data)))
        }
        Content::ToolCall { id, name, arguments } => {
            // Clients read an object: arguments that are none are shown as one that holds their text.
            let input = input_of(arguments).unwrap_or_else(|| Json::of(&serde_json::json!({ "arguments": arguments })));
            call(id, name, input)
        }
        // Not part of what a model answers in the middle.
        Content::Image { .. }
        | Content::File { .. }
        | Content::Audio { .. }
        | Content::ToolResult { .. }
        | Content::Other { .. } => return None,
    })
}
