//! A stream for a client.

use serde::Serialize;

use crate::canonical::{Failure, Finish, Serial, StreamEvent, Usage};
use crate::sse::write_event;
use crate::{Json, json};

use super::answer_out::{AnswerBlock, WireMessage, redacted, signature};
use super::{error, finish_name, usage};

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: WireMessage<'a> },
    ContentBlockStart { index: u64, content_block: AnswerBlock<'a> },
    ContentBlockDelta { index: u64, delta: Delta<'a> },
    ContentBlockStop { index: u64 },
    MessageDelta { delta: Ending<'a>, usage: usage::WireUsage },
    MessageStop,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

#[derive(Debug, Serialize)]
struct Ending<'a> {
    stop_reason: Option<&'a str>,
    stop_sequence: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Call,
}

/// Writes named events, one block open at a time and each whole before the next.
///
/// `message_delta` waits for the end, because it holds both the stop reason and the usage, which others tell after it.
#[derive(Debug, Default)]
pub struct StreamEncoder {
    serial: Serial,
    writer: Writer,
}

#[derive(Debug, Default)]
struct Writer {
    id: String,
    model: String,
    begun: bool,
    usage: Usage,
    /// The block that is open, and the index of the next.
    open: Option<(Kind, u64)>,
    next: u64,
    finish: Option<Finish>,
    over: bool,
}

impl StreamEncoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Choices beyond the first, which an Anthropic client cannot ask for, are left out, and so are logprobs.
    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        let writer = &mut self.writer;
        self.serial.push(event, &mut |event| writer.event(event, out));
    }

    /// Nothing more comes. Without an end before it, the client is told that its stream broke.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.writer.event(&StreamEvent::Error(Failure::cut()), out);
    }
}

impl Writer {
    fn event(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            // Written with what follows: the usage of the prompt may come right behind.
            StreamEvent::Start { id, model, .. } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            StreamEvent::TextDelta { choice: 0, text } | StreamEvent::RefusalDelta { choice: 0, text }
                if !text.is_empty() =>
            {
                let index = self.block(Kind::Text, out);
                self.write(&Event::ContentBlockDelta { index, delta: Delta::Text { text } }, out);
            }
            StreamEvent::ThinkingDelta { choice: 0, text } => {
                let index = self.block(Kind::Thinking, out);
                self.write(&Event::ContentBlockDelta { index, delta: Delta::Thinking { thinking: text } }, out);
            }
            StreamEvent::ThinkingSignature { choice: 0, signature: proof } => {
                let index = self.block(Kind::Thinking, out);
                let signature = &signature(Some(proof));
                self.write(&Event::ContentBlockDelta { index, delta: Delta::Signature { signature } }, out);
                self.close(out);
            }
            StreamEvent::RedactedThinking { choice: 0, of, data } => {
                let index = self.start(redacted(*of, data), out);
                self.write(&Event::ContentBlockStop { index }, out);
            }
            StreamEvent::ToolCallStart { choice: 0, id, name, .. } => {
                let index = self.start(AnswerBlock::ToolUse { id, name, input: Json::empty_object() }, out);
                self.open = Some((Kind::Call, index));
            }
            StreamEvent::ToolCallDelta { choice: 0, arguments, .. } => {
                if let Some((Kind::Call, index)) = self.open {
                    let delta = Delta::Input { partial_json: arguments };
                    self.write(&Event::ContentBlockDelta { index, delta }, out);
                }
            }
            StreamEvent::Finish { choice: 0, reason } => self.finish = Some(reason.clone()),
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::Error(failure) => {
                self.over = true;
                write_event(Some("error"), &error::encode_error(failure), out);
            }
            StreamEvent::Done => self.finish(out),
            _ => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        let finish = self.finish.take();
        let (stop_reason, stop_sequence) =
            finish.as_ref().map(finish_name).map_or((None, None), |(name, sequence)| (Some(name), sequence));
        let usage = usage::encode(&self.usage);
        self.write(&Event::MessageDelta { delta: Ending { stop_reason, stop_sequence }, usage }, out);
        self.write(&Event::MessageStop, out);
        self.over = true;
    }

    /// The open block of this kind, or a new one.
    fn block(&mut self, kind: Kind, out: &mut Vec<u8>) -> u64 {
        match self.open {
            Some((open, index)) if open == kind => index,
            _ => {
                let block = match kind {
                    Kind::Thinking => AnswerBlock::Thinking { thinking: "", signature: "".into() },
                    Kind::Text | Kind::Call => AnswerBlock::Text { text: "" },
                };
                let index = self.start(block, out);
                self.open = Some((kind, index));
                index
            }
        }
    }

    fn start(&mut self, content_block: AnswerBlock<'_>, out: &mut Vec<u8>) -> u64 {
        self.close(out);
        let index = self.next;
        self.next += 1;
        self.write(&Event::ContentBlockStart { index, content_block }, out);
        index
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some((_, index)) = self.open.take() {
            self.write(&Event::ContentBlockStop { index }, out);
        }
    }

    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            let message = WireMessage {
                id: &self.id,
                kind: "message",
                role: "assistant",
                model: &self.model,
                content: Vec::new(),
                stop_reason: None,
                stop_sequence: None,
                usage: usage::encode(&Usage { output: 0, reasoning: 0, ..self.usage }),
            };
            write(&Event::MessageStart { message }, out);
        }
        write(event, out);
    }
}

fn write(event: &Event<'_>, out: &mut Vec<u8>) {
    let name = match event {
        Event::MessageStart { .. } => "message_start",
        Event::ContentBlockStart { .. } => "content_block_start",
        Event::ContentBlockDelta { .. } => "content_block_delta",
        Event::ContentBlockStop { .. } => "content_block_stop",
        Event::MessageDelta { .. } => "message_delta",
        Event::MessageStop => "message_stop",
    };
    write_event(Some(name), &json::bytes(event), out);
}
