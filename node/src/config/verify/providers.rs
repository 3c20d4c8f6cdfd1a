//! Providers, and the routes that lead to them.

use super::Verdict;
use crate::config::model::{Config, Route, Target};
use crate::config::suggest;

mod upstream;

/// A share of further attempts that withholds none that `providers[].retries` and a route could ask for.
const MAX_RETRY_BUDGET: f64 = 100.0;
/// More targets than this are not tried for one request.
const MAX_TARGETS: usize = 32;

pub(super) fn verify(config: &Config, verdict: &mut Verdict) {
    let names: Vec<&str> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    let paths = |index: usize| format!("providers[{index}].name");
    verdict.duplicates("name", names.iter().enumerate().map(|(index, name)| (paths(index), *name)));
    for (index, provider) in config.providers.iter().enumerate() {
        upstream::verify(&format!("providers[{index}]"), provider, verdict);
    }
    let aliases = config.routes.iter().enumerate();
    verdict.duplicates("name", aliases.map(|(index, route)| (format!("routes[{index}].model"), route.model.as_str())));
    for (index, route) in config.routes.iter().enumerate() {
        verify_route(&format!("routes[{index}]"), route, &names, verdict);
    }
    let budget = config.retries.budget;
    if !(0.0..=MAX_RETRY_BUDGET).contains(&budget) {
        verdict.error_with(
            "retries.budget",
            format!("a share of the requests from 0 to {MAX_RETRY_BUDGET}, not {budget}"),
            "write e.g. 0.1 for a tenth".to_owned(),
        );
    }
}

fn verify_route(path: &str, route: &Route, providers: &[&str], verdict: &mut Verdict) {
    verdict.word(format!("{path}.model"), "name", &route.model);
    if route.targets.is_empty() {
        verdict.error(format!("{path}.targets"), format!("route `{}` has no target", route.model));
    }
    let lists: [(&str, &[Target]); 3] =
        [("targets", &route.targets), ("fallbacks", &route.fallbacks), ("context_fallbacks", &route.context_fallbacks)];
    for (list, targets) in lists {
        if targets.len() > MAX_TARGETS {
            let message = format!("at most {MAX_TARGETS} targets are tried for one request, not {}", targets.len());
            verdict.error(format!("{path}.{list}"), message);
        }
        for (index, target) in targets.iter().enumerate() {
            let path = format!("{path}.{list}[{index}]");
            if !providers.contains(&target.provider.as_str()) {
                let hint = suggest::hint(&target.provider, "providers", providers);
                verdict.error_with(format!("{path}.provider"), format!("unknown provider `{}`", target.provider), hint);
            }
            verdict.word(format!("{path}.model"), "model", &target.model);
            verdict.weight(format!("{path}.weight"), target.weight);
        }
    }
}
