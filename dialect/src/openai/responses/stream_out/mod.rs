//! A stream for a client: the events of one response, each with its number and its name.

mod items;

use serde::Serialize;

use crate::canonical::{Failure, FailureKind, Finish, Serial, StreamEvent, Usage};
use crate::openai::error;
use crate::{Json, json};

use super::events::{ErrorMembers, Incomplete, Members, Response, ResponseError, write};
use super::open::{Kind, Open};
use super::{Echo, reasoning, usage};

/// Writes events. Items follow one another, each told from its beginning to its end before the next. The last event has
/// the whole response, and is a success only after [`StreamEvent::Done`].
#[derive(Debug, Default)]
pub struct StreamEncoder {
    serial: Serial,
    writer: Writer,
}

#[derive(Debug, Default)]
struct Writer {
    echo: Echo,
    /// Only the response at the end is wanted, not the events.
    quiet: bool,
    sequence: u64,
    id: String,
    model: String,
    created: u64,
    started: bool,
    over: bool,
    open: Option<Open>,
    /// Items that are done.
    output: Vec<Json>,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

impl StreamEncoder {
    /// A stream that answers the request of `echo`.
    pub fn new(echo: Echo) -> Self {
        Self { serial: Serial::new(), writer: Writer { echo, ..Writer::default() } }
    }

    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        let writer = &mut self.writer;
        self.serial.push(event, &mut |event| writer.event(event, out));
    }

    /// Nothing more comes. Without an end before it, the client is told that its stream broke.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.writer.event(&StreamEvent::Error(Failure::cut()), out);
    }

    /// The response at the end of these events.
    pub(super) fn into_response(mut self, events: &[StreamEvent]) -> Vec<u8> {
        self.writer.quiet = true;
        let mut nothing = Vec::new();
        events.iter().for_each(|event| self.push(event, &mut nothing));
        let (_, status) = self.writer.ending();
        json::bytes(&self.writer.response(status, None))
    }
}

impl Writer {
    fn event(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            StreamEvent::Start { id, model, created } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
                self.created = created.unwrap_or(0);
                self.start(out);
            }
            StreamEvent::TextDelta { choice: 0, text } => self.said(text, false, out),
            StreamEvent::RefusalDelta { choice: 0, text } => self.said(text, true, out),
            StreamEvent::Logprobs { choice: 0, logprobs } => self.likely(&logprobs.content, out),
            StreamEvent::ThinkingDelta { choice: 0, text } => {
                if !matches!(self.open, Some(Open { kind: Kind::Thinking { .. }, .. })) {
                    self.begin("rs", Kind::Thinking { text: String::new() }, out);
                }
                self.thought(text, out);
            }
            StreamEvent::ThinkingSignature { choice: 0, signature } => {
                if !matches!(self.open, Some(Open { kind: Kind::Thinking { .. }, .. })) {
                    self.begin("rs", Kind::Thinking { text: String::new() }, out);
                }
                let (id, sealed) = reasoning::seal(signature);
                self.close_sealed(id, Some(sealed), out);
            }
            StreamEvent::RedactedThinking { choice: 0, of, data } => {
                self.begin("rs", Kind::Thinking { text: String::new() }, out);
                let (id, sealed) = reasoning::seal_redacted(*of, data);
                self.close_sealed(id, Some(sealed), out);
            }
            StreamEvent::ToolCallStart { choice: 0, id, name, signature, .. } => {
                if let Some(signature) = signature {
                    self.begin("rs", Kind::Thinking { text: String::new() }, out);
                    self.close_sealed(None, Some(signature.for_next().into()), out);
                }
                let (call_id, name) = (id.clone(), name.clone());
                self.begin("fc", Kind::Call { call_id, name, arguments: String::new() }, out);
            }
            StreamEvent::ToolCallDelta { choice: 0, arguments: delta, .. } => {
                if let Some(Open { kind: Kind::Call { arguments, .. }, .. }) = &mut self.open {
                    arguments.push_str(delta);
                    self.delta("response.function_call_arguments.delta", delta, out);
                }
            }
            StreamEvent::Finish { choice: 0, reason } => self.finish = Some(reason.clone()),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Error(failure) => self.fail(failure, out),
            StreamEvent::Done => {
                self.start(out);
                self.close(out);
                self.over = true;
                let (name, status) = self.ending();
                self.whole(name, status, None, out);
            }
            // Choices that no request of this dialect asks for.
            _ => {}
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            self.whole("response.created", "in_progress", None, out);
            self.whole("response.in_progress", "in_progress", None, out);
        }
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.over = true;
        if self.started {
            self.whole("response.failed", "failed", Some(failure), out);
        }
        let members = ErrorMembers {
            code: failure.code.as_deref(),
            message: &failure.message,
            param: failure.param.as_deref(),
            error: error::inner(failure),
        };
        self.write("error", members, out);
    }

    /// The event and the status that the reason of the end calls for.
    fn ending(&self) -> (&'static str, &'static str) {
        match self.incomplete() {
            Some(_) => ("response.incomplete", "incomplete"),
            None => ("response.completed", "completed"),
        }
    }

    fn incomplete(&self) -> Option<Incomplete> {
        match self.finish.as_ref()? {
            Finish::Length => Some(Incomplete { reason: "max_output_tokens" }),
            Finish::ContentFilter | Finish::Refusal => Some(Incomplete { reason: "content_filter" }),
            Finish::Stop | Finish::ToolCalls | Finish::StopSequence(_) | Finish::Other(_) => None,
        }
    }

    fn response<'a>(&'a self, status: &'static str, failure: Option<&'a Failure>) -> Response<'a> {
        let ended = matches!(status, "completed" | "incomplete");
        Response {
            id: &self.id,
            object: "response",
            created_at: self.created,
            status,
            error: failure.map(|failure| ResponseError {
                code: match failure.kind {
                    FailureKind::RateLimit | FailureKind::Quota => "rate_limit_exceeded",
                    FailureKind::InvalidRequest => "invalid_prompt",
                    _ => "server_error",
                },
                message: &failure.message,
            }),
            incomplete_details: self.incomplete().filter(|_| ended),
            model: &self.model,
            output: &self.output,
            usage: self.usage.as_ref().filter(|_| ended).map(usage::encode),
            echo: &self.echo,
        }
    }

    fn whole(&mut self, name: &str, status: &'static str, failure: Option<&Failure>, out: &mut Vec<u8>) {
        let number = self.number();
        if !self.quiet {
            let members = Members { response: Some(self.response(status, failure)), ..Members::default() };
            write(name, number, members, out);
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.sequence;
        self.sequence += 1;
        number
    }

    fn write(&mut self, name: &str, members: impl Serialize, out: &mut Vec<u8>) {
        let number = self.number();
        if !self.quiet {
            write(name, number, members, out);
        }
    }
}
