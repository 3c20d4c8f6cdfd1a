//! The default embedder: the weighted mean of token vectors out of a table in the binary. No model, no network, no file.

use std::sync::Arc;

use async_trait::async_trait;

use super::kernel::product;
use super::{DIM, EmbedError, Embedder, bounded, pieces, table};

/// Only so many bytes of a text are read: what a vector of word means can say about a longer one is said by then.
const LONGEST_TEXT: usize = 16 * 1024;

/// Embeds by the weighted mean of token vectors that were distilled from all-MiniLM-L6-v2.
///
/// It takes microseconds a text and knows neither order nor context: a finder of candidates, never a judge.
///
/// ```
/// use peerway_cache::semantic::{StaticEmbedder, embed::cosine};
///
/// let embedder = StaticEmbedder::new();
/// let near = cosine(&embedder.vector("reset my password"), &embedder.vector("change the password"));
/// let far = cosine(&embedder.vector("reset my password"), &embedder.vector("a recipe for soup"));
/// assert!(near > far);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct StaticEmbedder;

impl StaticEmbedder {
    /// Costs nothing; the table is read once in a process, at first use.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    /// The vector of a text: length 1, or all zeros for a text without a word.
    #[must_use]
    pub fn vector(&self, text: &str) -> [f32; DIM] {
        let table = table();
        let mut sum = [0.0; DIM];
        for piece in pieces(bounded(text, LONGEST_TEXT)) {
            table.add(piece, table.weight(piece), &mut sum);
        }
        normalise(&mut sum);
        sum
    }
}

#[async_trait]
impl Embedder for StaticEmbedder {
    fn space(&self) -> &'static str {
        "static-minilm-l6-v2-160"
    }

    async fn embed(&self, text: &str) -> Result<Arc<[f32]>, EmbedError> {
        Ok(Arc::from(self.vector(text)))
    }
}

/// Scales a vector to length 1; zeros stay zeros.
pub(crate) fn normalise(vector: &mut [f32; DIM]) {
    let length = product(vector, vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
}
