//! A provider's stream.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::canonical::{Failure, FailureKind, Finish, Signature, StreamEvent};
use crate::json::{DecodeError, Item, Object};
use crate::openai::{error, logprobs, usage};
use crate::sse::{SseEvent, SseSplitter};
use crate::{Decoder, Dropped, decoder};

use super::calls_in::{Calls, Place};
use super::unread::{note_of_answer, note_of_message};
use super::{finish_of, thinking};

/// No provider gives as many choices; beyond, a stream is somebody's attempt on our memory.
const MAX_CHOICES: usize = 128;

/// Chunks from bytes cut anywhere. The end is `[DONE]`, or the connection's end once every choice has finished (not every
/// server says `[DONE]`); either without a finished choice is a cut.
///
/// Servers tell usage in every chunk or in one without choices, under `x_groq` or in the choice; they finish twice, or go on
/// after it: why a choice has finished is told when the usage or the end shows that nothing follows.
pub type StreamDecoder = Decoder<Reader>;

#[derive(Debug, Default)]
pub struct Reader {
    id: String,
    model: String,
    created: Option<u64>,
    started: bool,
    choices: BTreeMap<u32, ChoiceState>,
}

#[derive(Debug, Default)]
struct ChoiceState {
    calls: Calls,
    finished: bool,
    /// Not told yet.
    finish: Option<Finish>,
}

impl decoder::Reader for Reader {
    type Cutter = SseSplitter;

    fn read(
        &mut self,
        event: SseEvent,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<ControlFlow<()>, Failure> {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" {
            return if self.may_end(false) { Ok(ControlFlow::Break(())) } else { Err(Failure::cut()) };
        }
        if event.name == "error" {
            return Err(error::decode_error(FailureKind::Upstream.status(), data));
        }
        if data.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let mut chunk = Object::parse(data).map_err(Failure::malformed)?;
        let mut groq = chunk.object("x_groq").ok().flatten();
        let told = chunk.take("error").or_else(|| groq.as_mut()?.take("error"));
        if let Some(told) = told.filter(|told| told.raw() != "false") {
            return Err(error::read(told, FailureKind::Upstream));
        }
        self.chunk(chunk, groq, out, unread).map_err(Failure::malformed)?;
        Ok(ControlFlow::Continue(()))
    }

    fn may_end(&self, _midway: bool) -> bool {
        !self.choices.is_empty() && self.choices.values().all(|choice| choice.finished)
    }

    fn last(&mut self, out: &mut Vec<StreamEvent>) {
        self.tell_finished(out);
    }
}

impl Reader {
    fn chunk(
        &mut self,
        mut chunk: Object<'_>,
        groq: Option<Object<'_>>,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<(), DecodeError> {
        if !self.started {
            self.id = chunk.string("id")?.unwrap_or_default();
            self.model = chunk.string("model")?.unwrap_or_default();
            self.created = chunk.take("created").and_then(|created| created.unsigned().ok()).filter(|at| *at > 0);
        }
        let choices = chunk.list("choices")?.unwrap_or_default();
        let mut told = chunk.object("usage")?;
        if let Some(mut groq) = groq.filter(|_| told.is_none()) {
            told = groq.object("usage")?;
        }
        // Azure begins with a chunk that has nothing of the answer, not even its id.
        if !self.started && (!choices.is_empty() || told.is_some()) {
            self.started = true;
            let (id, model) = (self.id.clone(), self.model.clone());
            out.push(StreamEvent::Start { id, model, created: self.created });
        }
        for item in choices {
            let of_choice = self.choice(item, out, unread)?;
            told = told.or(of_choice);
        }
        note_of_answer(&mut chunk, unread);
        if let Some(told) = told {
            self.tell_finished(out);
            out.push(StreamEvent::Usage(usage::decode(told)));
        }
        Ok(())
    }

    fn tell_finished(&mut self, out: &mut Vec<StreamEvent>) {
        for (&choice, state) in &mut self.choices {
            let Some(reason) = state.finish.take() else { continue };
            let called = !state.calls.is_empty() && reason == Finish::Stop;
            out.push(StreamEvent::Finish { choice, reason: if called { Finish::ToolCalls } else { reason } });
        }
    }

    /// Gives back the usage that it holds.
    fn choice<'a>(
        &mut self,
        item: Item<'a>,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<Option<Object<'a>>, DecodeError> {
        let mut object = item.object()?;
        let index = object.unsigned("index")?.unwrap_or(0);
        let choice = u32::try_from(index).map_err(|_| DecodeError::wrong(object.place("index"), "a small number"))?;
        if self.choices.len() == MAX_CHOICES && !self.choices.contains_key(&choice) {
            return Err(DecodeError::wrong("choices", "of at most 128 indices"));
        }
        let state = self.choices.entry(choice).or_default();
        let place = Place { answer_id: &self.id, choice };
        if let Some(mut delta) = object.object("delta")? {
            deltas(&mut delta, place, state, out, unread)?;
        }
        if let Some(logprobs) = object.object("logprobs")?.map(logprobs::decode).transpose()?.flatten() {
            out.push(StreamEvent::Logprobs { choice, logprobs });
        }
        if let Some(name) = object.string("finish_reason")?.filter(|name| !name.is_empty()) {
            state.calls.tell_all(place, out);
            if !std::mem::replace(&mut state.finished, true) {
                state.finish = Some(finish_of(&name));
            }
        }
        object.object("usage")
    }
}

fn deltas(
    delta: &mut Object<'_>,
    place: Place<'_>,
    state: &mut ChoiceState,
    out: &mut Vec<StreamEvent>,
    unread: &mut Dropped,
) -> Result<(), DecodeError> {
    let choice = place.choice;
    let from = out.len();
    if let Some(text) = thinking::plain(delta)? {
        out.push(StreamEvent::ThinkingDelta { choice, text });
    }
    for block in delta.list("thinking_blocks")?.unwrap_or_default() {
        let mut block = block.object()?;
        if let Some(data) = block.string("data")? {
            let tagged = Signature::from_tagged(&data, thinking::BLOCKS_OF);
            out.push(StreamEvent::RedactedThinking { choice, of: tagged.of, data: tagged.data });
        } else if let Some(signature) = block.string("signature")?.filter(|signature| !signature.is_empty()) {
            let signature = Signature::from_tagged(&signature, thinking::BLOCKS_OF);
            out.push(StreamEvent::ThinkingSignature { choice, signature });
        }
    }
    if let Some(content) = delta.take("content") {
        contents(content, choice, out, unread)?;
    }
    if let Some(text) = delta.string("refusal")?.filter(|text| !text.is_empty()) {
        out.push(StreamEvent::RefusalDelta { choice, text });
    }
    if out.len() > from {
        let told = out.split_off(from);
        state.calls.tell_named(place, out);
        out.extend(told);
    }
    for call in delta.list("tool_calls")?.unwrap_or_default() {
        state.calls.push(call, place, out)?;
    }
    note_of_message(delta, "delta", unread);
    Ok(())
}

/// A text; or, at Mistral, a list of texts and thoughts.
fn contents(
    content: Item<'_>,
    choice: u32,
    out: &mut Vec<StreamEvent>,
    unread: &mut Dropped,
) -> Result<(), DecodeError> {
    if content.is_string() {
        let text = content.string()?;
        if !text.is_empty() {
            out.push(StreamEvent::TextDelta { choice, text });
        }
        return Ok(());
    }
    if !content.is_list() {
        return Err(content.expected("a string or an array of content parts"));
    }
    for item in content.list()? {
        let mut part = item.object()?;
        match part.string("type")?.as_deref() {
            Some("text") | None => {
                let text = part.string("text")?.filter(|text| !text.is_empty());
                out.extend(text.map(|text| StreamEvent::TextDelta { choice, text }));
            }
            Some("thinking") => {
                let text = part.take("thinking").map(thinking::words).transpose()?.filter(|text| !text.is_empty());
                out.extend(text.map(|text| StreamEvent::ThinkingDelta { choice, text }));
            }
            Some(other) => unread.note(format!("choices.delta.content.{other}")),
        }
    }
    Ok(())
}
