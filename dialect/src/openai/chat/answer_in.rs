//! A provider's answer.

use crate::Dropped;
use crate::canonical::{ChatAnswer, Choice, Content, Finish, Part};
use crate::json::{DecodeError, Item, Object};
use crate::openai::{logprobs, usage};

use super::unread::{note_of_answer, note_of_message};
use super::{finish_of, parts, thinking};

/// Reads a chat completion. Lenient in what a gateway does not need: an id, a date, a usage may be missing.
pub fn decode_answer(body: &[u8]) -> Result<ChatAnswer, DecodeError> {
    let mut object = Object::parse(body)?;
    let id = object.string("id")?.unwrap_or_default();
    let mut unread = Dropped::new();
    let choices = object.need("choices")?.list()?;
    let choices = choices.into_iter().enumerate().map(|(at, item)| choice(item, at, &id, &mut unread));
    let choices = choices.collect::<Result<_, _>>()?;
    note_of_answer(&mut object, &mut unread);
    Ok(ChatAnswer {
        choices,
        model: object.string("model")?.unwrap_or_default(),
        created: object.take("created").and_then(|created| created.unsigned().ok()),
        usage: object.object("usage")?.map(usage::decode),
        id,
        unread,
    })
}

fn choice(item: Item<'_>, at: usize, answer_id: &str, unread: &mut Dropped) -> Result<Choice, DecodeError> {
    let mut object = item.object()?;
    let at = object.unsigned("index")?.unwrap_or(at as u64);
    let index = u32::try_from(at).map_err(|_| DecodeError::wrong(object.place("index"), "a small number"))?;
    let mut message = object.need("message")?.object()?;
    let mut parts = thinking::decode(&mut message)?;
    if let Some(content) = message.take("content") {
        parts.extend(parts::decode_content(content, unread)?);
    }
    if let Some(refusal) = message.string("refusal")?.filter(|text| !text.is_empty()) {
        parts.push(Content::Refusal(refusal).into());
    }
    for (at, call) in message.list("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        parts.push(thinking::decode_call(call, answer_id, index, u32::try_from(at).unwrap_or(u32::MAX))?);
    }
    parts.retain(|part| {
        let known = !matches!(part.content, Content::Other { .. });
        unread.note_if(!known, "content");
        known
    });
    note_of_message(&mut message, "message", unread);
    let finish = object.string("finish_reason")?.map(|name| settled(finish_of(&name), &parts));
    let logprobs = object.object("logprobs")?.map(logprobs::decode).transpose()?.flatten();
    Ok(Choice { index, parts, finish, logprobs })
}

/// A forced call ends with `stop` at OpenAI, and any call does at some servers; clients of other dialects go by the
/// reason alone.
fn settled(finish: Finish, parts: &[Part]) -> Finish {
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    if calls && finish == Finish::Stop { Finish::ToolCalls } else { finish }
}
