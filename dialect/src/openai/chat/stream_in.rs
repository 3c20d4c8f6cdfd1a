//! A provider's stream.

use std::collections::BTreeMap;

use crate::canonical::{Failure, FailureKind, Finish, Signature, StreamEvent, made_call_id};
use crate::json::{DecodeError, Item, Object};
use crate::openai::{error, logprobs, usage};
use crate::sse::{SseEvent, SseSplitter};

use super::{finish_of, thinking};

/// No provider gives as many choices or calls; beyond, a stream is somebody's attempt on our memory.
const MAX_CHOICES: usize = 128;
const MAX_CALLS: usize = 512;

/// Chunks from bytes cut anywhere. The end is `[DONE]`, or the connection's end once every choice has finished (not every
/// server says `[DONE]`); either without a finished choice is a cut.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    splitter: SseSplitter,
    id: String,
    model: String,
    created: Option<u64>,
    started: bool,
    choices: BTreeMap<u32, ChoiceState>,
    over: bool,
}

#[derive(Debug, Default)]
struct ChoiceState {
    calls: Vec<Call>,
    finished: bool,
}

#[derive(Debug)]
struct Call {
    /// What the server counts it as.
    wire_index: Option<u64>,
    id: Option<String>,
    signature: Option<Signature>,
    /// Told to the client, which waits for the name.
    started: bool,
    /// Arguments that came before the name.
    held: String,
}

impl StreamDecoder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) {
        if self.over {
            return;
        }
        let mut events = Vec::new();
        let split = self.splitter.push(bytes, |event| events.push(event));
        for event in events {
            if let Err(failure) = self.event(&event, out) {
                self.fail(failure, out);
            }
            if self.over {
                return;
            }
        }
        if let Err(too_long) = split {
            self.fail(Failure::malformed(too_long), out);
        }
    }

    /// The connection has ended.
    pub fn end(&mut self, out: &mut Vec<StreamEvent>) {
        if !self.over {
            self.done(out);
        }
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<StreamEvent>) {
        self.over = true;
        out.push(StreamEvent::Error(failure));
    }

    fn done(&mut self, out: &mut Vec<StreamEvent>) {
        if self.choices.is_empty() || self.choices.values().any(|choice| !choice.finished) {
            return self.fail(Failure::cut(), out);
        }
        self.over = true;
        out.push(StreamEvent::Done);
    }

    fn event(&mut self, event: &SseEvent, out: &mut Vec<StreamEvent>) -> Result<(), Failure> {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" {
            self.done(out);
            return Ok(());
        }
        if event.name == "error" {
            return Err(error::decode_error(FailureKind::Upstream.status(), data));
        }
        if data.is_empty() {
            return Ok(());
        }
        let mut chunk = Object::parse(data).map_err(Failure::malformed)?;
        if let Some(told) = chunk.take("error").filter(|told| told.raw() != "false") {
            return Err(error::read(told, FailureKind::Upstream));
        }
        self.chunk(chunk, out).map_err(Failure::malformed)
    }

    fn chunk(&mut self, mut chunk: Object<'_>, out: &mut Vec<StreamEvent>) -> Result<(), DecodeError> {
        if !self.started {
            self.id = chunk.string("id")?.unwrap_or_default();
            self.model = chunk.string("model")?.unwrap_or_default();
            self.created = chunk.take("created").and_then(|created| created.unsigned().ok()).filter(|at| *at > 0);
        }
        let choices = chunk.list("choices")?.unwrap_or_default();
        let told = chunk.object("usage")?.map(usage::decode);
        // Azure begins with a chunk that has nothing of the answer, not even its id.
        if !self.started && (!choices.is_empty() || told.is_some()) {
            self.started = true;
            let (id, model) = (self.id.clone(), self.model.clone());
            out.push(StreamEvent::Start { id, model, created: self.created });
        }
        for item in choices {
            self.choice(item, out)?;
        }
        out.extend(told.map(StreamEvent::Usage));
        Ok(())
    }

    fn choice(&mut self, item: Item<'_>, out: &mut Vec<StreamEvent>) -> Result<(), DecodeError> {
        let mut object = item.object()?;
        let index = object.unsigned("index")?.unwrap_or(0);
        let choice = u32::try_from(index).map_err(|_| DecodeError::wrong(object.place("index"), "a small number"))?;
        if self.choices.len() == MAX_CHOICES && !self.choices.contains_key(&choice) {
            return Err(DecodeError::wrong("choices", "of at most 128 indices"));
        }
        let state = self.choices.entry(choice).or_default();
        if let Some(mut delta) = object.object("delta")? {
            deltas(&mut delta, choice, state, &self.id, out)?;
        }
        if let Some(logprobs) = object.object("logprobs")?.map(logprobs::decode).transpose()?.flatten() {
            out.push(StreamEvent::Logprobs { choice, logprobs });
        }
        if let Some(name) = object.string("finish_reason")?.filter(|name| !name.is_empty())
            && !state.finished
        {
            state.finished = true;
            for (at, call) in state.calls.iter_mut().enumerate() {
                start(call, "", choice, at, &self.id, out);
            }
            let reason = match finish_of(&name) {
                Finish::Stop if !state.calls.is_empty() => Finish::ToolCalls,
                reason => reason,
            };
            out.push(StreamEvent::Finish { choice, reason });
        }
        Ok(())
    }
}

fn deltas(
    delta: &mut Object<'_>,
    choice: u32,
    state: &mut ChoiceState,
    answer_id: &str,
    out: &mut Vec<StreamEvent>,
) -> Result<(), DecodeError> {
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
    if let Some(text) = delta.take("content").filter(Item::is_string).map(|text| text.string()).transpose()?
        && !text.is_empty()
    {
        out.push(StreamEvent::TextDelta { choice, text });
    }
    if let Some(text) = delta.string("refusal")?.filter(|text| !text.is_empty()) {
        out.push(StreamEvent::RefusalDelta { choice, text });
    }
    for call in delta.list("tool_calls")?.unwrap_or_default() {
        call_delta(call, choice, &mut state.calls, answer_id, out)?;
    }
    Ok(())
}

fn call_delta(
    item: Item<'_>,
    choice: u32,
    calls: &mut Vec<Call>,
    answer_id: &str,
    out: &mut Vec<StreamEvent>,
) -> Result<(), DecodeError> {
    let too_many = item.expected("one of at most 512 calls");
    let mut object = item.object()?;
    let wire_index = object.unsigned("index")?;
    let id = object.string("id")?.filter(|id| !id.is_empty());
    let signature = thinking::call_signature(&mut object)?;
    let (mut name, mut arguments) = (String::new(), String::new());
    if let Some(mut function) = object.object("function")? {
        name = function.string("name")?.unwrap_or_default();
        arguments = match function.take("arguments") {
            Some(item) if item.is_string() => item.string()?,
            Some(item) => item.json().compact(),
            None => String::new(),
        };
    }
    let known = match wire_index {
        Some(_) => calls.iter().rposition(|call| call.wire_index == wire_index),
        None if id.is_some() => calls.iter().rposition(|call| call.id == id),
        None => calls.len().checked_sub(1),
    };
    // Servers that count every call as the first tell them apart by id.
    let another = |call: &Call| call.started && !name.is_empty() && id.is_some() && call.id.is_some() && call.id != id;
    let at = match known {
        Some(at) if !another(&calls[at]) => at,
        _ if calls.len() == MAX_CALLS => return Err(too_many),
        _ => {
            calls.push(Call { wire_index, id: None, signature: None, started: false, held: String::new() });
            calls.len() - 1
        }
    };
    let call = &mut calls[at];
    if !call.started {
        call.id = call.id.take().or(id);
        call.signature = call.signature.take().or(signature);
        call.held.push_str(&arguments);
        if !name.is_empty() {
            start(call, &name, choice, at, answer_id, out);
        }
    } else if !arguments.is_empty() {
        out.push(StreamEvent::ToolCallDelta { choice, index: index(at), arguments });
    }
    Ok(())
}

fn start(call: &mut Call, name: &str, choice: u32, at: usize, answer_id: &str, out: &mut Vec<StreamEvent>) {
    if std::mem::replace(&mut call.started, true) {
        return;
    }
    let index = index(at);
    let id = call.id.clone().unwrap_or_else(|| made_call_id(answer_id, choice, index));
    let (name, signature) = (name.to_owned(), call.signature.take());
    out.push(StreamEvent::ToolCallStart { choice, index, id, name, signature });
    let arguments = std::mem::take(&mut call.held);
    if !arguments.is_empty() {
        out.push(StreamEvent::ToolCallDelta { choice, index, arguments });
    }
}

/// At most [`MAX_CALLS`].
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
