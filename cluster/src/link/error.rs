//! Why a link or a call fails.

use std::net::SocketAddr;
use std::time::Duration;

use bincode::{Decode, Encode};

use crate::identity::NodeId;
use crate::trust::TrustError;
use crate::wire::{Kind, Message, WireError};

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The UDP port is not ours.
    #[error("cannot bind UDP {address}: {source}; is another node running there?")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The certificates do not make a TLS configuration.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The certificate names another node than the configuration.
    #[error(
        "the certificate is for node {certificate:?}, but this node is {configured:?}: issue a certificate for it \
         (`peerway cluster issue {configured}`) or correct the node id"
    )]
    Name {
        /// What the certificate says.
        certificate: String,
        /// What the configuration says.
        configured: String,
    },
    /// A link lives in a tokio runtime.
    #[error("a link must be bound inside a tokio runtime")]
    NoRuntime,
}

/// Why a call has no answer. None of these says anything about the peer's state: the call may have been served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no connection to the peer at the moment; it is dialled in the background.
    #[error("not connected to {0}")]
    NotConnected(NodeId),
    /// The connection or the lane ended before the answer came.
    #[error("the connection to {0} ended before it answered")]
    Disconnected(NodeId),
    /// No answer in time.
    #[error("{peer} did not answer {kind} within {deadline:?}")]
    DeadlineExceeded {
        /// Who was asked.
        peer: NodeId,
        /// For what.
        kind: Kind,
        /// For how long.
        deadline: Duration,
    },
    /// Too many calls to this peer are under way.
    #[error("too many calls to {0} are under way")]
    Overloaded(NodeId),
    /// The peer answered that it will not or cannot.
    #[error("{peer} refused {kind}: {refusal}")]
    Refused {
        /// Who was asked.
        peer: NodeId,
        /// For what.
        kind: Kind,
        /// Its word.
        refusal: Refusal,
    },
    /// The message or its answer does not fit the wire.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A call to oneself.
    #[error("{0} is this node: serve it without the link")]
    Oneself(NodeId),
    /// The link was closed.
    #[error("the link is closed")]
    Closed,
}

/// Why a service does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Refusal {
    /// No room of this node serves the kind.
    #[error("it does not serve this kind")]
    NotServed,
    /// The message is not what its kind says.
    #[error("it did not understand the message")]
    Malformed,
    /// It serves too many calls of this peer already.
    #[error("it is overloaded")]
    Overloaded,
    /// The deadline passed while it was served.
    #[error("the deadline passed")]
    Late,
    /// The answer is too long for the lane; ask with a bulk call.
    #[error("the answer is too long for the small-call lane")]
    TooLong,
    /// Something else, in words.
    #[error("{0}")]
    Failed(String),
}

impl Message for Refusal {
    const KIND: Kind = Kind::LinkRefusal;
}
