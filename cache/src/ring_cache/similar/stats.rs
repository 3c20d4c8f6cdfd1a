//! What came of semantic look-ups.

use super::{Refused, Similar};
use crate::ring_cache::RingCache;
use crate::ring_cache::counters::Counter;
use crate::semantic::confirm::ConfirmStats;
use crate::semantic::{Confirmer, Reason};

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
            Similar::Hit { .. } => self.hits.add(),
            Similar::Miss(refused) => {
                self.misses.add();
                if let Some(counter) = refused.as_ref().and_then(|refused| self.refusals_by(refused)) {
                    counter.add();
                }
            }
        }
    }

    fn refusals_by(&self, refused: &Refused) -> Option<&Counter> {
        let number = Reason::ALL.iter().position(|reason| *reason == refused.reason)?;
        self.refusals.get(number)
    }
}

impl RingCache {
    /// What came of semantic look-ups so far; none if they are off.
    pub fn semantic_stats(&self) -> Option<SemanticStats> {
        let semantic = self.inner.semantic.as_ref()?;
        let (counters, held) = (&semantic.counters, semantic.indexes.stats());
        Some(SemanticStats {
            hits: counters.hits.get(),
            misses: counters.misses.get(),
            refusals: Reason::ALL.into_iter().zip(counters.refusals.iter().map(Counter::get)).collect(),
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
