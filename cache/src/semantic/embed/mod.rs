//! Text to vector. An embedder only finds candidates; what decides is the guard.
//!
//! - [`Embedder`]: what an embedder in this process promises.
//! - [`StaticEmbedder`]: the default, a table of token vectors in the binary.
//! - `wordpiece`: the tokenizer of the model that the table was distilled from.
//! - `table`: the table's file.
//! - `kernel`: the sums over its vectors.

mod kernel;
mod static_embedder;
mod table;
mod unicode_ranges;
mod wordpiece;

pub(crate) use kernel::{product, products};
pub use static_embedder::StaticEmbedder;
pub(crate) use static_embedder::normalise;
pub(crate) use table::table;
pub use wordpiece::pieces;

/// Numbers in a vector of [`StaticEmbedder`].
pub const DIM: usize = 160;

/// Turns a text into a vector of length 1 (or all zeros, for a text without any word).
pub trait Embedder: Send + Sync {
    /// Names the vector space: vectors of different spaces are never compared.
    fn space(&self) -> &str;

    /// Numbers in each vector.
    fn dimension(&self) -> usize;

    /// The vector of one text. Never fails: a text that says nothing to the embedder is the zero vector.
    fn embed(&self, text: &str) -> Vec<f32>;
}

/// The cosine of two vectors of length 1, or of zeros; 0 where their lengths differ.
#[must_use]
pub fn cosine(first: &[f32], second: &[f32]) -> f32 {
    if first.len() != second.len() {
        return 0.0;
    }
    first.iter().zip(second).map(|(a, b)| a * b).sum()
}
