//! What went wrong, at the provider or on the way.

/// The code of a failure that no provider told: its stream has no end, or cannot be read.
pub const UPSTREAM_ERROR: &str = "upstream_error";

/// An error as a dialect tells it, before or inside a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
    /// A word for programs. OpenAI `error.code`, Gemini `error.status`; Anthropic's `error.type` if it has no kind here.
    pub code: Option<String>,
    /// The field at fault (OpenAI `error.param`).
    pub param: Option<String>,
    /// The request's id, for dialects whose error bodies carry it (Anthropic `request_id`, Cohere `id`).
    pub request_id: Option<String>,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, param: None, request_id: None }
    }

    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The provider's stream ended before its end.
    pub fn cut() -> Self {
        Self::new(FailureKind::Upstream, "the provider's stream ended before the answer was complete")
            .with_code(UPSTREAM_ERROR)
    }

    /// The provider's stream holds what cannot be read.
    pub fn malformed(what: impl std::fmt::Display) -> Self {
        Self::new(FailureKind::Upstream, format!("the provider's stream could not be read: {what}"))
            .with_code(UPSTREAM_ERROR)
    }

    /// Whether it is told of a provider, and not by it.
    pub fn is_of_upstream(&self) -> bool {
        self.code.as_deref() == Some(UPSTREAM_ERROR)
    }
}

/// The kinds that clients' libraries tell apart.
///
/// | here | status | OpenAI `type` | Anthropic `type` | Gemini `status` |
/// |---|---|---|---|---|
/// | `InvalidRequest` | 400 | `invalid_request_error` | `invalid_request_error` | `INVALID_ARGUMENT` |
/// | `Authentication` | 401 | `authentication_error` | `authentication_error` | `UNAUTHENTICATED` |
/// | `Payment` | 402 | `insufficient_quota` | `billing_error` | `RESOURCE_EXHAUSTED` |
/// | `Permission` | 403 | `permission_error` | `permission_error` | `PERMISSION_DENIED` |
/// | `NotFound` | 404 | `not_found_error` | `not_found_error` | `NOT_FOUND` |
/// | `TooLarge` | 413 | `invalid_request_error` | `request_too_large` | `INVALID_ARGUMENT` |
/// | `RateLimit` | 429 | `rate_limit_error` | `rate_limit_error` | `RESOURCE_EXHAUSTED` |
/// | `Quota` (a budget is used up) | 429 | `insufficient_quota` | `rate_limit_error` | `RESOURCE_EXHAUSTED` |
/// | `Upstream` | 502 | `upstream_error` | `api_error` | `INTERNAL` |
/// | `Overloaded` | 503 | `server_error` | `overloaded_error` | `UNAVAILABLE` |
/// | `Timeout` | 504 | `upstream_error` | `timeout_error` | `DEADLINE_EXCEEDED` |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    InvalidRequest,
    Authentication,
    Payment,
    Permission,
    NotFound,
    TooLarge,
    RateLimit,
    Quota,
    Upstream,
    Overloaded,
    Timeout,
}

impl FailureKind {
    pub const ALL: [Self; 11] = [
        Self::InvalidRequest,
        Self::Authentication,
        Self::Payment,
        Self::Permission,
        Self::NotFound,
        Self::TooLarge,
        Self::RateLimit,
        Self::Quota,
        Self::Upstream,
        Self::Overloaded,
        Self::Timeout,
    ];

    /// The status of an answer that only says this.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Payment => 402,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::RateLimit | Self::Quota => 429,
            Self::Upstream => 502,
            Self::Overloaded => 503,
            Self::Timeout => 504,
        }
    }

    /// What a provider's status says, where its body does not say more.
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Payment,
            403 => Self::Permission,
            404 => Self::NotFound,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            408 | 504 => Self::Timeout,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Upstream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_but_quota_is_known_by_its_status() {
        for kind in FailureKind::ALL.into_iter().filter(|kind| *kind != FailureKind::Quota) {
            assert_eq!(FailureKind::of_status(kind.status()), kind);
        }
    }
}
