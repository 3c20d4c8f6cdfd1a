//! The bounds and deadlines of a cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::semantic::{Confirm, Embedder};
use crate::vector_store::Vectors;

/// Entries above this travel in bulk, so that small calls never wait behind them.
pub const LANE_ENTRY: usize = 32 * 1024;
/// The largest value of [`CacheConfig::max_entry`]: an entry must fit a message.
pub const MAX_ENTRY: usize = 15 * 1024 * 1024;

/// How a cache is set up. Start from [`CacheConfig::new`].
#[derive(Clone)]
pub struct CacheConfig {
    /// Keys the ids, the same on all nodes of the cluster.
    pub cluster_key: [u8; 32],
    /// Memory for all entries, in bytes; an eighth of it is for copies of what others own.
    pub max_memory: u64,
    /// The largest entry, in bytes of memory; at most [`MAX_ENTRY`].
    pub max_entry: usize,
    /// How long a copy of what others own is used.
    pub near_ttl: Duration,
    /// How long a request waits for peers; what comes later is a miss.
    pub get_deadline: Duration,
    /// How long it waits for a backend behind the ring.
    pub backend_deadline: Duration,
    /// How long it waits for the owner's word on who asks the provider, when otherwise it would.
    pub board_deadline: Duration,
    /// How long it waits for an entry that is there, but large.
    pub bulk_deadline: Duration,
    /// How long an owner has to acknowledge an entry.
    pub put_deadline: Duration,
    /// How long a node that is asked what comes next of a flight may wait for it.
    pub follow_poll: Duration,
    /// How long a purge waits for each peer.
    pub purge_deadline: Duration,
    /// After how long without an answer the replica is asked too, until enough answers were timed.
    pub first_hedge: Duration,
    /// How long after a change of the ring, or after a node's start, others are asked for entries from before.
    pub look_back: Duration,
    /// The time of day.
    pub clock: Clock,
    /// Look-ups by meaning; none: only by identity.
    pub semantic: Option<SemanticConfig>,
}

/// How look-ups by meaning are made. Start from [`SemanticConfig::new`].
#[derive(Clone, Debug)]
pub struct SemanticConfig {
    /// Turns questions into vectors. All nodes have the same one; vectors of different ones are never compared.
    pub embedder: Arc<dyn Embedder>,
    /// Where the vectors are, in place of the nodes' own indexes.
    pub vectors: Option<Arc<dyn Vectors>>,
    /// Memory for vectors and for the questions' texts at this node, in bytes; a part of [`CacheConfig::max_memory`],
    /// and at most half of it.
    pub max_bytes: u64,
    /// How long a look-up waits for peers, or for the vector database; what comes later is a miss.
    pub deadline: Duration,
    /// How many candidates the guard compares with the question at most.
    pub candidates: usize,
    /// Below this cosine nothing is a candidate.
    pub floor: f32,
    /// A model on this node that is asked for a second opinion.
    pub cross_encoder: Option<Arc<dyn Confirm>>,
}

impl SemanticConfig {
    /// The defaults, with this embedder.
    pub fn new(embedder: Arc<dyn Embedder>) -> SemanticConfig {
        SemanticConfig {
            embedder,
            vectors: None,
            max_bytes: 64 * 1024 * 1024,
            deadline: Duration::from_millis(15),
            candidates: 4,
            floor: 0.4,
            cross_encoder: None,
        }
    }
}

impl CacheConfig {
    /// The defaults.
    pub fn new(cluster_key: [u8; 32]) -> CacheConfig {
        CacheConfig {
            cluster_key,
            max_memory: 512 * 1024 * 1024,
            max_entry: 4 * 1024 * 1024,
            near_ttl: Duration::from_secs(30),
            get_deadline: Duration::from_millis(10),
            backend_deadline: Duration::from_millis(20),
            // Ten times as long as a miss waits: a call to the provider is at stake.
            board_deadline: Duration::from_millis(100),
            bulk_deadline: Duration::from_millis(250),
            put_deadline: Duration::from_millis(250),
            follow_poll: Duration::from_millis(300),
            purge_deadline: Duration::from_secs(1),
            first_hedge: Duration::from_millis(2),
            look_back: Duration::from_secs(600),
            clock: Clock::system(),
            semantic: None,
        }
    }
}

// The key is a secret of the cluster: with it one could make ids.
impl fmt::Debug for CacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheConfig")
            .field("max_memory", &self.max_memory)
            .field("max_entry", &self.max_entry)
            .finish_non_exhaustive()
    }
}
