//! The control plane: status, metrics and changes. On loopback by default; anywhere else only behind a token.
//!
//! One file a resource; each route is declared at its handler, so that `/openapi.json` cannot lack one.

mod budgets;
mod cache;
mod cluster;
mod config;
mod customers;
mod guard;
mod insight;
mod keys;
mod ledger;
mod metrics;
mod problem;
mod providers;
mod resource;
mod ring;
mod routes;
mod status;
mod teams;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, middleware};
use http::header::CONTENT_TYPE;
use peerway_cluster::ledger::service::LedgerService;
use peerway_cluster::registry::RegistryService;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Secret;
use crate::gateway::Gateway;
use crate::governance::AlertCounts;
use crate::http::Edge;
use crate::peers::{Load, Peers};
use crate::telemetry::Shards;

pub use problem::Problem;

/// What the control plane looks at.
#[derive(Debug, Clone)]
pub struct Admin {
    pub gateway: Arc<Gateway>,
    /// Of the data plane.
    pub edge: Arc<Edge>,
    pub peers: Peers,
    pub shards: Shards,
    pub load: Load,
    pub registry: RegistryService,
    pub ledger: LedgerService,
    pub alerts: AlertCounts,
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

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Peerway admin API",
    description = "Every node answers it, and a change made at one holds on all. Errors are problem details (RFC 9457)."
), modifiers(&Token), security((), ("token" = [])))]
struct Document;

/// `admin.token`, where one is set.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", bearer);
    }
}

/// All routes, each with its description.
fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(index))
        .routes(routes!(livez))
        .routes(routes!(openapi))
        .routes(routes!(prometheus))
        .routes(routes!(cluster::cluster_status))
        .routes(routes!(cluster::cluster_ring))
        .routes(routes!(cluster::drain))
        .routes(routes!(cluster::forget))
        .routes(routes!(budgets::list))
        .routes(routes!(providers::list))
        .routes(routes!(insight::show, cache::purge))
        .routes(routes!(cache::explain))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::show, keys::update, keys::revoke))
        .routes(routes!(teams::list, teams::create))
        .routes(routes!(teams::show, teams::update, teams::remove))
        .routes(routes!(customers::list, customers::create))
        .routes(routes!(customers::show, customers::update, customers::remove))
        .routes(routes!(routes::explain))
        .routes(routes!(config::diff))
        .routes(routes!(config::export))
}

/// The routes of the admin listener.
pub fn router(admin: Admin) -> Router {
    let guarded = admin.clone();
    let (router, _) = routes().split_for_parts();
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::wrong_method() })
        .with_state(admin)
        .layer(middleware::from_fn_with_state(guarded, guard::check))
}

/// The description of the admin API.
pub fn document() -> OpenApi {
    routes().split_for_parts().1
}

/// What there is.
#[utoipa::path(get, path = "/", tag = "node", responses((status = 200, body = String, content_type = "text/plain")))]
async fn index() -> &'static str {
    "Peerway admin: /openapi.json /cluster/status /cluster/ring /metrics /api/budgets /api/providers /api/routes/explain /api/keys \
     /api/teams /api/customers /api/cache /api/cache/explain /api/config/diff /api/config/export\n"
}

/// Whether the process runs.
#[utoipa::path(get, path = "/livez", tag = "node", responses((status = 200, body = String, content_type = "text/plain")))]
async fn livez() -> &'static str {
    "ok\n"
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "node", responses((status = 200, body = Object)))]
async fn openapi() -> Json<OpenApi> {
    Json(document())
}

/// The metrics of this node, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "node", responses((status = 200, body = String, content_type = "text/plain")))]
async fn prometheus(State(admin): State<Admin>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::page(&admin)).into_response()
}

#[cfg(test)]
mod tests;
