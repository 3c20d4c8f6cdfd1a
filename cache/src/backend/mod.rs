//! A store behind the ring, for operators who already run one: it holds more than the nodes' memory does, and outlives
//! them.
//!
//! The ring stays in front: a look-up asks the backend only when no node has the entry, and an answer goes to both. So a
//! backend that is slow or gone is a miss, never an error. What comes out of it is checked like what a peer says.

#[cfg(feature = "redis")]
mod redis;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

#[cfg(feature = "redis")]
pub use redis::{Redis, check_cluster as check_redis_cluster, check_url as check_redis_url};

use crate::entry::Entry;
use crate::identity::EntryId;

/// The most parts that a backend's entries fall into.
pub const PARTS: usize = 64;

/// Why a backend did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{backend}: {reason}")]
pub struct BackendError {
    /// Which backend, without what is secret of its address.
    pub backend: String,
    /// Its word.
    pub reason: String,
}

/// Keeps entries, and the purges that decide which of them still count.
#[async_trait]
pub trait Backend: Debug + Send + Sync + 'static {
    /// Which part of the backend the entry is in, below [`PARTS`]: after a failure the rest of its part is not asked for a
    /// moment either, and the other parts are.
    fn part(&self, _: &EntryId) -> usize {
        0
    }
    /// The entry; none too if what is there cannot be read.
    async fn get(&self, id: &EntryId) -> Result<Option<Entry>, BackendError>;
    /// Keeps the entry for so long.
    async fn put(&self, entry: &Entry, time: Duration) -> Result<(), BackendError>;
    /// Removes the entry; tells whether there was one.
    async fn remove(&self, id: &EntryId) -> Result<bool, BackendError>;
    /// Keeps what a node knows of purges, under that node's name, in place of what was there.
    async fn put_purges(&self, node: &str, text: &str) -> Result<(), BackendError>;
    /// What all nodes have ever put there of purges.
    async fn purges(&self) -> Result<Vec<String>, BackendError>;
}
