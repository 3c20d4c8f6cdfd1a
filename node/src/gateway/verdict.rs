//! How an attempt failed, what it cost, and what may still help. Whose fault it was is for [`crate::health`] to say.

use std::time::Duration;

use http::StatusCode;
use peerway_dialect::canonical;

use crate::dialect::openai::Usage;
use crate::governance::{Reason, Written};
use crate::health::{Fault, Outcome, Retry, attribute, retry};
use crate::relay::{Broken, Facts};

/// How one attempt failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// Its name in metrics.
    pub(super) class: &'static str,
    pub(super) status: Option<StatusCode>,
    pub(super) detail: String,
    pub(super) retry_after: Option<Duration>,
    pub(super) next: Retry,
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

impl Failure {
    /// The provider said that it failed, in an answer of this status.
    pub(super) fn answered(
        status: StatusCode,
        said: &canonical::Failure,
        retry_after: Option<Duration>,
        spent: Spent,
    ) -> Self {
        let outcome = Outcome::Status { status: status.as_u16(), failure: said };
        let code = status.as_u16();
        let (class, detail) = match attribute(&outcome) {
            Fault::Key => ("key", format!("status {code}, the provider refuses this key")),
            Fault::Capacity => ("capacity", format!("status {code}, rate limited by the provider")),
            // Where the status says nothing is wrong, the words do.
            _ if status.is_success() => ("provider", format!("an error in place of an answer: {}", said.message)),
            _ => ("provider", format!("status {code}")),
        };
        let status = if status.is_success() { status_of(said) } else { status };
        Self { class, status: Some(status), detail, retry_after, next: retry(&outcome, retry_after), spent }
    }

    /// There is no answer, for a reason of the way or of time.
    pub(super) fn unanswered(outcome: &Outcome<'_>, detail: String, spent: Spent) -> Self {
        let (class, status) = match outcome {
            Outcome::Deadline | Outcome::ClientGone => ("deadline", StatusCode::GATEWAY_TIMEOUT),
            Outcome::Malformed => ("malformed", StatusCode::BAD_GATEWAY),
            _ => ("transport", StatusCode::BAD_GATEWAY),
        };
        Self { class, status: Some(status), detail, retry_after: None, next: retry(outcome, None), spent }
    }

    /// A stream that broke before there was output.
    pub(super) fn before_output(broken: &Broken, facts: &Facts, retry_after: Option<Duration>) -> Self {
        let spent = Spent::Counted(facts.written, facts.usage, broken.reason);
        match broken.outcome() {
            Outcome::Status { failure, .. } => {
                let failure = Self::answered(StatusCode::OK, failure, retry_after, spent);
                Self { detail: format!("an error as the stream began: {}", broken.failure.message), ..failure }
            }
            outcome => Self::unanswered(&outcome, broken.failure.message.clone(), spent),
        }
    }
}

/// The status of an answer that only says this.
pub(super) fn status_of(said: &canonical::Failure) -> StatusCode {
    StatusCode::from_u16(said.kind.status()).unwrap_or(StatusCode::BAD_GATEWAY)
}
