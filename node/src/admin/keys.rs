//! `/api/keys`: virtual keys.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use peerway_cluster::registry::RecordKind;
use peerway_cluster::registry::service::Expected;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::ProblemDetails;
use super::resource::{self, RemoveQuery, Removed, Stored};
use super::{Admin, Problem};
use crate::config::{self, Budget, KeyProvider, Limit, Moment, Secret, verify_key};
use crate::governance::access::secret::{self, MIN_CHOSEN};
use crate::governance::access::{Access, KeyHash, Source, Unusable, VirtualKey, record};

const KIND: RecordKind = RecordKind::KEY;

/// A virtual key, as in the configuration.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyBody {
    /// What logs, metrics and the API call this key.
    id: String,
    /// What the client is to send, at least 20 characters. Leave it out to have one made.
    #[serde(default, skip_serializing)]
    #[schema(value_type = Option<String>, write_only)]
    value: Option<Secret>,
    /// The team it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    /// `provider/model`, bare models or aliases; `*` stands for any run of characters. Empty: none.
    #[serde(default)]
    models: Vec<String>,
    /// What the key may spend.
    #[serde(default)]
    budgets: Vec<Budget>,
    /// How many requests or tokens the key may use.
    #[serde(default)]
    limits: Vec<Limit>,
    /// How many of its requests may be in progress at once, at each node. Left out: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_concurrent: Option<u32>,
    /// What the key may spend and use at single providers; the others stay open to it.
    #[serde(default)]
    providers: Vec<KeyProvider>,
    /// Whether the key may be used at all.
    #[serde(default = "yes")]
    enabled: bool,
    /// From when on the key may not be used any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Moment>,
}

fn yes() -> bool {
    true
}

/// A virtual key as it holds. Its value is known to its client alone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyView {
    #[serde(flatten)]
    key: KeyBody,
    /// Its team's customer.
    customer: Option<String>,
    /// Where it was written.
    source: Source,
    state: KeyState,
}

/// Whether a key can be used.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum KeyState {
    Active,
    Disabled,
    Expired,
    /// Its team or that one's customer is not there.
    Orphan,
    /// It was written over an entry of the file that is not there any more.
    WithoutValue,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyList {
    keys: Vec<KeyView>,
}

/// A key that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyMade {
    id: String,
    /// What the client sends. It is shown this once and kept nowhere.
    key: String,
    stored: Stored,
}

/// A key that was changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyChanged {
    #[serde(flatten)]
    key: KeyView,
    stored: Stored,
}

impl KeyBody {
    pub(super) fn of(key: &config::VirtualKey) -> Self {
        let config::VirtualKey {
            id,
            team,
            models,
            budgets,
            limits,
            max_concurrent,
            providers,
            enabled,
            expires_at,
            ..
        } = key.clone();
        Self { id, value: None, team, models, budgets, limits, max_concurrent, providers, enabled, expires_at }
    }

    fn into_definition(self) -> config::VirtualKey {
        let Self { id, value, team, models, budgets, limits, max_concurrent, providers, enabled, expires_at } = self;
        config::VirtualKey {
            id,
            value,
            hash: None,
            team,
            models,
            budgets,
            limits,
            max_concurrent,
            providers,
            enabled,
            expires_at,
        }
    }
}

impl KeyView {
    fn of(key: &VirtualKey) -> Self {
        let state = match key.check(crate::governance::access::now_unix) {
            Err(Unusable::Disabled) => KeyState::Disabled,
            Err(Unusable::Expired) => KeyState::Expired,
            Err(Unusable::Orphan) => KeyState::Orphan,
            Ok(()) if key.hash.is_none() => KeyState::WithoutValue,
            Ok(()) => KeyState::Active,
        };
        let customer = key.customer_id().map(str::to_owned);
        Self { key: KeyBody::of(&key.definition), customer, source: key.source, state }
    }
}

/// All virtual keys.
#[utoipa::path(get, path = "/api/keys", tag = "keys", responses((status = 200, body = KeyList)))]
pub(super) async fn list(State(admin): State<Admin>) -> Json<KeyList> {
    let access = admin.gateway.access.load();
    Json(KeyList { keys: access.keys.values().map(|key| KeyView::of(key)).collect() })
}

/// Makes a virtual key.
#[utoipa::path(post, path = "/api/keys", tag = "keys", request_body = KeyBody, responses(
    (status = 201, body = KeyMade),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
    (status = 409, description = "There is one with this id or value", body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn create(State(admin): State<Admin>, body: Bytes) -> Result<Response, Problem> {
    let mut key = resource::read::<KeyBody>(&body)?.into_definition();
    let (snapshot, access) = resource::look(&admin);
    resource::vacant(&access, "key", KIND, &key.id, access.keys.contains_key(&*key.id))?;
    resource::judged(&access, |known| verify_key(&key, known))?;
    let value = match key.value.take() {
        Some(value) => value,
        None => secret::generate(),
    };
    let hash = hash(&access, &key.id, &value)?;
    let expected = resource::as_seen(&snapshot, KIND, &key.id);
    let stored = resource::write(&admin, KIND, &key.id, Some(record::of_key(&key, Some(hash))), expected).await?;
    tracing::info!(key = key.id, "a virtual key was made");
    let made = KeyMade { id: key.id, key: value.expose().to_owned(), stored };
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(made)).into_response())
}

/// One virtual key.
#[utoipa::path(get, path = "/api/keys/{id}", tag = "keys", params(("id" = String, Path)), responses(
    (status = 200, body = KeyView),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn show(State(admin): State<Admin>, Path(id): Path<String>) -> Result<Json<KeyView>, Problem> {
    let access = admin.gateway.access.load();
    let key = access.keys.get(&*id).ok_or_else(|| Problem::unknown("key", &id))?;
    Ok(Json(KeyView::of(key)))
}

/// Changes a virtual key: a JSON merge patch. With `value` it gets a new one, and the old one is no longer valid.
#[utoipa::path(patch, path = "/api/keys/{id}", tag = "keys", params(("id" = String, Path)),
    request_body(content = Object, description = "Those fields of KeyBody that change; null makes one what it is when left out"),
    responses(
        (status = 200, body = KeyChanged),
        (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, body = ProblemDetails, content_type = "application/problem+json"),
    ))]
pub(super) async fn update(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<KeyChanged>, Problem> {
    let (snapshot, access) = resource::look(&admin);
    let current = access.keys.get(&*id).ok_or_else(|| Problem::unknown("key", &id))?;
    let mut key = resource::patched(&KeyBody::of(&current.definition), &body)?.into_definition();
    resource::same_id(&id, &key.id)?;
    resource::judged(&access, |known| verify_key(&key, known))?;
    let hash = match key.value.take() {
        Some(value) => Some(hash(&access, &id, &value)?),
        // None where the value is the file's, and stays so.
        None => current.definition.hash.as_ref().and(current.hash),
    };
    let expected = resource::as_seen(&snapshot, KIND, &id);
    let stored = resource::write(&admin, KIND, &id, Some(record::of_key(&key, hash)), expected).await?;
    tracing::info!(key = id, "a virtual key was changed");
    let access = admin.gateway.access.load();
    // Who removed it in between has the last word.
    let key = access.keys.get(&*id).ok_or_else(|| Problem::unknown("key", &id))?;
    Ok(Json(KeyChanged { key: KeyView::of(key), stored }))
}

/// Revokes a virtual key, on all nodes. An entry of the file too: the revocation lies over it, also after a restart.
#[utoipa::path(delete, path = "/api/keys/{id}", tag = "keys", params(("id" = String, Path), RemoveQuery), responses(
    (status = 200, body = Removed),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn revoke(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    query: Result<Query<RemoveQuery>, QueryRejection>,
) -> Result<Json<Removed>, Problem> {
    let force = resource::force(query)?;
    let (_, access) = resource::look(&admin);
    if !resource::removable(&access, KIND, &id, access.keys.contains_key(&*id), force) {
        return Err(Problem::unknown("key", &id));
    }
    // Whatever was written in the meantime: it is revoked.
    let stored = resource::write(&admin, KIND, &id, None, Expected::Anything).await?;
    tracing::info!(key = id, "a virtual key was revoked");
    Ok(Json(Removed { id, stored }))
}

/// The hash of a value that is good enough and nobody else's.
fn hash(access: &Access, id: &str, value: &Secret) -> Result<KeyHash, Problem> {
    if value.expose().chars().count() < MIN_CHOSEN {
        return Err(Problem::fields(vec![config::Problem {
            path: "value".to_owned(),
            message: format!("a key's value must have at least {MIN_CHOSEN} characters"),
            hint: Some("leave it out to have one made".to_owned()),
        }]));
    }
    let hash = access.hasher.hash(value.expose().as_bytes());
    match access.with_hash(&hash) {
        Some(other) if *other.id != *id => {
            Err(Problem::conflict("value: another key has this value; leave it out to have one made".to_owned()))
        }
        _ => Ok(hash),
    }
}
