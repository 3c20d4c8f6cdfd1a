//! `/api/cache`: what the cache holds, and purging it.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::ProblemDetails;
use super::{Admin, Problem};

/// Counters and sizes of this node's cache.
#[utoipa::path(get, path = "/api/cache", tag = "cache", responses((status = 200, body = Object)))]
pub(super) async fn stats(State(admin): State<Admin>) -> Response {
    Json(admin.gateway.cache.stats_json()).into_response()
}

/// What to purge: exactly one of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PurgeRequest {
    /// An entry, as `x-peerway-cache-id` names it.
    id: Option<String>,
    /// All under a cache key.
    key: Option<String>,
    /// All of a namespace.
    namespace: Option<String>,
    /// Everything.
    all: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Purged {
    purged: bool,
}

/// Removes cached answers on all nodes.
#[utoipa::path(delete, path = "/api/cache", tag = "cache", params(PurgeRequest), responses(
    (status = 200, body = Purged),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn purge(
    State(admin): State<Admin>,
    query: Result<Query<PurgeRequest>, QueryRejection>,
) -> Result<Json<Purged>, Problem> {
    let what = "say what to purge: exactly one of ?id=, ?key=, ?namespace= or ?all=true";
    let Query(request) = query.map_err(|error| Problem::invalid(format!("{error}; {what}")))?;
    let cache = &admin.gateway.cache;
    let purged = match request {
        PurgeRequest { id: Some(id), key: None, namespace: None, all: None } => cache.purge_id(&id).await,
        PurgeRequest { id: None, key: Some(key), namespace: None, all: None } => cache.purge_key(&key).await,
        PurgeRequest { id: None, key: None, namespace: Some(name), all: None } => cache.purge_namespace(&name).await,
        PurgeRequest { id: None, key: None, namespace: None, all: Some(true) } => cache.purge_all().await,
        _ => return Err(Problem::invalid(what.to_owned())),
    };
    purged.map_err(Problem::invalid)?;
    Ok(Json(Purged { purged: true }))
}
