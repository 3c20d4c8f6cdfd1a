//! Semantic look-ups: the answer to a question that is worded differently.
//!
//! Asked after the exact look-up missed. The index only proposes; a hit is what the guard is sure of, and whose entry is
//! there by an exact look-up, in the tenant's own namespace and not purged. The map:
//!
//! - `find`: a look-up, from the question to the entry.
//! - `measure`: how sure it must be, and who is asked besides the guard.
//! - `search`: the candidates, from this node or from those that hold the space; or from a vector database.
//! - `database`: the vector database, within its deadline.
//! - `learn`: a question becomes findable; what is gone is forgotten.
//! - `here`: what this node holds of spaces, for itself and for its peers.
//! - `rebuild`: what a node takes over when the ring gives it more to hold.
//! - `explain`: what a look-up would make of two texts.
//! - `space`, `notes`, `habits`, `stats`: what the others need.

mod database;
mod explain;
mod find;
mod habits;
mod here;
mod learn;
mod measure;
mod notes;
mod rebuild;
mod search;
mod space;
mod stats;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

pub(super) use database::Gone;
pub use explain::{Comparison, Heard};
pub use measure::Measure;
pub use stats::{SIMILARITY_BOUNDS, SemanticStats};

use super::latency::Percentile;
use crate::clock::Clock;
use crate::config::SemanticConfig;
use crate::entry::Entry;
use crate::identity::NamespaceId;
use crate::message::{Components, MAX_CANDIDATES, MAX_DIMENSION};
use crate::semantic::confirm::Panel;
use crate::semantic::guard::LONGEST_PROMPT;
use crate::semantic::{Confirmer, Guard, Reason};
use crate::vector::{Indexes, IndexesConfig};
use habits::Habits;
use here::Splits;
use notes::Notes;
use rebuild::Rebuild;
use stats::Counters;

/// Texts get their share of the memory, as a divisor, and vectors the rest.
const TEXT_SHARE: u64 = 2;
/// Questions that are learned at once.
const MAX_LEARNING: usize = 256;
/// How long a text may take to become a vector; an embedder has deadlines of its own, this one bounds any.
const EMBEDDING: Duration = Duration::from_secs(2);

/// What is looked for by its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// On whose behalf.
    pub namespace: NamespaceId,
    /// A keyed digest of all that must be the same but the text: model, parameters, system prompt, the turns before.
    pub context: [u8; 32],
    /// The last turn of the user.
    pub text: Arc<str>,
}

/// What a semantic look-up came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Similar {
    /// This entry answers the question.
    Hit {
        /// The entry.
        entry: Arc<Entry>,
        /// How surely by the guard, 0 to 1; at least the threshold, but for what a second opinion has confirmed.
        similarity: f32,
        /// The cosine of the two questions.
        cosine: f32,
        /// Whose second opinion decided, if one did.
        by: Option<Confirmer>,
    },
    /// None does. The best of those that were refused, if there was one.
    Miss(Option<Refused>),
}

/// A candidate that does not answer the question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refused {
    /// How surely it would by the guard, 0 to 1; below the threshold, but for what a second opinion has refused.
    pub similarity: f32,
    /// The cosine of the two questions.
    pub cosine: f32,
    /// What speaks against it.
    pub reason: Reason,
    /// Who refused it though the guard did not, or confirmed its doubt.
    pub by: Option<Confirmer>,
}

/// All that a node needs for semantic look-ups.
#[derive(Debug)]
pub(super) struct Semantic {
    config: SemanticConfig,
    guard: Guard,
    panel: Panel,
    indexes: Indexes,
    notes: Notes,
    splits: Splits,
    /// Of the last vector, to know without embedding that there is nothing to find here.
    dimension: AtomicUsize,
    habits: Habits,
    p95: Percentile,
    rebuild: Rebuild,
    learning: Semaphore,
    counters: Counters,
}

impl Semantic {
    pub(super) fn new(mut config: SemanticConfig, first_hedge: Duration, clock: Clock) -> Semantic {
        config.candidates = config.candidates.clamp(1, MAX_CANDIDATES);
        let texts = config.max_bytes / TEXT_SHARE;
        let vectors = IndexesConfig { max_bytes: config.max_bytes - texts, ..IndexesConfig::default() };
        Semantic {
            guard: Guard::of_space(config.embedder.space()),
            panel: Panel::new(),
            indexes: Indexes::new(vectors),
            notes: Notes::new(texts, clock),
            splits: Splits::default(),
            dimension: AtomicUsize::new(0),
            habits: Habits::new(),
            p95: Percentile::new(first_hedge, config.deadline / 2),
            rebuild: Rebuild::default(),
            learning: Semaphore::new(MAX_LEARNING),
            counters: Counters::default(),
            config,
        }
    }

    async fn embed(&self, text: &str) -> Option<Components> {
        let vector = match timeout(EMBEDDING, self.config.embedder.embed(text)).await {
            Ok(Ok(vector)) if vector.len() <= MAX_DIMENSION && vector.iter().all(|number| number.is_finite()) => vector,
            Ok(Ok(vector)) => {
                let components = vector.len();
                tracing::warn!(components, "a text's vector is too long or not finite; look-ups with it are misses");
                self.counters.embed_failures.add();
                return None;
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a text got no vector");
                self.counters.embed_failures.add();
                return None;
            }
            Err(_) => {
                tracing::debug!(embedder = self.config.embedder.space(), "a text got no vector in time");
                self.counters.embed_failures.add();
                return None;
            }
        };
        self.dimension.store(vector.len(), Ordering::Relaxed);
        // A text without a word is near to nothing.
        vector.iter().any(|number| *number != 0.0).then_some(Components(vector))
    }
}

/// Whether the guard can say anything about a text of this length; others are neither looked for nor learned.
fn is_comparable(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_PROMPT
}
