//! Semantic look-ups: the answer to a question that is worded differently.
//!
//! Asked after the exact look-up missed. The index only proposes; a hit is what the guard is sure of, and whose entry is
//! there by an exact look-up, in the tenant's own namespace and not purged.

mod explain;
mod stats;

use std::sync::Arc;

pub use explain::Comparison;
pub use stats::SemanticStats;

use super::RingCache;
use crate::entry::Entry;
use crate::identity::NamespaceId;
use crate::semantic::Reason;

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
        /// How surely, 0 to 1; at least the threshold.
        similarity: f32,
        /// The cosine of the two questions.
        cosine: f32,
    },
    /// None does. The best of those that were refused, if there was one.
    Miss(Option<Refused>),
}

/// A candidate that does not answer the question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refused {
    /// How surely it would, 0 to 1; below the threshold.
    pub similarity: f32,
    /// The cosine of the two questions.
    pub cosine: f32,
    /// What speaks against it.
    pub reason: Reason,
}

impl RingCache {
    /// The entry whose question means the same. For the request that leads, after the exact look-up missed and before
    /// the provider is asked. Whatever goes wrong on the way is a miss.
    pub async fn find_similar(&self, _question: &Question, _threshold: f32) -> Similar {
        std::future::ready(Similar::Miss(None)).await
    }

    /// Makes the entry findable by its question. After the entry was put, beside the request's way: to be spawned. An
    /// answer that was itself a semantic hit is not to be learned.
    pub fn learn(&self, _question: Question, _entry: &Entry) -> impl Future<Output = ()> + Send + 'static {
        std::future::ready(())
    }
}
