//! A provider's stream.

use std::ops::ControlFlow;

use crate::canonical::{Failure, FailureKind, Logprobs, StreamEvent, made_call_id};
use crate::json::{DecodeError, Item, Object};
use crate::sse::{SseEvent, SseSplitter};
use crate::{Decoder, Dropped, decoder};

use super::{finish_of, logprobs, usage};

/// No answer has as many; beyond, a stream is somebody's attempt on our memory.
const MAX_CALLS: usize = 512;

/// Events from bytes cut anywhere. The end is `message-end`; a connection that ends before it is a cut.
pub type StreamDecoder = Decoder<Reader>;

#[derive(Debug, Default)]
pub struct Reader {
    id: String,
    started: bool,
    /// What the server counts each call as.
    calls: Vec<u64>,
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
        // What a server says that fails before it begins.
        if kind.is_empty() && object.has("message") {
            return Err(super::decode_error(FailureKind::Upstream.status(), data));
        }
        if kind == "message-end" {
            self.message_end(object, out)?;
            return Ok(ControlFlow::Break(()));
        }
        unread.note_if(kind == "citation-start", "message.citations");
        self.step(&kind, object, out).map_err(Failure::malformed)?;
        Ok(ControlFlow::Continue(()))
    }

    fn may_end(&self, _midway: bool) -> bool {
        false
    }
}

impl Reader {
    fn step(&mut self, kind: &str, mut object: Object<'_>, out: &mut Vec<StreamEvent>) -> Result<(), DecodeError> {
        if !std::mem::replace(&mut self.started, true) {
            self.id = object.string("id")?.unwrap_or_default();
            out.push(StreamEvent::Start { id: self.id.clone(), model: String::new(), created: None });
        }
        let index = object.take("index");
        let logprob = object.take("logprobs").map(logprobs::decode).transpose()?.flatten();
        let message = match object.object("delta")? {
            Some(mut delta) => delta.object("message")?,
            None => None,
        };
        let Some(mut message) = message else { return Ok(()) };
        match kind {
            "content-start" | "content-delta" => {
                if let Some(mut content) = message.object("content")? {
                    let thinking = content.string("thinking")?.filter(|text| !text.is_empty());
                    out.extend(thinking.map(|text| StreamEvent::ThinkingDelta { choice: 0, text }));
                    let text = content.string("text")?.filter(|text| !text.is_empty());
                    out.extend(text.map(|text| StreamEvent::TextDelta { choice: 0, text }));
                }
            }
            "tool-plan-delta" => {
                let plan = message.string("tool_plan")?.filter(|plan| !plan.is_empty());
                out.extend(plan.map(|text| StreamEvent::ThinkingDelta { choice: 0, text }));
            }
            "tool-call-start" | "tool-call-delta" => {
                let wire = index.map(|index| index.unsigned()).transpose()?.unwrap_or(0);
                if let Some(call) = message.take("tool_calls") {
                    // The older form is a list of one.
                    let call = if call.is_list() { call.list()?.pop() } else { Some(call) };
                    call.map(|call| self.call(call, wire, kind == "tool-call-start", out)).transpose()?;
                }
            }
            // Blocks end where the next begins.
            _ => {}
        }
        if let Some(told) = logprob {
            let logprobs = Logprobs { content: vec![told], refusal: Vec::new() };
            out.push(StreamEvent::Logprobs { choice: 0, logprobs });
        }
        Ok(())
    }

    fn call(&mut self, item: Item<'_>, wire: u64, begins: bool, out: &mut Vec<StreamEvent>) -> Result<(), DecodeError> {
        let wrong = item.clone();
        let mut call = item.object()?;
        let (mut name, mut arguments) = (None, String::new());
        let id = call.string("id")?.filter(|id| !id.is_empty());
        if let Some(mut function) = call.object("function")? {
            name = function.string("name")?;
            arguments = function.string("arguments")?.unwrap_or_default();
        }
        if begins {
            if self.calls.len() == MAX_CALLS {
                return Err(wrong.expected("one of at most 512 calls"));
            }
            self.calls.push(wire);
        }
        let at = self.calls.iter().rposition(|known| *known == wire);
        let Some(index) = at.and_then(|at| u32::try_from(at).ok()) else {
            return Err(wrong.expected("a piece of a call that has begun"));
        };
        if begins {
            let id = id.unwrap_or_else(|| made_call_id(&self.id, 0, index));
            let name = name.ok_or_else(|| wrong.expected("a call of a function with a name"))?;
            out.push(StreamEvent::ToolCallStart { choice: 0, index, id, name, signature: None });
        }
        if !arguments.is_empty() {
            out.push(StreamEvent::ToolCallDelta { choice: 0, index, arguments });
        }
        Ok(())
    }

    fn message_end(&mut self, mut object: Object<'_>, out: &mut Vec<StreamEvent>) -> Result<(), Failure> {
        let mut delta = object.object("delta").map_err(Failure::malformed)?;
        let mut text = |key| match &mut delta {
            Some(delta) => delta.string(key).map_err(Failure::malformed),
            None => Ok(None),
        };
        let (reason, error) = (text("finish_reason")?, text("error")?);
        let usage = delta.and_then(|mut delta| delta.object("usage").ok().flatten());
        out.extend(usage.map(|usage| StreamEvent::Usage(usage::decode(usage))));
        let finish = reason.as_deref().and_then(finish_of).filter(|_| error.is_none());
        let Some(finish) = finish.filter(|_| self.started) else {
            let kind = if reason.as_deref() == Some("TIMEOUT") { FailureKind::Timeout } else { FailureKind::Upstream };
            let message = error.unwrap_or_else(|| "the provider's answer broke off".to_owned());
            return Err(Failure { code: reason, ..Failure::new(kind, message) });
        };
        out.push(StreamEvent::Finish { choice: 0, reason: finish });
        Ok(())
    }
}
