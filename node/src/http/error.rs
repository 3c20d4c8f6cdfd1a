//! Every way in which the gateway itself refuses or fails a request: status, code and what to do, in one table.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use peerway_cluster::ledger::allowance::{Tier, Unit};
use peerway_cluster::ledger::window::WindowKind;
use peerway_dialect::canonical::{Failure, FailureKind};
use peerway_dialect::{DecodeError, Unsupported};

use super::code::Code;
use super::error_form::ErrorForm;
use super::request_id::{REQUEST_ID, X_REQUEST_ID};
use super::shed::Shed;
use super::{framing, head, scrub};
use crate::governance::{NanoUsd, Unusable, rfc3339};
use crate::routing::FallbacksError;
use crate::surface::EnvelopeError;

static X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
static X_PEERWAY_ERROR: HeaderName = HeaderName::from_static("x-peerway-error");
static X_PEERWAY_SHED: HeaderName = HeaderName::from_static("x-peerway-shed");
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
    #[error("`content-encoding: {0}` is not accepted here: send the body uncompressed")]
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
    #[error("the node is overloaded: {0}. Try another node, or again in a second")]
    Overloaded(Shed),
    #[error("key `{key}` has {limit} requests in progress at this node, its `max_concurrent`: wait for one to end")]
    KeyBusy { key: Arc<str>, limit: u32 },
    #[error("the request is not taken: {0}")]
    Malformed(#[from] framing::Refusal),
    #[error("the request is not taken: {0}")]
    Head(#[from] head::Refusal),
    #[error("of `expect` only `100-continue` is understood")]
    Expectation,
    #[error("the body could not be decoded as `{encoding}`: {why}")]
    Undecodable { encoding: &'static str, why: String },
    #[error("the request body came too slowly: {0}")]
    BodySlow(&'static str),
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

/// How a refusal or failure is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    code: Code,
    status: StatusCode,
    /// What clients' libraries tell apart.
    kind: FailureKind,
    retry: Retry,
}

/// Whether the client's own retry can help. SDKs retry 408, 409, 429 and 5xx unless `x-should-retry` says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// The same request would be answered the same.
    No,
    Yes,
    /// As the SDK does by itself.
    Unsaid,
}

/// SDKs that wait for as long as they are told would sleep through a longer time.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// Longest message; the attempts at many targets are longer.
const MAX_MESSAGE: usize = 4 << 10;

impl ApiError {
    /// The one table of all refusals and failures.
    fn rule(&self) -> Rule {
        use FailureKind as Kind;
        let (code, status, kind, retry) = match self {
            Self::NoKey | Self::UnknownKey | Self::UnusableKey(_) => {
                (Code::InvalidApiKey, StatusCode::UNAUTHORIZED, Kind::Authentication, Retry::No)
            }
            Self::Refused(_) => (Code::Refused, StatusCode::FORBIDDEN, Kind::Permission, Retry::No),
            Self::ModelNotFound { .. } => (Code::ModelNotFound, StatusCode::NOT_FOUND, Kind::NotFound, Retry::No),
            Self::ModelNotAllowed { .. } => (Code::ModelNotAllowed, StatusCode::FORBIDDEN, Kind::Permission, Retry::No),
            Self::UnpricedModel { .. } => (Code::ModelWithoutPrice, StatusCode::FORBIDDEN, Kind::Permission, Retry::No),
            Self::BudgetExceeded(_) => (Code::BudgetExceeded, StatusCode::TOO_MANY_REQUESTS, Kind::Quota, Retry::No),
            Self::RateLimited(denied) => {
                let ends_soon = denied.window_end.is_some() && denied.wait <= LONGEST_WAIT;
                let retry = if ends_soon { Retry::Unsaid } else { Retry::No };
                (Code::RateLimitExceeded, StatusCode::TOO_MANY_REQUESTS, Kind::RateLimit, retry)
            }
            Self::KeyBusy { .. } => {
                (Code::RateLimitExceeded, StatusCode::TOO_MANY_REQUESTS, Kind::RateLimit, Retry::Unsaid)
            }
            Self::BudgetsNotReady { .. } => {
                (Code::BudgetsNotReady, StatusCode::SERVICE_UNAVAILABLE, Kind::Overloaded, Retry::Yes)
            }
            Self::NoOperation { .. } => {
                (Code::UnsupportedOperation, StatusCode::BAD_REQUEST, Kind::InvalidRequest, Retry::No)
            }
            Self::NotServed { .. } => (Code::NotServed, StatusCode::NOT_IMPLEMENTED, Kind::InvalidRequest, Retry::No),
            Self::Envelope(_)
            | Self::Fallbacks(_)
            | Self::Decode(_)
            | Self::Unsupported(_)
            | Self::BadPath { .. }
            | Self::BodyBroken(_)
            | Self::Undecodable { .. }
            | Self::Head(_) => (Code::InvalidRequest, StatusCode::BAD_REQUEST, Kind::InvalidRequest, Retry::No),
            Self::Malformed(refusal) => (Code::InvalidRequest, refusal.status(), Kind::InvalidRequest, Retry::No),
            Self::Expectation => {
                (Code::InvalidRequest, StatusCode::EXPECTATION_FAILED, Kind::InvalidRequest, Retry::No)
            }
            Self::ContentEncoding(_) => {
                (Code::InvalidRequest, StatusCode::UNSUPPORTED_MEDIA_TYPE, Kind::InvalidRequest, Retry::No)
            }
            Self::NoRoute { .. } => (Code::InvalidRequest, StatusCode::NOT_FOUND, Kind::NotFound, Retry::No),
            Self::WrongMethod { .. } => {
                (Code::InvalidRequest, StatusCode::METHOD_NOT_ALLOWED, Kind::InvalidRequest, Retry::No)
            }
            Self::TooLarge { .. } => (Code::RequestTooLarge, StatusCode::PAYLOAD_TOO_LARGE, Kind::TooLarge, Retry::No),
            Self::BodySlow(_) => (Code::RequestTimeout, StatusCode::REQUEST_TIMEOUT, Kind::Timeout, Retry::No),
            Self::Upstream { status, retry_after, .. } => {
                // The gateway has spent its own attempts: three client retries would multiply them. What a provider is
                // too busy for now may be done when it says.
                let busy = *status == StatusCode::TOO_MANY_REQUESTS;
                let soon = retry_after.is_none_or(|after| after <= LONGEST_WAIT);
                let retry = if busy && soon { Retry::Unsaid } else { Retry::No };
                let kind = match Kind::of_status(status.as_u16()) {
                    // The client's own key is in order.
                    Kind::Authentication | Kind::Permission | Kind::Payment => Kind::Upstream,
                    kind => kind,
                };
                (Code::UpstreamError, *status, kind, retry)
            }
            Self::Overloaded(_) => (Code::Overloaded, StatusCode::SERVICE_UNAVAILABLE, Kind::Overloaded, Retry::Yes),
            Self::ClientGone => (Code::ClientGone, StatusCode::BAD_REQUEST, Kind::InvalidRequest, Retry::No),
        };
        Rule { code, status, kind, retry }
    }

    pub fn status(&self) -> StatusCode {
        self.rule().status
    }

    /// The word of the closed vocabulary.
    pub fn code(&self) -> &'static str {
        self.rule().code.as_str()
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

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded(_) | Self::KeyBusy { .. } | Self::BudgetsNotReady { .. } => Some(Duration::from_secs(1)),
            // A window without an end is not waited for.
            Self::RateLimited(denied) => denied.window_end.map(|_| denied.wait),
            Self::Upstream { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    fn shed(&self) -> Option<Shed> {
        match self {
            Self::Overloaded(shed) => Some(*shed),
            Self::KeyBusy { .. } => Some(Shed::Key),
            _ => None,
        }
    }

    /// What the client is told: bounded, and without what looks like a key.
    fn message(&self) -> String {
        let said = self.to_string();
        let mut said = scrub::text(&said).into_owned();
        if said.len() > MAX_MESSAGE {
            said.truncate(said.floor_char_boundary(MAX_MESSAGE));
            said.push_str("...");
        }
        said
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
    /// What is told, in no dialect.
    pub fn failure(&self, request_id: &HeaderValue) -> Failure {
        let rule = self.rule();
        Failure {
            kind: rule.kind,
            message: self.message(),
            code: Some(rule.code.as_str().to_owned()),
            param: self.param().map(str::to_owned),
            request_id: request_id.to_str().ok().map(str::to_owned),
        }
    }

    /// The answer to a client that reads errors of this form.
    pub fn response(&self, form: ErrorForm, request_id: &HeaderValue) -> Response {
        let (rule, failure) = (self.rule(), self.failure(request_id));
        let mut response = Response::new(Body::from(form.body(&failure)));
        *response.status_mut() = rule.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(&X_PEERWAY_ERROR, HeaderValue::from_static(rule.code.as_str()));
        headers.insert(&X_REQUEST_ID, request_id.clone());
        headers.insert(&REQUEST_ID, request_id.clone());
        if let Some((name, value)) = form.header(&failure) {
            headers.insert(name, HeaderValue::from_static(value));
        }
        match rule.retry {
            Retry::No => headers.insert(&X_SHOULD_RETRY, HeaderValue::from_static("false")),
            Retry::Yes => headers.insert(&X_SHOULD_RETRY, HeaderValue::from_static("true")),
            Retry::Unsaid => None,
        };
        if let Some(after) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_micros().div_ceil(1_000_000) as u64));
            // Rounded up: who comes too early is refused again.
            let milliseconds = after.as_micros().div_ceil(1000);
            headers.insert(&RETRY_AFTER_MS, HeaderValue::from(milliseconds as u64));
        }
        if let Some(shed) = self.shed() {
            headers.insert(&X_PEERWAY_SHED, HeaderValue::from_static(shed.as_str()));
        }
        response
    }
}

#[cfg(test)]
mod tests;
