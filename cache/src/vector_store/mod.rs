//! A vector database behind the cache, for operators who already run one: it finds which entries are near a question,
//! in place of the nodes' own indexes.
//!
//! The database only proposes: what it returns is judged by the guard and checked against the entry itself, which stays
//! on the ring. So one that is slow, gone or wrong is a miss, never an error and never a wrong answer. The map:
//!
//! - [`Vectors`]: what the cache asks for.
//! - [`VectorDatabase`]: the same of a database elsewhere: kept open, asked within a deadline, believed nothing.
//! - [`Connection`]: where it is.
//! - `database`: what each kind of database does for it.
//! - `checked`: what is left of an answer once every point was looked at.
//! - `names`: what spaces, entries and collections are called there.
//! - `qdrant`, `weaviate`, `pinecone`: the kinds; the last two ask over `rest`, JSON through the node's client.

mod checked;
mod connection;
mod database;
mod names;
mod pinecone;
#[cfg(feature = "qdrant")]
mod qdrant;
mod rest;
mod vector_database;
mod weaviate;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

pub use connection::{Connection, ConnectionError};
pub use vector_database::{Limits, VectorDatabase, VectorDatabaseStats};

use crate::backend::BackendError;
use crate::identity::{EntryId, NamespaceId};
use crate::vector::Space;

/// What is kept beside a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The entry that the vector leads to.
    pub id: EntryId,
    /// The prompt that the entry answers, for the guard.
    pub text: Arc<str>,
    /// The generation that the entry was written under; a purge since then makes it dead.
    pub generation: u64,
    /// Unix milliseconds from which on it is no longer found.
    pub expires_ms: u64,
}

/// An entry that may answer a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    /// Which entry.
    pub id: EntryId,
    /// The cosine between its vector and the question's, -1 to 1.
    pub cosine: f32,
    /// The prompt that it answers.
    pub text: Arc<str>,
    /// As it was [`Stored`].
    pub generation: u64,
}

/// Keeps vectors and finds the nearest ones.
#[async_trait]
pub trait Vectors: Debug + Send + Sync {
    /// At most `k` entries of this space with at least a cosine of `floor`, the nearest first; none that has expired.
    async fn search(&self, space: &Space, vector: &[f32], k: usize, floor: f32) -> Result<Vec<Near>, BackendError>;
    /// Keeps the vector in this space, in place of an earlier one of the same entry.
    async fn insert(&self, space: &Space, near: &Stored, vector: &[f32]) -> Result<(), BackendError>;
    /// Forgets the entry, in whatever space it is.
    async fn delete(&self, id: &EntryId) -> Result<(), BackendError>;
    /// Forgets the entries of the namespace, or all.
    async fn purge(&self, namespace: Option<&NamespaceId>) -> Result<(), BackendError>;
}
