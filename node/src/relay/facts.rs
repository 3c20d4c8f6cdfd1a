//! What is known of a stream so far: what was written, why it ended, what its provider says that it cost.

use peerway_dialect::canonical::{self, Finish, StreamEvent};

use crate::dialect::openai::{EventFacts, Usage};
use crate::governance::Written;

/// The facts of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The client has seen, or will see, something of the answer.
    pub has_output: bool,
    pub usage: Option<Usage>,
    /// A usage came when the answer was finished. Some providers state one with every chunk: of what was used so far.
    pub usage_is_final: bool,
    /// Choices that ended with a plain stop.
    pub stopped: u32,
    pub ended_otherwise: u32,
    pub has_tool_calls: bool,
    /// The model refuses, whatever reason it ends with.
    pub has_refusal: bool,
    pub written: Written,
    /// The stream has said that it is over, and was whole.
    pub done: bool,
}

impl Facts {
    /// A choice has told why it ended.
    pub fn is_finished(&self) -> bool {
        self.stopped + self.ended_otherwise > 0
    }

    /// Every choice that ended did so with a plain stop, and none refuses.
    pub fn all_stopped(&self) -> bool {
        self.stopped > 0 && self.ended_otherwise == 0 && !self.has_refusal
    }

    /// Takes over what the scan of an event found.
    pub(super) fn scanned(&mut self, found: &EventFacts) {
        self.stopped += found.stopped;
        self.ended_otherwise += found.ended_otherwise;
        self.has_tool_calls |= found.has_tool_calls;
        self.has_refusal |= found.has_refusal;
        if found.usage.is_some() {
            self.usage = found.usage;
            self.usage_is_final = self.is_finished();
        }
        self.has_output |= self.written != Written::default();
    }

    /// Takes over what one event of the provider's says. It may say several things at once.
    pub(super) fn decoded(&mut self, events: &[StreamEvent]) {
        let mut told = None;
        for event in events {
            self.has_output |= event.is_output();
            match event {
                StreamEvent::TextDelta { text, .. } | StreamEvent::ThinkingDelta { text, .. } => {
                    self.written.text(text);
                }
                StreamEvent::RefusalDelta { text, .. } => {
                    self.has_refusal |= !text.is_empty();
                    self.written.text(text);
                }
                StreamEvent::RedactedThinking { data, .. } => self.written.text(data),
                StreamEvent::ToolCallStart { name, .. } => {
                    self.has_tool_calls = true;
                    self.written.text(name);
                }
                StreamEvent::ToolCallDelta { arguments, .. } => self.written.text(arguments),
                StreamEvent::Finish { reason, .. } => match reason {
                    Finish::Stop | Finish::StopSequence(_) => self.stopped += 1,
                    _ => self.ended_otherwise += 1,
                },
                StreamEvent::Usage(usage) => told = Some(usage),
                StreamEvent::Done => self.done = true,
                StreamEvent::Start { .. }
                | StreamEvent::ThinkingSignature { .. }
                | StreamEvent::Logprobs { .. }
                | StreamEvent::Error(_) => {}
            }
        }
        if let Some(usage) = told {
            self.usage = Some(usage.into());
            self.usage_is_final = self.is_finished();
        }
    }
}

impl From<&canonical::Usage> for Usage {
    fn from(told: &canonical::Usage) -> Self {
        Self {
            prompt_tokens: told.input,
            completion_tokens: told.output,
            // Both include all their parts, so the sum has nothing to add.
            total_tokens: 0,
            cached_tokens: told.cached_input,
            cache_write_tokens: told.cache_write,
            cache_write_1h_tokens: told.cache_write_1h,
            prompt_audio_tokens: told.input_audio,
            prompt_image_tokens: told.input_image,
            reasoning_tokens: told.reasoning,
            completion_audio_tokens: told.output_audio,
        }
    }
}
