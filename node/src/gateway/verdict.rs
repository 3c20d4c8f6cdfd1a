//! Whose fault a failed attempt is, and what may still help.
//!
//! | the provider says | fault | what helps |
//! |---|---|---|
//! | 400, 404, 422, too large, content policy | the client's | nothing: its words go to the client |
//! | 401, 402, 403 | the key's | another key |
//! | 429, 529, quota used up | nobody's: it is full | another key, or later |
//! | anything else, no answer, too late, cut, unreadable | the provider's | the same again after a while |

use std::time::Duration;

use http::StatusCode;
use peerway_dialect::canonical::{self, FailureKind};

use crate::dialect::openai::Usage;
use crate::governance::{Reason, Written};
use crate::relay::{Broken, Facts};

/// How one attempt failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// Its name in metrics.
    pub(super) class: &'static str,
    pub(super) status: Option<StatusCode>,
    pub(super) detail: String,
    pub(super) retry_after: Option<Duration>,
    pub(super) next: Next,
    pub(super) spent: Spent,
}

/// What an attempt cost.
#[derive(Debug)]
pub(super) enum Spent {
    Nothing,
    /// The answer says so.
    Stated(Usage),
    /// The provider may have begun, for all that is known.
    Prompt(Reason),
    /// The answer is whole or as much of it as there is, and was so much, or at least what was stated before.
    Counted(Written, Option<Usage>, Reason),
    /// The provider had the whole answer, of which this much arrived.
    Answer(Written, Reason),
}

impl Spent {
    /// What the answer says.
    pub(super) fn usage(&self) -> Option<Usage> {
        match self {
            Self::Stated(usage) => Some(*usage),
            Self::Counted(_, stated, _) => *stated,
            _ => None,
        }
    }
}

/// What can still help after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The same key again: the fault was the way or the server.
    Retry,
    /// Another key or another target: this key is refused or full.
    OtherKey,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Client,
    Key,
    Capacity,
    Provider,
}

impl Fault {
    /// By what a provider says.
    pub(super) fn of(status: u16, kind: FailureKind) -> Self {
        match kind {
            FailureKind::InvalidRequest | FailureKind::TooLarge | FailureKind::NotFound => Self::Client,
            FailureKind::Authentication | FailureKind::Payment | FailureKind::Permission => Self::Key,
            FailureKind::RateLimit | FailureKind::Quota => Self::Capacity,
            FailureKind::Overloaded if status == 529 => Self::Capacity,
            FailureKind::Upstream | FailureKind::Overloaded | FailureKind::Timeout => Self::Provider,
        }
    }
}

impl Failure {
    /// By an error answer that is not the client's fault.
    pub(super) fn answered(
        fault: Fault,
        status: StatusCode,
        said: &canonical::Failure,
        retry_after: Option<Duration>,
        spent: Spent,
    ) -> Self {
        let code = status.as_u16();
        let (class, detail, next) = match fault {
            Fault::Key => ("key", format!("status {code}, the provider refuses this key"), Next::OtherKey),
            Fault::Capacity => ("capacity", format!("status {code}, rate limited by the provider"), Next::OtherKey),
            // Where the status says nothing is wrong, the words do.
            _ if status.is_success() => {
                ("provider", format!("an error in place of an answer: {}", said.message), Next::Retry)
            }
            _ => ("provider", format!("status {code}"), Next::Retry),
        };
        Self { class, status: Some(status), detail, retry_after, next, spent }
    }

    pub(super) fn deadline(detail: String, spent: Spent) -> Self {
        let status = Some(StatusCode::GATEWAY_TIMEOUT);
        Self { class: "deadline", status, detail, retry_after: None, next: Next::Retry, spent }
    }

    pub(super) fn transport(detail: String, spent: Spent) -> Self {
        let status = Some(StatusCode::BAD_GATEWAY);
        Self { class: "transport", status, detail, retry_after: None, next: Next::Retry, spent }
    }

    pub(super) fn malformed(detail: String, spent: Spent) -> Self {
        let status = Some(StatusCode::BAD_GATEWAY);
        Self { class: "malformed", status, detail, retry_after: None, next: Next::Retry, spent }
    }

    /// A stream that broke before there was output.
    pub(super) fn before_output(broken: &Broken, facts: &Facts) -> Self {
        let spent = Spent::Counted(facts.written, facts.usage, broken.reason);
        let said = &broken.failure;
        let is_ours = said.code.as_deref() == Some("upstream_error");
        match broken.reason {
            Reason::Deadline => Self::deadline(said.message.clone(), spent),
            Reason::Malformed => Self::malformed(said.message.clone(), spent),
            _ if is_ours => Self::transport(said.message.clone(), spent),
            _ => {
                let status = StatusCode::from_u16(said.kind.status()).unwrap_or(StatusCode::BAD_GATEWAY);
                let fault = Fault::of(status.as_u16(), said.kind);
                let failure = Self::answered(fault, status, said, None, spent);
                Self { detail: format!("an error as the stream began: {}", said.message), ..failure }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_by_what_a_provider_says() {
        for (status, fault) in [
            (400, Fault::Client),
            (404, Fault::Client),
            (413, Fault::Client),
            (422, Fault::Client),
            (401, Fault::Key),
            (402, Fault::Key),
            (403, Fault::Key),
            (429, Fault::Capacity),
            (529, Fault::Capacity),
            (408, Fault::Provider),
            (500, Fault::Provider),
            (502, Fault::Provider),
            (503, Fault::Provider),
            (504, Fault::Provider),
        ] {
            assert_eq!(Fault::of(status, FailureKind::of_status(status)), fault, "{status}");
        }
        assert_eq!(Fault::of(429, FailureKind::Quota), Fault::Capacity);
        assert_eq!(Fault::of(400, FailureKind::Authentication), Fault::Key, "Gemini says so with a 400");
    }
}
