//! What a hit saves, counted once a request.

use std::sync::Arc;

use super::Hit;
use crate::dialect::openai::Usage;
use crate::gateway::plan::Plan;
use crate::governance::{Mode, Price};
use crate::telemetry::Shard;
use crate::telemetry::savings::HitKind;

/// The prices of the moment, and where savings are counted.
#[derive(Debug, Clone, Copy)]
pub(in crate::gateway) struct Counting<'a> {
    pub plan: &'a Plan,
    pub shard: &'a Arc<Shard>,
}

impl Counting<'_> {
    /// A request is answered by this hit.
    pub(in crate::gateway) fn hit(&self, kind: HitKind, hit: &Hit) {
        self.shard.savings.hit(kind);
        if let Some(usage) = hit.usage {
            self.of(kind, &hit.provider, &hit.model).is(&usage);
        }
    }

    /// For an answer that does not say yet what it used.
    pub(super) fn of(&self, kind: HitKind, provider: &str, model: &str) -> Saving {
        Saving { kind, shard: Arc::clone(self.shard), price: self.plan.prices.find(provider, model).cloned() }
    }
}

/// What one hit saves, when that is known.
#[derive(Debug)]
pub(super) struct Saving {
    kind: HitKind,
    shard: Arc<Shard>,
    price: Option<Arc<Price>>,
}

impl Saving {
    pub(super) fn is(self, usage: &Usage) {
        let cost = self.price.map(|price| price.cost(usage, Mode::Standard));
        self.shard.savings.saved(self.kind, usage.prompt_tokens, usage.completion_tokens, cost);
    }
}
