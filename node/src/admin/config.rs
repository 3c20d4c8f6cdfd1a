//! `/api/config`: what was changed at run time, against the file and together with it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::Admin;
use super::keys::KeyBody;
use crate::governance::access::{Difference, Differences, Over, Source, VirtualKey};

/// What the registry lays over the configuration file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConfigDifference {
    differences: Vec<Entry>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Entry {
    /// `customer`, `team` or `key`.
    kind: &'static str,
    id: String,
    change: Change,
    /// What the file says.
    #[schema(value_type = Option<Object>)]
    file: Option<Value>,
    /// What holds instead. `value: "own"` is a key's value that was made at run time.
    #[schema(value_type = Option<Object>)]
    registry: Option<Value>,
    /// Why the record cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Change {
    Added,
    Changed,
    /// It says what the file says.
    Same,
    Removed,
    Unreadable,
}

/// What was changed at run time.
#[utoipa::path(get, path = "/api/config/diff", tag = "config", responses((status = 200, body = ConfigDifference)))]
pub(super) async fn diff(State(admin): State<Admin>) -> Json<ConfigDifference> {
    let Differences { customers, teams, keys } = admin.gateway.access.differences();
    let customers = customers.into_iter().map(|it| entry("customer", it, |it| trimmed(&it)));
    let teams = teams.into_iter().map(|it| entry("team", it, |it| trimmed(&it)));
    let keys = keys.into_iter().map(|it| {
        entry("key", it, |key| {
            let mut shown = trimmed(&KeyBody::of(&key));
            if key.hash.is_some() {
                shown["value"] = "own".into();
            }
            shown
        })
    });
    Json(ConfigDifference { differences: customers.chain(teams).chain(keys).collect() })
}

fn entry<T: Clone>(kind: &'static str, difference: Difference<T>, shown: impl Fn(T) -> Value) -> Entry {
    let Difference { id, file, registry } = difference;
    let file = file.map(|file| shown(T::clone(&file)));
    let (registry, unreadable) = match registry {
        Over::Written(written) => (Some(shown(*written)), None),
        Over::Removed => (None, None),
        Over::Unreadable(reason) => (None, Some(reason)),
    };
    let change = match (&file, &registry) {
        _ if unreadable.is_some() => Change::Unreadable,
        (None, _) => Change::Added,
        (Some(_), None) => Change::Removed,
        (Some(file), Some(registry)) if file == registry => Change::Same,
        (Some(_), Some(_)) => Change::Changed,
    };
    Entry { kind, id, change, file, registry, unreadable }
}

/// The block `governance` as it holds, file and registry together. A key's value is never in it: where it is the file's,
/// there is a reference to fill in; where it was made at run time, its hash.
#[utoipa::path(get, path = "/api/config/export", tag = "config", responses((status = 200, body = Object)))]
pub(super) async fn export(State(admin): State<Admin>) -> Json<Value> {
    let access = admin.gateway.access.load();
    let customers: Vec<Value> = access.customers.values().map(|it| trimmed(&*it.definition)).collect();
    let teams: Vec<Value> = access.teams.values().map(|it| trimmed(&*it.definition)).collect();
    let keys: Vec<Value> = access.keys.values().map(|key| exported(key)).collect();
    let require_key = admin.gateway.plan.load().require_key;
    Json(json!({ "governance": { "require_key": require_key, "customers": customers, "teams": teams, "keys": keys } }))
}

fn exported(key: &VirtualKey) -> Value {
    let (name, secret) = match (&key.definition.hash, key.source) {
        (Some(hash), _) => ("hash", hash.clone()),
        (None, Source::File | Source::Both | Source::Registry) => ("value", format!("${{{}}}", variable(&key.id))),
    };
    let mut shown = Map::new();
    shown.insert("id".to_owned(), key.id.as_ref().into());
    shown.insert(name.to_owned(), secret.into());
    if let Value::Object(rest) = trimmed(&KeyBody::of(&key.definition)) {
        shown.extend(rest);
    }
    Value::Object(shown)
}

/// What the variable with a key's value may be called.
fn variable(id: &str) -> String {
    let name = id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    format!("PEERWAY_KEY_{}", name.collect::<String>())
}

/// Without what says only what its absence would say too.
fn trimmed(value: &impl Serialize) -> Value {
    fn trim(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.values_mut().for_each(trim);
                fields.retain(|name, value| match value {
                    Value::Null => false,
                    Value::Array(items) => !items.is_empty(),
                    Value::Bool(enabled) => name != "enabled" || !*enabled,
                    Value::Number(weight) => name != "weight" || weight.as_f64() != Some(1.0),
                    _ => true,
                });
            }
            Value::Array(items) => items.iter_mut().for_each(trim),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(value).unwrap_or_default();
    trim(&mut value);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_after_their_keys() {
        assert_eq!(variable("search-prod.1"), "PEERWAY_KEY_SEARCH_PROD_1");
    }

    #[test]
    fn what_is_as_by_default_is_left_out() {
        let value = json!({"id": "a", "team": null, "models": [], "enabled": true, "providers": [{"provider": "p", "weight": 1.0}]});
        assert_eq!(trimmed(&value), json!({"id": "a", "providers": [{"provider": "p"}]}));
        assert_eq!(trimmed(&json!({"enabled": false, "limit": 0})), json!({"enabled": false, "limit": 0}));
    }
}
