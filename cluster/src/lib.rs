//! Everything that peers share: who they are, how they talk, who is there and who owns what.
//!
//! The map, from the bottom up:
//!
//! - [`identity`]: the names of a cluster and a node, and the durable incarnation and generation of this one.
//! - [`actor`]: whose numbers and writes are whose: a node with the data directory it had.
//! - [`trust`]: the certificates by which two nodes know that they belong to one cluster.
//! - [`wire`]: the bytes of a message: one table of kinds, one framing, one codec.
//! - [`link`]: one QUIC connection per peer, with a lane for small calls, bulk calls and gossip.
//! - [`discovery`]: where peers may be, and whether packets get through to them.
//! - [`membership`]: who is live and what it says of itself, by gossip.
//! - [`ring`]: which node owns what, computed alike by all.
//! - [`journal`]: what must survive a crash, appended to disk; the only room that touches it for money.
//! - [`registry`]: the shared configuration, which can be changed at any node.
//! - [`health`]: which upstreams answer, as far as this node and its peers have seen.
//! - [`ledger`]: who may use how much of a budget or limit, whatever the network does.
//! - [`cluster`]: all of it in one handle, for the rooms above.

pub mod actor;
pub mod cluster;
pub mod discovery;
pub mod health;
pub mod identity;
pub mod journal;
pub mod ledger;
pub mod link;
pub mod membership;
pub mod registry;
pub mod ring;
pub mod trust;
pub mod wire;
