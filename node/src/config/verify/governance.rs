//! Customers, teams, virtual keys; their budgets and limits.

use super::Verdict;
use super::listeners::fits_header;
use crate::config::model::{Budget, Config, Governance, Limit};
use crate::config::suggest;
use crate::governance::NanoUsd;

const WINDOWS: [&str; 11] = ["1m", "5m", "15m", "30m", "1h", "6h", "1d", "1w", "1M", "1Y", "forever"];

pub(super) fn verify(config: &Config, verdict: &mut Verdict) {
    let governance = &config.governance;
    customers_and_teams(governance, verdict);
    keys(governance, verdict);
    not_enforced(governance, verdict);
}

fn customers_and_teams(governance: &Governance, verdict: &mut Verdict) {
    let Governance { customers, teams, .. } = governance;
    let id = |list: &str, index: usize| format!("governance.{list}[{index}].id");
    let ids = customers.iter().enumerate().map(|(index, customer)| (id("customers", index), customer.id.as_str()));
    verdict.duplicates("id", ids);
    for (index, customer) in customers.iter().enumerate() {
        verdict.word(id("customers", index), "id", &customer.id);
        budgets(&format!("governance.customers[{index}]"), &customer.budgets, verdict);
    }
    let ids = teams.iter().enumerate().map(|(index, team)| (id("teams", index), team.id.as_str()));
    verdict.duplicates("id", ids);
    let known: Vec<&str> = customers.iter().map(|customer| customer.id.as_str()).collect();
    for (index, team) in teams.iter().enumerate() {
        let path = format!("governance.teams[{index}]");
        verdict.word(id("teams", index), "id", &team.id);
        budgets(&path, &team.budgets, verdict);
        known_to(format!("{path}.customer"), "customer", team.customer.as_deref(), &known, verdict);
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

fn keys(governance: &Governance, verdict: &mut Verdict) {
    let keys = &governance.keys;
    let field = |index: usize, name: &str| format!("governance.keys[{index}].{name}");
    verdict.duplicates("id", keys.iter().enumerate().map(|(index, key)| (field(index, "id"), key.id.as_str())));
    let values = keys.iter().enumerate().filter(|(_, key)| !key.value.expose().is_empty());
    verdict.duplicates("value", values.map(|(index, key)| (field(index, "value"), key.value.expose())));
    let teams: Vec<&str> = governance.teams.iter().map(|team| team.id.as_str()).collect();
    for (index, key) in keys.iter().enumerate() {
        verdict.word(field(index, "id"), "id", &key.id);
        match key.value.expose() {
            "" => verdict.error(field(index, "value"), "the key's value is empty"),
            value if !fits_header(value) => {
                verdict.error(field(index, "value"), "the value holds characters that a key in an HTTP header cannot have (spaces, controls, other than ASCII)");
            }
            _ => {}
        }
        known_to(field(index, "team"), "team", key.team.as_deref(), &teams, verdict);
        for (model, pattern) in key.models.iter().enumerate() {
            verdict.pattern(field(index, &format!("models[{model}]")), pattern);
        }
        if key.models.is_empty() {
            let hint = "add `models: [\"*\"]` for all of them".to_owned();
            verdict.warn(field(index, "models"), format!("key `{}` may use no model", key.id), hint);
        }
        budgets(&format!("governance.keys[{index}]"), &key.budgets, verdict);
        limits(&format!("governance.keys[{index}]"), &key.limits, verdict);
    }
}

fn budgets(path: &str, budgets: &[Budget], verdict: &mut Verdict) {
    for (index, budget) in budgets.iter().enumerate() {
        let path = format!("{path}.budgets[{index}]");
        if let Err(error) = budget.limit_usd.parse::<NanoUsd>() {
            let message = format!("`{}` is {error}", budget.limit_usd);
            verdict.error_with(format!("{path}.limit_usd"), message, error.hint().to_owned());
        }
        window(format!("{path}.window"), &budget.window, verdict);
    }
}

fn limits(path: &str, limits: &[Limit], verdict: &mut Verdict) {
    for (index, limit) in limits.iter().enumerate() {
        window(format!("{path}.limits[{index}].window"), &limit.window, verdict);
    }
}

fn window(path: String, window: &str, verdict: &mut Verdict) {
    if !WINDOWS.contains(&window) {
        // Not by nearness: `1m` and `1M` are both windows, and a month is not a minute.
        let hint = format!("known windows: {}", WINDOWS.join(", "));
        verdict.error_with(path, format!("unknown window `{window}`"), hint);
    }
}

fn not_enforced(governance: &Governance, verdict: &mut Verdict) {
    let customers = governance.customers.iter().enumerate();
    let customers = customers.filter(|(_, customer)| !customer.budgets.is_empty());
    let teams = governance.teams.iter().enumerate().filter(|(_, team)| !team.budgets.is_empty());
    let keys = governance.keys.iter().enumerate();
    let places: Vec<String> = customers
        .map(|(index, _)| format!("governance.customers[{index}].budgets"))
        .chain(teams.map(|(index, _)| format!("governance.teams[{index}].budgets")))
        .chain(keys.flat_map(|(index, key)| {
            let budgets = (!key.budgets.is_empty()).then(|| format!("governance.keys[{index}].budgets"));
            let limits = (!key.limits.is_empty()).then(|| format!("governance.keys[{index}].limits"));
            budgets.into_iter().chain(limits)
        }))
        .collect();
    let Some(first) = places.first() else { return };
    let more = match places.len() {
        1 => String::new(),
        count => format!(" ({count} blocks of them, this is the first)"),
    };
    verdict.warn(
        first.clone(),
        format!("budgets and limits are not enforced by this version{more}"),
        "set a limit at the provider too".to_owned(),
    );
}
