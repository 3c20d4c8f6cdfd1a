//! An answer for a client.

use serde::Serialize;

use crate::canonical::{ChatAnswer, Choice, Content};
use crate::json;
use crate::openai::usage;

use super::{finish_name, logprobs};

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
    text: String,
    index: u32,
    logprobs: Option<logprobs::WireLogprobs<'a>>,
    finish_reason: Option<&'static str>,
}

/// The body of a text completion; `echo` is [`super::TextRequest::echo`].
pub fn encode_answer(answer: &ChatAnswer, echo: Option<&str>) -> Vec<u8> {
    json::bytes(&WireAnswer {
        id: &answer.id,
        object: "text_completion",
        created: answer.created.unwrap_or(0),
        model: &answer.model,
        choices: answer.choices.iter().map(|told| choice(told, echo.unwrap_or_default())).collect(),
        usage: answer.usage.as_ref().map(usage::encode),
    })
}

fn choice<'a>(choice: &'a Choice, echo: &str) -> WireChoice<'a> {
    let mut text = echo.to_owned();
    for part in &choice.parts {
        if let Content::Text(said) | Content::Refusal(said) = &part.content {
            text.push_str(said);
        }
    }
    WireChoice {
        text,
        index: choice.index,
        logprobs: choice.logprobs.as_ref().map(|told| logprobs::encode(told, &mut echo.chars().count())),
        finish_reason: choice.finish.as_ref().map(finish_name),
    }
}
