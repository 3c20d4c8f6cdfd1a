//! `peerway keys ...`: virtual keys at run time, on all nodes.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::ask::{AdminArgs, Call, segment};
use super::fail;
use super::table::Table;

#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    pub command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key. It is shown once and kept nowhere.
    Create {
        /// What logs, metrics and the API call it.
        id: String,
        #[command(flatten)]
        settings: KeySettings,
        #[command(flatten)]
        at: AdminArgs,
    },
    /// Show all keys.
    List {
        #[command(flatten)]
        at: AdminArgs,
    },
    /// Show one key.
    Show {
        id: String,
        #[command(flatten)]
        at: AdminArgs,
    },
    /// Change a key; what is not named stays.
    Update {
        id: String,
        #[command(flatten)]
        settings: KeySettings,
        /// Let it be used again.
        #[arg(long, conflicts_with = "disabled")]
        enabled: bool,
        /// Take away its team, budgets, limits, providers, models or end.
        #[arg(long, value_name = "WHAT", value_parser = ["team", "budgets", "limits", "max_concurrent", "providers", "models", "expires_at"])]
        remove: Vec<String>,
        #[command(flatten)]
        at: AdminArgs,
    },
    /// Revoke a key on all nodes, also one of the configuration file.
    Revoke {
        id: String,
        /// Revoke it although the node that is asked does not know it.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        at: AdminArgs,
    },
}

/// What a key may do.
#[derive(Debug, Default, Args)]
pub struct KeySettings {
    /// The team it belongs to.
    #[arg(long)]
    pub team: Option<String>,
    /// A model it may use, e.g. `smart` or `openai/*`. May be repeated.
    #[arg(long = "model", value_name = "PATTERN")]
    pub models: Vec<String>,
    /// What it may spend in a window, e.g. `10.00/1d`. May be repeated.
    #[arg(long = "budget", value_name = "USD/WINDOW", value_parser = budget)]
    pub budgets: Vec<Value>,
    /// What it may use in a window, e.g. `requests:200/1m` or `tokens:500000/1d`. May be repeated.
    #[arg(long = "limit", value_name = "UNIT:N/WINDOW", value_parser = limit)]
    pub limits: Vec<Value>,
    /// How many of its requests may be in progress at once, at each node.
    #[arg(long, value_name = "N")]
    pub max_concurrent: Option<u32>,
    /// What it may spend at one provider, e.g. `openai=5.00/1d`. May be repeated.
    #[arg(long = "provider-budget", value_name = "PROVIDER=USD/WINDOW", value_parser = provider_budget)]
    pub providers: Vec<Value>,
    /// From when on it may not be used any more, e.g. 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
    /// Make it, or leave it, of no use for now.
    #[arg(long)]
    pub disabled: bool,
    /// Take the key's value from standard input instead of having one made; at least 20 characters.
    #[arg(long)]
    pub value_stdin: bool,
}

fn budget(text: &str) -> Result<Value, String> {
    let (sum, window) = text.split_once('/').ok_or("write e.g. 10.00/1d")?;
    Ok(json!({ "limit_usd": sum, "window": window }))
}

fn limit(text: &str) -> Result<Value, String> {
    let parts = || {
        let (unit, rest) = text.split_once(':')?;
        let (number, window) = rest.split_once('/')?;
        Some((unit, number.parse::<u64>().ok()?, window))
    };
    let (unit, number, window) = parts().ok_or("write e.g. requests:200/1m")?;
    Ok(json!({ "unit": unit, "limit": number, "window": window }))
}

fn provider_budget(text: &str) -> Result<Value, String> {
    let (provider, text) = text.split_once('=').ok_or("write e.g. openai=5.00/1d")?;
    Ok(json!({ "provider": provider, "budgets": [budget(text)?] }))
}

impl KeySettings {
    /// The fields that were named.
    fn fields(&self) -> io::Result<Map<String, Value>> {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        if let Some(team) = &self.team {
            set("team", team.as_str().into());
        }
        if !self.models.is_empty() {
            set("models", self.models.clone().into());
        }
        if !self.budgets.is_empty() {
            set("budgets", self.budgets.clone().into());
        }
        if !self.limits.is_empty() {
            set("limits", self.limits.clone().into());
        }
        if let Some(most) = self.max_concurrent {
            set("max_concurrent", most.into());
        }
        if !self.providers.is_empty() {
            set("providers", by_provider(&self.providers).into());
        }
        if let Some(expires) = &self.expires {
            set("expires_at", expires.as_str().into());
        }
        if self.disabled {
            set("enabled", false.into());
        }
        if self.value_stdin {
            let mut value = String::new();
            io::stdin().take(64 * 1024).read_to_string(&mut value)?;
            set("value", value.trim().into());
        }
        Ok(fields)
    }
}

/// Several budgets at one provider are one entry.
fn by_provider(given: &[Value]) -> Vec<Value> {
    let mut merged: Vec<Value> = Vec::new();
    for entry in given {
        let budgets = entry["budgets"].as_array().cloned().unwrap_or_default();
        match merged.iter_mut().find(|known| known["provider"] == entry["provider"]) {
            Some(known) => known["budgets"].as_array_mut().into_iter().for_each(|known| known.extend(budgets.clone())),
            None => merged.push(entry.clone()),
        }
    }
    merged
}

/// Runs a command of `peerway keys`.
pub fn run(args: &KeysArgs, out: &mut dyn Write) -> ExitCode {
    match &args.command {
        KeysCommand::Create { id, settings, at } => match settings.fields() {
            Ok(mut body) => {
                body.insert("id".to_owned(), id.as_str().into());
                at.show(out, &Call::post("/api/keys", body.into()), made)
            }
            Err(error) => fail(&error),
        },
        KeysCommand::List { at } => at.show(out, &Call::get("/api/keys"), listed),
        KeysCommand::Show { id, at } => at.show(out, &Call::get(format!("/api/keys/{}", segment(id))), shown),
        KeysCommand::Update { id, settings, enabled, remove, at } => {
            let mut body = match settings.fields() {
                Ok(body) => body,
                Err(error) => return fail(&error),
            };
            if *enabled {
                body.insert("enabled".to_owned(), true.into());
            }
            body.extend(remove.iter().map(|what| (what.clone(), Value::Null)));
            if body.is_empty() {
                return fail(&"say what to change; see `peerway keys update --help`");
            }
            let call = Call::patch(format!("/api/keys/{}", segment(id)), body.into());
            at.show(out, &call, |answer| format!("{}{}\n", shown(answer), reach(answer)))
        }
        KeysCommand::Revoke { id, force, at } => {
            let query = if *force { "?force=true" } else { "" };
            let call = Call::delete(format!("/api/keys/{}{query}", segment(id)));
            at.show(out, &call, |answer| format!("{id} is revoked; {}\n", reach(answer)))
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("-")
}

fn made(answer: &Value) -> String {
    let (id, key) = (text(answer, "id"), text(answer, "key"));
    format!("{key}\n\nThis is the key `{id}`, shown this once: {}.\n", reach(answer))
}

/// How far a change has come.
fn reach(answer: &Value) -> String {
    let stored = &answer["stored"];
    let number = |name: &str| stored[name].as_u64().unwrap_or(0);
    let told = match (number("told"), number("peers")) {
        (_, 0) => "this node has no peers now".to_owned(),
        (told, peers) if told == peers => format!("all {peers} live peers know it"),
        (told, peers) => {
            format!("{told} of {peers} live peers know it, the others hear of it when they can be reached")
        }
    };
    match stored["durable"].as_bool() {
        Some(true) => told,
        _ => format!("{told}; this node's disk does not have it, see `peerway status`"),
    }
}

fn listed(answer: &Value) -> String {
    let mut table = Table::new(&[
        ("KEY", false),
        ("STATE", false),
        ("TEAM", false),
        ("MODELS", false),
        ("BUDGETS", false),
        ("LIMITS", false),
        ("SOURCE", false),
    ]);
    for key in answer["keys"].as_array().into_iter().flatten() {
        table.row(vec![
            text(key, "id").to_owned(),
            text(key, "state").to_owned(),
            text(key, "team").to_owned(),
            models(key),
            budgets(key),
            limits(key),
            text(key, "source").to_owned(),
        ]);
    }
    table.render()
}

fn shown(key: &Value) -> String {
    let mut shown = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(shown, "{name:<10} {value}");
    };
    for name in ["id", "state", "source", "team", "customer", "expires_at"] {
        if let Some(value) = key[name].as_str() {
            line(name, value);
        }
    }
    line("models", &models(key));
    line("budgets", &budgets(key));
    line("limits", &limits(key));
    for provider in key["providers"].as_array().into_iter().flatten() {
        line("provider", &format!("{}: {} {}", text(provider, "provider"), budgets(provider), limits(provider)));
    }
    shown
}

fn joined(of: &Value, name: &str, each: impl Fn(&Value) -> String) -> String {
    let all: Vec<String> = of[name].as_array().into_iter().flatten().map(each).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(" ") }
}

fn models(key: &Value) -> String {
    joined(key, "models", |model| model.as_str().unwrap_or("?").to_owned())
}

fn budgets(of: &Value) -> String {
    joined(of, "budgets", |budget| format!("{}/{}", text(budget, "limit_usd"), text(budget, "window")))
}

fn limits(of: &Value) -> String {
    joined(of, "limits", |limit| format!("{}:{}/{}", text(limit, "unit"), limit["limit"], text(limit, "window")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_and_limits_are_written_as_they_are_shown() {
        let key = json!({
            "budgets": [budget("10.00/1d").unwrap()], "limits": [limit("requests:200/1m").unwrap(), limit("tokens:5/1M").unwrap()],
        });
        assert_eq!((budgets(&key), limits(&key)), ("10.00/1d".into(), "requests:200/1m tokens:5/1M".into()));
        assert!(budget("10.00").is_err() && limit("requests/1m").is_err() && limit("requests:many/1m").is_err());
        let both = by_provider(&["a=1/1d", "b=1/1d", "a=2/1M"].map(|text| provider_budget(text).unwrap()));
        assert_eq!((both.len(), budgets(&both[0])), (2, "1/1d 2/1M".into()));
    }

    #[test]
    fn nobody_is_told_that_all_know_it_when_not_all_do() {
        let stored = |durable: bool, told: u64, peers: u64| {
            reach(&json!({"stored": {"durable": durable, "told": told, "peers": peers}}))
        };
        assert_eq!(stored(true, 2, 2), "all 2 live peers know it");
        assert!(stored(true, 1, 2).starts_with("1 of 2 live peers know it"));
        assert!(stored(false, 0, 0).contains("no peers") && stored(false, 0, 0).contains("disk does not have it"));
    }
}
