//! From the model that a client names to the upstreams that are tried for it, in order.

use std::collections::HashMap;
use std::sync::Arc;

use rand::RngExt;

use crate::config;
use crate::provider::{Pattern, Upstream};

/// The label of models that the configuration does not name, so that clients cannot make metric series.
const OTHER: &str = "other";

/// One upstream model to try.
#[derive(Debug, Clone)]
pub struct Target {
    pub upstream: Arc<Upstream>,
    pub model: Arc<str>,
    /// The model's name in metrics.
    pub label: Arc<str>,
    weight: f64,
}

/// What a model name stands for.
#[derive(Debug, Clone)]
pub struct Route {
    /// The route's name in metrics.
    pub label: Arc<str>,
    targets: Vec<Target>,
    fallbacks: Vec<Target>,
    is_alias: bool,
}

impl Route {
    /// The targets in the order to try: one drawn by weight, the other targets, then the fallbacks.
    pub fn ladder(&self) -> Vec<Target> {
        let mut targets = self.targets.clone();
        let total: f64 = targets.iter().map(|target| target.weight).sum();
        if targets.len() > 1 && total > 0.0 {
            let mut left = rand::rng().random_range(0.0..total);
            let drawn = targets.iter().position(|target| {
                left -= target.weight;
                left < 0.0
            });
            targets.swap(0, drawn.unwrap_or(0));
        }
        targets.extend(self.fallbacks.iter().cloned());
        targets
    }

    /// The name of one of this route's models in metrics.
    pub fn metric_label(&self, model: &str) -> Arc<str> {
        let known = self.targets.iter().chain(&self.fallbacks).find(|target| *target.model == *model);
        known.map_or_else(|| OTHER.into(), |target| Arc::clone(&target.label))
    }

    /// `provider/model` when the name stood for exactly one upstream model; an alias is allowed by its own name only.
    pub fn full_name(&self) -> Option<String> {
        match (self.is_alias, self.targets.as_slice()) {
            (false, [target]) => Some(format!("{}/{}", target.upstream.name, target.model)),
            _ => None,
        }
    }
}

/// Why a model name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoute {
    /// Which rule of names it fails, for the error message.
    pub why: String,
}

/// All routes of one configuration.
#[derive(Debug)]
pub struct Routes {
    aliases: HashMap<String, Route>,
    upstreams: Vec<Arc<Upstream>>,
}

impl Routes {
    /// `upstreams` in the configuration's order. Targets that name an unknown provider were refused when the
    /// configuration was checked, so they are left out here.
    pub fn new(routes: &[config::Route], upstreams: Vec<Arc<Upstream>>) -> Self {
        let target = |target: &config::Target| {
            let upstream = upstreams.iter().find(|upstream| *upstream.name == *target.provider)?;
            let model: Arc<str> = target.model.as_str().into();
            Some(Target { upstream: Arc::clone(upstream), label: Arc::clone(&model), model, weight: target.weight })
        };
        let aliases = routes
            .iter()
            .map(|route| {
                let compiled = Route {
                    label: route.model.as_str().into(),
                    targets: route.targets.iter().filter_map(target).collect(),
                    fallbacks: route.fallbacks.iter().filter_map(target).collect(),
                    is_alias: true,
                };
                (route.model.clone(), compiled)
            })
            .collect();
        Self { aliases, upstreams }
    }

    /// An alias, `provider/model`, or the bare name of a model that one provider lists.
    pub fn resolve(&self, model: &str) -> Result<Route, NoRoute> {
        if let Some(route) = self.aliases.get(model) {
            return Ok(route.clone());
        }
        if let Some((provider, name)) = model.split_once('/')
            && let Some(upstream) = self.upstreams.iter().find(|upstream| *upstream.name == *provider)
        {
            if upstream.serves(name) {
                return Ok(direct(upstream, name));
            }
            return Err(NoRoute { why: format!("Provider `{provider}` does not list it.") });
        }
        let mut listing = self.upstreams.iter().filter(|upstream| lists(upstream, model));
        match (listing.next(), listing.next()) {
            (Some(upstream), None) => Ok(direct(upstream, model)),
            (Some(one), Some(two)) => Err(NoRoute {
                why: format!("Several providers list it: write {}/{model} or {}/{model}.", one.name, two.name),
            }),
            (None, _) => Err(NoRoute { why: "Write `provider/model` or the name of a route.".to_owned() }),
        }
    }

    /// Every name that can be listed: aliases and the literal models of the providers.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        let mut aliases: Vec<&String> = self.aliases.keys().collect();
        aliases.sort_unstable();
        let models = self.upstreams.iter().flat_map(|upstream| {
            let literal = upstream.models.iter().filter(|pattern| pattern.is_literal());
            literal.map(move |pattern| format!("{}/{}", upstream.name, pattern.as_str()))
        });
        aliases.into_iter().cloned().chain(models)
    }

    pub fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }
}

fn lists(upstream: &Upstream, model: &str) -> bool {
    upstream.models.iter().any(|pattern| pattern.matches(model))
}

fn direct(upstream: &Arc<Upstream>, model: &str) -> Route {
    let listed = upstream.models.iter().any(|pattern: &Pattern| pattern.is_literal() && pattern.as_str() == model);
    let model: Arc<str> = model.into();
    let label = if listed { Arc::clone(&model) } else { OTHER.into() };
    let target = Target { upstream: Arc::clone(upstream), model, label: Arc::clone(&label), weight: 1.0 };
    Route { label: Arc::clone(&upstream.name), targets: vec![target], fallbacks: Vec::new(), is_alias: false }
}
