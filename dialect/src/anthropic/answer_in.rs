//! A provider's answer.

use crate::Dropped;
use crate::canonical::{ChatAnswer, Choice, Content};
use crate::json::{DecodeError, Object};

use super::blocks_in::decode_block;
use super::{finish_of, usage};

/// Reads a message. Blocks of tools that ran at the provider, and citations, are named as unread.
pub fn decode_answer(body: &[u8]) -> Result<ChatAnswer, DecodeError> {
    let mut object = Object::parse(body)?;
    let mut unread = Dropped::new();
    let mut parts = Vec::new();
    for block in object.need("content")?.list()? {
        let part = decode_block(block, 0, &mut unread)?;
        if let Content::Other { json, .. } = &part.content {
            let kind = json.to_value().get("type").and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
            unread.note(format!("content.{kind}"));
        } else {
            parts.push(part);
        }
    }
    let sequence = object.string("stop_sequence")?;
    let finish = object.string("stop_reason")?.map(|name| finish_of(&name, sequence));
    Ok(ChatAnswer {
        id: object.string("id")?.unwrap_or_default(),
        model: object.string("model")?.unwrap_or_default(),
        created: None,
        choices: vec![Choice { index: 0, parts, finish, logprobs: None }],
        usage: object.object("usage")?.map(usage::decode),
        unread,
    })
}
