//! One upstream model to try.

use std::sync::Arc;

use super::retry_budget::RetryBudget;
use crate::provider::Upstream;

/// One upstream model to try.
#[derive(Debug, Clone)]
pub struct Target {
    pub upstream: Arc<Upstream>,
    pub model: Arc<str>,
    /// The model's name in metrics.
    pub label: Arc<str>,
    /// Share of the requests relative to the route's other targets.
    pub weight: f64,
    /// How many further attempts its failures may lead to; one for all targets of a provider.
    pub retries: Arc<RetryBudget>,
}

impl Target {
    /// `provider/model`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.upstream.name, self.model)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.model == other.model && self.upstream.name == other.upstream.name
    }
}
