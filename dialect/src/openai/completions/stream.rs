//! A stream for a client.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{Failure, StreamEvent, Usage};
use crate::json;
use crate::openai::{error, usage};
use crate::sse::write_event;

use super::{finish_name, logprobs};

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
    text: &'a str,
    index: u32,
    logprobs: Option<logprobs::WireLogprobs<'a>>,
    finish_reason: Option<&'static str>,
}

/// Writes chunks of text. `[DONE]` follows [`StreamEvent::Done`] alone.
#[derive(Debug, Default)]
pub struct StreamEncoder {
    include_usage: bool,
    echo: String,
    id: String,
    model: String,
    created: u64,
    /// Where each choice's next token stands, in characters.
    offsets: BTreeMap<u32, usize>,
    usage: Option<Usage>,
    over: bool,
}

impl StreamEncoder {
    /// `echo` is [`super::TextRequest::echo`].
    pub fn new(include_usage: bool, echo: Option<String>) -> Self {
        Self { include_usage, echo: echo.unwrap_or_default(), ..Self::default() }
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
            StreamEvent::TextDelta { choice, text } | StreamEvent::RefusalDelta { choice, text } => {
                self.begin(*choice, out);
                self.choice(ChunkChoice { text, index: *choice, logprobs: None, finish_reason: None }, out);
            }
            StreamEvent::Logprobs { choice, logprobs } => {
                let mut offset = self.begin(*choice, out);
                let logprobs = Some(logprobs::encode(logprobs, &mut offset));
                self.choice(ChunkChoice { text: "", index: *choice, logprobs, finish_reason: None }, out);
                self.offsets.insert(*choice, offset);
            }
            StreamEvent::Finish { choice, reason } => {
                self.begin(*choice, out);
                let finish_reason = Some(finish_name(reason));
                self.choice(ChunkChoice { text: "", index: *choice, logprobs: None, finish_reason }, out);
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
            // No place in a text.
            StreamEvent::ThinkingDelta { .. }
            | StreamEvent::ThinkingSignature { .. }
            | StreamEvent::RedactedThinking { .. }
            | StreamEvent::ToolCallStart { .. }
            | StreamEvent::ToolCallDelta { .. } => {}
        }
    }

    /// Nothing more comes. Without an end before it, the client is told that its stream broke.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.push(&StreamEvent::Error(Failure::cut()), out);
    }

    /// Repeats the prompt before a choice's first text; the place of its next token.
    fn begin(&mut self, choice: u32, out: &mut Vec<u8>) -> usize {
        if let Some(offset) = self.offsets.get(&choice) {
            return *offset;
        }
        let offset = self.echo.chars().count();
        self.offsets.insert(choice, offset);
        if offset > 0 {
            self.choice(ChunkChoice { text: &self.echo, index: choice, logprobs: None, finish_reason: None }, out);
        }
        offset
    }

    fn choice(&self, choice: ChunkChoice<'_>, out: &mut Vec<u8>) {
        self.chunk(&[choice], None, out);
    }

    fn chunk(&self, choices: &[ChunkChoice<'_>], usage: Option<usage::WireUsage>, out: &mut Vec<u8>) {
        let chunk = Chunk {
            id: &self.id,
            object: "text_completion",
            created: self.created,
            model: &self.model,
            choices,
            usage,
        };
        write_event(None, &json::bytes(&chunk), out);
    }
}
