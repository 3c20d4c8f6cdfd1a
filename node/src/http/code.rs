//! The closed vocabulary of `error.code` and `x-peerway-error`.

use peerway_dialect::canonical::UPSTREAM_ERROR;

/// What a program can tell one refusal or failure from another by. `docs/errors.md` lists them for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    InvalidApiKey,
    ModelNotAllowed,
    ModelNotFound,
    ModelWithoutPrice,
    BudgetExceeded,
    RateLimitExceeded,
    BudgetsNotReady,
    InvalidRequest,
    UnsupportedOperation,
    RequestTooLarge,
    RequestTimeout,
    NotServed,
    /// By a guardrail or another plugin.
    Refused,
    UpstreamError,
    Overloaded,
    ClientGone,
}

impl Code {
    pub const ALL: [Self; 16] = [
        Self::InvalidApiKey,
        Self::ModelNotAllowed,
        Self::ModelNotFound,
        Self::ModelWithoutPrice,
        Self::BudgetExceeded,
        Self::RateLimitExceeded,
        Self::BudgetsNotReady,
        Self::InvalidRequest,
        Self::UnsupportedOperation,
        Self::RequestTooLarge,
        Self::RequestTimeout,
        Self::NotServed,
        Self::Refused,
        Self::UpstreamError,
        Self::Overloaded,
        Self::ClientGone,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidApiKey => "invalid_api_key",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelNotFound => "model_not_found",
            Self::ModelWithoutPrice => "model_without_price",
            Self::BudgetExceeded => "budget_exceeded",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::BudgetsNotReady => "budgets_not_ready",
            Self::InvalidRequest => "invalid_request",
            Self::UnsupportedOperation => "unsupported_operation",
            Self::RequestTooLarge => "request_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::NotServed => "not_served",
            Self::Refused => "refused",
            Self::UpstreamError => UPSTREAM_ERROR,
            Self::Overloaded => "overloaded",
            Self::ClientGone => "client_gone",
        }
    }
}
