//! A provider's stream.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::canonical::{Content, Failure, FailureKind, Finish, Signature, StreamEvent};
use crate::json::{DecodeError, Object};
use crate::{Decoder, Dropped, decoder};

use super::framing::{Frame, FrameSplitter};
use super::{HERE, answer_in, blocks_in, error, usage};

/// No model calls as often in one answer.
const MAX_CALLS: u32 = 512;

/// Events from bytes cut anywhere. `metadata` is the last of a stream; without it the connection's end is, if the message
/// has stopped. There is neither an id nor a model's name.
pub type StreamDecoder = Decoder<Reader>;

#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    stopped: bool,
    /// The calls by their blocks.
    calls: BTreeMap<u64, u32>,
    next_call: u32,
    /// Redacted thoughts of the block that is open, in base64.
    redacted: Vec<String>,
}

impl decoder::Reader for Reader {
    type Cutter = FrameSplitter;

    fn read(
        &mut self,
        frame: Frame,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<ControlFlow<()>, Failure> {
        match frame.header(":message-type") {
            Some("event") => {}
            Some("exception") => {
                let name = frame.header(":exception-type");
                return Err(error::decode_named_error(FailureKind::Upstream.status(), name, &frame.payload));
            }
            Some("error") => {
                let message = frame.header(":error-message").unwrap_or("the provider's stream broke");
                let failure = Failure::new(FailureKind::Upstream, message);
                return Err(frame.header(":error-code").map_or(failure.clone(), |code| failure.with_code(code)));
            }
            _ => return Err(Failure::malformed("a message that is neither an event nor an exception")),
        }
        let name = frame.header(":event-type").unwrap_or_default();
        let object = Object::parse(&frame.payload).map_err(Failure::malformed)?;
        self.event(name, object, out, unread).map_err(Failure::malformed)
    }

    fn may_end(&self, midway: bool) -> bool {
        self.stopped && !midway
    }
}

impl Reader {
    fn event(
        &mut self,
        name: &str,
        mut object: Object<'_>,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<ControlFlow<()>, DecodeError> {
        if !std::mem::replace(&mut self.started, true) {
            out.push(StreamEvent::Start { id: String::new(), model: String::new(), created: None });
        }
        match name {
            "contentBlockStart" => {
                let block = object.need("contentBlockIndex")?.unsigned()?;
                let mut start = object.need("start")?.object()?;
                if let Some(mut call) = start.object("toolUse")? {
                    // A tool that runs at the provider is none of the client's.
                    if call.has("type") {
                        unread.note("content.toolUse");
                        return Ok(ControlFlow::Continue(()));
                    }
                    let index = self.next_call;
                    if index == MAX_CALLS {
                        return Err(DecodeError::wrong(start.place("toolUse"), "one of at most 512 calls"));
                    }
                    self.next_call += 1;
                    self.calls.insert(block, index);
                    let (id, name) = (call.need("toolUseId")?.string()?, call.need("name")?.string()?);
                    out.push(StreamEvent::ToolCallStart { choice: 0, index, id, name, signature: None });
                }
            }
            "contentBlockDelta" => {
                let block = object.need("contentBlockIndex")?.unsigned()?;
                self.delta(block, object.need("delta")?.object()?, out, unread)?;
            }
            "contentBlockStop" => {
                let pieces = std::mem::take(&mut self.redacted);
                if !pieces.is_empty()
                    && let Content::RedactedThinking { of, data } = blocks_in::redacted(joined(pieces))
                {
                    out.push(StreamEvent::RedactedThinking { choice: 0, of, data });
                }
            }
            "messageStop" if !self.stopped => {
                self.stopped = true;
                let stop = object.need("stopReason")?.string()?;
                let additional = object.object("additionalModelResponseFields")?;
                let reason: Finish = answer_in::finish(&stop, additional, unread)?;
                out.push(StreamEvent::Finish { choice: 0, reason });
            }
            "metadata" => {
                unread.note_if(object.has("trace"), "trace");
                out.extend(object.object("usage")?.map(usage::decode).map(StreamEvent::Usage));
                if self.stopped {
                    return Ok(ControlFlow::Break(()));
                }
            }
            // `messageStart` has been told, and events to come are not for us.
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn delta(
        &mut self,
        block: u64,
        mut delta: Object<'_>,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<(), DecodeError> {
        let choice = 0;
        if let Some(text) = delta.string("text")? {
            out.push(StreamEvent::TextDelta { choice, text });
        } else if let Some(mut call) = delta.object("toolUse")? {
            let arguments = call.need("input")?.string()?;
            if let Some(&index) = self.calls.get(&block).filter(|_| !arguments.is_empty()) {
                out.push(StreamEvent::ToolCallDelta { choice, index, arguments });
            }
        } else if let Some(mut reasoning) = delta.object("reasoningContent")? {
            if let Some(text) = reasoning.string("text")? {
                out.push(StreamEvent::ThinkingDelta { choice, text });
            }
            if let Some(signature) = reasoning.string("signature")? {
                let signature = Signature::from_tagged(&signature, HERE);
                out.push(StreamEvent::ThinkingSignature { choice, signature });
            }
            self.redacted.extend(reasoning.string("redactedContent")?);
        } else {
            // `citation`, `image`, `toolResult`, and what is to come.
            delta.note_rest("content", unread);
        }
        Ok(())
    }
}

/// The base64 of the bytes that several pieces of base64 are.
fn joined(mut pieces: Vec<String>) -> String {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let bytes: Vec<u8> = pieces.iter().flat_map(|piece| STANDARD.decode(piece).unwrap_or_default()).collect();
    STANDARD.encode(bytes)
}
