//! The control plane: status, metrics and changes. On loopback by default; anywhere else only behind a token.

mod guard;
mod metrics;
mod problem;
mod ring;
mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Query, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use serde::Deserialize;

use peerway_cluster::registry::RegistryService;

use crate::config::Secret;
use crate::gateway::Gateway;
use crate::peers::{Load, Peers};
use crate::telemetry::Shards;

pub use problem::Problem;

/// What the control plane looks at.
#[derive(Debug, Clone)]
pub struct Admin {
    pub gateway: Arc<Gateway>,
    pub peers: Peers,
    pub shards: Shards,
    pub load: Load,
    pub registry: RegistryService,
    /// Required from every caller when set.
    pub token: Option<Secret>,
    /// Whether the configuration that was read last is in force.
    pub reloaded: Arc<AtomicBool>,
}

impl Admin {
    fn reloaded(&self) -> bool {
        self.reloaded.load(Ordering::Relaxed)
    }
}

/// The routes of the admin listener.
pub fn router(admin: Admin) -> Router {
    let guarded = admin.clone();
    Router::new()
        .route("/", get(index))
        .route("/cluster/status", get(cluster_status))
        .route("/cluster/ring", get(cluster_ring))
        .route("/cluster/drain", post(cluster_drain))
        .route("/api/cache", get(cache_stats).delete(cache_purge))
        .route("/metrics", get(prometheus))
        .route("/livez", get(|| async { "ok\n" }))
        .fallback(|| async { Problem::not_found() })
        .with_state(admin)
        .layer(middleware::from_fn_with_state(guarded, guard::check))
}

async fn index() -> &'static str {
    "Peerway admin: /cluster/status /cluster/ring /metrics /api/cache\n"
}

async fn cluster_status(State(admin): State<Admin>) -> Response {
    axum::Json(status::status(&admin)).into_response()
}

async fn cluster_ring(State(admin): State<Admin>) -> Response {
    axum::Json(ring::ring(&admin)).into_response()
}

#[derive(Debug, Deserialize)]
struct DrainRequest {
    node: String,
}

async fn cluster_drain(State(admin): State<Admin>, body: axum::body::Bytes) -> Result<Response, Problem> {
    let request: DrainRequest = serde_json::from_slice(&body)
        .map_err(|error| Problem::invalid(format!("the body must be {{\"node\":\"<id>\"}}: {error}")))?;
    admin.peers.drain(&request.node).await.map_err(|reason| Problem::invalid(reason.to_string()))?;
    Ok(axum::Json(serde_json::json!({ "node": request.node, "state": "draining" })).into_response())
}

async fn cache_stats(State(admin): State<Admin>) -> Response {
    axum::Json(admin.gateway.cache.stats_json()).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PurgeRequest {
    id: Option<String>,
    key: Option<String>,
    namespace: Option<String>,
    all: Option<bool>,
}

async fn cache_purge(
    State(admin): State<Admin>,
    query: Result<Query<PurgeRequest>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let what = "say what to purge: exactly one of ?id=, ?key=, ?namespace= or ?all=true";
    let Query(request) = query.map_err(|error| Problem::invalid(format!("{error}; {what}")))?;
    let purged = match request {
        PurgeRequest { id: Some(id), key: None, namespace: None, all: None } => admin.gateway.cache.purge_id(&id).await,
        PurgeRequest { id: None, key: Some(key), namespace: None, all: None } => {
            admin.gateway.cache.purge_key(&key).await
        }
        PurgeRequest { id: None, key: None, namespace: Some(name), all: None } => {
            admin.gateway.cache.purge_namespace(&name).await
        }
        PurgeRequest { id: None, key: None, namespace: None, all: Some(true) } => admin.gateway.cache.purge_all().await,
        _ => return Err(Problem::invalid(what.to_owned())),
    };
    purged.map_err(Problem::invalid)?;
    Ok(axum::Json(serde_json::json!({ "purged": true })).into_response())
}

async fn prometheus(State(admin): State<Admin>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::page(&admin)).into_response()
}
