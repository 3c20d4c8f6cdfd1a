//! What each kind of vector database does for [`super::VectorDatabase`]: no deadlines, no retries, no checks of what it
//! says; those are the same for all.

use std::fmt::Debug;

use async_trait::async_trait;

use super::Stored;
use super::names::SpaceName;
use crate::identity::EntryId;

/// A vector database.
#[async_trait]
pub(super) trait Database: Debug + Send + Sync + 'static {
    /// Which one, without what is secret of its address.
    fn name(&self) -> &str;
    /// Connects anew and opens the collection of this embedding space, made if it is missing.
    async fn open(&self, embedding: &str, dimension: usize) -> Result<Box<dyn Collection>, Failure>;
}

/// An open collection: the vectors of one embedding space.
#[async_trait]
pub(super) trait Collection: Debug + Send + Sync + 'static {
    /// The nearest points of the space that expire later than `now_ms`; none in place of one that cannot be read.
    async fn nearest(
        &self,
        space: &SpaceName,
        vector: &[f32],
        k: usize,
        floor: f32,
        now_ms: u64,
    ) -> Result<Vec<Option<Found>>, Failure>;
    /// Keeps the vector, in place of an earlier one of the entry.
    async fn put(&self, space: &SpaceName, stored: &Stored, vector: &[f32]) -> Result<(), Failure>;
    /// Forgets the entry.
    async fn delete(&self, id: &EntryId) -> Result<(), Failure>;
    /// Forgets a namespace, or all.
    async fn purge(&self, namespace: Option<&str>) -> Result<(), Failure>;
    /// Forgets some of what expired before `now_ms`; tells whether there may be more.
    async fn sweep(&self, now_ms: u64) -> Result<Swept, Failure>;
}

/// What a sweep left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swept {
    /// Nothing that had expired.
    All,
    /// Perhaps more of it.
    Some,
}

/// A point as the database has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) id: EntryId,
    pub(super) namespace: String,
    pub(super) context: String,
    pub(super) cosine: f32,
    pub(super) text: String,
    pub(super) generation: u64,
    pub(super) expires_ms: u64,
}

/// Why the database did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is to be opened again before it is asked again.
    Lost(String),
    /// This request was not to its liking; others may be.
    Refused(String),
}

impl Failure {
    /// What happened.
    pub(super) fn into_reason(self) -> String {
        match self {
            Failure::Lost(reason) | Failure::Refused(reason) => reason,
        }
    }
}
