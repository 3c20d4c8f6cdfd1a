//! Who is there: every node's own opinion of the live nodes, spread by gossip.
//!
//! What comes in: this node's state and what it publishes. What goes out: a [`View`], which changes only when something
//! that matters changed. The implementation is chitchat ([`Gossip`]); the rest of the product sees [`Membership`].
//!
//! What is published here is for all to see and dies with the generation that published it: addresses, states, hints.
//! Money and anything else that must outlive a process belongs elsewhere.

mod gossip;
mod keys;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

pub use gossip::{Gossip, GossipSettings};
pub use keys::{MAX_PUBLISHED_KEY, MAX_PUBLISHED_KEYS, MAX_PUBLISHED_VALUE, Presence};
pub use view::{Member, State, View};

/// Why the membership does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// Gossip cannot begin.
    #[error("cannot start gossip on {address}: {reason}")]
    Start {
        /// This node's address for peers.
        address: SocketAddr,
        /// What the transport said.
        reason: String,
    },
    /// The key or value is over its limit.
    #[error(
        "cannot publish {key:?} ({len} bytes): a key has 1 to {MAX_PUBLISHED_KEY} bytes, a value at most \
         {MAX_PUBLISHED_VALUE}"
    )]
    TooLong {
        /// The key.
        key: String,
        /// The length of the value.
        len: usize,
    },
    /// This node publishes too many keys.
    #[error("cannot publish {key:?}: this node publishes {MAX_PUBLISHED_KEYS} keys already")]
    TooMany {
        /// The key.
        key: String,
    },
}

/// The live nodes and what they say of themselves.
#[async_trait]
pub trait Membership: Send + Sync + 'static {
    /// The live nodes now, this one included until it left.
    fn view(&self) -> Arc<View>;

    /// The same, with every change of it.
    fn watch(&self) -> watch::Receiver<Arc<View>>;

    /// Gossips with this address soon; how a node that nobody knows yet is met.
    fn meet(&self, address: SocketAddr);

    /// Tells all nodes a value of this one, under a key; the last value counts.
    async fn publish(&self, key: &str, value: String) -> Result<(), MembershipError>;

    /// Tells all nodes what this one is up to.
    async fn set_state(&self, state: State);

    /// Says that this node left, gives two rounds of gossip to spread it, and ends.
    async fn leave(&self);
}
