//! What a look-up by meaning would make of two texts.

use crate::ring_cache::RingCache;
use crate::semantic::embed::{EmbedError, cosine};
use crate::semantic::{Prompt, Verdict};

/// Two texts, compared as a look-up compares what was asked before with what is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The cosine of their vectors.
    pub cosine: f32,
    /// Whether that is enough for the guard to be asked.
    pub is_candidate: bool,
    /// What the guard says.
    pub verdict: Verdict,
}

impl RingCache {
    /// Compares two texts by this node's embedder and by the guard; nothing is looked up and nothing is kept. None where
    /// look-ups by meaning are off.
    pub async fn compare(&self, first: &str, second: &str) -> Option<Result<Comparison, EmbedError>> {
        let semantic = self.inner.semantic.as_ref()?;
        let (config, guard) = (&semantic.config, semantic.guard);
        let vectors = async { Ok((config.embedder.embed(first).await?, config.embedder.embed(second).await?)) };
        Some(vectors.await.map(|(a, b)| {
            let cosine = cosine(&a, &b);
            let verdict = guard.judge_found(&Prompt::read(first), &Prompt::read(second), cosine);
            Comparison { cosine, is_candidate: cosine >= config.floor, verdict }
        }))
    }
}
