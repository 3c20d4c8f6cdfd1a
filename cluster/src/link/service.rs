//! What a node answers its peers.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;

use super::Refusal;
use crate::identity::NodeId;
use crate::wire::Kind;

/// Answers the calls of peers. One service serves all rooms of a node.
pub trait Service: Send + Sync + 'static {
    /// Called on the link's own tasks for every call, so it must not block.
    ///
    /// `payload` is of `kind`; the answer's payload must be of [`Kind::response`] of it. An error while decoding is
    /// best answered with [`Refusal::Malformed`].
    fn serve(&self, from: &NodeId, kind: Kind, payload: Bytes) -> Answer;
}

/// An answer, now or later.
pub enum Answer {
    /// The hot path: written at once, no task is spawned.
    Now(Result<Bytes, Refusal>),
    /// Served by a task of its own, within the deadline of the call and the bound of tasks per peer.
    Later(LaterAnswer),
}

/// The future of an answer; dropped when the caller is gone or its deadline passed.
pub type LaterAnswer = Pin<Box<dyn Future<Output = Result<Bytes, Refusal>> + Send>>;

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Answer::Later(_) => f.write_str("Later"),
        }
    }
}
