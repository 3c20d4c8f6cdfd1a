//! What came of semantic look-ups.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Refused, Similar};
use crate::identity::NamespaceId;
use crate::ring_cache::RingCache;
use crate::ring_cache::counters::Counter;
use crate::semantic::confirm::ConfirmStats;
use crate::semantic::{Confirmer, Reason};

/// The buckets of [`SemanticStats::similarities`] end here, each bound included. Contradictions have the first to
/// themselves; it is finest where thresholds are.
pub const SIMILARITY_BOUNDS: [f64; 14] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0];

/// A snapshot of the semantic side of a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SemanticStats {
    /// Look-ups that ended with an entry.
    pub hits: u64,
    /// Look-ups that did not, those that were refused among them.
    pub misses: u64,
    /// Look-ups whose best candidate was refused, by why; every reason is listed.
    pub refusals: Vec<(Reason, u64)>,
    /// Look-ups that the guard was asked about, by the similarity of the best candidate.
    pub similarities: [u64; SIMILARITY_BOUNDS.len()],
    /// The sum of those similarities, in millionths.
    pub similarity_sum: u64,
    /// Texts that got no vector.
    pub embed_failures: u64,
    /// Questions to peers, or to the vector database that stands in their place.
    pub remote_asks: u64,
    /// Those that were not answered in time.
    pub remote_timeouts: u64,
    /// Those that failed otherwise, or whose answer was not one.
    pub remote_failures: u64,
    /// Requests that were neither looked up nor learned, because their namespace hardly ever hits.
    pub unasked: u64,
    /// Entries that this node made findable.
    pub learned: u64,
    /// Vectors held here.
    pub vectors: u64,
    /// Spaces that they are in.
    pub spaces: u64,
    /// The memory for vectors and for the texts beside them.
    pub bytes: u64,
    /// What became of questions for a second opinion, by who was asked; everybody is listed.
    pub confirmations: Vec<(Confirmer, ConfirmStats)>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    hits: Counter,
    misses: Counter,
    refusals: [Counter; Reason::ALL.len()],
    similarities: [Counter; SIMILARITY_BOUNDS.len()],
    similarity_sum: AtomicU64,
    pub(super) embed_failures: Counter,
    pub(super) remote_asks: Counter,
    pub(super) remote_timeouts: Counter,
    pub(super) remote_failures: Counter,
    pub(super) unasked: Counter,
    pub(super) learned: Counter,
}

impl Counters {
    pub(super) fn count(&self, similar: &Similar) {
        match similar {
            Similar::Hit { similarity, .. } => {
                self.hits.add();
                self.observe(*similarity);
            }
            Similar::Miss(refused) => {
                self.misses.add();
                let Some(refused) = refused else { return };
                self.observe(refused.similarity);
                if let Some(counter) = self.refusals_by(refused) {
                    counter.add();
                }
            }
        }
    }

    fn observe(&self, similarity: f32) {
        // The clamp of what is not a number is not one either; as an integer it is zero.
        let millionths = (similarity.clamp(0.0, 1.0) * 1e6).round() as u64;
        let bucket = SIMILARITY_BOUNDS.iter().position(|bound| millionths as f64 <= bound * 1e6);
        if let Some(counter) = bucket.and_then(|bucket| self.similarities.get(bucket)) {
            counter.add();
        }
        self.similarity_sum.fetch_add(millionths, Ordering::Relaxed);
    }

    fn refusals_by(&self, refused: &Refused) -> Option<&Counter> {
        let number = Reason::ALL.iter().position(|reason| *reason == refused.reason)?;
        self.refusals.get(number)
    }
}

impl RingCache {
    /// The vectors held here and their bytes, by namespace; one for each space of it.
    pub(in crate::ring_cache) fn vectors_held(&self) -> Vec<(NamespaceId, u64, u64)> {
        let spaces = self.inner.semantic.as_ref().map(|semantic| semantic.indexes.spaces()).unwrap_or_default();
        spaces.into_iter().map(|(space, held)| (space.namespace, held.vectors, held.bytes)).collect()
    }

    /// What came of semantic look-ups so far; none if they are off.
    pub fn semantic_stats(&self) -> Option<SemanticStats> {
        let semantic = self.inner.semantic.as_ref()?;
        let (counters, held) = (&semantic.counters, semantic.indexes.stats());
        Some(SemanticStats {
            hits: counters.hits.get(),
            misses: counters.misses.get(),
            refusals: Reason::ALL.into_iter().zip(counters.refusals.iter().map(Counter::get)).collect(),
            similarities: counters.similarities.each_ref().map(Counter::get),
            similarity_sum: counters.similarity_sum.load(Ordering::Relaxed),
            embed_failures: counters.embed_failures.get(),
            remote_asks: counters.remote_asks.get(),
            remote_timeouts: counters.remote_timeouts.get(),
            remote_failures: counters.remote_failures.get(),
            unasked: counters.unasked.get(),
            learned: counters.learned.get(),
            vectors: held.vectors,
            spaces: semantic.indexes.spaces().len() as u64,
            bytes: held.bytes + semantic.notes.bytes(),
            confirmations: Confirmer::ALL.into_iter().map(|who| (who, semantic.panel.stats(who))).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similarity_is_counted_where_it_belongs() {
        let counters = Counters::default();
        for similarity in [0.0, 0.05, 0.849_9, 0.85, 0.850_01, 1.0, f32::NAN, 7.0] {
            counters.count(&Similar::Miss(Some(Refused { similarity, cosine: 0.9, reason: Reason::Doubt, by: None })));
        }
        counters.count(&Similar::Miss(None));
        let counted = counters.similarities.each_ref().map(Counter::get);
        assert_eq!(counted, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 2]);
        assert_eq!(counters.similarity_sum.load(Ordering::Relaxed), 50_000 + 849_900 + 850_000 + 850_010 + 2_000_000);
    }
}
