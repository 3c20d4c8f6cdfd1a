//! Text to vector. An embedder only finds candidates; what decides is the guard.
//!
//! - [`Embedder`]: what every embedder promises, in this process or behind a network.
//! - [`StaticEmbedder`]: the default, a table of token vectors in the binary.
//! - [`Batched`]: before a model that is dear to ask: batches, a bounded queue, vectors that are known.
//! - [`OpenAi`]: a model behind `/v1/embeddings`.
//! - [`Folder`] and, with the feature `local-embedder`, `Local`: a model in this process; [`PairFolder`] and `PairModel`: one
//!   that classifies pairs.
//! - `wordpiece`: the tokenizer of the model that the table was distilled from.
//! - `table`: the table's file.
//! - `kernel`: the sums over its vectors.

mod batched;
mod kernel;
mod local;
mod openai;
mod static_embedder;
mod table;
mod unicode_ranges;
mod wordpiece;

pub use batched::{Batched, Bounds, Model};
pub(crate) use kernel::{product, products};
pub use local::{Folder, FolderError, PairFolder, Shape};
#[cfg(feature = "local-embedder")]
pub use local::{Local, PairModel, Threads, local_bounds};
pub use openai::OpenAi;
pub use static_embedder::StaticEmbedder;
pub(crate) use static_embedder::normalise;
pub(crate) use table::table;
pub use wordpiece::pieces;

use std::sync::Arc;

use async_trait::async_trait;

/// Numbers in a vector of [`StaticEmbedder`].
pub const DIM: usize = 160;

/// Turns a text into a vector of length 1 (or all zeros, for a text that says nothing to the embedder).
///
/// All vectors of one embedder have the same length. A failure is a miss to who asks; a future may be dropped at any time.
#[async_trait]
pub trait Embedder: std::fmt::Debug + Send + Sync {
    /// Names the vector space: vectors of different spaces are never compared.
    fn space(&self) -> &str;

    /// The vector of one text.
    async fn embed(&self, text: &str) -> Result<Arc<[f32]>, EmbedError>;
}

/// A text that got no vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("embedder {embedder}: {reason}")]
pub struct EmbedError {
    /// The space of the embedder that failed.
    pub embedder: String,
    /// What failed, and what to do where the operator can do something.
    pub reason: String,
}

/// The cosine of two vectors of length 1, or of zeros; 0 where their lengths differ.
#[must_use]
pub fn cosine(first: &[f32], second: &[f32]) -> f32 {
    if first.len() != second.len() {
        return 0.0;
    }
    first.iter().zip(second).map(|(a, b)| a * b).sum()
}

/// The text, or as much of its beginning as fits into so many bytes.
fn bounded(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Scaled to length 1, where that can be.
fn unit(mut vector: Vec<f32>) -> Option<Arc<[f32]>> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "within -1 and 1")]
    vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    Some(vector.into())
}
