//! What streams of chat and of text completions have in common: the frame of a chunk, and the end.

use serde::Serialize;

use crate::canonical::{Failure, StreamEvent, Usage};
use crate::json;
use crate::openai::{error, usage};
use crate::sse::write_event;

#[derive(Debug, Serialize)]
struct Chunk<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [C],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<usage::WireUsage>,
}

/// Writes chunks around choices. Usage is a chunk of its own before `[DONE]`, if the client asked for it; `[DONE]` follows
/// [`StreamEvent::Done`] alone.
#[derive(Debug)]
pub(super) struct Chunks {
    object: &'static str,
    include_usage: bool,
    id: String,
    model: String,
    created: u64,
    usage: Option<Usage>,
    over: bool,
}

impl Chunks {
    pub(super) fn new(object: &'static str, include_usage: bool) -> Self {
        let (id, model) = (String::new(), String::new());
        Self { object, include_usage, id, model, created: 0, usage: None, over: false }
    }

    /// Takes what is not of a choice; gives back what is.
    pub(super) fn frame<'a>(&mut self, event: &'a StreamEvent, out: &mut Vec<u8>) -> Option<&'a StreamEvent> {
        if self.over {
            return None;
        }
        match event {
            StreamEvent::Start { id, model, created } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
                self.created = created.unwrap_or(0);
            }
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Error(failure) => self.fail(failure, out),
            StreamEvent::Done => {
                self.over = true;
                if let Some(usage) = self.usage.filter(|_| self.include_usage) {
                    self.write::<()>(&[], Some(usage::encode(&usage)), out);
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
            of_choice => return Some(of_choice),
        }
        None
    }

    /// Nothing more comes. Without an end before it, the client is told that its stream broke.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if !self.over {
            self.fail(&Failure::cut(), out);
        }
    }

    pub(super) fn choice(&self, choice: impl Serialize, out: &mut Vec<u8>) {
        self.write(&[choice], None, out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.over = true;
        write_event(None, &error::encode_error(failure), out);
    }

    fn write<C: Serialize>(&self, choices: &[C], usage: Option<usage::WireUsage>, out: &mut Vec<u8>) {
        let Self { object, id, model, created, .. } = self;
        write_event(None, &json::bytes(&Chunk { id, object, created: *created, model, choices, usage }), out);
    }
}
