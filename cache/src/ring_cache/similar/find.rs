//! A look-up: candidates from the index, the guard's word on each, and the entry of the first that answers.

use super::space::space_of;
use super::{Question, Refused, Semantic, Similar, is_comparable};
use crate::identity::NamespaceId;
use crate::ring_cache::RingCache;
use crate::ring_cache::get::Fetched;
use crate::semantic::{Prompt, Reason, Verdict};
use crate::vector::Space;
use crate::vector_store::Near;

impl RingCache {
    /// Whether a request of this namespace is to be compared by meaning, that is looked up and learned: one that hardly
    /// ever hits hardly is, and then its question need not even be read. To be asked once a request.
    pub fn compares(&self, namespace: &NamespaceId) -> bool {
        let Some(semantic) = &self.inner.semantic else { return false };
        let compares = semantic.habits.take(namespace, self.inner.config.clock.now_ms());
        if !compares {
            semantic.counters.unasked.add();
        }
        compares
    }

    /// The entry whose question means the same. For the request that leads, after the exact look-up missed and before
    /// the provider is asked. Whatever goes wrong on the way is a miss.
    pub async fn find_similar(&self, question: &Question, threshold: f32) -> Similar {
        let Some(semantic) = &self.inner.semantic else { return Similar::Miss(None) };
        let similar = self.look_for(semantic, question, threshold).await;
        if matches!(similar, Similar::Hit { .. }) {
            semantic.habits.reward(&question.namespace);
        }
        semantic.counters.count(&similar);
        similar
    }

    async fn look_for(&self, semantic: &Semantic, question: &Question, threshold: f32) -> Similar {
        let inner = &self.inner;
        if !is_comparable(&question.text) {
            return Similar::Miss(None);
        }
        let space = space_of(question, semantic.config.embedder.space());
        if inner.surely_lacks(semantic, &space) {
            return Similar::Miss(None);
        }
        let Some(vector) = semantic.embed(&question.text).await else { return Similar::Miss(None) };
        let near = inner.nearest(semantic, &space, &vector).await;
        self.first_that_answers(semantic, question, near, threshold).await
    }

    async fn first_that_answers(
        &self,
        semantic: &Semantic,
        question: &Question,
        near: Vec<(Space, Near)>,
        threshold: f32,
    ) -> Similar {
        let mut found = Similar::Miss(None);
        let mut gone = Vec::new();
        let asked = if near.is_empty() { None } else { Some(Prompt::read(&question.text)) };
        for (space, near) in near {
            let Some(asked) = &asked else { break };
            let verdict = semantic.guard.judge_found(&Prompt::read(&near.text), asked, near.cosine);
            // What contradicts is no answer under any threshold.
            if !(verdict.similarity > 0.0 && verdict.similarity >= threshold) {
                found = better(found, &verdict, near.cosine);
                continue;
            }
            match self.fetch(&near.id, &question.namespace).await {
                Fetched::Entry(entry) => {
                    found = Similar::Hit { entry, similarity: verdict.similarity, cosine: near.cosine };
                    break;
                }
                Fetched::Gone => gone.push((space, near.id)),
                Fetched::Unknown => {}
            }
        }
        if !gone.is_empty() {
            self.forget_gone(gone);
        }
        found
    }
}

/// Of the candidates that are refused, the one that comes nearest to an answer.
fn better(found: Similar, verdict: &Verdict, cosine: f32) -> Similar {
    match found {
        Similar::Miss(Some(best)) if best.similarity >= verdict.similarity => Similar::Miss(Some(best)),
        _ => Similar::Miss(Some(Refused {
            similarity: verdict.similarity,
            cosine,
            reason: verdict.reason.unwrap_or(Reason::Doubt),
        })),
    }
}
