//! Places where others may look at what passes, and refuse it: before an upstream is asked, when its answer is there, and
//! at each piece of a stream. Nothing is registered by default, and an empty list costs a look at its length.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use peerway_dialect::Dialect;

/// A request on its way to one upstream, in the upstream's words.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The id of the virtual key, if there is one.
    pub key: Option<&'a str>,
    pub provider: &'a str,
    pub model: &'a str,
    pub dialect: Dialect,
    pub stream: bool,
    pub body: &'a [u8],
}

/// A whole answer on its way to the client, in the client's words.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    pub key: Option<&'a str>,
    pub provider: &'a str,
    pub model: &'a str,
    pub dialect: Dialect,
    pub status: StatusCode,
    pub body: &'a [u8],
}

/// Why something may not pass, for the client to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

/// Looks at each request that is about to be sent, once for every attempt that is made: targets that are passed over, as
/// with an open breaker, are not shown. Refused, the client's request ends there, and no other target is asked.
pub trait BeforeUpstream: fmt::Debug + Send + Sync {
    fn before(&self, request: &Outgoing<'_>) -> Result<(), Refusal>;
}

/// Looks at each whole answer. A refused one has been paid for.
pub trait AfterUpstream: fmt::Debug + Send + Sync {
    fn after(&self, answer: &Answered<'_>) -> Result<(), Refusal>;
}

/// Looks at each piece of a stream, one event or more, in the client's words. Refused, the stream ends with an error.
pub trait OnEvent: fmt::Debug + Send + Sync {
    fn event(&self, piece: &[u8]) -> Result<(), Refusal>;
}

/// All that is registered, asked in this order until one refuses.
#[derive(Debug, Default)]
pub struct Hooks {
    pub before: Vec<Arc<dyn BeforeUpstream>>,
    pub after: Vec<Arc<dyn AfterUpstream>>,
    pub events: Vec<Arc<dyn OnEvent>>,
}

impl Hooks {
    pub(super) fn before(&self, request: &Outgoing<'_>) -> Result<(), Refusal> {
        self.before.iter().try_for_each(|hook| hook.before(request))
    }

    pub(super) fn after(&self, answer: &Answered<'_>) -> Result<(), Refusal> {
        self.after.iter().try_for_each(|hook| hook.after(answer))
    }

    pub fn event(&self, piece: &[u8]) -> Result<(), Refusal> {
        self.events.iter().try_for_each(|hook| hook.event(piece))
    }
}
