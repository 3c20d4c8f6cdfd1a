//! Which entries are near a vector: the index behind semantic hits.
//!
//! Knows vectors, ids and expiry, and nothing of prompts, of answers or of the cluster. What comes in: the vectors of
//! entries and of questions. What goes out: candidates with their cosine, for the guard to judge; most of the time a
//! wrong candidate is worse than none, so that no deleted or expired entry is ever one. The map:
//!
//! - [`Indexes`]: the namespaces of a node, within one bound.
//! - [`Index`]: one namespace; cut into segments by the slice of time in which entries expire.
//! - `segment`: scanned while it is small (exact), a graph beyond that.
//! - `graph` and `links`: hierarchical navigable small world, searched while it grows.
//! - `rows`, `quantised`, `kernel`: vectors in bytes, and their inner products.
//! - [`Export`], [`Chunk`]: a namespace on its way to another node.
//! - [`shard`]: a very large namespace spread over several owners.

mod export;
mod graph;
mod index;
mod indexes;
mod kernel;
mod links;
mod quantised;
mod rows;
mod segment;
pub mod shard;
mod slice;
#[cfg(test)]
mod tests;
mod top;

pub use export::{Chunk, Export};
pub use index::{Index, MAX_SEGMENT_ROWS};
pub use indexes::{Indexes, IndexesConfig, Space};

use crate::identity::EntryId;

/// An entry that may answer a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Which entry.
    pub id: EntryId,
    /// The cosine between its vector and the question's, to about 1e-5.
    pub cosine: f32,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries that were not deleted; some of them may have expired.
    pub vectors: u64,
    /// The rows that are held for them, with those of deleted entries whose segment lives on.
    pub rows: u64,
    /// Segments, each of which is a search.
    pub segments: u64,
    /// The memory for all of it.
    pub bytes: u64,
}

/// Why a vector cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// Of another length than the index's.
    #[error("the vector has {found} components and the index is of {expected}")]
    Dimension {
        /// The index's.
        expected: usize,
        /// The vector's.
        found: usize,
    },
    /// All zero, not finite, or (from a peer) not of length one.
    #[error("the vector has no direction: it must be finite and not all zero")]
    NoDirection,
    /// From a peer that writes vectors in another form.
    #[error("the chunk is of version {found}, and this node reads version {expected}")]
    Version {
        /// What this node reads.
        expected: u8,
        /// What came.
        found: u8,
    },
}
