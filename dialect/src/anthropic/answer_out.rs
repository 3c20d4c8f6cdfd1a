//! An answer for a client.

use std::borrow::Cow;

use serde::Serialize;

use crate::canonical::{ChatAnswer, Content, Part, Signature};
use crate::json;
use crate::{Dialect, Json};

use super::HERE;
use super::{finish_name, usage};

#[derive(Debug, Serialize)]
pub(super) struct WireMessage<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Vec<AnswerBlock<'a>>,
    pub(super) stop_reason: Option<&'a str>,
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) usage: usage::WireUsage,
}

/// A block of an answer. Libraries want every field of its kind, empty or not.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum AnswerBlock<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: Cow<'a, str> },
    RedactedThinking { data: String },
    ToolUse { id: &'a str, name: &'a str, input: Json },
}

/// The body of a message: the first choice, which is the only one that an Anthropic client can ask for.
pub fn encode_answer(answer: &ChatAnswer) -> Vec<u8> {
    let choice = answer.choices.first();
    let (stop_reason, stop_sequence) = choice
        .and_then(|choice| choice.finish.as_ref())
        .map(finish_name)
        .map_or((None, None), |(name, at)| (Some(name), at));
    json::bytes(&WireMessage {
        id: &answer.id,
        kind: "message",
        role: "assistant",
        model: &answer.model,
        content: choice.map(|choice| choice.parts.iter().filter_map(block).collect()).unwrap_or_default(),
        stop_reason,
        stop_sequence,
        usage: usage::encode(&answer.usage.unwrap_or_default()),
    })
}

fn block(part: &Part) -> Option<AnswerBlock<'_>> {
    Some(match &part.content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => return None,
        Content::Text(text) | Content::Refusal(text) => AnswerBlock::Text { text },
        Content::Thinking { text } => {
            AnswerBlock::Thinking { thinking: text, signature: signature(part.signature.as_ref()) }
        }
        Content::RedactedThinking { of, data } => redacted(*of, data),
        Content::ToolCall { id, name, arguments } => AnswerBlock::ToolUse { id, name, input: input(arguments) },
        Content::Image { .. }
        | Content::File { .. }
        | Content::Audio { .. }
        | Content::ToolResult { .. }
        | Content::Other { .. } => return None,
    })
}

pub(super) fn redacted(of: Dialect, data: &str) -> AnswerBlock<'static> {
    AnswerBlock::RedactedThinking { data: Signature::new(of, data).tagged(HERE) }
}

pub(super) fn signature(signature: Option<&Signature>) -> Cow<'_, str> {
    signature.map_or(Cow::Borrowed(""), |signature| Cow::Owned(signature.tagged(HERE)))
}

/// `input` is an object. What a model wrote that is none (its answer may have been cut) is shown as
/// `{"invalid_arguments": "..."}`, so that the client sees it.
fn input(arguments: &str) -> Json {
    #[derive(Serialize)]
    struct Invalid<'a> {
        invalid_arguments: &'a str,
    }
    match Json::parse(arguments) {
        Ok(input) if input.is_object() => input,
        _ if arguments.trim_ascii().is_empty() => Json::empty_object(),
        _ => Json::of(&Invalid { invalid_arguments: arguments }),
    }
}
