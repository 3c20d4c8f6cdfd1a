//! `/cluster`: the cluster as this node sees it, and draining.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::ProblemDetails;
use super::ring::RingTable;
use super::status::Status;
use super::{Admin, Problem, resource, ring, status};

/// The cluster: nodes, ring, ledger, registry, providers.
#[utoipa::path(get, path = "/cluster/status", tag = "cluster", responses((status = 200, body = Status)))]
pub(super) async fn cluster_status(State(admin): State<Admin>) -> Json<Status> {
    Json(status::status(&admin))
}

/// Who owns which partition.
#[utoipa::path(get, path = "/cluster/ring", tag = "cluster", responses((status = 200, body = RingTable)))]
pub(super) async fn cluster_ring(State(admin): State<Admin>) -> Json<RingTable> {
    Json(ring::ring(&admin))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainRequest {
    /// Its id.
    node: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DrainBegun {
    node: String,
    state: &'static str,
}

/// Lets a node finish its requests and leave.
#[utoipa::path(post, path = "/cluster/drain", tag = "cluster", request_body = DrainRequest, responses(
    (status = 200, body = DrainBegun),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn drain(State(admin): State<Admin>, body: Bytes) -> Result<Json<DrainBegun>, Problem> {
    let DrainRequest { node } = resource::read(&body)?;
    admin.peers.drain(&node).await.map_err(|reason| Problem::invalid(reason.to_string()))?;
    Ok(Json(DrainBegun { node, state: "draining" }))
}
