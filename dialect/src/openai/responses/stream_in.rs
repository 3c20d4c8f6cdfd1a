//! A provider's stream.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::canonical::{Content, Failure, FailureKind, Logprobs, StreamEvent};
use crate::json::{DecodeError, Object};
use crate::openai::{error, logprobs};
use crate::sse::{SseEvent, SseSplitter};
use crate::{Decoder, Dropped, decoder};

use super::reasoning::{self, Thought};
use super::{answer_in, usage};

/// No model gives as many items; beyond, a stream is somebody's attempt on our memory.
const MAX_ITEMS: usize = 4096;

/// Events from bytes cut anywhere. The end is `response.completed`, `.incomplete` or `.failed`: without one of them the
/// stream was cut. Items of tools that run at OpenAI, and kinds to come, are named as unread.
pub type StreamDecoder = Decoder<Reader>;

#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    calls: u32,
    items: BTreeMap<u64, Open>,
}

#[derive(Debug)]
enum Open {
    Call { index: u32, told: bool },
    Thinking { told: bool },
    Message { told: bool },
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
        if data.is_empty() || data == b"[DONE]" {
            return Ok(ControlFlow::Continue(()));
        }
        let mut object = Object::parse(data).map_err(Failure::malformed)?;
        let kind = object.string("type").map_err(Failure::malformed)?.unwrap_or(event.name);
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
            "response.completed" | "response.incomplete" => {
                self.complete(&kind, object, out).map_err(Failure::malformed)?;
                Ok(ControlFlow::Break(()))
            }
            kind => {
                self.told(kind, object, out, unread).map_err(Failure::malformed)?;
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn may_end(&self, _midway: bool) -> bool {
        false
    }
}

impl Reader {
    fn complete(&mut self, kind: &str, mut object: Object<'_>, out: &mut Vec<StreamEvent>) -> Result<(), DecodeError> {
        let mut response = object.need("response")?.object()?;
        self.start(&mut response, out)?;
        let status = kind.trim_start_matches("response.");
        if let Some(reason) = answer_in::finish(status, response.object("incomplete_details")?, self.calls > 0) {
            out.push(StreamEvent::Finish { choice: 0, reason });
        }
        out.extend(response.object("usage")?.map(usage::decode).map(StreamEvent::Usage));
        Ok(())
    }

    fn told(
        &mut self,
        kind: &str,
        mut object: Object<'_>,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<(), DecodeError> {
        let choice = 0;
        if let Some(mut response) = object.object("response")? {
            return self.start(&mut response, out);
        }
        let Some(place) = object.unsigned("output_index")? else { return Ok(()) };
        match kind {
            "response.output_item.added" => self.begin(place, object.need("item")?.object()?, out, unread)?,
            "response.output_text.annotation.added" => unread.note("output_text.annotations"),
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

    fn begin(
        &mut self,
        place: u64,
        mut item: Object<'_>,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<(), DecodeError> {
        if self.items.len() == MAX_ITEMS {
            return Err(DecodeError::wrong("output", "of at most 4096 items"));
        }
        let kind = item.string("type")?;
        let open = match kind.as_deref() {
            Some("function_call") => {
                let index = self.calls;
                self.calls += 1;
                let (id, name) = (item.need("call_id")?.string()?, item.need("name")?.string()?);
                out.push(StreamEvent::ToolCallStart { choice: 0, index, id, name, signature: None });
                Open::Call { index, told: false }
            }
            Some("reasoning") => Open::Thinking { told: false },
            Some("message") => Open::Message { told: false },
            other => {
                unread.note(format!("output.{}", other.unwrap_or_default()));
                return Ok(());
            }
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
