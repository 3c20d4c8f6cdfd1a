//! An item from its beginning to its end: its parts, its deltas, and what is said again when it is done.

use std::borrow::Cow;

use crate::Json;
use crate::canonical::TokenLogprob;
use crate::openai::logprobs;

use super::super::events::{Members, Part, part_of, write};
use super::super::open::{Kind, Open, Said};
use super::Writer;

impl Writer {
    /// Ends what is open and begins another item.
    pub(super) fn begin(&mut self, prefix: &str, kind: Kind, out: &mut Vec<u8>) {
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
    pub(super) fn delta(&mut self, name: &str, delta: &str, out: &mut Vec<u8>) {
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

    pub(super) fn said(&mut self, text: &str, refused: bool, out: &mut Vec<u8>) {
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
    pub(super) fn likely(&mut self, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
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

    pub(super) fn thought(&mut self, delta: &str, out: &mut Vec<u8>) {
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

    pub(super) fn summary_part(&mut self, name: &str, text: &str, out: &mut Vec<u8>) {
        let number = self.number();
        if let Some(open) = self.open.as_ref().filter(|_| !self.quiet) {
            let mut members = open.place(self.output.len());
            members.part = Some(Part::SummaryText { text });
            write(name, number, members, out);
        }
    }

    /// Ends the part that is being told of a message.
    pub(super) fn close_part(&mut self, out: &mut Vec<u8>) {
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

    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        self.close_sealed(None, None, out);
    }

    /// Ends the item. Thoughts may have a seal, and an id that belongs to it.
    pub(super) fn close_sealed(&mut self, own_id: Option<&str>, sealed: Option<Cow<'_, str>>, out: &mut Vec<u8>) {
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
