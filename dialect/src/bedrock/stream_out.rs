//! A stream for a client.

use std::borrow::Cow;

use serde::Serialize;

use crate::canonical::{Failure, Finish, Serial, StreamEvent, Usage};
use crate::json;

use super::answer_out::{Metrics, StopSequence};
use super::blocks_out::redacted;
use super::framing::write_frame;
use super::{error, stop_name, usage};

#[derive(Debug, Serialize)]
struct MessageStart {
    role: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart<'a> {
    start: Start<'a>,
    content_block_index: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Start<'a> {
    #[serde(rename_all = "camelCase")]
    ToolUse { tool_use_id: &'a str, name: &'a str },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta<'a> {
    delta: Delta<'a>,
    content_block_index: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Delta<'a> {
    Text(&'a str),
    ToolUse { input: &'a str },
    ReasoningContent(Reasoning<'a>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Reasoning<'a> {
    Text(&'a str),
    Signature(String),
    RedactedContent(Cow<'a, str>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockStop {
    content_block_index: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop<'a> {
    stop_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_response_fields: Option<StopSequence<'a>>,
}

#[derive(Debug, Serialize)]
struct Metadata {
    usage: usage::WireUsage,
    metrics: Metrics,
}

/// What the open block is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Call,
}

/// Writes messages of the event stream. Blocks follow one another, each closed before the next; a call's start tells its
/// name. `metadata` is the last, and only after [`StreamEvent::Done`].
#[derive(Debug, Default)]
pub struct StreamEncoder {
    serial: Serial,
    writer: Writer,
}

#[derive(Debug, Default)]
struct Writer {
    started: bool,
    open: Option<Kind>,
    block: u32,
    finish: Option<Finish>,
    usage: Usage,
    over: bool,
}

impl StreamEncoder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        let writer = &mut self.writer;
        self.serial.push(event, &mut |event| writer.event(event, out));
    }

    /// Nothing more comes. Without an end before it, the client is told that its stream broke.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.writer.event(&StreamEvent::Error(Failure::cut()), out);
    }
}

fn write(name: &str, payload: &impl Serialize, out: &mut Vec<u8>) {
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    write_frame(&headers, &json::bytes(payload), out);
}

impl Writer {
    fn event(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            StreamEvent::Start { .. } => self.start(out),
            StreamEvent::TextDelta { choice: 0, text } | StreamEvent::RefusalDelta { choice: 0, text } => {
                self.begin(Kind::Text, out);
                self.delta(Delta::Text(text), out);
            }
            StreamEvent::ThinkingDelta { choice: 0, text } => {
                self.begin(Kind::Thinking, out);
                self.delta(Delta::ReasoningContent(Reasoning::Text(text)), out);
            }
            StreamEvent::ThinkingSignature { choice: 0, signature } => {
                self.begin(Kind::Thinking, out);
                self.delta(Delta::ReasoningContent(Reasoning::Signature(signature.tagged(super::HERE))), out);
                self.close(out);
            }
            StreamEvent::RedactedThinking { choice: 0, of, data } => {
                self.close(out);
                self.begin(Kind::Thinking, out);
                self.delta(Delta::ReasoningContent(Reasoning::RedactedContent(redacted(*of, data))), out);
                self.close(out);
            }
            StreamEvent::ToolCallStart { choice: 0, id, name, signature, .. } => {
                self.close(out);
                if let Some(signature) = signature {
                    self.begin(Kind::Thinking, out);
                    self.delta(Delta::ReasoningContent(Reasoning::Text("")), out);
                    self.delta(Delta::ReasoningContent(Reasoning::Signature(signature.for_next())), out);
                    self.close(out);
                }
                self.begin(Kind::Call, out);
                let start =
                    BlockStart { start: Start::ToolUse { tool_use_id: id, name }, content_block_index: self.block };
                write("contentBlockStart", &start, out);
            }
            StreamEvent::ToolCallDelta { choice: 0, arguments, .. } => {
                self.delta(Delta::ToolUse { input: arguments }, out);
            }
            StreamEvent::Finish { choice: 0, reason } => self.finish = Some(reason.clone()),
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::Error(failure) => {
                self.over = true;
                let name = error::exception_type(failure.kind);
                let headers =
                    [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")];
                write_frame(&headers, &error::encode_error(failure), out);
            }
            StreamEvent::Done => {
                self.over = true;
                self.start(out);
                self.close(out);
                let stop_reason = self.finish.as_ref().map_or("end_turn", stop_name);
                let additional_model_response_fields = StopSequence::of(self.finish.as_ref());
                write("messageStop", &MessageStop { stop_reason, additional_model_response_fields }, out);
                let metadata = Metadata { usage: usage::encode(&self.usage), metrics: Metrics::default() };
                write("metadata", &metadata, out);
            }
            // Log probabilities, and choices that no request of this dialect asks for.
            _ => {}
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            write("messageStart", &MessageStart { role: "assistant" }, out);
        }
    }

    /// Goes on with the open block if it is of this kind, else opens one. Only calls say that they begin.
    fn begin(&mut self, kind: Kind, out: &mut Vec<u8>) {
        self.start(out);
        if self.open != Some(kind) {
            self.close(out);
            self.open = Some(kind);
        }
    }

    fn delta(&self, delta: Delta<'_>, out: &mut Vec<u8>) {
        write("contentBlockDelta", &BlockDelta { delta, content_block_index: self.block }, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            write("contentBlockStop", &BlockStop { content_block_index: self.block }, out);
            self.block += 1;
        }
    }
}
