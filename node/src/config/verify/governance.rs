//! Customers, teams, virtual keys; their budgets and limits. The same judgement for the file and for what is made at run
//! time.

use std::collections::BTreeSet;

use peerway_cluster::ledger::reservation::MAX_CHARGES;

use super::listeners::fits_header;
use super::{Problem, Verdict};
use crate::config::model::{Budget, Config, Customer, Governance, Limit, Team, VirtualKey};
use crate::config::suggest;
use crate::governance::NanoUsd;

const WINDOWS: [&str; 11] = ["1m", "5m", "15m", "30m", "1h", "6h", "1d", "1w", "1M", "1Y", "forever"];
/// An id is part of paths, log lines and labels.
const MAX_ID: usize = 128;

/// What else there is, for names to refer to.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub customers: &'a [&'a str],
    pub teams: &'a [&'a str],
    pub providers: &'a [&'a str],
}

/// All that is wrong with a customer on its own.
pub fn verify_customer(customer: &Customer) -> Vec<Problem> {
    let mut verdict = Verdict::default();
    judge_customer("", customer, &mut verdict);
    verdict.errors
}

/// All that is wrong with a team among what is known.
pub fn verify_team(team: &Team, known: Known<'_>) -> Vec<Problem> {
    let mut verdict = Verdict::default();
    judge_team("", team, known, &mut verdict);
    verdict.errors
}

/// All that is wrong with a virtual key among what is known, but for its value: at run time it need not have one.
pub fn verify_key(key: &VirtualKey, known: Known<'_>) -> Vec<Problem> {
    let mut verdict = Verdict::default();
    judge_key("", key, known, &mut verdict);
    if let Some(value) = &key.value {
        judge_value(String::from("value"), value.expose(), &mut verdict);
    }
    verdict.errors
}

pub(super) fn verify(config: &Config, verdict: &mut Verdict) {
    let Governance { customers, teams, keys, .. } = &config.governance;
    let known = Known {
        customers: &customers.iter().map(|customer| customer.id.as_str()).collect::<Vec<_>>(),
        teams: &teams.iter().map(|team| team.id.as_str()).collect::<Vec<_>>(),
        providers: &config.providers.iter().map(|provider| provider.name.as_str()).collect::<Vec<_>>(),
    };
    let path = |list: &str, index: usize| format!("governance.{list}[{index}]");
    let ids = |list: &'static str, ids: Vec<&str>, verdict: &mut Verdict| {
        verdict.duplicates("id", ids.into_iter().enumerate().map(|(at, id)| (path(list, at) + ".id", id)));
    };
    ids("customers", known.customers.to_vec(), verdict);
    for (index, customer) in customers.iter().enumerate() {
        judge_customer(&path("customers", index), customer, verdict);
    }
    ids("teams", known.teams.to_vec(), verdict);
    for (index, team) in teams.iter().enumerate() {
        judge_team(&path("teams", index), team, known, verdict);
    }
    ids("keys", keys.iter().map(|key| key.id.as_str()).collect(), verdict);
    let values = keys.iter().enumerate().filter_map(|(index, key)| Some((index, key.value.as_ref()?.expose())));
    let values = values.filter(|(_, value)| !value.is_empty());
    verdict.duplicates("value", values.map(|(index, value)| (path("keys", index) + ".value", value)));
    let hashes = keys.iter().enumerate().filter_map(|(index, key)| Some((index, key.hash.as_deref()?)));
    verdict.duplicates("hash", hashes.map(|(index, hash)| (path("keys", index) + ".hash", hash)));
    for (index, key) in keys.iter().enumerate() {
        let path = path("keys", index);
        secret(&path, key, verdict);
        judge_key(&path, key, known, verdict);
        if key.models.is_empty() {
            let hint = "add `models: [\"*\"]` for all of them".to_owned();
            verdict.warn(format!("{path}.models"), format!("key `{}` may use no model", key.id), hint);
        }
    }
    too_many(&config.governance, verdict);
}

/// The path of a part of something, which is at the root itself when it is judged alone.
fn part(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn judge_customer(path: &str, customer: &Customer, verdict: &mut Verdict) {
    id(path, &customer.id, verdict);
    budgets(path, &customer.budgets, verdict);
    limits(path, &customer.limits, verdict);
}

fn judge_team(path: &str, team: &Team, known: Known<'_>, verdict: &mut Verdict) {
    id(path, &team.id, verdict);
    budgets(path, &team.budgets, verdict);
    limits(path, &team.limits, verdict);
    known_to(part(path, "customer"), "customer", team.customer.as_deref(), known.customers, verdict);
}

fn judge_key(path: &str, key: &VirtualKey, known: Known<'_>, verdict: &mut Verdict) {
    id(path, &key.id, verdict);
    known_to(part(path, "team"), "team", key.team.as_deref(), known.teams, verdict);
    for (index, pattern) in key.models.iter().enumerate() {
        verdict.pattern(part(path, &format!("models[{index}]")), pattern);
    }
    budgets(path, &key.budgets, verdict);
    limits(path, &key.limits, verdict);
    let mut seen = BTreeSet::new();
    for (index, provider) in key.providers.iter().enumerate() {
        let path = part(path, &format!("providers[{index}]"));
        known_to(part(&path, "provider"), "provider", Some(&provider.provider), known.providers, verdict);
        if !seen.insert(&provider.provider) {
            let message = format!("provider `{}` is there twice", provider.provider);
            verdict.error_with(part(&path, "provider"), message, "put its budgets and limits together".to_owned());
        }
        verdict.weight(part(&path, "weight"), provider.weight);
        budgets(&path, &provider.budgets, verdict);
        limits(&path, &provider.limits, verdict);
    }
}

fn id(path: &str, id: &str, verdict: &mut Verdict) {
    verdict.word(part(path, "id"), "id", id);
    if id.len() > MAX_ID {
        verdict.error(part(path, "id"), format!("the id has {} bytes, at most {MAX_ID} are allowed", id.len()));
    }
}

fn known_to(path: String, what: &str, name: Option<&str>, known: &[&str], verdict: &mut Verdict) {
    if let Some(name) = name
        && !known.contains(&name)
    {
        let hint = suggest::hint(name, &format!("{what}s"), known);
        verdict.error_with(path, format!("unknown {what} `{name}`"), hint);
    }
}

/// A key of the file has a value or the hash of one.
fn secret(path: &str, key: &VirtualKey, verdict: &mut Verdict) {
    match (&key.value, &key.hash) {
        (Some(value), None) => judge_value(part(path, "value"), value.expose(), verdict),
        (None, Some(hash)) => {
            if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let hint = "write the 64 hexadecimal digits that `peerway config export` prints".to_owned();
                verdict.error_with(part(path, "hash"), "not the hash of a key", hint);
            }
        }
        (Some(_), Some(_)) => {
            verdict.error_with(part(path, "hash"), "a key has a value or a hash", "leave out one of them".to_owned());
        }
        (None, None) => {
            let hint = "write what the client sends: `value: ${NAME}`".to_owned();
            verdict.error_with(part(path, "value"), "`value` is missing or empty", hint);
        }
    }
}

fn judge_value(path: String, value: &str, verdict: &mut Verdict) {
    match value {
        "" => verdict.error(path, "the key's value is empty"),
        value if !fits_header(value) => {
            let message = "the value holds characters that a key in an HTTP header cannot have (spaces, controls, other \
                           than ASCII)";
            verdict.error(path, message);
        }
        _ => {}
    }
}

fn budgets(path: &str, budgets: &[Budget], verdict: &mut Verdict) {
    let mut seen = BTreeSet::new();
    for (index, budget) in budgets.iter().enumerate() {
        let path = part(path, &format!("budgets[{index}]"));
        if let Err(error) = budget.limit_usd.parse::<NanoUsd>() {
            let message = format!("`{}` is {error}", budget.limit_usd);
            verdict.error_with(format!("{path}.limit_usd"), message, error.hint().to_owned());
        }
        window(format!("{path}.window"), &budget.window, verdict);
        if !seen.insert(budget.window.as_str()) {
            let hint = "the smaller of the two is the one that holds: leave out the other".to_owned();
            verdict.error_with(format!("{path}.window"), "there is a budget with this window already", hint);
        }
    }
}

fn limits(path: &str, limits: &[Limit], verdict: &mut Verdict) {
    let mut seen = Vec::new();
    for (index, limit) in limits.iter().enumerate() {
        let path = format!("{}.window", part(path, &format!("limits[{index}]")));
        window(path.clone(), &limit.window, verdict);
        if seen.contains(&(limit.unit, limit.window.as_str())) {
            let hint = "the smaller of the two is the one that holds: leave out the other".to_owned();
            verdict.error_with(path, "there is a limit with this unit and window already", hint);
        }
        seen.push((limit.unit, limit.window.as_str()));
    }
}

fn window(path: String, window: &str, verdict: &mut Verdict) {
    if !WINDOWS.contains(&window) {
        // Not by nearness: `1m` and `1M` are both windows, and a month is not a minute.
        let hint = format!("known windows: {}", WINDOWS.join(", "));
        verdict.error_with(path, format!("unknown window `{window}`"), hint);
    }
}

/// A reservation takes from so many budgets and limits at most.
fn too_many(governance: &Governance, verdict: &mut Verdict) {
    for (index, key) in governance.keys.iter().enumerate() {
        let team = governance.teams.iter().find(|team| Some(&team.id) == key.team.as_ref());
        let customer = team.and_then(|team| team.customer.as_ref());
        let customer = governance.customers.iter().find(|known| Some(&known.id) == customer);
        let at_providers = key.providers.iter().map(|provider| provider.budgets.len() + provider.limits.len());
        let count = key.budgets.len()
            + key.limits.len()
            + team.map_or(0, |team| team.budgets.len() + team.limits.len())
            + customer.map_or(0, |customer| customer.budgets.len() + customer.limits.len())
            + at_providers.max().unwrap_or(0);
        if count > MAX_CHARGES {
            verdict.error_with(
                format!("governance.keys[{index}].id"),
                format!(
                    "requests with key `{}` are charged to {count} budgets and limits, at most {MAX_CHARGES} are allowed",
                    key.id
                ),
                "count those of its team, of its customer and of one provider with its own, and leave some out".to_owned(),
            );
        }
    }
}
