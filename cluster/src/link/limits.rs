//! The bounds of a link; every queue and table of it has one.

use std::time::Duration;

/// The longest message on the small-call lane; what is larger would hold up the calls behind it and goes as a bulk call.
pub const MAX_LANE_MESSAGE: usize = 256 * 1024;

/// The bounds of a link. The defaults suit clusters of up to a few hundred nodes.
#[derive(Clone, Debug)]
pub struct LinkLimits {
    /// Connections at once, peers and strangers in their handshake together.
    pub max_connections: usize,
    /// Addresses that are dialled at once.
    pub max_dials: usize,
    /// Gossip messages that wait for one peer; more are dropped and counted.
    pub gossip_queue: usize,
    /// Gossip messages of all peers that wait for the membership.
    pub gossip_inbox: usize,
    /// Gossip messages a second that a peer may send before it is cut.
    pub gossip_per_second: u32,
    /// Gossip messages that a peer may send at once.
    pub gossip_burst: u32,
    /// Small calls that wait to be written to one peer.
    pub lane_queue: usize,
    /// Small calls to one peer that wait for an answer.
    pub lane_pending: usize,
    /// Calls of one peer that are served at once.
    pub serving: usize,
    /// Bulk calls of one peer whose request is read or served at once.
    pub serving_bulk: usize,
    /// From the first packet to the end of the hello.
    pub handshake: Duration,
    /// The first pause between two dials of one address.
    pub backoff_min: Duration,
    /// The longest pause between two dials of one address.
    pub backoff_max: Duration,
    /// How often a peer's clock is asked for.
    pub clock_interval: Duration,
}

impl Default for LinkLimits {
    fn default() -> Self {
        LinkLimits {
            max_connections: 1024,
            max_dials: 1024,
            gossip_queue: 64,
            gossip_inbox: 1024,
            gossip_per_second: 200,
            gossip_burst: 400,
            lane_queue: 4096,
            lane_pending: 16_384,
            serving: 512,
            serving_bulk: 32,
            handshake: Duration::from_secs(3),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            clock_interval: Duration::from_secs(2),
        }
    }
}
