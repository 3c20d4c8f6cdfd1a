//! Errors of the management API: problem details, RFC 9457.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use serde_json::json;

#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
}

impl Problem {
    pub fn invalid(detail: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, title: "invalid request", detail }
    }

    pub fn not_found() -> Self {
        let detail = "see GET / for the routes of the admin listener".to_owned();
        Self { status: StatusCode::NOT_FOUND, title: "no such route", detail }
    }

    pub fn unauthorized() -> Self {
        let detail = "send `Authorization: Bearer <admin.token>`".to_owned();
        Self { status: StatusCode::UNAUTHORIZED, title: "not authorised", detail }
    }

    pub fn forbidden_host(host: &str) -> Self {
        let detail = format!(
            "without admin.token only requests to localhost are answered, and this one was sent to `{host}`: a web page \
             could otherwise reach this port through its visitor's browser"
        );
        Self { status: StatusCode::FORBIDDEN, title: "wrong host", detail }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank", "title": self.title, "status": self.status.as_u16(), "detail": self.detail,
        });
        let mut response =
            (self.status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
