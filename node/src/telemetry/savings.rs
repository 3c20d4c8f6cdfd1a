//! What the cache has saved: requests that it answered, and what asking the provider would have used and cost.

use std::sync::atomic::{AtomicU64, Ordering};

use super::exposition::{Kind, Page};
use crate::governance::NanoUsd;

/// How the cache answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HitKind {
    /// With the answer to the same request, which a node had.
    Direct,
    /// With the answer to one that means the same.
    Semantic,
    /// With the answer to one that was the same and under way.
    Coalesced,
    /// With the answer to the same request, which only the backend had.
    Backend,
}

impl HitKind {
    pub const ALL: [Self; 4] = [Self::Direct, Self::Semantic, Self::Coalesced, Self::Backend];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Semantic => "semantic",
            Self::Coalesced => "coalesced",
            Self::Backend => "backend",
        }
    }
}

/// Of one kind of hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// Requests that were answered.
    pub hits: u64,
    /// Of them: those of which it is known what they saved. Others have an answer without a usage, or a model without a
    /// price; a stream that is followed is known at its end.
    pub priced: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cost: NanoUsd,
}

impl Saved {
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            hits: self.hits.saturating_add(more.hits),
            priced: self.priced.saturating_add(more.priced),
            prompt_tokens: self.prompt_tokens.saturating_add(more.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_add(more.completion_tokens),
            cost: self.cost.saturating_add(more.cost),
        }
    }
}

/// The counters of one data-plane thread.
#[derive(Debug, Default)]
pub struct Savings([Counters; HitKind::ALL.len()]);

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    priced: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    nano_usd: AtomicU64,
}

impl Savings {
    /// A request was answered so.
    pub fn hit(&self, kind: HitKind) {
        self.0[kind as usize].hits.fetch_add(1, Ordering::Relaxed);
    }

    /// What that saved. Once a hit; the cost is none where the model has no price.
    pub fn saved(&self, kind: HitKind, prompt_tokens: u64, completion_tokens: u64, cost: Option<NanoUsd>) {
        let counters = &self.0[kind as usize];
        add(&counters.prompt_tokens, prompt_tokens);
        add(&counters.completion_tokens, completion_tokens);
        if let Some(cost) = cost {
            add(&counters.nano_usd, cost.get());
            counters.priced.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn of(&self, kind: HitKind) -> Saved {
        let counters = &self.0[kind as usize];
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Saved {
            hits: get(&counters.hits),
            priced: get(&counters.priced),
            prompt_tokens: get(&counters.prompt_tokens),
            completion_tokens: get(&counters.completion_tokens),
            cost: NanoUsd::new(get(&counters.nano_usd)),
        }
    }
}

/// Saturates: a sum that wrapped around would look like little.
fn add(sum: &AtomicU64, more: u64) {
    // Never fails, as there is always a new value.
    let _ = sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sum| Some(sum.saturating_add(more)));
}

pub(super) fn write(saved: impl Fn(HitKind) -> Saved, page: &mut Page) {
    page.family("peerway_cache_hits_total", Kind::Counter, "Requests that the cache answered, by how.");
    for kind in HitKind::ALL {
        page.sample("peerway_cache_hits_total", &[("hit", kind.as_str())], saved(kind).hits);
    }
    page.family(
        "peerway_cache_saved_tokens_total",
        Kind::Counter,
        "Tokens that providers did not have to read and write, as the answers that were given in their place state them.",
    );
    for kind in HitKind::ALL {
        let (hit, saved) = (kind.as_str(), saved(kind));
        for (kind, tokens) in [("prompt", saved.prompt_tokens), ("completion", saved.completion_tokens)] {
            page.sample("peerway_cache_saved_tokens_total", &[("kind", kind), ("hit", hit)], tokens);
        }
    }
    page.family(
        "peerway_cache_saved_cost_usd_total",
        Kind::Counter,
        "What these tokens would have cost by the prices known at the time of the hit.",
    );
    for kind in HitKind::ALL {
        page.sample("peerway_cache_saved_cost_usd_total", &[("hit", kind.as_str())], saved(kind).cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_for_itself_and_a_missing_price_is_not_nothing() {
        let savings = Savings::default();
        savings.hit(HitKind::Semantic);
        savings.saved(HitKind::Semantic, 10, 3, Some(NanoUsd::new(700)));
        savings.hit(HitKind::Semantic);
        savings.saved(HitKind::Semantic, 5, 1, None);
        savings.hit(HitKind::Backend);
        let semantic = Saved { hits: 2, priced: 1, prompt_tokens: 15, completion_tokens: 4, cost: NanoUsd::new(700) };
        assert_eq!(savings.of(HitKind::Semantic), semantic);
        assert_eq!(savings.of(HitKind::Backend), Saved { hits: 1, ..Saved::default() });
        assert_eq!(savings.of(HitKind::Direct), Saved::default());
        savings.saved(HitKind::Semantic, u64::MAX, 0, Some(NanoUsd::MAX));
        assert_eq!(savings.of(HitKind::Semantic).prompt_tokens, u64::MAX, "and not a few");
        assert_eq!(savings.of(HitKind::Semantic).plus(semantic).cost, NanoUsd::MAX);
    }

    #[test]
    fn the_page_has_a_sample_for_each_kind() {
        let mut page = Page::default();
        let saved = Saved { hits: 2, priced: 2, prompt_tokens: 7, completion_tokens: 9, cost: NanoUsd::new(1_500) };
        write(|kind| if kind == HitKind::Coalesced { saved } else { Saved::default() }, &mut page);
        let page = page.finish();
        for line in [
            "peerway_cache_hits_total{hit=\"coalesced\"} 2",
            "peerway_cache_saved_tokens_total{kind=\"prompt\",hit=\"coalesced\"} 7",
            "peerway_cache_saved_tokens_total{kind=\"completion\",hit=\"coalesced\"} 9",
            "peerway_cache_saved_cost_usd_total{hit=\"coalesced\"} 0.0000015",
            "peerway_cache_saved_cost_usd_total{hit=\"direct\"} 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }
}
