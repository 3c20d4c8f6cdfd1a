//! Lists of models: what the caller's key may use, in the form of the dialect that it speaks.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use peerway_dialect::Dialect;
use serde::Serialize;

use super::authenticate::authenticate;
use super::plan::Plan;
use crate::governance::{Access, VirtualKey};
use crate::http::error::ApiError;
use crate::surface;

/// The names that the key may use.
pub(super) fn allowed(plan: &Plan, key: Option<&VirtualKey>) -> Vec<String> {
    plan.routes.names().filter(|name| key.is_none_or(|key| key.allows(&[name.as_str()]))).collect()
}

pub(super) fn list(dialect: Dialect, plan: &Plan, access: &Access, headers: &HeaderMap) -> Result<Response, ApiError> {
    let key = authenticate(plan, access, headers)?;
    Ok(json(&surface::models::list(dialect, &allowed(plan, key.as_deref()))))
}

pub(super) fn show(
    dialect: Dialect,
    plan: &Plan,
    access: &Access,
    headers: &HeaderMap,
    id: &str,
) -> Result<Response, ApiError> {
    let key = authenticate(plan, access, headers)?;
    if allowed(plan, key.as_deref()).iter().any(|name| name == id) {
        return Ok(json(&surface::models::one(dialect, id)));
    }
    let hint = "GET /v1/models lists all that this key may use.".to_owned();
    Err(ApiError::ModelNotFound { model: id.to_owned(), hint })
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
