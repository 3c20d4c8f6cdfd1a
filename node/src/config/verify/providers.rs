//! Providers, their keys, and the routes that lead to them.

use std::net::IpAddr;

use http::Uri;

use super::Verdict;
use super::listeners::fits_header;
use crate::config::model::{Config, Provider, ProviderKind, Route, Target};
use crate::config::suggest;
use crate::provider::address::is_public;

/// More attempts than this would only multiply an outage.
const MAX_RETRIES: u32 = 10;
/// A share of further attempts that withholds none that `providers[].retries` and a route could ask for.
const MAX_RETRY_BUDGET: f64 = 100.0;
/// More targets than this are not tried for one request.
const MAX_TARGETS: usize = 32;

pub(super) fn verify(config: &Config, verdict: &mut Verdict) {
    let names: Vec<&str> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    let paths = |index: usize| format!("providers[{index}].name");
    verdict.duplicates("name", names.iter().enumerate().map(|(index, name)| (paths(index), *name)));
    for (index, provider) in config.providers.iter().enumerate() {
        let path = format!("providers[{index}]");
        name(&path, provider, verdict);
        base_url(&path, provider, verdict);
        keys(&path, provider, verdict);
        times(&path, provider, verdict);
        for (index, model) in provider.models.iter().enumerate() {
            verdict.pattern(format!("{path}.models[{index}]"), model);
        }
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

fn name(path: &str, provider: &Provider, verdict: &mut Verdict) {
    let path = format!("{path}.name");
    if provider.name.contains('/') {
        verdict.error(path, "a provider's name cannot hold `/`, which ends it in `provider/model`");
    } else {
        verdict.word(path, "name", &provider.name);
    }
}

fn base_url(path: &str, provider: &Provider, verdict: &mut Verdict) {
    let Some(url) = &provider.base_url else {
        if provider.kind != ProviderKind::OpenAi {
            verdict.error_with(
                path,
                format!("provider `{}` needs a `base_url`", provider.name),
                "add e.g. `base_url: http://127.0.0.1:11434/v1`".to_owned(),
            );
        }
        return;
    };
    let path = format!("{path}.base_url");
    let example = || "write e.g. https://api.example.com/v1".to_owned();
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(error) => return verdict.error_with(path, format!("not a URL: {error}"), example()),
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        let hint = "put the credential into `keys`, where it is kept out of logs".to_owned();
        return verdict.error_with(path, "a URL with a user or a password in it", hint);
    }
    let (Some("http" | "https"), Some(host)) = (uri.scheme_str(), uri.host().filter(|host| !host.is_empty())) else {
        return verdict.error_with(path, "not an http or https URL with a host", example());
    };
    if uri.query().is_some() || url.contains('#') {
        return verdict.error(path, "a base URL ends with its path: routes are added to it");
    }
    let private = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => !is_public(address),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    if private && !provider.allow_private {
        verdict.error_with(
            path,
            format!("`{host}` is a loopback or private address"),
            format!("add `allow_private: true` to provider `{}` to call it", provider.name),
        );
    }
}

fn keys(path: &str, provider: &Provider, verdict: &mut Verdict) {
    let ids = provider.keys.iter().enumerate();
    verdict.duplicates("id", ids.map(|(index, key)| (format!("{path}.keys[{index}].id"), key.id.as_str())));
    for (index, key) in provider.keys.iter().enumerate() {
        let path = format!("{path}.keys[{index}]");
        verdict.word(format!("{path}.id"), "id", &key.id);
        match key.value.expose() {
            "" => verdict.error_with(
                format!("{path}.value"),
                "the key's value is empty",
                "leave the key out where the provider needs none".to_owned(),
            ),
            value if !fits_header(value) => {
                verdict.error(format!("{path}.value"), "the value holds characters that a key in an HTTP header cannot have (spaces, controls, other than ASCII)");
            }
            _ => {}
        }
        verdict.weight(format!("{path}.weight"), key.weight);
        for (index, model) in key.models.iter().enumerate() {
            verdict.pattern(format!("{path}.models[{index}]"), model);
        }
    }
}

fn times(path: &str, provider: &Provider, verdict: &mut Verdict) {
    let times = &provider.timeouts;
    for (name, period) in
        [("connect", times.connect), ("first_byte", times.first_byte), ("idle", times.idle), ("total", times.total)]
    {
        if period.get().is_zero() {
            verdict.error(format!("{path}.timeouts.{name}"), "a timeout of 0 s would fail every request");
        }
    }
    if provider.retries > MAX_RETRIES {
        verdict.error(format!("{path}.retries"), format!("at most {MAX_RETRIES} retries, not {}", provider.retries));
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
