//! What a reader puts out: pieces for the client, the facts of the stream, and how it broke if it did.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderValue;
use peerway_dialect::Dialect;
use peerway_dialect::canonical::{Failure, FailureKind, StreamEvent, UPSTREAM_ERROR};

use super::Facts;
use crate::governance::Reason;
use crate::http::scrub;

/// A piece of the client's stream: one event or more, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub bytes: Bytes,
    pub kind: PieceKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    Event,
    /// Keeps the connection alive, and says nothing.
    Comment,
    /// The event that only carries the usage: not for clients that did not ask for it.
    Usage,
}

/// How a stream broke off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub failure: Failure,
    /// Why the stream's cost is an estimate.
    pub reason: Reason,
    /// The provider's own event about it, where that is what the client is to see.
    pub told: Option<Bytes>,
    /// What follows may still tell the cost.
    pub goes_on: bool,
}

impl Broken {
    /// Broken off without a word of the provider's.
    pub fn off(why: &str, reason: Reason) -> Self {
        let kind = if reason == Reason::Deadline { FailureKind::Timeout } else { FailureKind::Upstream };
        let message = format!("the stream broke off: {why}; what was received is incomplete");
        let failure = Failure::new(kind, message).with_code(UPSTREAM_ERROR);
        Self { failure, reason, told: None, goes_on: false }
    }

    /// The provider says so. It may repeat a key of ours.
    pub fn told(mut failure: Failure) -> Self {
        if let Cow::Owned(clean) = scrub::text(&failure.message) {
            failure.message = clean;
        }
        Self { failure, reason: Reason::Cut, told: None, goes_on: false }
    }
}

/// What a provider leaves out of its answers and clients expect.
#[derive(Debug, Clone)]
pub struct Naming {
    pub id: String,
    pub model: Arc<str>,
    /// Unix seconds.
    pub created: u64,
}

impl Naming {
    /// The id is the request's, as the client's dialect writes ids.
    pub fn new(client: Dialect, request_id: &HeaderValue, model: &Arc<str>) -> Self {
        let prefix = match client {
            Dialect::OpenAiChat => "chatcmpl-",
            Dialect::OpenAiCompletions => "cmpl-",
            Dialect::OpenAiResponses => "resp_",
            Dialect::Anthropic => "msg_",
            Dialect::Gemini | Dialect::Bedrock | Dialect::Cohere => "",
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = format!("{prefix}{}", request_id.to_str().unwrap_or_default());
        Self { id, model: Arc::clone(model), created: now.as_secs() }
    }

    /// Fills in what the beginning of a stream does not say.
    pub fn fill(&self, event: &mut StreamEvent) {
        if let StreamEvent::Start { id, model, created } = event {
            self.fill_in(id, model, created);
        }
    }

    /// Fills in what an answer does not say.
    pub fn fill_in(&self, id: &mut String, model: &mut String, created: &mut Option<u64>) {
        if id.is_empty() {
            id.clone_from(&self.id);
        }
        if model.is_empty() {
            model.push_str(&self.model);
        }
        created.get_or_insert(self.created);
    }
}

/// Where a reader puts what it reads.
#[derive(Debug, Default)]
pub struct Outlet {
    pub pieces: VecDeque<Piece>,
    pub facts: Facts,
    pub broken: Option<Broken>,
}

impl Outlet {
    pub(super) fn piece(&mut self, bytes: Bytes, kind: PieceKind) {
        // After a break nothing more is for the client.
        if self.broken.is_none() && !bytes.is_empty() {
            self.pieces.push_back(Piece { bytes, kind });
        }
    }

    /// What was read may not pass. That the upstream was done does not matter any more.
    pub(super) fn refuse(&mut self, why: String) {
        let failure = Failure::new(FailureKind::Permission, why).with_code("refused");
        self.broken.get_or_insert(Broken::told(failure));
    }

    /// The first break is the one that counts.
    pub(super) fn break_off(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
    }
}
