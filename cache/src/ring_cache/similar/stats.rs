//! What came of semantic look-ups.

use crate::ring_cache::RingCache;
use crate::semantic::Reason;

/// A snapshot of the semantic side of a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SemanticStats {
    /// Look-ups that ended with an entry.
    pub hits: u64,
    /// Look-ups that did not, those that were refused among them.
    pub misses: u64,
    /// Look-ups whose best candidate was refused, by why; every reason is listed.
    pub refusals: Vec<(Reason, u64)>,
    /// Texts that got no vector.
    pub embed_failures: u64,
    /// Questions to peers, or to the vector database that stands in their place.
    pub remote_asks: u64,
    /// Those that were not answered in time.
    pub remote_timeouts: u64,
    /// Those that failed otherwise, or whose answer was not one.
    pub remote_failures: u64,
    /// Look-ups that asked nobody, because their namespace hardly ever hits.
    pub unasked: u64,
    /// Entries that this node made findable.
    pub learned: u64,
    /// Vectors held here.
    pub vectors: u64,
    /// Spaces that they are in.
    pub spaces: u64,
    /// The memory for vectors and for the texts beside them.
    pub bytes: u64,
}

impl RingCache {
    /// What came of semantic look-ups so far; none if they are off.
    pub fn semantic_stats(&self) -> Option<SemanticStats> {
        self.inner.config.semantic.as_ref()?;
        Some(SemanticStats { refusals: Reason::ALL.map(|reason| (reason, 0)).to_vec(), ..SemanticStats::default() })
    }
}
