//! A provider's answer.

use crate::canonical::{ChatAnswer, Choice, Content, Finish, Logprobs, Part};
use crate::json::{DecodeError, Object};

use super::items_in::Items;
use super::usage;

/// Reads a response that is complete, or that ended early for a reason it gives.
pub fn decode_answer(body: &[u8]) -> Result<ChatAnswer, DecodeError> {
    let mut object = Object::parse(body)?;
    let id = object.string("id")?.unwrap_or_default();
    let model = object.string("model")?.unwrap_or_default();
    let created = object.take("created_at").and_then(|created| created.unsigned().ok()).filter(|at| *at > 0);
    let status = object.take("status");
    let mut items = Items::default();
    for item in object.need("output")?.list()? {
        items.push(item)?;
    }
    let mut unread = items.unread;
    let mut parts: Vec<Part> = items.messages.into_iter().flat_map(|message| message.parts).collect();
    parts.retain(|part| {
        let known = !matches!(part.content, Content::Other { .. });
        unread.note_if(!known, "output");
        known
    });
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    let finish = match &status {
        Some(status) => finish(&status.string()?, object.object("incomplete_details")?, calls)
            .ok_or_else(|| status.expected("completed or incomplete"))?,
        None => finished(calls),
    };
    let logprobs = (items.logprobs != Logprobs::default()).then_some(items.logprobs);
    Ok(ChatAnswer {
        id,
        model,
        created,
        choices: vec![Choice { index: 0, parts, finish: Some(finish), logprobs }],
        usage: object.object("usage")?.map(usage::decode),
        unread,
    })
}

fn finished(calls: bool) -> Finish {
    if calls { Finish::ToolCalls } else { Finish::Stop }
}

/// `None` for a response that failed, was cancelled or is still to come.
pub(super) fn finish(status: &str, incomplete: Option<Object<'_>>, calls: bool) -> Option<Finish> {
    match status {
        "completed" => Some(finished(calls)),
        "incomplete" => {
            let reason = incomplete.and_then(|mut details| details.string("reason").ok().flatten());
            Some(match reason.as_deref() {
                Some("max_output_tokens") | None => Finish::Length,
                Some("content_filter") => Finish::ContentFilter,
                Some(other) => Finish::Other(other.to_owned()),
            })
        }
        _ => None,
    }
}
