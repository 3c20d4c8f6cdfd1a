//! An answer for a client.

use serde::Serialize;

use crate::canonical::{ChatAnswer, Choice, Content, Part};
use crate::json;
use crate::openai::{logprobs, usage};

use super::finish_name;
use super::thinking::{self, Called, ExtraContent, FunctionCall, WireCall, WireThinking};

#[derive(Debug, Serialize)]
struct WireAnswer<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<usage::WireUsage>,
}

#[derive(Debug, Serialize)]
struct WireChoice<'a> {
    index: u32,
    message: WireMessage<'a>,
    logprobs: Option<logprobs::WireLogprobs<'a>>,
    finish_reason: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<Vec<WireThinking<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
}

/// The body of a chat completion.
pub fn encode_answer(answer: &ChatAnswer) -> Vec<u8> {
    json::bytes(&WireAnswer {
        id: &answer.id,
        object: "chat.completion",
        created: answer.created.unwrap_or(0),
        model: &answer.model,
        choices: answer.choices.iter().map(choice).collect(),
        usage: answer.usage.as_ref().map(usage::encode),
    })
}

fn choice(choice: &Choice) -> WireChoice<'_> {
    let (reasoning_content, thinking_blocks) = thinking::encode(&choice.parts);
    let mut refusal = None;
    let mut tool_calls = Vec::new();
    for part in &choice.parts {
        match &part.content {
            Content::Refusal(text) => refusal.get_or_insert_with(String::new).push_str(text),
            Content::ToolCall { id, name, arguments } => tool_calls.push(WireCall::Function(FunctionCall {
                id,
                kind: "function",
                function: Called { name, arguments },
                extra_content: ExtraContent::of(part.signature.as_ref()),
            })),
            _ => {}
        }
    }
    let said = choice.parts.iter().any(|part: &Part| part.as_text().is_some());
    // Clients read `content` of an answer that holds nothing at all, too.
    let content = (said || (refusal.is_none() && tool_calls.is_empty())).then(|| choice.text());
    WireChoice {
        index: choice.index,
        message: WireMessage { role: "assistant", content, refusal, reasoning_content, thinking_blocks, tool_calls },
        logprobs: choice.logprobs.as_ref().map(logprobs::encode),
        finish_reason: choice.finish.as_ref().map(finish_name),
    }
}
