//! A stream for a client.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::canonical::StreamEvent;
use crate::openai::chunks::Chunks;
use crate::openai::logprobs;

use super::finish_name;
use super::thinking::{ExtraContent, WireThinking, redacted, signed};

#[derive(Debug, Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<logprobs::WireLogprobs<'a>>,
    finish_reason: Option<&'static str>,
}

#[derive(Debug, Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<[WireThinking<'static>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

#[derive(Debug, Serialize)]
struct CallDelta<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: CalledDelta<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent>,
}

#[derive(Debug, Serialize)]
struct CalledDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

/// Writes chunks. A call's id and name are told once, in its first delta.
#[derive(Debug)]
pub struct StreamEncoder {
    chunks: Chunks,
    /// Choices that have said who speaks.
    spoken: BTreeSet<u32>,
}

impl Default for StreamEncoder {
    fn default() -> Self {
        Self::new(false)
    }
}

impl StreamEncoder {
    pub fn new(include_usage: bool) -> Self {
        Self { chunks: Chunks::new("chat.completion.chunk", include_usage), spoken: BTreeSet::new() }
    }

    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        let Some(event) = self.chunks.frame(event, out) else { return };
        match event {
            StreamEvent::TextDelta { choice, text } => {
                self.delta(*choice, Delta { content: Some(text), ..Delta::default() }, out);
            }
            StreamEvent::ThinkingDelta { choice, text } => {
                self.delta(*choice, Delta { reasoning_content: Some(text), ..Delta::default() }, out);
            }
            StreamEvent::ThinkingSignature { choice, signature } => {
                self.delta(*choice, Delta { thinking_blocks: Some([signed("", signature)]), ..Delta::default() }, out);
            }
            StreamEvent::RedactedThinking { choice, of, data } => {
                self.delta(*choice, Delta { thinking_blocks: Some([redacted(*of, data)]), ..Delta::default() }, out);
            }
            StreamEvent::RefusalDelta { choice, text } => {
                self.delta(*choice, Delta { refusal: Some(text), ..Delta::default() }, out);
            }
            StreamEvent::ToolCallStart { choice, index, id, name, signature } => {
                let call = CallDelta {
                    index: *index,
                    id: Some(id),
                    kind: Some("function"),
                    function: CalledDelta { name: Some(name), arguments: "" },
                    extra_content: ExtraContent::of(signature.as_ref()),
                };
                self.delta(*choice, Delta { tool_calls: Some([call]), ..Delta::default() }, out);
            }
            StreamEvent::ToolCallDelta { choice, index, arguments } => {
                let function = CalledDelta { name: None, arguments };
                let call = CallDelta { index: *index, id: None, kind: None, function, extra_content: None };
                self.delta(*choice, Delta { tool_calls: Some([call]), ..Delta::default() }, out);
            }
            StreamEvent::Logprobs { choice, logprobs } => {
                let logprobs = Some(logprobs::encode(logprobs));
                self.choice(
                    ChunkChoice { index: *choice, delta: Delta::default(), logprobs, finish_reason: None },
                    out,
                );
            }
            StreamEvent::Finish { choice, reason } => {
                let finish_reason = Some(finish_name(reason));
                self.choice(
                    ChunkChoice { index: *choice, delta: Delta::default(), logprobs: None, finish_reason },
                    out,
                );
            }
            // Not of a choice.
            StreamEvent::Start { .. } | StreamEvent::Usage(_) | StreamEvent::Error(_) | StreamEvent::Done => {}
        }
    }

    /// Nothing more comes. Without an end before it, the client is told that its stream broke.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.chunks.end(out);
    }

    fn delta(&mut self, index: u32, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.choice(ChunkChoice { index, delta, logprobs: None, finish_reason: None }, out);
    }

    fn choice(&mut self, mut choice: ChunkChoice<'_>, out: &mut Vec<u8>) {
        if self.spoken.insert(choice.index) {
            choice.delta.role = Some("assistant");
        }
        self.chunks.choice(choice, out);
    }
}
