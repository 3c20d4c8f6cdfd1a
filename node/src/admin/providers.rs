//! `/api/providers`: which upstreams answer, as this node and its peers see it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use crate::health::ProviderStatus;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Providers {
    providers: Vec<ProviderStatus>,
}

/// Models at providers with their keys: breaker, averages, weight and why.
#[utoipa::path(get, path = "/api/providers", tag = "providers", responses((status = 200, body = Providers)))]
pub(super) async fn list(State(admin): State<Admin>) -> Json<Providers> {
    Json(Providers { providers: all(&admin) })
}

pub(super) fn all(admin: &Admin) -> Vec<ProviderStatus> {
    admin.gateway.health.snapshot().into_iter().map(ProviderStatus::from).collect()
}
