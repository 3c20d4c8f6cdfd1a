//! Which names there are, and what each stands for.

use std::collections::HashMap;
use std::sync::Arc;

use super::retry_budget::RetryBudget;
use super::route::{OTHER, Route};
use super::target::Target;
use crate::config::{self, Config};
use crate::provider::{Pattern, Upstream};

/// No provider's names are longer. What is seen of a model is kept under its name for a while, and a name that nobody
/// knows is the client's to choose.
const LONGEST_NAME: usize = 1_024;

/// Why a model name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoute {
    /// Which rule of names it fails, for the error message.
    pub why: String,
}

/// All routes of one configuration.
#[derive(Debug)]
pub struct Routes {
    aliases: HashMap<String, Arc<Route>>,
    /// By `provider/model`, those that the configuration names: no request makes them anew.
    listed: HashMap<String, Arc<Route>>,
    providers: Vec<Provider>,
    upstreams: Vec<Arc<Upstream>>,
}

#[derive(Debug)]
struct Provider {
    upstream: Arc<Upstream>,
    retries: Arc<RetryBudget>,
}

impl Routes {
    /// `upstreams` in the configuration's order. Targets that name an unknown provider were refused when the
    /// configuration was checked, so they are left out here.
    pub fn new(config: &Config, upstreams: Vec<Arc<Upstream>>) -> Self {
        let retries = || Arc::new(RetryBudget::new(&config.retries));
        let provider = |upstream: &Arc<Upstream>| Provider { upstream: Arc::clone(upstream), retries: retries() };
        let providers: Vec<Provider> = upstreams.iter().map(provider).collect();
        let target = |target: &config::Target| {
            let provider = providers.iter().find(|provider| *provider.upstream.name == *target.provider)?;
            let model: Arc<str> = target.model.as_str().into();
            Some(provider.target(&model, &model, target.weight))
        };
        let targets = |targets: &[config::Target]| targets.iter().filter_map(target).collect();
        let aliases = config.routes.iter().map(|route| {
            let compiled = Route {
                label: route.model.as_str().into(),
                strategy: route.strategy,
                targets: targets(&route.targets),
                fallbacks: targets(&route.fallbacks),
                context_fallbacks: targets(&route.context_fallbacks),
                is_alias: true,
            };
            (route.model.clone(), Arc::new(compiled))
        });
        let aliases = aliases.collect();
        let listed = providers.iter().flat_map(|provider| {
            let literal = provider.upstream.models.iter().filter(|pattern| pattern.is_literal());
            literal.map(move |pattern| {
                let route = provider.direct(pattern.as_str());
                (format!("{}/{}", provider.upstream.name, pattern.as_str()), Arc::new(route))
            })
        });
        let listed = listed.collect();
        Self { aliases, listed, providers, upstreams }
    }

    /// An alias, `provider/model`, or a bare model for whoever may use everything.
    pub fn resolve(&self, model: &str) -> Result<Arc<Route>, NoRoute> {
        self.resolve_for(model, |_| true, |_| false)
    }

    /// An alias, `provider/model`, or the bare name of a model that one provider serves, of those where `may_use` says
    /// yes to one of the names: the bare one and `provider/model`. Of several such providers those are meant that
    /// `is_named` knows.
    pub fn resolve_for(
        &self,
        model: &str,
        may_use: impl Fn(&[&str]) -> bool,
        is_named: impl Fn(&str) -> bool,
    ) -> Result<Arc<Route>, NoRoute> {
        if let Some(route) = self.aliases.get(model).or_else(|| self.listed.get(model)) {
            return Ok(Arc::clone(route));
        }
        if model.len() > LONGEST_NAME {
            return Err(NoRoute { why: format!("No model's name is longer than {LONGEST_NAME} bytes.") });
        }
        if let Some((name, bare)) = model.split_once('/')
            && let Some(provider) = self.providers.iter().find(|provider| *provider.upstream.name == *name)
        {
            if provider.upstream.serves(bare) {
                return Ok(Arc::new(provider.direct(bare)));
            }
            return Err(NoRoute { why: format!("Provider `{name}` does not list it.") });
        }
        self.bare(model, may_use, is_named)
    }

    /// Those who list the name itself go before those who list a pattern. A provider that serves whatever is asked for is
    /// meant only where there is no other: a slip of the pen must not send a request to somebody else.
    fn bare(
        &self,
        model: &str,
        may_use: impl Fn(&[&str]) -> bool,
        is_named: impl Fn(&str) -> bool,
    ) -> Result<Arc<Route>, NoRoute> {
        let by_name = |upstream: &Upstream| upstream.models.iter().any(|pattern| is_name(pattern, model));
        let by_pattern = |upstream: &Upstream| upstream.models.iter().any(|pattern| pattern.matches(model));
        let is_alone = |upstream: &Upstream| self.providers.len() == 1 && upstream.models.is_empty();
        let ways: [&dyn Fn(&Upstream) -> bool; 3] = [&by_name, &by_pattern, &is_alone];
        for serves in ways {
            let serving: Vec<&Provider> = self.providers.iter().filter(|provider| serves(&provider.upstream)).collect();
            let full = |provider: &Provider| format!("{}/{model}", provider.upstream.name);
            let usable = serving.iter().copied().filter(|provider| may_use(&[model, &full(provider)]));
            let usable: Vec<&Provider> = usable.collect();
            let named: Vec<&Provider> =
                usable.iter().copied().filter(|provider| is_named(&provider.upstream.name)).collect();
            match (serving.as_slice(), usable.as_slice(), named.as_slice()) {
                ([], ..) => {}
                // Where none may be used, it is for the caller to refuse what this leads to.
                ([any, ..], [], _) => return Ok(self.direct(any, model)),
                (_, [only], _) | (_, _, [only]) => return Ok(self.direct(only, model)),
                (_, [one, two, ..], []) => {
                    let why = format!("Several providers serve it: write {} or {}.", full(one), full(two));
                    return Err(NoRoute { why });
                }
                (_, _, several) => {
                    let target = |provider: &&Provider| self.direct(provider, model).targets.first().cloned();
                    return Ok(Arc::new(Route::shared_out(several.iter().filter_map(target).collect())));
                }
            }
        }
        Err(NoRoute { why: "Write `provider/model` or the name of a route.".to_owned() })
    }

    fn direct(&self, provider: &Provider, model: &str) -> Arc<Route> {
        let listed = self.listed.get(&format!("{}/{model}", provider.upstream.name));
        listed.map_or_else(|| Arc::new(provider.direct(model)), Arc::clone)
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

    /// What a provider's model is called in metrics: its name, if the configuration has it.
    pub fn label_of<'m>(&self, provider: &str, model: &'m str) -> &'m str {
        let is_target = |target: &Target| *target.model == *model && *target.upstream.name == *provider;
        let is_named = self.listed.contains_key(&format!("{provider}/{model}"))
            || self.aliases.values().any(|route| route.targets().any(is_target));
        if is_named { model } else { OTHER }
    }

    pub fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }
}

fn is_name(pattern: &Pattern, model: &str) -> bool {
    pattern.is_literal() && pattern.as_str() == model
}

impl Provider {
    fn target(&self, model: &Arc<str>, label: &Arc<str>, weight: f64) -> Target {
        Target {
            upstream: Arc::clone(&self.upstream),
            model: Arc::clone(model),
            label: Arc::clone(label),
            weight,
            retries: Arc::clone(&self.retries),
        }
    }

    fn direct(&self, model: &str) -> Route {
        let listed = self.upstream.models.iter().any(|pattern| is_name(pattern, model));
        let model: Arc<str> = model.into();
        let label = if listed { Arc::clone(&model) } else { OTHER.into() };
        Route::direct(self.target(&model, &label, 1.0))
    }
}
