//! A provider's stream.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::canonical::{Content, Failure, Part, StreamEvent};
use crate::json::DecodeError;
use crate::{Decoder, Dropped, decoder};

use super::answer_in::{Candidate, Chunk, MEDIA, finish, identify};
use super::error;
use super::fields::Fields;
use super::frames::Frames;

/// Google gives eight at most; beyond, a stream is somebody's attempt on our memory.
const MAX_CHOICES: usize = 128;

/// Events from bytes cut anywhere, in either form ([`super::frames`]).
///
/// The dialect has no word for the end: a stream is whole when its connection ends after every candidate has finished,
/// and its array, if it is one, is closed. Images and sounds that a model makes are not told in streams but named as unread.
pub type StreamDecoder = Decoder<Reader>;

#[derive(Debug, Default)]
pub struct Reader {
    id: String,
    started: bool,
    choices: BTreeMap<u32, ChoiceState>,
}

#[derive(Debug, Default)]
struct ChoiceState {
    calls: u32,
    finished: bool,
}

impl decoder::Reader for Reader {
    type Cutter = Frames;

    fn read(
        &mut self,
        frame: Vec<u8>,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<ControlFlow<()>, Failure> {
        if frame.trim_ascii().is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let mut fields = Fields::parse(&frame).map_err(Failure::malformed)?;
        if let Some(told) = fields.take("error").map_err(Failure::malformed)? {
            return Err(error::read(told, None));
        }
        let chunk = Chunk::read(fields, unread).map_err(Failure::malformed)?;
        self.chunk(chunk, out, unread).map_err(Failure::malformed)?;
        Ok(ControlFlow::Continue(()))
    }

    fn may_end(&self, midway: bool) -> bool {
        !midway && !self.choices.is_empty() && self.choices.values().all(|choice| choice.finished)
    }
}

impl Reader {
    fn chunk(&mut self, chunk: Chunk, out: &mut Vec<StreamEvent>, unread: &mut Dropped) -> Result<(), DecodeError> {
        if !std::mem::replace(&mut self.started, true) {
            self.id.clone_from(&chunk.id);
            out.push(StreamEvent::Start { id: chunk.id, model: chunk.model, created: None });
        }
        for candidate in chunk.candidates {
            self.candidate(candidate, out, unread)?;
        }
        out.extend(chunk.usage.map(StreamEvent::Usage));
        Ok(())
    }

    fn candidate(
        &mut self,
        candidate: Candidate,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<(), DecodeError> {
        let choice = candidate.index;
        if self.choices.len() == MAX_CHOICES && !self.choices.contains_key(&choice) {
            return Err(DecodeError::wrong("candidates", "of at most 128 indices"));
        }
        let state = self.choices.entry(choice).or_default();
        if state.finished {
            return Ok(());
        }
        let first = state.calls;
        let parts = identify(candidate.parts, &self.id, choice, &mut state.calls);
        let mut index = first;
        for part in parts {
            tell(part, choice, &mut index, out, unread);
        }
        out.extend(candidate.logprobs.map(|logprobs| StreamEvent::Logprobs { choice, logprobs }));
        if let Some(reason) = candidate.finish.and_then(|name| finish(&name, state.calls)) {
            state.finished = true;
            out.push(StreamEvent::Finish { choice, reason });
        }
        Ok(())
    }
}

fn tell(part: Part, choice: u32, index: &mut u32, out: &mut Vec<StreamEvent>, unread: &mut Dropped) {
    let Part { content, signature, .. } = part;
    match content {
        Content::Text(text) => out.push(StreamEvent::TextDelta { choice, text }),
        Content::Thinking { text } => {
            if !text.is_empty() {
                out.push(StreamEvent::ThinkingDelta { choice, text });
            }
            out.extend(signature.map(|signature| StreamEvent::ThinkingSignature { choice, signature }));
        }
        Content::RedactedThinking { of, data } => out.push(StreamEvent::RedactedThinking { choice, of, data }),
        Content::ToolCall { id, name, arguments } => {
            out.push(StreamEvent::ToolCallStart { choice, index: *index, id, name, signature });
            out.push(StreamEvent::ToolCallDelta { choice, index: *index, arguments });
            *index += 1;
        }
        Content::Image { .. } | Content::File { .. } | Content::Audio { .. } => unread.note(MEDIA),
        // Not part of what a model says in this dialect.
        Content::ToolResult { .. } | Content::Refusal(_) | Content::Other { .. } => {}
    }
}
