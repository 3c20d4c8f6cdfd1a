//! What one model name stands for.

use std::sync::Arc;

use super::Target;
use crate::config::Strategy;

/// The label of models that the configuration does not name, so that clients cannot make metric series.
pub(super) const OTHER: &str = "other";

/// What a model name stands for.
#[derive(Debug)]
pub struct Route {
    /// The route's name in metrics.
    pub label: Arc<str>,
    pub(super) strategy: Strategy,
    pub(super) targets: Vec<Target>,
    pub(super) fallbacks: Vec<Target>,
    /// Asked only when the request is longer than the others take.
    pub(super) context_fallbacks: Vec<Target>,
    pub(super) is_alias: bool,
}

impl Route {
    /// One model of one provider.
    pub(super) fn direct(target: Target) -> Self {
        Self {
            label: Arc::clone(&target.upstream.name),
            strategy: Strategy::Weighted,
            targets: vec![target],
            fallbacks: Vec::new(),
            context_fallbacks: Vec::new(),
            is_alias: false,
        }
    }

    /// A bare model that its key shares out between providers, each with its target. They take over from one another.
    pub(super) fn shared_out(targets: Vec<Target>) -> Self {
        let label = targets.first().map_or_else(|| OTHER.into(), |target| Arc::clone(&target.label));
        Self {
            label,
            strategy: Strategy::Weighted,
            targets,
            fallbacks: Vec::new(),
            context_fallbacks: Vec::new(),
            is_alias: false,
        }
    }

    /// All targets that it can lead to.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().chain(&self.fallbacks).chain(&self.context_fallbacks)
    }

    /// The name of one of this route's models in metrics.
    pub fn metric_label(&self, model: &str) -> Arc<str> {
        let known = self.targets().find(|target| *target.model == *model);
        known.map_or_else(|| OTHER.into(), |target| Arc::clone(&target.label))
    }

    /// `provider/model` of what a name that is no alias stands for; an alias is allowed by its own name only.
    pub fn full_names(&self) -> Vec<String> {
        if self.is_alias { Vec::new() } else { self.targets.iter().map(Target::name).collect() }
    }
}
