//! A stream for a client.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::StreamEvent;
use crate::openai::chunks::Chunks;

use super::{finish_name, logprobs};

#[derive(Debug, Serialize)]
struct ChunkChoice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<logprobs::WireLogprobs<'a>>,
    finish_reason: Option<&'static str>,
}

/// Writes chunks of text.
#[derive(Debug)]
pub struct StreamEncoder {
    chunks: Chunks,
    echo: String,
    /// Where each choice's next token stands, in characters.
    offsets: BTreeMap<u32, usize>,
}

impl Default for StreamEncoder {
    fn default() -> Self {
        Self::new(false, None)
    }
}

impl StreamEncoder {
    /// `echo` is [`super::TextRequest::echo`].
    pub fn new(include_usage: bool, echo: Option<String>) -> Self {
        let chunks = Chunks::new("text_completion", include_usage);
        Self { chunks, echo: echo.unwrap_or_default(), offsets: BTreeMap::new() }
    }

    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        let Some(event) = self.chunks.frame(event, out) else { return };
        match event {
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
            // No place in a text.
            StreamEvent::ThinkingDelta { .. }
            | StreamEvent::ThinkingSignature { .. }
            | StreamEvent::RedactedThinking { .. }
            | StreamEvent::ToolCallStart { .. }
            | StreamEvent::ToolCallDelta { .. } => {}
            // Not of a choice.
            StreamEvent::Start { .. } | StreamEvent::Usage(_) | StreamEvent::Error(_) | StreamEvent::Done => {}
        }
    }

    /// Nothing more comes. Without an end before it, the client is told that its stream broke.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.chunks.end(out);
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
        self.chunks.choice(choice, out);
    }
}
