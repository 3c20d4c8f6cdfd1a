//! What a link tells about itself.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::identity::{Generation, Incarnation, NodeId};

/// A connected peer.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its name, proved by its certificate.
    pub id: NodeId,
    /// Which life of it.
    pub generation: Generation,
    /// Which actor it is.
    pub incarnation: Incarnation,
    /// Where it says it can be dialled.
    pub address: SocketAddr,
    /// The round-trip time that QUIC measures.
    pub rtt: Duration,
    /// The protocol version spoken on this connection.
    pub protocol: u16,
    /// The feature bits that both sides have.
    pub features: u64,
    /// Its wall clock minus ours, once measured.
    pub clock_offset_ms: Option<i64>,
    /// How long the connection stands.
    pub connected_for: Duration,
}

/// An address that this link keeps dialling.
#[derive(Clone, Debug)]
pub struct DialStatus {
    /// Where.
    pub address: SocketAddr,
    /// The peer that answers there, while it is connected.
    pub connected: Option<NodeId>,
    /// Dials since the last success.
    pub attempts: u32,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// The address leads back to this node; it is not dialled again.
    pub oneself: bool,
}

/// Someone who did not become a peer.
#[derive(Clone, Debug)]
pub struct RefusedPeer {
    /// Where it is.
    pub address: SocketAddr,
    /// Why.
    pub reason: RefusalReason,
    /// In words for an operator.
    pub detail: String,
    /// How often since the first time, for this address and reason.
    pub times: u64,
    /// How long ago the last time was.
    pub ago: Duration,
}

/// Why someone did not become a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// It does not hold this cluster's secret, or a certificate of its CA.
    Trust,
    /// It claims to be another node than its certificate says.
    Name,
    /// It has the identity of this node, or of a peer that lives.
    SameIdentity,
    /// It is an older life of a peer that is connected.
    Stale,
    /// No protocol version in common.
    Protocol,
    /// It broke the protocol.
    Misbehaved,
    /// Too many connections.
    Full,
}

impl RefusalReason {
    /// Its name in status and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalReason::Trust => "trust",
            RefusalReason::Name => "name",
            RefusalReason::SameIdentity => "same_identity",
            RefusalReason::Stale => "stale",
            RefusalReason::Protocol => "protocol",
            RefusalReason::Misbehaved => "misbehaved",
            RefusalReason::Full => "full",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
