//! `GET /v1/models`: what the caller's key may use.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;

use super::authenticate::authenticate;
use super::plan::Plan;
use crate::governance::{Access, VirtualKey};
use crate::http::error::ApiError;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
}

impl<'a> Model<'a> {
    fn named(id: &'a str) -> Self {
        let owned_by = id.split_once('/').map_or("peerway", |(provider, _)| provider);
        Self { id, object: "model", created: 0, owned_by }
    }
}

/// The names that the key may use.
pub(super) fn allowed(plan: &Plan, key: Option<&VirtualKey>) -> Vec<String> {
    plan.routes.names().filter(|name| key.is_none_or(|key| key.allows(&[name.as_str()]))).collect()
}

pub(super) fn list(plan: &Plan, access: &Access, headers: &HeaderMap) -> Result<Response, ApiError> {
    let key = authenticate(plan, access, headers)?;
    let names = allowed(plan, key.as_deref());
    Ok(json(&List { object: "list", data: names.iter().map(|name| Model::named(name)).collect() }))
}

pub(super) fn show(plan: &Plan, access: &Access, headers: &HeaderMap, id: &str) -> Result<Response, ApiError> {
    let key = authenticate(plan, access, headers)?;
    if allowed(plan, key.as_deref()).iter().any(|name| name == id) {
        return Ok(json(&Model::named(id)));
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
