//! A provider's answer, and a chunk of its stream, which has the same form.

use crate::Dropped;
use crate::canonical::{ChatAnswer, Choice, Content, Finish, Logprobs, Part, Usage, made_call_id};
use crate::json::{DecodeError, Item};

use super::fields::Fields;
use super::parts_in::{self, Piece};
use super::{finish_of, logprobs, usage};

/// What generated images and sounds are named as where no other dialect's answers have a place for them.
pub(super) const MEDIA: &str = "candidates.content.parts.inlineData";

/// Reads a whole answer.
pub fn decode_answer(body: &[u8]) -> Result<ChatAnswer, DecodeError> {
    let mut unread = Dropped::new();
    let chunk = Chunk::read(Fields::parse(body)?, &mut unread)?;
    if chunk.candidates.is_empty() {
        return Err(DecodeError::Missing { field: "candidates".to_owned() });
    }
    let choices = chunk.candidates.into_iter().map(|candidate| {
        let Candidate { index, parts, finish, logprobs } = candidate;
        let parts = settle(identify(parts, &chunk.id, index, &mut 0));
        let finish = finish.and_then(|name| finish_of(&name, has_calls(&parts)));
        Choice { index, parts, finish, logprobs }
    });
    Ok(ChatAnswer {
        choices: choices.collect(),
        id: chunk.id,
        model: chunk.model,
        created: None,
        usage: chunk.usage,
        unread,
    })
}

fn has_calls(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }))
}

/// One object of the wire.
pub(super) struct Chunk {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) candidates: Vec<Candidate>,
    pub(super) usage: Option<Usage>,
}

pub(super) struct Candidate {
    pub(super) index: u32,
    pub(super) parts: Vec<Piece>,
    /// As it is named.
    pub(super) finish: Option<String>,
    pub(super) logprobs: Option<Logprobs>,
}

impl Chunk {
    /// A prompt that was blocked is an answer that the filter ended.
    pub(super) fn read(mut fields: Fields<'_>, unread: &mut Dropped) -> Result<Self, DecodeError> {
        let mut candidates = Vec::new();
        for (at, item) in fields.list("candidates")?.into_iter().enumerate() {
            candidates.push(candidate(item, at, unread)?);
        }
        if let Some(mut feedback) = fields.object("promptFeedback")?
            && candidates.is_empty()
            && feedback.string("blockReason")?.is_some()
        {
            let finish = Some("SAFETY".to_owned());
            candidates.push(Candidate { index: 0, parts: Vec::new(), finish, logprobs: None });
        }
        Ok(Self {
            id: fields.string("responseId")?.unwrap_or_default(),
            model: fields.string("modelVersion")?.unwrap_or_default(),
            candidates,
            usage: fields.object("usageMetadata")?.map(usage::decode),
        })
    }
}

fn candidate(item: Item<'_>, at: usize, unread: &mut Dropped) -> Result<Candidate, DecodeError> {
    let mut fields = Fields::of(item)?;
    let place = fields.place("index");
    let index = fields.unsigned("index")?.unwrap_or(at as u64);
    let index = u32::try_from(index).map_err(|_| DecodeError::wrong(place, "a small number"))?;
    let mut parts = Vec::new();
    if let Some(mut content) = fields.object("content")? {
        for item in content.list("parts")? {
            let place = item.path().to_owned();
            match parts_in::decode(item, unread)? {
                Piece::Result { .. } => {
                    return Err(DecodeError::wrong(place, "something else: models give no results"));
                }
                Piece::Parts(mut found) => {
                    found.retain(|part| {
                        let known = !matches!(part.content, Content::Other { .. });
                        unread.note_if(!known, "candidates.content.parts");
                        known
                    });
                    parts.push(Piece::Parts(found));
                }
                call @ Piece::Call { .. } => parts.push(call),
            }
        }
    }
    for key in ["citationMetadata", "groundingMetadata", "urlContextMetadata", "finishMessage"] {
        let told = fields.take(key)?.is_some_and(|item| !matches!(item.raw(), "{}" | "\"\""));
        if told {
            unread.note(format!("candidates.{key}"));
        }
    }
    let logprobs = fields.object("logprobsResult")?.map(logprobs::decode).transpose()?.flatten();
    let finish = fields.string("finishReason")?;
    Ok(Candidate { index, parts, finish, logprobs })
}

/// Gives calls the ids that they lack, counting on from `calls`.
pub(super) fn identify(pieces: Vec<Piece>, answer_id: &str, choice: u32, calls: &mut u32) -> Vec<Part> {
    let mut parts = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match piece {
            Piece::Parts(found) => parts.extend(found),
            Piece::Call { mut part, id: told } => {
                if let Content::ToolCall { id, .. } = &mut part.content {
                    *id = told.unwrap_or_else(|| made_call_id(answer_id, choice, *calls));
                }
                *calls += 1;
                parts.push(part);
            }
            Piece::Result { .. } => {}
        }
    }
    parts
}

/// Joins texts and thoughts that touch: a stream does not tell them apart.
fn settle(parts: Vec<Part>) -> Vec<Part> {
    let mut settled: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        match (settled.last_mut(), part) {
            (Some(Part { content: Content::Text(before), .. }), Part { content: Content::Text(text), .. }) => {
                before.push_str(&text)
            }
            (
                Some(Part { content: Content::Thinking { text: before }, signature: before_signed @ None, .. }),
                Part { content: Content::Thinking { text }, signature, .. },
            ) => {
                before.push_str(&text);
                *before_signed = signature;
            }
            (_, part) => settled.push(part),
        }
    }
    settled
}

/// The reason as a stream's choice has it.
pub(super) fn finish(name: &str, calls: u32) -> Option<Finish> {
    finish_of(name, calls > 0)
}
