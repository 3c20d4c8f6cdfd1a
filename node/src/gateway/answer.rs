//! What a provider's whole answer says: its facts and its cost, and all of it where it is to be translated.

use peerway_dialect::canonical::{ChatAnswer, Content, Failure, Finish, Part};
use peerway_dialect::{DecodeError, Dialect};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::operations::stated_usage;
use super::verdict::Spent;
use crate::dialect::codec;
use crate::dialect::openai::{Answer, Usage, count_answer, count_text_answer};
use crate::governance::{Reason, Written};

/// An answer that has been read.
#[derive(Debug)]
pub(super) struct Read {
    /// For translation.
    pub(super) chat: Option<ChatAnswer>,
    pub(super) answer: Option<Answer>,
    pub(super) spent: Spent,
    /// The provider has put an error in the place of an answer.
    pub(super) failure: Option<Failure>,
}

/// Reads an answer of this dialect; `passes`: only for its facts.
pub(super) fn read_answer(dialect: Dialect, body: &[u8], passes: bool) -> Result<Read, DecodeError> {
    let is_scanned = passes && matches!(dialect, Dialect::OpenAiChat | Dialect::OpenAiCompletions);
    let answer = if is_scanned { Answer::read(body) } else { None };
    if !answer.as_ref().is_some_and(|answer| answer.has_choices)
        && let Some(failure) = error_in(dialect, body)
    {
        return Ok(Read { chat: None, answer: None, spent: stated_beside(dialect, body), failure: Some(failure) });
    }
    if is_scanned {
        return scanned(dialect, body, answer);
    }
    let chat = match codec::decode_answer(dialect, body) {
        Ok(chat) => chat,
        // What is passed on need not be understood.
        Err(_) if passes && serde_json::from_slice::<IgnoredAny>(body).is_ok() => {
            let spent = Spent::Counted(written(dialect, body), None, Reason::NoUsage);
            return Ok(Read { chat: None, answer: None, spent, failure: None });
        }
        Err(error) => return Err(error),
    };
    let usage = chat.usage.as_ref().map(Into::into);
    let answer = Answer {
        usage,
        finished: !chat.choices.is_empty()
            && chat.choices.iter().all(|it| matches!(it.finish, Some(Finish::Stop | Finish::StopSequence(_))))
            && !parts(&chat).any(|part| matches!(part.content, Content::Refusal(_))),
        has_tool_calls: parts(&chat).any(|part| matches!(part.content, Content::ToolCall { .. })),
        has_choices: !chat.choices.is_empty(),
    };
    let spent = usage.map_or_else(|| Spent::Counted(written_in(&chat), None, Reason::NoUsage), Spent::Stated);
    Ok(Read { chat: (!passes).then_some(chat), answer: Some(answer), spent, failure: None })
}

/// OpenAI's answers are passed on without a tree being built of them.
fn scanned(dialect: Dialect, body: &[u8], answer: Option<Answer>) -> Result<Read, DecodeError> {
    let spent = match answer.as_ref().and_then(|answer| answer.usage) {
        Some(usage) => Spent::Stated(usage),
        None => {
            // Whole JSON is a whole answer, though we may not understand it.
            if answer.is_none() {
                serde_json::from_slice::<IgnoredAny>(body)?;
            }
            Spent::Counted(written(dialect, body), None, Reason::NoUsage)
        }
    };
    Ok(Read { chat: None, answer, spent, failure: None })
}

/// Some servers answer with status 200 and an error.
pub(super) fn error_in(dialect: Dialect, body: &[u8]) -> Option<Failure> {
    #[derive(Deserialize)]
    struct Body {
        error: Option<IgnoredAny>,
        choices: Option<IgnoredAny>,
    }
    memchr::memmem::find(body, b"\"error\"")?;
    let told: Body = serde_json::from_slice(body).ok()?;
    (told.error.is_some() && told.choices.is_none())
        .then(|| codec::decode_error(dialect, 502, &http::HeaderMap::new(), body))
}

/// What an error says that it cost all the same.
pub(super) fn stated_beside(dialect: Dialect, body: &[u8]) -> Spent {
    let stated = match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiCompletions => {
            Answer::read(body).and_then(|answer| answer.usage).filter(|usage| *usage != Usage::default())
        }
        _ => codec::decode_answer(dialect, body).ok().and_then(|chat| chat.usage).map(|usage| (&usage).into()),
    };
    stated.or_else(|| stated_usage(body)).map_or(Spent::Nothing, Spent::Stated)
}

fn parts(chat: &ChatAnswer) -> impl Iterator<Item = &Part> {
    chat.choices.iter().flat_map(|choice| &choice.parts)
}

fn written_in(chat: &ChatAnswer) -> Written {
    let mut written = Written::default();
    for part in parts(chat) {
        match &part.content {
            Content::Text(text) | Content::Thinking { text } | Content::Refusal(text) => written.text(text),
            Content::RedactedThinking { data, .. } => written.text(data),
            Content::ToolCall { name, arguments, .. } => {
                written.text(name);
                written.text(arguments);
            }
            Content::Audio { data, .. } => written.sound(data.len()),
            Content::Image { .. } | Content::File { .. } | Content::ToolResult { .. } | Content::Other { .. } => {}
        }
    }
    written
}

/// What the model wrote in a body that may have no end.
pub(super) fn written(dialect: Dialect, body: &[u8]) -> Written {
    let mut written = Written::default();
    match dialect {
        Dialect::OpenAiChat => count_answer(body, &mut written),
        Dialect::OpenAiCompletions => count_text_answer(body, &mut written),
        // Framing counts as text: there is no telling them apart in what cannot be read.
        _ => match codec::decode_answer(dialect, body) {
            Ok(chat) => return written_in(&chat),
            Err(_) => written.text(&String::from_utf8_lossy(body)),
        },
    }
    written
}
