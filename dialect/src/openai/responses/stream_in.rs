//! A provider's stream.

use std::collections::BTreeMap;

use crate::canonical::{Content, Failure, FailureKind, Logprobs, StreamEvent};
use crate::json::{DecodeError, Object};
use crate::openai::{error, logprobs};
use crate::sse::{SseEvent, SseSplitter};

use super::reasoning::{self, Thought};
use super::{answer_in, usage};

/// No model gives as many items; beyond, a stream is somebody's attempt on our memory.
const MAX_ITEMS: usize = 4096;

/// Events from bytes cut anywhere. The end is `response.completed`, `.incomplete` or `.failed`: without one of them the
/// stream was cut. Events of tools that run at OpenAI, and kinds to come, are passed over.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    splitter: SseSplitter,
    started: bool,
    over: bool,
    calls: u32,
    items: BTreeMap<u64, Open>,
}

#[derive(Debug)]
enum Open {
    Call { index: u32, told: bool },
    Thinking { told: bool },
    Message { told: bool },
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
            self.fail(Failure::cut(), out);
        }
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<StreamEvent>) {
        self.over = true;
        out.push(StreamEvent::Error(failure));
    }

    fn event(&mut self, event: &SseEvent, out: &mut Vec<StreamEvent>) -> Result<(), Failure> {
        let data = event.data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let mut object = Object::parse(data).map_err(Failure::malformed)?;
        let kind = object.string("type").map_err(Failure::malformed)?.unwrap_or_else(|| event.name.clone());
        if let Some(told) = object.take("error").filter(|told| told.raw() != "false") {
            return Err(error::read(told, FailureKind::Upstream));
        }
        match kind.as_str() {
            "error" => Err(flat_error(object)),
            "response.failed" | "response.cancelled" => {
                let told = object.object("response").ok().flatten().and_then(|mut response| response.take("error"));
                Err(told.map_or_else(
                    || Failure::new(FailureKind::Upstream, "the provider gave up on the response"),
                    |told| error::read(told, FailureKind::Upstream),
                ))
            }
            kind => self.told(kind, object, out).map_err(Failure::malformed),
        }
    }

    fn told(&mut self, kind: &str, mut object: Object<'_>, out: &mut Vec<StreamEvent>) -> Result<(), DecodeError> {
        let choice = 0;
        if let Some(ending @ ("completed" | "incomplete")) = kind.strip_prefix("response.") {
            let mut response = object.need("response")?.object()?;
            self.start(&mut response, out)?;
            if let Some(reason) = answer_in::finish(ending, response.object("incomplete_details")?, self.calls > 0) {
                out.push(StreamEvent::Finish { choice, reason });
            }
            out.extend(response.object("usage")?.map(usage::decode).map(StreamEvent::Usage));
            self.over = true;
            out.push(StreamEvent::Done);
            return Ok(());
        }
        if let Some(mut response) = object.object("response")? {
            return self.start(&mut response, out);
        }
        let Some(place) = object.unsigned("output_index")? else { return Ok(()) };
        match kind {
            "response.output_item.added" => self.begin(place, object.need("item")?.object()?, out)?,
            "response.output_item.done" => self.finish(place, object.need("item")?.object()?, out)?,
            "response.output_text.delta" => {
                if let Some(Open::Message { told }) = self.items.get_mut(&place) {
                    *told = true;
                }
                let text = object.need("delta")?.string()?;
                if !text.is_empty() {
                    out.push(StreamEvent::TextDelta { choice, text });
                }
                let tokens = object.list("logprobs")?.unwrap_or_default();
                let content: Vec<_> = tokens.into_iter().map(logprobs::token).collect::<Result<_, _>>()?;
                if !content.is_empty() {
                    let logprobs = Logprobs { content, refusal: Vec::new() };
                    out.push(StreamEvent::Logprobs { choice, logprobs });
                }
            }
            "response.refusal.delta" => {
                if let Some(Open::Message { told }) = self.items.get_mut(&place) {
                    *told = true;
                }
                out.push(StreamEvent::RefusalDelta { choice, text: object.need("delta")?.string()? });
            }
            "response.reasoning_summary_part.added" => {
                if let Some(Open::Thinking { told: true }) = self.items.get(&place) {
                    out.push(StreamEvent::ThinkingDelta { choice, text: "\n\n".to_owned() });
                }
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                if let Some(Open::Thinking { told }) = self.items.get_mut(&place) {
                    *told = true;
                }
                out.push(StreamEvent::ThinkingDelta { choice, text: object.need("delta")?.string()? });
            }
            "response.function_call_arguments.delta" => {
                if let Some(Open::Call { index, told }) = self.items.get_mut(&place) {
                    *told = true;
                    let arguments = object.need("delta")?.string()?;
                    out.push(StreamEvent::ToolCallDelta { choice, index: *index, arguments });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, response: &mut Object<'_>, out: &mut Vec<StreamEvent>) -> Result<(), DecodeError> {
        if !std::mem::replace(&mut self.started, true) {
            let id = response.string("id")?.unwrap_or_default();
            let model = response.string("model")?.unwrap_or_default();
            let created = response.take("created_at").and_then(|at| at.unsigned().ok()).filter(|at| *at > 0);
            out.push(StreamEvent::Start { id, model, created });
        }
        Ok(())
    }

    fn begin(&mut self, place: u64, mut item: Object<'_>, out: &mut Vec<StreamEvent>) -> Result<(), DecodeError> {
        if self.items.len() == MAX_ITEMS {
            return Err(DecodeError::wrong("output", "of at most 4096 items"));
        }
        let open = match item.string("type")?.as_deref() {
            Some("function_call") => {
                let index = self.calls;
                self.calls += 1;
                let (id, name) = (item.need("call_id")?.string()?, item.need("name")?.string()?);
                out.push(StreamEvent::ToolCallStart { choice: 0, index, id, name, signature: None });
                Open::Call { index, told: false }
            }
            Some("reasoning") => Open::Thinking { told: false },
            Some("message") => Open::Message { told: false },
            _ => return Ok(()),
        };
        self.items.insert(place, open);
        Ok(())
    }

    /// Tells what an item has only in its end: the seal of thoughts, and all of it where a server gave no deltas.
    fn finish(&mut self, place: u64, mut item: Object<'_>, out: &mut Vec<StreamEvent>) -> Result<(), DecodeError> {
        let choice = 0;
        match self.items.remove(&place) {
            Some(Open::Call { index, told: false }) => {
                if let Some(arguments) = item.string("arguments")?.filter(|arguments| !arguments.is_empty()) {
                    out.push(StreamEvent::ToolCallDelta { choice, index, arguments });
                }
            }
            Some(Open::Thinking { told }) => match reasoning::decode(item)? {
                Thought::Part(part) => match part.content {
                    Content::Thinking { text } => {
                        if !told && !text.is_empty() {
                            out.push(StreamEvent::ThinkingDelta { choice, text });
                        }
                        if let Some(signature) = part.signature {
                            out.push(StreamEvent::ThinkingSignature { choice, signature });
                        }
                    }
                    Content::RedactedThinking { of, data } => {
                        out.push(StreamEvent::RedactedThinking { choice, of, data });
                    }
                    _ => {}
                },
                Thought::SignsNext(_) | Thought::Nothing => {}
            },
            Some(Open::Message { told: false }) => {
                for part in item.list("content")?.unwrap_or_default() {
                    let mut part = part.object()?;
                    if let Some(text) = part.string("text")?.filter(|text| !text.is_empty()) {
                        out.push(StreamEvent::TextDelta { choice, text });
                    } else if let Some(text) = part.string("refusal")?.filter(|text| !text.is_empty()) {
                        out.push(StreamEvent::RefusalDelta { choice, text });
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// `{"type":"error","code","message","param"}`.
fn flat_error(mut object: Object<'_>) -> Failure {
    let mut text = |key: &str| object.string(key).ok().flatten();
    let code = text("code");
    let kind = error::kind_of(None, code.as_deref()).unwrap_or(FailureKind::Upstream);
    let message = text("message").unwrap_or_else(|| "the provider's stream broke".to_owned());
    Failure { code, param: text("param"), ..Failure::new(kind, message) }
}
