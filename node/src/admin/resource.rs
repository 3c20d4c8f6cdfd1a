//! What keys, teams and customers have in common: bodies, merge patches, writes.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use peerway_cluster::registry::service::{Expected, Written};
use peerway_cluster::registry::{RecordKind, Snapshot};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{Admin, Problem};
use crate::config::Known;
use crate::governance::Access;

/// How far a change has come when it is answered. It holds from then on; whoever has not heard of it does so as soon as
/// there is a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stored {
    /// It is on the disk of the node that was asked.
    durable: bool,
    /// Live peers that have it already.
    told: usize,
    /// Live peers.
    peers: usize,
}

impl From<Written> for Stored {
    fn from(written: Written) -> Self {
        Self { durable: written.durable, told: written.told, peers: written.peers }
    }
}

/// What came of a removal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Removed {
    pub(super) id: String,
    pub(super) stored: Stored,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RemoveQuery {
    /// Remove it although this node does not know it: it may have been made at a node that is cut off.
    #[serde(default)]
    force: bool,
}

/// The query of a removal, or what is wrong with it.
pub(super) fn force(query: Result<Query<RemoveQuery>, QueryRejection>) -> Result<bool, Problem> {
    query
        .map(|Query(query)| query.force)
        .map_err(|error| Problem::invalid(format!("{error}: ?force=true is all there is")))
}

/// A body, or what is wrong with it and where.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| misfit(&error))?;
    json.end().map_err(|error| Problem::invalid(format!("the body goes on after its object: {error}")))?;
    Ok(read)
}

/// A JSON merge patch (RFC 7396) on an object, read as what the whole object is.
pub(super) fn patched<T: Serialize + DeserializeOwned>(current: &T, patch: &Bytes) -> Result<T, Problem> {
    let patch: Value = read(patch)?;
    if !patch.is_object() {
        return Err(Problem::invalid("the body must be an object with the fields to change".to_owned()));
    }
    let mut whole = serde_json::to_value(current).unwrap_or_default();
    merge(&mut whole, patch);
    serde_path_to_error::deserialize(whole).map_err(|error| misfit(&error))
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(target) = target {
        for (name, value) in patch {
            if value.is_null() {
                target.remove(&name);
            } else {
                merge(target.entry(name).or_insert(Value::Null), value);
            }
        }
    }
}

fn misfit(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let path = error.path().to_string();
    match path.as_str() {
        "." => Problem::invalid(format!("the body is not understood: {}", error.inner())),
        path => Problem::invalid(format!("{path}: {}", error.inner())),
    }
}

/// Runs a judgement with the names of all that is there.
pub(super) fn judged(
    access: &Access,
    judge: impl FnOnce(Known<'_>) -> Vec<crate::config::Problem>,
) -> Result<(), Problem> {
    let customers: Vec<&str> = access.customers.keys().map(|id| &**id).collect();
    let teams: Vec<&str> = access.teams.keys().map(|id| &**id).collect();
    let providers: Vec<&str> = access.providers.iter().map(String::as_str).collect();
    let problems = judge(Known { customers: &customers, teams: &teams, providers: &providers });
    if problems.is_empty() { Ok(()) } else { Err(Problem::fields(problems)) }
}

/// Refuses another id than the path's.
pub(super) fn same_id(path: &str, body: &str) -> Result<(), Problem> {
    if path == body {
        return Ok(());
    }
    Err(Problem::invalid(format!("id: `{path}` cannot be renamed to `{body}`: make a new one, then remove this one")))
}

/// What holds, for a write that relies on it: no older than the snapshot, so that a write which is refused by neither
/// changes what its writer has seen.
pub(super) fn look(admin: &Admin) -> (Arc<Snapshot>, Arc<Access>) {
    let snapshot = admin.registry.snapshot();
    admin.gateway.access.refresh();
    (snapshot, admin.gateway.access.load_full())
}

/// What a write relies on: the record as it is in the snapshot that was looked at.
pub(super) fn as_seen(snapshot: &Snapshot, kind: RecordKind, id: &str) -> Expected {
    Expected::Seen(snapshot.record(kind, id).map(|record| record.stamp.clone()))
}

/// Writes a record, or removes it, and puts it in force here.
pub(super) async fn write(
    admin: &Admin,
    kind: RecordKind,
    id: &str,
    value: Option<Vec<u8>>,
    expected: Expected,
) -> Result<Stored, Problem> {
    let written = match value {
        Some(value) => admin.registry.put(kind, id, &value, expected).await,
        None => admin.registry.remove(kind, id, expected).await,
    };
    // Refused or not: what was found in the way holds too.
    admin.gateway.access.refresh();
    Ok(written?.into())
}

/// Refuses to make what is there already, if only as a record that is not understood.
pub(super) fn vacant(access: &Access, what: &str, kind: RecordKind, id: &str, known: bool) -> Result<(), Problem> {
    if known {
        return Err(Problem::conflict(format!(
            "there is a {what} `{id}` already: change it with PATCH /api/{what}s/{id}"
        )));
    }
    match access.unreadable.iter().find(|it| it.kind == kind && *it.id == *id) {
        Some(it) => Err(Problem::conflict(format!("there is a {what} `{id}` that cannot be used: {}", it.reason))),
        None => Ok(()),
    }
}

/// Whether there is something to remove: it holds, or it is not understood.
pub(super) fn removable(access: &Access, kind: RecordKind, id: &str, known: bool, force: bool) -> bool {
    known || force || access.unreadable.iter().any(|it| it.kind == kind && *it.id == *id)
}

/// Refuses to remove what something `belong`s to: that would let nobody in, as the budgets above it would not be charged.
pub(super) fn deserted<'a>(
    mut members: impl Iterator<Item = &'a str>,
    belong: &str,
    what_to_do: &str,
) -> Result<(), Problem> {
    let some: Vec<&str> = members.by_ref().take(5).collect();
    if some.is_empty() {
        return Ok(());
    }
    let more = if members.next().is_some() { " and others" } else { "" };
    Err(Problem::conflict(format!("{belong}: {}{more}; {what_to_do}", some.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patches_are_those_of_the_standard() {
        // The cases of RFC 7396, appendix A, that begin with an object.
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = target.clone();
            merge(&mut merged, patch.clone());
            assert_eq!(merged, result, "{target} {patch}");
        }
    }
}
