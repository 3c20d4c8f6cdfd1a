//! Errors of the management API: problem details, RFC 9457.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use peerway_cluster::registry::RegistryError;
use peerway_cluster::registry::service::WriteError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::config;

#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    fields: Vec<Field>,
}

/// What kind of problem it is: its `type`, its title and its status.
#[derive(Debug, Clone, Copy)]
struct Kind(&'static str, &'static str, StatusCode);

/// One field of a body that is wrong.
#[derive(Debug, Serialize, ToSchema)]
struct Field {
    /// Where in the body, e.g. `budgets[0].window`.
    field: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// What a caller reads.
#[derive(Serialize, ToSchema)]
pub(super) struct ProblemDetails {
    /// `urn:peerway:problem:...`: for programs to tell one from another.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    /// What went wrong, and what to do.
    detail: String,
    /// The fields that are wrong, when it is the body's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Field>,
}

impl Problem {
    fn new(kind: Kind, detail: String) -> Self {
        Self { kind, detail, fields: Vec::new() }
    }

    pub fn invalid(detail: String) -> Self {
        Self::new(Kind("invalid-request", "invalid request", StatusCode::BAD_REQUEST), detail)
    }

    /// A body that is well formed and yet not valid.
    pub(super) fn fields(problems: Vec<config::Problem>) -> Self {
        let field = |problem: config::Problem| {
            let config::Problem { path, message, hint } = problem;
            Field { field: path, message, hint }
        };
        let fields: Vec<Field> = problems.into_iter().map(field).collect();
        let told = fields.iter().map(|Field { field, message, hint }| match hint {
            Some(hint) => format!("{field}: {message} ({hint})"),
            None => format!("{field}: {message}"),
        });
        let detail = told.collect::<Vec<_>>().join("; ");
        Self { fields, ..Self::invalid(detail) }
    }

    pub fn not_found() -> Self {
        let detail = "see GET /openapi.json for the routes of the admin listener".to_owned();
        Self::new(Kind("no-such-route", "no such route", StatusCode::NOT_FOUND), detail)
    }

    pub(super) fn wrong_method() -> Self {
        let detail = "the route does not take this method; see GET /openapi.json".to_owned();
        Self::new(Kind("wrong-method", "wrong method", StatusCode::METHOD_NOT_ALLOWED), detail)
    }

    pub(super) fn unknown(what: &str, id: &str) -> Self {
        let detail = format!("there is no {what} `{id}`; GET /api/{what}s lists them all");
        Self::new(Kind("unknown", "unknown id", StatusCode::NOT_FOUND), detail)
    }

    pub(super) fn conflict(detail: String) -> Self {
        Self::new(Kind("conflict", "conflict", StatusCode::CONFLICT), detail)
    }

    /// A service that the answer depends on has failed.
    pub(super) fn upstream(detail: String) -> Self {
        Self::new(Kind("upstream-failed", "a service failed", StatusCode::BAD_GATEWAY), detail)
    }

    /// The node itself has failed.
    pub(super) fn internal(detail: String) -> Self {
        Self::new(Kind("internal", "internal error", StatusCode::INTERNAL_SERVER_ERROR), detail)
    }

    pub fn unauthorized() -> Self {
        let detail = "send `Authorization: Bearer <admin.token>`".to_owned();
        Self::new(Kind("not-authorised", "not authorised", StatusCode::UNAUTHORIZED), detail)
    }

    pub fn forbidden_host(host: &str) -> Self {
        let detail = format!(
            "without admin.token only requests to localhost are answered, and this one was sent to `{host}`: a web page \
             could otherwise reach this port through its visitor's browser"
        );
        Self::new(Kind("wrong-host", "wrong host", StatusCode::FORBIDDEN), detail)
    }

    pub(super) fn forbidden_origin(origin: &str) -> Self {
        let detail = format!(
            "without admin.token a request of a web page is answered only to this port's own pages, and this one was sent \
             by `{origin}`"
        );
        Self::new(Kind("wrong-origin", "wrong origin", StatusCode::FORBIDDEN), detail)
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.kind.2
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        let kind = match &error {
            WriteError::Changed(_) => Kind("conflict", "conflict", StatusCode::CONFLICT),
            WriteError::Closed => Kind("ending", "the node is ending", StatusCode::SERVICE_UNAVAILABLE),
            WriteError::Refused(RegistryError::Id(_)) => {
                Kind("invalid-request", "invalid request", StatusCode::BAD_REQUEST)
            }
            WriteError::Refused(RegistryError::TooLarge { .. }) => {
                Kind("too-large", "too large", StatusCode::PAYLOAD_TOO_LARGE)
            }
            WriteError::Refused(RegistryError::Full { .. }) => {
                Kind("registry-full", "the registry is full", StatusCode::INSUFFICIENT_STORAGE)
            }
            WriteError::Refused(RegistryError::Ahead(_)) => {
                Kind("wrong-clock", "the clock is wrong", StatusCode::SERVICE_UNAVAILABLE)
            }
        };
        Self::new(kind, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { kind: Kind(kind, title, status), detail, fields: errors } = self;
        let kind = format!("urn:peerway:problem:{kind}");
        let details = ProblemDetails { kind, title, status: status.as_u16(), detail, errors };
        let body = serde_json::to_string(&details).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
