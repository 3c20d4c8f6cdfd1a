//! A stream for a client: the events of one response, each with its number and its name.

use std::borrow::Cow;

use serde::Serialize;

use crate::canonical::{Failure, FailureKind, Finish, Serial, StreamEvent, TokenLogprob, Usage};
use crate::openai::{error, logprobs};
use crate::{Json, json};

use super::events::{ErrorMembers, Incomplete, Members, Part, Response, ResponseError, part_of, write};
use super::open::{Kind, Open, Said};
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

    /// Ends what is open and begins another item.
    fn begin(&mut self, prefix: &str, kind: Kind, out: &mut Vec<u8>) {
        self.start(out);
        self.close(out);
        let place = self.output.len();
        let id = format!("{prefix}_{:016x}_{place}", crate::canonical::fnv1a(&self.id));
        let number = self.number();
        if !self.quiet {
            let members = Members {
                output_index: Some(place),
                item: Some(kind.item(&id, "in_progress", None)),
                ..Members::default()
            };
            write("response.output_item.added", number, members, out);
        }
        self.open = Some(Open { id, kind });
    }

    /// A delta of what is open.
    fn delta(&mut self, name: &str, delta: &str, out: &mut Vec<u8>) {
        let number = self.number();
        if self.quiet {
            return;
        }
        let Some(open) = &self.open else { return };
        let mut members = open.place(self.output.len());
        members.delta = Some(delta);
        if name == "response.output_text.delta" {
            members.logprobs = Some(Vec::new());
        }
        write(name, number, members, out);
    }

    fn said(&mut self, text: &str, refused: bool, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open { kind: Kind::Message { .. }, .. })) {
            self.begin("msg", Kind::Message { parts: Vec::new(), part: None }, out);
        }
        let other = |open: &Open| match &open.kind {
            Kind::Message { part: Some(part), .. } => part.refused != refused,
            _ => true,
        };
        if self.open.as_ref().is_some_and(other) {
            self.close_part(out);
            if let Some(Open { kind: Kind::Message { part, .. }, .. }) = &mut self.open {
                *part = Some(Said { text: String::new(), refused, logprobs: Vec::new() });
            }
            let number = self.number();
            if let Some(open) = self.open.as_ref().filter(|_| !self.quiet) {
                let mut members = open.place(self.output.len());
                members.part = Some(part_of("", refused, &[]));
                write("response.content_part.added", number, members, out);
            }
        }
        if let Some(Open { kind: Kind::Message { part: Some(part), .. }, .. }) = &mut self.open {
            part.text.push_str(text);
        }
        self.delta(if refused { "response.refusal.delta" } else { "response.output_text.delta" }, text, out);
    }

    /// How likely the text before was: in a delta without text, and again where the text ends.
    fn likely(&mut self, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        let Some(Open { kind: Kind::Message { part: Some(part), .. }, .. }) = &mut self.open else { return };
        if part.refused || tokens.is_empty() {
            return;
        }
        part.logprobs.extend_from_slice(tokens);
        let number = self.number();
        if let Some(open) = self.open.as_ref().filter(|_| !self.quiet) {
            let mut members = open.place(self.output.len());
            members.delta = Some("");
            members.logprobs = Some(tokens.iter().map(logprobs::wire_token).collect());
            write("response.output_text.delta", number, members, out);
        }
    }

    fn thought(&mut self, delta: &str, out: &mut Vec<u8>) {
        let Some(Open { kind: Kind::Thinking { text }, .. }) = &mut self.open else { return };
        let first = text.is_empty();
        text.push_str(delta);
        if delta.is_empty() {
            return;
        }
        if first {
            self.summary_part("response.reasoning_summary_part.added", "", out);
        }
        self.delta("response.reasoning_summary_text.delta", delta, out);
    }

    fn summary_part(&mut self, name: &str, text: &str, out: &mut Vec<u8>) {
        let number = self.number();
        if let Some(open) = self.open.as_ref().filter(|_| !self.quiet) {
            let mut members = open.place(self.output.len());
            members.part = Some(Part::SummaryText { text });
            write(name, number, members, out);
        }
    }

    /// Ends the part that is being told of a message.
    fn close_part(&mut self, out: &mut Vec<u8>) {
        let place = self.output.len();
        let Some(open) = &mut self.open else { return };
        let Kind::Message { part, .. } = &mut open.kind else { return };
        let Some(said) = part.take() else { return };
        let (first, second) = (self.sequence, self.sequence + 1);
        self.sequence += 2;
        if !self.quiet {
            let mut members = open.place(place);
            let name = if said.refused {
                members.refusal = Some(&said.text);
                "response.refusal.done"
            } else {
                members.text = Some(&said.text);
                members.logprobs = Some(said.logprobs.iter().map(logprobs::wire_token).collect());
                "response.output_text.done"
            };
            write(name, first, members, out);
            let mut members = open.place(place);
            members.part = Some(said.part());
            write("response.content_part.done", second, members, out);
        }
        let done = Json::of(&said.part());
        if let Kind::Message { parts, .. } = &mut open.kind {
            parts.push(done);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        self.close_sealed(None, None, out);
    }

    /// Ends the item. Thoughts may have a seal, and an id that belongs to it.
    fn close_sealed(&mut self, own_id: Option<&str>, sealed: Option<Cow<'_, str>>, out: &mut Vec<u8>) {
        self.close_part(out);
        let Some(mut open) = self.open.take() else { return };
        if let Kind::Call { arguments, .. } = &mut open.kind
            && arguments.is_empty()
        {
            arguments.push_str("{}");
        }
        let place = self.output.len();
        match &open.kind {
            Kind::Thinking { text } if !text.is_empty() => {
                let mut members = open.place(place);
                members.text = Some(text);
                self.write("response.reasoning_summary_text.done", members, out);
                let mut members = open.place(place);
                members.part = Some(Part::SummaryText { text });
                self.write("response.reasoning_summary_part.done", members, out);
            }
            Kind::Call { name, arguments, .. } => {
                let mut members = open.place(place);
                members.name = Some(name);
                members.arguments = Some(arguments);
                self.write("response.function_call_arguments.done", members, out);
            }
            Kind::Thinking { .. } | Kind::Message { .. } => {}
        }
        let id = own_id.unwrap_or(&open.id);
        // Why the answer ended is known before its last item is closed.
        let status = if self.incomplete().is_some() { "incomplete" } else { "completed" };
        let members = Members {
            output_index: Some(place),
            item: Some(open.kind.item(id, status, sealed.clone())),
            ..Members::default()
        };
        self.write("response.output_item.done", members, out);
        self.output.push(Json::of(&open.kind.item(id, status, sealed)));
    }
}
