//! The cache: an answer that one node fetched is a hit on every node, for the same request and for one that means the same.
//!
//! Uses the cluster (ring, link, gossip) through [`peers::Peers`]; is used by the node, which knows HTTP. What comes in:
//! requests to identify, finished answers, purges. What goes out: entries. The map:
//!
//! - [`identity`]: which requests are the same.
//! - [`policy`]: which requests take part and which answers are kept.
//! - [`record`]: a stream on its way to become an entry.
//! - [`flight`]: one call to the provider for all requests that are the same and under way at once.
//! - [`entry`]: one answer, immutable; [`compressed`]: how a large one is kept.
//! - [`store`]: entries in memory, bounded.
//! - [`ring_cache`]: one cache over all nodes: get, put, purge, and the answers to peers.
//! - `generations`: what a purge is.
//! - [`backend`]: a store behind the ring, for who runs one.
//! - [`semantic`]: whether the answer to one prompt serves another.
//! - [`transport`]: how a service is asked over HTTP.
//! - [`vector`]: which entries are near a vector.
//! - [`vector_store`]: the same asked of a vector database, for who runs one.
//! - [`message`], [`peers`], [`ClusterPeers`]: how the nodes' caches talk.

pub mod backend;
pub mod clock;
mod cluster_peers;
pub mod compressed;
pub mod config;
pub mod entry;
pub mod flight;
mod generations;
pub mod identity;
pub mod message;
pub mod peers;
pub mod policy;
pub mod record;
pub mod ring_cache;
pub mod semantic;
pub mod store;
pub mod transport;
pub mod vector;
pub mod vector_store;

pub use clock::Clock;
pub use cluster_peers::ClusterPeers;
pub use compressed::Unreadable;
pub use config::{CacheConfig, SemanticConfig};
pub use entry::{Content, Entry, Recorded, RecordedEvent, Usage};
pub use flight::{Ending, Follower, Lead, Next, Origin};
pub use identity::{EntryId, IdentityError, NamespaceId, TenantScope, entry_id};
pub use peers::{Alone, Peers};
pub use record::Recorder;
pub use ring_cache::{
    Boarding, CacheService, CacheStats, Comparison, HandedOver, Heard, Measure, NamespaceUse, Place, Purge, PurgeError,
    PurgeReport, Question, Refused, RingCache, SIMILARITY_BOUNDS, SemanticStats, Similar, Stored,
};
pub use store::{HotEntry, NamespaceSize};
