//! A provider's answer.

use crate::Dropped;
use crate::canonical::{ChatAnswer, Choice, Content, Logprobs, Part};
use crate::json::{DecodeError, Object};

use super::{finish_of, logprobs, request_in, usage};

/// Reads a whole answer. It does not name its model.
pub fn decode_answer(body: &[u8]) -> Result<ChatAnswer, DecodeError> {
    let mut object = Object::parse(body)?;
    let id = object.string("id")?.unwrap_or_default();
    let mut unread = Dropped::new();
    let mut message = object.need("message")?.object()?;
    let content = message.take("content");
    let mut parts = request_in::assistant(&mut message, content, &id)?;
    parts.retain(|part| {
        let known = !matches!(part.content, Content::Other { .. });
        unread.note_if(!known, "message.content");
        known
    });
    if message.list("citations")?.is_some_and(|citations| !citations.is_empty()) {
        unread.note("message.citations");
    }
    let finish = object.string("finish_reason")?.and_then(|name| finish_of(&name));
    let tokens = object.list("logprobs")?.unwrap_or_default().into_iter().map(logprobs::decode);
    let content: Vec<_> = tokens.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    let logprobs = (!content.is_empty()).then(|| Logprobs { content, refusal: Vec::new() });
    Ok(ChatAnswer {
        choices: vec![Choice { index: 0, parts: settle(parts), finish, logprobs }],
        model: String::new(),
        created: None,
        usage: object.object("usage")?.map(usage::decode),
        id,
        unread,
    })
}

/// Joins texts and thoughts that touch: a stream does not tell them apart.
fn settle(parts: Vec<Part>) -> Vec<Part> {
    let mut settled: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        match (settled.last_mut().map(|last| &mut last.content), &part.content) {
            (_, Content::Text(text) | Content::Thinking { text }) if text.is_empty() => {}
            (Some(Content::Text(before)), Content::Text(text))
            | (Some(Content::Thinking { text: before }), Content::Thinking { text }) => before.push_str(text),
            _ => settled.push(part),
        }
    }
    settled
}
