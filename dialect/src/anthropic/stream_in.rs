//! A provider's stream.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::canonical::{Failure, FailureKind, Signature, StreamEvent};
use crate::json::{DecodeError, Object};
use crate::sse::{SseEvent, SseSplitter};
use crate::{Decoder, Dropped, decoder};

use super::HERE;
use super::{error, finish_of, usage};

/// No answer has as many blocks; beyond, a stream is somebody's attempt on our memory.
const MAX_BLOCKS: usize = 4096;

/// Events from bytes cut anywhere. The end is `message_stop`, or the connection's end once the stop reason is told.
pub type StreamDecoder = Decoder<Reader>;

#[derive(Debug, Default)]
pub struct Reader {
    blocks: BTreeMap<u64, Block>,
    calls: u32,
    usage: usage::Told,
    started: bool,
    finished: bool,
}

/// An open block.
#[derive(Debug)]
enum Block {
    Text,
    Thinking { signature: String },
    Call { index: u32, input: Option<String> },
    Other,
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
        if data.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let mut object = Object::parse(data).map_err(Failure::malformed)?;
        let kind = object.string("type").map_err(Failure::malformed)?.unwrap_or(event.name);
        match kind.as_str() {
            "error" => Err(error::decode_error(FailureKind::Upstream.status(), data)),
            "message_stop" if self.finished => Ok(ControlFlow::Break(())),
            "message_stop" => Err(Failure::cut()),
            kind => {
                self.told(kind, object, out, unread).map_err(Failure::malformed)?;
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn may_end(&self, _midway: bool) -> bool {
        self.finished
    }
}

impl Reader {
    /// Kinds that are not known (and `ping`) say nothing.
    fn told(
        &mut self,
        kind: &str,
        mut object: Object<'_>,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<(), DecodeError> {
        match kind {
            "message_start" if !self.started => {
                self.started = true;
                let mut message = object.need("message")?.object()?;
                let id = message.string("id")?.unwrap_or_default();
                let model = message.string("model")?.unwrap_or_default();
                out.push(StreamEvent::Start { id, model, created: None });
                self.usage(message.object("usage")?, out);
            }
            "content_block_start" => {
                let index = object.need("index")?.unsigned()?;
                let block = object.need("content_block")?.object()?;
                if self.blocks.len() == MAX_BLOCKS {
                    return Err(DecodeError::wrong("index", "of at most 4096 open blocks"));
                }
                let block = self.open(block, out, unread)?;
                self.blocks.insert(index, block);
            }
            "content_block_delta" => {
                let index = object.need("index")?.unsigned()?;
                let delta = object.need("delta")?.object()?;
                if let Some(block) = self.blocks.get_mut(&index) {
                    block.delta(delta, out, unread)?;
                }
            }
            "content_block_stop" => {
                let index = object.need("index")?.unsigned()?;
                if let Some(block) = self.blocks.remove(&index) {
                    block.close(out);
                }
            }
            "message_delta" => {
                self.usage(object.object("usage")?, out);
                let Some(mut delta) = object.object("delta")? else { return Ok(()) };
                let sequence = delta.string("stop_sequence")?;
                if let Some(name) = delta.string("stop_reason")?
                    && !std::mem::replace(&mut self.finished, true)
                {
                    for block in std::mem::take(&mut self.blocks).into_values() {
                        block.close(out);
                    }
                    out.push(StreamEvent::Finish { choice: 0, reason: finish_of(&name, sequence) });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn usage(&mut self, told: Option<Object<'_>>, out: &mut Vec<StreamEvent>) {
        if let Some(told) = told {
            self.usage.update(told);
            out.push(StreamEvent::Usage(self.usage.usage()));
        }
    }

    fn open(
        &mut self,
        mut block: Object<'_>,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<Block, DecodeError> {
        let kind = block.need("type")?.string()?;
        Ok(match kind.as_str() {
            "text" => {
                if let Some(text) = block.string("text")?.filter(|text| !text.is_empty()) {
                    out.push(StreamEvent::TextDelta { choice: 0, text });
                }
                Block::Text
            }
            "thinking" => {
                if let Some(text) = block.string("thinking")?.filter(|text| !text.is_empty()) {
                    out.push(StreamEvent::ThinkingDelta { choice: 0, text });
                }
                Block::Thinking { signature: block.string("signature")?.unwrap_or_default() }
            }
            "redacted_thinking" => {
                let tagged = Signature::from_tagged(&block.need("data")?.string()?, HERE);
                out.push(StreamEvent::RedactedThinking { choice: 0, of: tagged.of, data: tagged.data });
                Block::Other
            }
            "tool_use" => {
                let (id, name) = (block.need("id")?.string()?, block.need("name")?.string()?);
                let index = self.calls;
                self.calls += 1;
                out.push(StreamEvent::ToolCallStart { choice: 0, index, id, name, signature: None });
                // Empty where fragments follow.
                let input = block.take("input").map(|input| input.json().compact());
                Block::Call { index, input: input.filter(|input| input != "{}") }
            }
            // Tools that ran at the provider, and what is to come.
            _ => {
                unread.note(format!("content.{kind}"));
                Block::Other
            }
        })
    }
}

impl Block {
    fn delta(
        &mut self,
        mut delta: Object<'_>,
        out: &mut Vec<StreamEvent>,
        unread: &mut Dropped,
    ) -> Result<(), DecodeError> {
        unread.note_if(delta.has("citation"), "content.citations");
        match self {
            Self::Text => {
                if let Some(text) = delta.string("text")?.filter(|text| !text.is_empty()) {
                    out.push(StreamEvent::TextDelta { choice: 0, text });
                }
            }
            Self::Thinking { signature } => {
                if let Some(text) = delta.string("thinking")?.filter(|text| !text.is_empty()) {
                    out.push(StreamEvent::ThinkingDelta { choice: 0, text });
                }
                signature.push_str(&delta.string("signature")?.unwrap_or_default());
            }
            Self::Call { index, input } => {
                if let Some(arguments) = delta.string("partial_json")?.filter(|json| !json.is_empty()) {
                    *input = None;
                    out.push(StreamEvent::ToolCallDelta { choice: 0, index: *index, arguments });
                }
            }
            Self::Other => {}
        }
        Ok(())
    }

    fn close(self, out: &mut Vec<StreamEvent>) {
        match self {
            Self::Thinking { signature } if !signature.is_empty() => {
                let signature = Signature::from_tagged(&signature, HERE);
                out.push(StreamEvent::ThinkingSignature { choice: 0, signature });
            }
            Self::Call { index, input: Some(arguments) } => {
                out.push(StreamEvent::ToolCallDelta { choice: 0, index, arguments });
            }
            _ => {}
        }
    }
}
