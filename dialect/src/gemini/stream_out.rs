//! A stream for a client.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{Failure, Finish, Signature, StreamEvent, Usage};
use crate::json;
use crate::sse::write_event;

use super::answer_out::{MALFORMED, WireAnswer, WireCandidate, WireContent, call, malformed};
use super::parts_out::{self, WirePart};
use super::{error, finish_name, logprobs, usage};

/// Arguments beyond this are not held for a client.
const MAX_HELD: usize = 32 * 1024 * 1024;

/// In which form the client asked for its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `alt=sse`.
    Events,
    /// One JSON array.
    Array,
}

/// Writes chunks. Arguments cannot be told in pieces: calls are held and told whole, with the reason and the usage, in
/// the last chunk, which [`StreamEvent::Done`] alone brings. An error among events is an event: Google's own front ends
/// write a plain object, which its client for JavaScript sees only where it arrives in a piece of its own.
#[derive(Debug)]
pub struct StreamEncoder {
    form: Form,
    id: String,
    model: String,
    choices: BTreeMap<u32, ChoiceState>,
    usage: Option<Usage>,
    held: usize,
    begun: bool,
    over: bool,
}

#[derive(Debug, Default)]
struct ChoiceState {
    calls: BTreeMap<u32, Call>,
    finish: Option<Finish>,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
    signature: Option<Signature>,
}

impl StreamEncoder {
    pub fn new(form: Form) -> Self {
        Self {
            form,
            id: String::new(),
            model: String::new(),
            choices: BTreeMap::new(),
            usage: None,
            held: 0,
            begun: false,
            over: false,
        }
    }

    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            StreamEvent::Start { id, model, .. } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            StreamEvent::TextDelta { choice, text } | StreamEvent::RefusalDelta { choice, text } => {
                self.part(*choice, parts_out::text(text), out);
            }
            StreamEvent::ThinkingDelta { choice, text } => self.part(*choice, parts_out::thought(text, None), out),
            StreamEvent::ThinkingSignature { choice, signature } => {
                let part = WirePart { thought: None, ..parts_out::thought("", Some(signature)) };
                self.part(*choice, part, out);
            }
            StreamEvent::RedactedThinking { choice, of, data } => {
                self.part(*choice, parts_out::redacted(*of, data), out);
            }
            StreamEvent::ToolCallStart { choice, index, id, name, signature } => {
                let (id, name, signature) = (id.clone(), name.clone(), signature.clone());
                let call = Call { id, name, arguments: String::new(), signature };
                self.choices.entry(*choice).or_default().calls.insert(*index, call);
            }
            StreamEvent::ToolCallDelta { choice, index, arguments } => {
                self.held += arguments.len();
                if self.held > MAX_HELD {
                    return self.fail(&Failure::malformed("the arguments of its calls are too long"), out);
                }
                let state = self.choices.entry(*choice).or_default();
                state.calls.entry(*index).or_default().arguments.push_str(arguments);
            }
            StreamEvent::Logprobs { choice, logprobs } => {
                let candidate = WireCandidate { logprobs_result: Some(logprobs::encode(logprobs)), ..empty(*choice) };
                self.chunk(vec![candidate], None, out);
            }
            StreamEvent::Finish { choice, reason } => {
                self.choices.entry(*choice).or_default().finish = Some(reason.clone());
            }
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Error(failure) => self.fail(failure, out),
            StreamEvent::Done => self.done(out),
        }
    }

    /// Nothing more comes. Without an end before it, the client is told that its stream broke.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.push(&StreamEvent::Error(Failure::cut()), out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.over = true;
        let error = error::encode_error(failure);
        match self.form {
            Form::Events => write_event(None, &error, out),
            Form::Array => {
                self.element(&error, out);
                out.push(b']');
            }
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.over = true;
        let choices = std::mem::take(&mut self.choices);
        let last = choices.iter().map(|(index, state)| last(*index, state)).collect();
        let usage = self.usage.as_ref().map(usage::encode);
        self.chunk(last, usage, out);
        if self.form == Form::Array {
            out.push(b']');
        }
    }

    fn part(&mut self, choice: u32, part: WirePart<'_>, out: &mut Vec<u8>) {
        self.choices.entry(choice).or_default();
        let content = WireContent { parts: vec![part], role: "model" };
        self.chunk(vec![WireCandidate { content, ..empty(choice) }], None, out);
    }

    fn chunk(&mut self, candidates: Vec<WireCandidate<'_>>, usage: Option<usage::WireUsage>, out: &mut Vec<u8>) {
        let (model, id) = (std::mem::take(&mut self.model), std::mem::take(&mut self.id));
        let chunk = WireAnswer { candidates, usage_metadata: usage, model_version: &model, response_id: &id };
        self.write(&chunk, out);
        (self.model, self.id) = (model, id);
    }

    fn write(&mut self, chunk: &impl Serialize, out: &mut Vec<u8>) {
        let json = json::bytes(chunk);
        match self.form {
            Form::Events => write_event(None, &json, out),
            Form::Array => self.element(&json, out),
        }
    }

    fn element(&mut self, json: &[u8], out: &mut Vec<u8>) {
        let before: &[u8] = if std::mem::replace(&mut self.begun, true) { b",\r\n" } else { b"[" };
        out.extend_from_slice(before);
        out.extend_from_slice(json);
        out.push(b'\n');
    }
}

fn empty(index: u32) -> WireCandidate<'static> {
    WireCandidate {
        content: WireContent { parts: Vec::new(), role: "model" },
        finish_reason: None,
        finish_message: None,
        logprobs_result: None,
        index,
    }
}

fn last(index: u32, state: &ChoiceState) -> WireCandidate<'_> {
    let mut candidate = WireCandidate { finish_reason: state.finish.as_ref().map(finish_name), ..empty(index) };
    for held in state.calls.values() {
        match call(&held.id, &held.name, &held.arguments, held.signature.as_ref()) {
            Ok(part) => candidate.content.parts.push(part),
            Err(name) => {
                candidate.finish_reason = Some(MALFORMED);
                candidate.finish_message = Some(malformed(name));
            }
        }
    }
    candidate
}
