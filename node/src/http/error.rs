//! Every way in which the gateway itself refuses or fails a request: status, code and what to do, in one place.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::dialect::openai::{EnvelopeError, error_body};
use crate::governance::Unusable;

static X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
static X_PEERWAY_ERROR: HeaderName = HeaderName::from_static("x-peerway-error");
static RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// A refusal or failure, made by the gateway.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("no API key was sent: put a virtual key into `Authorization: Bearer <key>` (or x-api-key)")]
    NoKey,
    #[error("the API key is not known to this gateway: use a virtual key, not a provider's key")]
    UnknownKey,
    #[error("the API key is known to this gateway but cannot be used: {0}")]
    UnusableKey(Unusable),
    #[error("the model `{model}` does not exist here. {hint}")]
    ModelNotFound { model: String, hint: String },
    #[error("this key may not use the model `{model}`. {hint}")]
    ModelNotAllowed { model: String, hint: String },
    #[error("{0}")]
    Envelope(#[from] EnvelopeError),
    #[error("the request body could not be read: {0}")]
    BodyBroken(String),
    #[error("`content-encoding: {0}` is not accepted: send the body uncompressed")]
    ContentEncoding(String),
    #[error("the request body is larger than {limit} bytes, the limit of `http.max_body`")]
    TooLarge { limit: u64 },
    #[error("there is no route {method} {path} here; see GET /v1/models and POST /v1/chat/completions")]
    NoRoute { method: String, path: String },
    #[error("{path} does not take {method}")]
    WrongMethod { method: String, path: String },
    /// All targets failed; the attempts say how.
    #[error("all targets failed: {attempts}")]
    Upstream { status: StatusCode, attempts: String, retry_after: Option<Duration> },
    #[error("the node has more requests in flight than it may hold; try another node or again in a second")]
    Overloaded,
}

impl ApiError {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoKey | Self::UnknownKey | Self::UnusableKey(_) => StatusCode::UNAUTHORIZED,
            Self::ModelNotFound { .. } | Self::NoRoute { .. } => StatusCode::NOT_FOUND,
            Self::ModelNotAllowed { .. } => StatusCode::FORBIDDEN,
            Self::Envelope(_) | Self::BodyBroken(_) => StatusCode::BAD_REQUEST,
            Self::ContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Upstream { status, .. } => *status,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The closed vocabulary of `error.code` and `x-peerway-error`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoKey | Self::UnknownKey | Self::UnusableKey(_) => "invalid_api_key",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::ModelNotAllowed { .. } => "model_not_allowed",
            Self::Envelope(_)
            | Self::BodyBroken(_)
            | Self::ContentEncoding(_)
            | Self::NoRoute { .. }
            | Self::WrongMethod { .. } => "invalid_request",
            Self::TooLarge { .. } => "request_too_large",
            Self::Upstream { .. } => "upstream_error",
            Self::Overloaded => "overloaded",
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Upstream { .. } => "upstream_error",
            Self::Overloaded => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn param(&self) -> Option<&'static str> {
        match self {
            Self::ModelNotFound { .. } | Self::ModelNotAllowed { .. } => Some("model"),
            Self::Envelope(error) => error.field(),
            _ => None,
        }
    }

    /// Whether a client's own retry can help: SDKs retry 408, 409, 429 and 5xx unless told not to.
    fn should_retry(&self) -> Option<&'static str> {
        match self {
            // The gateway has spent its own attempts: three client retries would multiply them.
            Self::Upstream { status, .. } if status.is_server_error() => Some("false"),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded => Some(Duration::from_secs(1)),
            Self::Upstream { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = error_body(&self.to_string(), self.kind(), self.param(), self.code());
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(&X_PEERWAY_ERROR, HeaderValue::from_static(self.code()));
        if let Some(retry) = self.should_retry() {
            headers.insert(&X_SHOULD_RETRY, HeaderValue::from_static(retry));
        }
        if let Some(after) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_millis().div_ceil(1000) as u64));
            headers.insert(&RETRY_AFTER_MS, HeaderValue::from(after.as_millis() as u64));
        }
        response
    }
}
