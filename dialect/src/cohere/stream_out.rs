//! A stream for a client.

use serde::Serialize;

use crate::canonical::{Failure, FailureKind, Finish, Logprobs, StreamEvent, Usage};
use crate::json;
use crate::sse::write_event;

use super::{finish_name, logprobs, usage};

/// Writes the steps of a message: blocks of content that begin and end one after the other, calls by their index. Its
/// `message-end` holds reason and usage and follows [`StreamEvent::Done`] alone; one with `error` is how a stream breaks.
#[derive(Debug, Default)]
pub struct StreamEncoder {
    id: String,
    begun: bool,
    /// The block that is being written, and how many have been.
    block: Option<Block>,
    blocks: u32,
    /// Calls that have begun and not ended.
    calls: Vec<u32>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Text,
    Thinking,
}

#[derive(Debug, Default, Serialize)]
struct WireEvent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Delta<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<logprobs::WireLogprob<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Delta<'a> {
    Message { message: Message<'a> },
    End(End<'a>),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Message<'a> {
    Start { role: &'static str, content: [u8; 0], tool_plan: &'static str, tool_calls: [u8; 0], citations: [u8; 0] },
    Content { content: Content<'a> },
    Call { tool_calls: Call<'a> },
}

#[derive(Debug, Default, Serialize)]
struct Content<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
}

#[derive(Debug, Default, Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: Called<'a>,
}

#[derive(Debug, Default, Serialize)]
struct Called<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

#[derive(Debug, Serialize)]
struct End<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<usage::WireUsage>,
}

impl StreamEncoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Of several choices the first is told: a client of this dialect asks for no others.
    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            StreamEvent::Start { id, .. } => {
                self.id.clone_from(id);
                self.begin(out);
            }
            StreamEvent::TextDelta { choice: 0, text } | StreamEvent::RefusalDelta { choice: 0, text } => {
                self.content(Block::Text, text, out);
            }
            StreamEvent::ThinkingDelta { choice: 0, text } => self.content(Block::Thinking, text, out),
            StreamEvent::ToolCallStart { choice: 0, index, id, name, .. } => {
                self.close_block(out);
                self.begin(out);
                self.calls.push(*index);
                let function = Called { name: Some(name), arguments: "" };
                let call = Call { id: Some(id), kind: Some("function"), function };
                write(call_event("tool-call-start", *index, call), out);
            }
            StreamEvent::ToolCallDelta { choice: 0, index, arguments } => {
                let call = Call { function: Called { name: None, arguments }, ..Call::default() };
                write(call_event("tool-call-delta", *index, call), out);
            }
            StreamEvent::Logprobs { choice: 0, logprobs } => self.logprobs(logprobs, out),
            StreamEvent::Finish { choice: 0, reason } => self.finish = Some(reason.clone()),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Error(failure) => self.fail(failure, out),
            StreamEvent::Done => self.done(out),
            StreamEvent::TextDelta { .. }
            | StreamEvent::RefusalDelta { .. }
            | StreamEvent::ThinkingDelta { .. }
            | StreamEvent::ThinkingSignature { .. }
            | StreamEvent::RedactedThinking { .. }
            | StreamEvent::ToolCallStart { .. }
            | StreamEvent::ToolCallDelta { .. }
            | StreamEvent::Logprobs { .. }
            | StreamEvent::Finish { .. } => {}
        }
    }

    /// Nothing more comes. Without an end before it, the client is told that its stream broke.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.push(&StreamEvent::Error(Failure::cut()), out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let message = Message::Start { role: "assistant", content: [], tool_plan: "", tool_calls: [], citations: [] };
        let delta = Some(Delta::Message { message });
        write(WireEvent { kind: "message-start", id: Some(&self.id), delta, ..WireEvent::default() }, out);
    }

    fn content(&mut self, block: Block, told: &str, out: &mut Vec<u8>) {
        self.begin(out);
        if self.block != Some(block) {
            self.close_block(out);
            self.block = Some(block);
            let content = match block {
                Block::Text => Content { kind: Some("text"), text: Some(""), thinking: None },
                Block::Thinking => Content { kind: Some("thinking"), text: None, thinking: Some("") },
            };
            write(self.content_event("content-start", content), out);
        }
        let content = match block {
            Block::Text => Content { text: Some(told), ..Content::default() },
            Block::Thinking => Content { thinking: Some(told), ..Content::default() },
        };
        write(self.content_event("content-delta", content), out);
    }

    /// Probabilities come with content: with an empty piece of it, token by token.
    fn logprobs(&mut self, told: &Logprobs, out: &mut Vec<u8>) {
        if self.block.is_none() {
            self.content(Block::Text, "", out);
        }
        for token in logprobs::encode(told) {
            let content = Content { text: Some(""), ..Content::default() };
            write(WireEvent { logprobs: Some(token), ..self.content_event("content-delta", content) }, out);
        }
    }

    fn content_event<'a>(&self, kind: &'static str, content: Content<'a>) -> WireEvent<'a> {
        let delta = Some(Delta::Message { message: Message::Content { content } });
        WireEvent { kind, index: Some(self.blocks), delta, ..WireEvent::default() }
    }

    fn close_block(&mut self, out: &mut Vec<u8>) {
        if self.block.take().is_some() {
            write(WireEvent { kind: "content-end", index: Some(self.blocks), ..WireEvent::default() }, out);
            self.blocks += 1;
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.over = true;
        self.begin(out);
        self.close_block(out);
        for index in std::mem::take(&mut self.calls) {
            write(WireEvent { kind: "tool-call-end", index: Some(index), ..WireEvent::default() }, out);
        }
        let finish_reason = self.finish.as_ref().map_or("ERROR", finish_name);
        self.message_end(End { error: None, finish_reason, usage: self.usage.as_ref().map(usage::encode) }, out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.over = true;
        let finish_reason = if failure.kind == FailureKind::Timeout { "TIMEOUT" } else { "ERROR" };
        let usage = self.usage.as_ref().map(usage::encode);
        self.message_end(End { error: Some(&failure.message), finish_reason, usage }, out);
    }

    fn message_end(&self, end: End<'_>, out: &mut Vec<u8>) {
        let (id, delta) = (Some(self.id.as_str()), Some(Delta::End(end)));
        write(WireEvent { kind: "message-end", id, delta, ..WireEvent::default() }, out);
    }
}

fn call_event<'a>(kind: &'static str, index: u32, call: Call<'a>) -> WireEvent<'a> {
    let delta = Some(Delta::Message { message: Message::Call { tool_calls: call } });
    WireEvent { kind, index: Some(index), delta, ..WireEvent::default() }
}

fn write(event: WireEvent<'_>, out: &mut Vec<u8>) {
    write_event(Some(event.kind), &json::bytes(&event), out);
}
