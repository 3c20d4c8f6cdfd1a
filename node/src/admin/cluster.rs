//! `/cluster`: the cluster as this node sees it; draining and forgetting nodes.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use peerway_cluster::identity::NodeId;
use peerway_cluster::ledger::service::{ForgetError, Forgotten};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::ProblemDetails;
use super::ring::RingTable;
use super::status::Status;
use super::{Admin, Problem, resource, ring, status};
use crate::governance::rfc3339;

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

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForgetRequest {
    /// Its id.
    node: String,
}

/// A node whose part of budgets and limits goes to the others.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeForgotten {
    node: String,
    incarnations: Vec<IncarnationForgotten>,
    /// By unit: if the node still lives where nobody sees it, at most so much is spent beyond the limits.
    bound: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IncarnationForgotten {
    incarnation: u64,
    /// It has no share in windows that begin then or later.
    no_share_from: Option<String>,
}

/// Gives the part of a dead node to the others, from the next windows on. The one step with a bound in place of a
/// guarantee: end the node for certain first.
#[utoipa::path(post, path = "/cluster/forget", tag = "cluster", request_body = ForgetRequest, responses(
    (status = 200, body = NodeForgotten),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn forget(State(admin): State<Admin>, body: Bytes) -> Result<Json<NodeForgotten>, Problem> {
    let ForgetRequest { node } = resource::read(&body)?;
    let id: NodeId = node.parse().map_err(|error| Problem::invalid(format!("node: {error}")))?;
    let refused = |error: ForgetError| Problem::invalid(format!("`{node}` is not forgotten: {error}"));
    let Forgotten { actors, bound } = admin.ledger.forget(&id).await.map_err(refused)?;
    let incarnations = actors
        .into_iter()
        .map(|(actor, from)| IncarnationForgotten { incarnation: actor.incarnation.0, no_share_from: rfc3339(from) });
    let incarnations = incarnations.collect();
    let bound = bound.into_iter().map(|(unit, amount)| (unit.as_str(), amount)).collect();
    Ok(Json(NodeForgotten { node, incarnations, bound }))
}
