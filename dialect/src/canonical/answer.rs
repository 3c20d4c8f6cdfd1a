//! What a model answered.

use super::{Content, Logprobs, Part, Usage};
use crate::Dropped;

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatAnswer {
    /// The provider's id (Gemini `responseId`; Bedrock has none: empty, and the gateway gives one).
    pub id: String,
    /// The model that answered, as the provider calls it.
    pub model: String,
    /// Unix seconds. OpenAI alone tells it; without it an OpenAI answer says 0 unless the gateway sets it.
    pub created: Option<u64>,
    /// One in every dialect but OpenAI and Gemini.
    pub choices: Vec<Choice>,
    pub usage: Option<Usage>,
    /// Fields with content that nothing here can hold (citations, generated audio ...), by their names.
    pub unread: Dropped,
}

/// One of the answers asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    pub index: u32,
    /// Text, thoughts, calls, refusals. OpenAI has one text: texts are joined there, and what stands between them is
    /// told after them.
    pub parts: Vec<Part>,
    /// `None` is an answer that did not end, which is no success.
    pub finish: Option<Finish>,
    pub logprobs: Option<Logprobs>,
}

impl Choice {
    /// All its text, in order.
    pub fn text(&self) -> String {
        self.parts.iter().filter_map(Part::as_text).collect()
    }

    /// Joins texts that touch: a stream does not tell them apart.
    pub fn join_texts(&mut self) {
        let mut joined: Vec<Part> = Vec::with_capacity(self.parts.len());
        for part in self.parts.drain(..) {
            match (joined.last_mut(), part) {
                (
                    Some(Part { content: Content::Text(before), signature: None, .. }),
                    Part { content: Content::Text(text), .. },
                )
                | (
                    Some(Part { content: Content::Refusal(before), .. }),
                    Part { content: Content::Refusal(text), .. },
                ) => before.push_str(&text),
                (_, part) => joined.push(part),
            }
        }
        self.parts = joined;
    }
}

/// Why it ended.
///
/// | here | OpenAI | Anthropic | Gemini | Bedrock | Cohere |
/// |---|---|---|---|---|---|
/// | `Stop` | `stop` | `end_turn` | `STOP` | `end_turn` | `COMPLETE` |
/// | `Length` | `length` | `max_tokens`, `model_context_window_exceeded` | `MAX_TOKENS` | `max_tokens`, `model_context_window_exceeded` | `MAX_TOKENS` |
/// | `ToolCalls` | `tool_calls` | `tool_use` | `STOP` with calls | `tool_use` | `TOOL_CALL` |
/// | `ContentFilter` | `content_filter` | written as `refusal` | `SAFETY`, `RECITATION`, `PROHIBITED_CONTENT` ... | `guardrail_intervened`, `content_filtered` | `ERROR_TOXIC` |
/// | `Refusal` | written as `content_filter` | `refusal` | written as `SAFETY` | written as `content_filtered` | written as `ERROR_TOXIC` |
/// | `StopSequence` | written as `stop` | `stop_sequence` with it | written as `STOP` | `stop_sequence` | `STOP_SEQUENCE` |
///
/// `Other` keeps a reason as its provider named it; written as the target's word for a plain stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
    Refusal,
    /// The sequence, where it is told; else empty.
    StopSequence(String),
    Other(String),
}
