//! A provider's answer.

use crate::Dropped;
use crate::canonical::{ChatAnswer, Choice, Content, Finish};
use crate::json::{DecodeError, Object};

use super::blocks_in::decode_blocks;
use super::{stop_of, usage};

/// Reads the body of a Converse answer. It has neither an id nor the model's name: both are left empty.
pub fn decode_answer(body: &[u8]) -> Result<ChatAnswer, DecodeError> {
    let mut object = Object::parse(body)?;
    let mut unread = Dropped::new();
    let mut output = object.need("output")?.object()?;
    let mut message = output.need("message")?.object()?;
    let mut parts = Vec::new();
    decode_blocks(message.need("content")?.list()?, &mut parts, &mut unread)?;
    parts.retain(|part| {
        let known = !matches!(part.content, Content::Other { .. });
        unread.note_if(!known, "output.message.content");
        known
    });
    let stop = object.need("stopReason")?.string()?;
    let finish = finish(&stop, object.object("additionalModelResponseFields")?, &mut unread)?;
    unread.note_if(object.has("trace"), "trace");
    Ok(ChatAnswer {
        choices: vec![Choice { index: 0, parts, finish: Some(finish), logprobs: None }],
        usage: object.object("usage")?.map(usage::decode),
        unread,
        ..ChatAnswer::default()
    })
}

/// The end, with the sequence that made it if the request's `additionalModelResponseFieldPaths` asked for it.
pub(super) fn finish(stop: &str, additional: Option<Object<'_>>, unread: &mut Dropped) -> Result<Finish, DecodeError> {
    let mut finish = stop_of(stop);
    if let Some(mut fields) = additional {
        let sequence = fields.string("stop_sequence")?;
        if let (Finish::StopSequence(which), Some(sequence)) = (&mut finish, sequence) {
            *which = sequence;
        }
        fields.note_rest("additionalModelResponseFields", unread);
    }
    Ok(finish)
}
