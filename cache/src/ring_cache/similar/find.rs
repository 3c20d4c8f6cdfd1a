//! A look-up: candidates from the index, the guard's word on each, a second opinion where one is asked for, and the entry
//! of the first that answers.

use super::space::space_of;
use super::{Measure, Question, Refused, Semantic, Similar, is_comparable};
use crate::identity::{EntryId, NamespaceId};
use crate::ring_cache::RingCache;
use crate::ring_cache::get::Fetched;
use crate::semantic::confirm::{Opinion, PromptPair, Standing};
use crate::semantic::{Confirm, Confirmer, Prompt, Reason, Verdict};
use crate::vector::Space;
use crate::vector_store::Near;

/// Candidates of one look-up that a second opinion is asked for: each may cost a call.
const MOST_ASKED: usize = 2;

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
    pub async fn find_similar<'m>(&self, question: &Question, measure: impl Into<Measure<'m>>) -> Similar {
        let Some(semantic) = &self.inner.semantic else { return Similar::Miss(None) };
        let similar = self.look_for(semantic, question, &measure.into()).await;
        if matches!(similar, Similar::Hit { .. }) {
            semantic.habits.reward(&question.namespace);
        }
        semantic.counters.count(&similar);
        similar
    }

    async fn look_for(&self, semantic: &Semantic, question: &Question, measure: &Measure<'_>) -> Similar {
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
        self.first_that_answers(semantic, question, near, measure).await
    }

    async fn first_that_answers(
        &self,
        semantic: &Semantic,
        question: &Question,
        near: Vec<(Space, Near)>,
        measure: &Measure<'_>,
    ) -> Similar {
        if near.is_empty() {
            return Similar::Miss(None);
        }
        let mut looking = Looking { cache: self, semantic, question, measure, asked: 0, gone: Vec::new(), best: None };
        let found = looking.through(near).await;
        if !looking.gone.is_empty() {
            self.forget_gone(looking.gone);
        }
        found.unwrap_or(Similar::Miss(looking.best))
    }
}

/// A candidate, and what the guard says of it.
struct Candidate {
    space: Space,
    near: Near,
    verdict: Verdict,
    standing: Standing,
}

/// One look-up among its candidates.
struct Looking<'l> {
    cache: &'l RingCache,
    semantic: &'l Semantic,
    question: &'l Question,
    measure: &'l Measure<'l>,
    /// For how many of them a second opinion was asked for.
    asked: usize,
    /// Those whose entries are not there any more.
    gone: Vec<(Space, EntryId)>,
    /// Of those that are refused, the one that comes nearest to an answer.
    best: Option<Refused>,
}

impl Looking<'_> {
    /// The nearest of which the guard is sure; else of those that it doubts the surest that is confirmed.
    async fn through(&mut self, near: Vec<(Space, Near)>) -> Option<Similar> {
        let asked = Prompt::read(&self.question.text);
        let mut doubts = Vec::new();
        for (space, near) in near {
            let verdict = self.semantic.guard.judge_found(&Prompt::read(&near.text), &asked, near.cosine);
            let standing = self.measure.standing(&verdict);
            let candidate = Candidate { space, near, verdict, standing };
            match standing {
                Standing::Sure => {
                    if let Some(hit) = self.answer(candidate).await {
                        return Some(hit);
                    }
                }
                Standing::Doubt if self.confirmers(standing).next().is_some() => doubts.push(candidate),
                Standing::Doubt | Standing::Refused => self.refuse(&candidate, None),
            }
        }
        doubts.sort_by(|one, other| other.verdict.similarity.total_cmp(&one.verdict.similarity));
        for candidate in doubts {
            if let Some(hit) = self.answer(candidate).await {
                return Some(hit);
            }
        }
        None
    }

    /// The candidate's entry, if it is there and nobody who is asked speaks against it.
    async fn answer(&mut self, candidate: Candidate) -> Option<Similar> {
        let is_asked = self.confirmers(candidate.standing).next().is_some();
        if is_asked && self.asked == MOST_ASKED {
            self.refuse(&candidate, None);
            return None;
        }
        let Candidate { space, near, verdict, standing } = &candidate;
        // Before anybody is asked: an opinion on what is gone is of no use.
        let entry = match self.cache.fetch(&near.id, &self.question.namespace).await {
            Fetched::Entry(entry) => entry,
            Fetched::Gone => {
                self.gone.push((*space, near.id));
                return None;
            }
            Fetched::Unknown => return None,
        };
        let (mut by, mut is_hit) = (None, *standing == Standing::Sure);
        if is_asked {
            self.asked += 1;
            let pair = PromptPair { stored: &near.text, asked: &self.question.text };
            match self.semantic.panel.ask(&self.question.namespace, self.confirmers(*standing), pair).await {
                Opinion::Agrees(who) => (by, is_hit) = (Some(who), true),
                Opinion::Refuses(who) => (by, is_hit) = (Some(who), false),
                // The guard's own verdict stands.
                Opinion::None => {}
            }
        }
        if is_hit {
            return Some(Similar::Hit { entry, similarity: verdict.similarity, cosine: near.cosine, by });
        }
        self.refuse(&candidate, by);
        None
    }

    /// Who is asked about a candidate that stands so, in their order.
    fn confirmers(&self, standing: Standing) -> impl Iterator<Item = &dyn Confirm> + use<'_> {
        self.measure.confirmers(standing, self.semantic.config.cross_encoder.as_deref())
    }

    fn refuse(&mut self, candidate: &Candidate, by: Option<Confirmer>) {
        let Candidate { near, verdict, .. } = candidate;
        if self.best.is_none_or(|best| best.similarity < verdict.similarity) {
            let reason = verdict.reason.unwrap_or(Reason::Doubt);
            self.best = Some(Refused { similarity: verdict.similarity, cosine: near.cosine, reason, by });
        }
    }
}
