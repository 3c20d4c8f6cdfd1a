//! A stream for a client.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::canonical::{Failure, StreamEvent, Usage};
use crate::json;
use crate::openai::{error, logprobs, usage};
use crate::sse::write_event;

use super::finish_name;
use super::thinking::{ExtraContent, WireThinking, redacted, signed};

#[derive(Debug, Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<usage::WireUsage>,
}

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

/// Writes chunks. A call's id and name are told once, in its first delta; usage in a chunk of its own before `[DONE]`, if
/// the client asked for it. `[DONE]` follows [`StreamEvent::Done`] alone.
#[derive(Debug, Default)]
pub struct StreamEncoder {
    include_usage: bool,
    id: String,
    model: String,
    created: u64,
    spoken: BTreeSet<u32>,
    usage: Option<Usage>,
    over: bool,
}

impl StreamEncoder {
    pub fn new(include_usage: bool) -> Self {
        Self { include_usage, ..Self::default() }
    }

    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            StreamEvent::Start { id, model, created } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
                self.created = created.unwrap_or(0);
            }
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
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Error(failure) => {
                self.over = true;
                write_event(None, &error::encode_error(failure), out);
            }
            StreamEvent::Done => {
                self.over = true;
                if let Some(usage) = self.usage.filter(|_| self.include_usage) {
                    self.chunk(&[], Some(usage::encode(&usage)), out);
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
        }
    }

    /// Nothing more comes. Without an end before it, the client is told that its stream broke.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.push(&StreamEvent::Error(Failure::cut()), out);
    }

    fn delta(&mut self, index: u32, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.choice(ChunkChoice { index, delta, logprobs: None, finish_reason: None }, out);
    }

    fn choice(&mut self, mut choice: ChunkChoice<'_>, out: &mut Vec<u8>) {
        if self.spoken.insert(choice.index) {
            choice.delta.role = Some("assistant");
        }
        self.chunk(&[choice], None, out);
    }

    fn chunk(&self, choices: &[ChunkChoice<'_>], usage: Option<usage::WireUsage>, out: &mut Vec<u8>) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage,
        };
        write_event(None, &json::bytes(&chunk), out);
    }
}
