//! The item of a response that is being told.

use std::borrow::Cow;

use crate::Json;
use crate::canonical::TokenLogprob;

use super::events::{Item, Members, Part, part_of};
use super::items_out::WireSummary;

/// The item that is being told.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: String,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Parts that are done, and the one that is being told.
    Message {
        parts: Vec<Json>,
        part: Option<Said>,
    },
    Thinking {
        text: String,
    },
    Call {
        call_id: String,
        name: String,
        arguments: String,
    },
}

#[derive(Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) refused: bool,
    pub(super) logprobs: Vec<TokenLogprob>,
}

impl Said {
    pub(super) fn part(&self) -> Part<'_> {
        part_of(&self.text, self.refused, &self.logprobs)
    }
}

impl Open {
    /// The members that say which piece an event is of.
    pub(super) fn place(&self, output_index: usize) -> Members<'_> {
        let mut members = Members { item_id: Some(&self.id), output_index: Some(output_index), ..Members::default() };
        match &self.kind {
            Kind::Message { parts, .. } => members.content_index = Some(parts.len()),
            Kind::Thinking { .. } => members.summary_index = Some(0),
            Kind::Call { .. } => {}
        }
        members
    }
}

impl Kind {
    pub(super) fn item<'a>(&'a self, id: &'a str, status: &'static str, sealed: Option<Cow<'a, str>>) -> Item<'a> {
        match self {
            Self::Message { parts, .. } => Item::Message { id, status, role: "assistant", content: parts },
            Self::Thinking { text } => {
                let summary = if text.is_empty() { Vec::new() } else { vec![WireSummary { text }] };
                Item::Reasoning { id, summary, encrypted_content: sealed }
            }
            Self::Call { call_id, name, arguments } => Item::FunctionCall { id, call_id, name, arguments, status },
        }
    }
}
