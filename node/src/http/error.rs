//! Every way in which the gateway itself refuses or fails a request: status, code and what to do, in one place.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use peerway_cluster::ledger::allowance::{Tier, Unit};
use peerway_cluster::ledger::window::WindowKind;
use peerway_dialect::{DecodeError, Unsupported};

use super::error_form::{ErrorForm, Said};
use crate::governance::{NanoUsd, Unusable, rfc3339};
use crate::routing::FallbacksError;
use crate::surface::EnvelopeError;

static X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
static X_PEERWAY_ERROR: HeaderName = HeaderName::from_static("x-peerway-error");
static X_AMZN_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
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
    #[error("no provider of the model `{model}` does {operation}; the providers that do: {others}")]
    NoOperation { model: String, operation: &'static str, others: String },
    #[error("{0}")]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Fallbacks(#[from] FallbacksError),
    /// The request cannot be read in full, as a translation needs it.
    #[error("{0}")]
    Decode(DecodeError),
    /// No target can be told what the request says.
    #[error("{0}")]
    Unsupported(Unsupported),
    #[error("{path} names no model: {why}")]
    BadPath { path: String, why: String },
    /// By whoever looks at requests and answers here.
    #[error("{0}")]
    Refused(String),
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
    #[error("{0}")]
    BudgetExceeded(Box<Denied>),
    #[error("{0}")]
    RateLimited(Box<Denied>),
    #[error(
        "the price of `{model}` is not known, and a key with a budget spends only what can be counted: add it to `prices.file`"
    )]
    UnpricedModel { model: String },
    #[error("budgets cannot be spent yet: {waits_for}; see `peerway status`")]
    BudgetsNotReady { waits_for: String },
    #[error("{path} is not served by this version; see POST /v1/chat/completions")]
    NotServed { path: String },
    /// Seen by nobody but the log.
    #[error("the client went away before it was answered")]
    ClientGone,
}

impl ApiError {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoKey | Self::UnknownKey | Self::UnusableKey(_) => StatusCode::UNAUTHORIZED,
            Self::ModelNotFound { .. } | Self::NoRoute { .. } => StatusCode::NOT_FOUND,
            Self::ModelNotAllowed { .. } | Self::UnpricedModel { .. } | Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::BudgetExceeded(_) | Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotServed { .. } => StatusCode::NOT_IMPLEMENTED,
            Self::Envelope(_)
            | Self::NoOperation { .. }
            | Self::Fallbacks(_)
            | Self::Decode(_)
            | Self::Unsupported(_)
            | Self::BadPath { .. }
            | Self::BodyBroken(_) => StatusCode::BAD_REQUEST,
            Self::ContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Upstream { status, .. } => *status,
            Self::Overloaded | Self::BudgetsNotReady { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::ClientGone => StatusCode::BAD_REQUEST,
        }
    }

    /// The closed vocabulary of `error.code` and `x-peerway-error`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoKey | Self::UnknownKey | Self::UnusableKey(_) => "invalid_api_key",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::NoOperation { .. } => "unsupported_operation",
            Self::ModelNotAllowed { .. } => "model_not_allowed",
            Self::BudgetExceeded(_) => "budget_exceeded",
            Self::RateLimited(_) => "rate_limit_exceeded",
            Self::UnpricedModel { .. } => "model_without_price",
            Self::BudgetsNotReady { .. } => "budgets_not_ready",
            Self::NotServed { .. } => "not_served",
            Self::Refused(_) => "refused",
            Self::Envelope(_)
            | Self::Fallbacks(_)
            | Self::Decode(_)
            | Self::Unsupported(_)
            | Self::BadPath { .. }
            | Self::BodyBroken(_)
            | Self::ContentEncoding(_)
            | Self::NoRoute { .. }
            | Self::WrongMethod { .. } => "invalid_request",
            Self::TooLarge { .. } => "request_too_large",
            Self::Upstream { .. } => "upstream_error",
            Self::Overloaded => "overloaded",
            Self::ClientGone => "client_gone",
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Upstream { .. } => "upstream_error",
            Self::Overloaded | Self::BudgetsNotReady { .. } | Self::NotServed { .. } => "server_error",
            // What OpenAI's clients know for an account without money.
            Self::BudgetExceeded(_) => "insufficient_quota",
            Self::RateLimited(denied) if denied.unit == Unit::Tokens => "tokens",
            Self::RateLimited(_) => "requests",
            // LiteLLM takes every error of the common type for a bad request, whatever its status.
            Self::NoKey | Self::UnknownKey | Self::UnusableKey(_) => "authentication_error",
            Self::ModelNotAllowed { .. } | Self::UnpricedModel { .. } => "permission_error",
            _ => "invalid_request_error",
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::ModelNotFound { .. }
            | Self::ModelNotAllowed { .. }
            | Self::NoOperation { .. }
            | Self::UnpricedModel { .. } => Some("model"),
            Self::Envelope(error) => error.field(),
            Self::Fallbacks(_) => Some("fallbacks"),
            Self::Decode(error) => error.field(),
            Self::Unsupported(error) => Some(&error.field),
            _ => None,
        }
    }

    /// Whether a client's own retry can help: SDKs retry 408, 409, 429 and 5xx unless told not to.
    fn should_retry(&self) -> Option<&'static str> {
        match self {
            // The gateway has spent its own attempts: three client retries would multiply them.
            Self::Upstream { status, .. } if status.is_server_error() => Some("false"),
            Self::BudgetExceeded(_) | Self::NotServed { .. } => Some("false"),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded | Self::BudgetsNotReady { .. } => Some(Duration::from_secs(1)),
            // A window without an end is not waited for.
            Self::RateLimited(denied) => denied.window_end.map(|_| denied.wait),
            Self::Upstream { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// What may not begin, and for whose sake.
#[derive(Debug, Clone)]
pub struct Denied {
    pub tier: Tier,
    pub owner: Arc<str>,
    pub unit: Unit,
    pub limit: u64,
    pub window: WindowKind,
    /// The most that the request may take.
    pub needed: u64,
    /// What is left of the window at the most; other requests may hold a part of it.
    pub left: u64,
    /// In unix seconds; `None`: never.
    pub window_end: Option<i64>,
    /// Until then.
    pub wait: Duration,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tier, owner, unit, limit, window, needed, left, window_end, .. } = self;
        let tier = match tier {
            Tier::Customer => "customer",
            Tier::Team => "team",
            Tier::Key => "key",
            Tier::ProviderConfig => "key and provider",
            Tier::Upstream => "provider",
        };
        let amount = |amount: u64| match unit {
            Unit::NanoUsd => format!("{} USD", NanoUsd::new(amount)),
            Unit::Tokens | Unit::Requests => format!("{amount} {unit}"),
        };
        let what = if *unit == Unit::NanoUsd { "budget" } else { "limit" };
        let (limit, needed, left) = (amount(*limit), amount(*needed), amount(*left));
        let per = if *window == WindowKind::Forever { "in all".to_owned() } else { format!("per {window}") };
        write!(f, "the {what} of {tier} `{owner}` ({limit} {per}) has not enough left for this request: ")?;
        write!(f, "it may take {needed}, and at most {left} are left. ")?;
        match window_end.and_then(rfc3339) {
            Some(end) => write!(f, "The window ends at {end}"),
            None => f.write_str("The window does not end"),
        }
    }
}

impl ApiError {
    /// The answer to a client that reads errors of this form.
    pub fn response(&self, form: ErrorForm, request_id: &HeaderValue) -> Response {
        let body = form.body(&Said {
            status: self.status(),
            message: &self.to_string(),
            kind: self.kind(),
            param: self.param(),
            code: self.code(),
            request_id: request_id.to_str().unwrap_or_default(),
        });
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(&X_PEERWAY_ERROR, HeaderValue::from_static(self.code()));
        if let Some(name) = form.error_type(self.status(), self.code()) {
            headers.insert(&X_AMZN_ERROR_TYPE, HeaderValue::from_static(name));
        }
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
