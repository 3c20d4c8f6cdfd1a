//! How an attempt failed and what it cost. Whose fault it is, and what may still help, stands in one table:
//! [`crate::health::attribute`].

use std::time::Duration;

use http::StatusCode;
use peerway_dialect::canonical;

use crate::dialect::openai::Usage;
use crate::governance::{Reason, Written};
use crate::health::{Fault, Outcome, Verdict};
use crate::provider::RequestError;
use crate::relay::{Broken, Facts};

/// How one attempt failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// Whose fault it is. Never the client's: such an answer goes on to it.
    pub(super) verdict: Verdict,
    /// Its name in metrics.
    pub(super) class: &'static str,
    pub(super) status: Option<StatusCode>,
    pub(super) detail: String,
    pub(super) retry_after: Option<Duration>,
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

/// Whose fault it is, by what a provider says.
pub(super) fn judge(status: StatusCode, said: &canonical::Failure) -> Verdict {
    Verdict::of(&Outcome::Status { status: status.as_u16(), failure: said })
}

/// Whose fault it is that a stream broke.
pub(crate) fn judge_broken(broken: &Broken) -> Verdict {
    let said = &broken.failure;
    Verdict::of(&match broken.reason {
        Reason::Deadline => Outcome::Deadline,
        Reason::Malformed => Outcome::Malformed,
        _ if said.is_of_upstream() => Outcome::Cut,
        _ => Outcome::Status { status: 200, failure: said },
    })
}

/// Whose fault it is that there was no request to send. A service account's tokens are a part of its provider.
pub(super) fn judge_unsent(error: &RequestError) -> Verdict {
    match error {
        RequestError::Credential(error) if error.is_refusal() => Verdict::KEY,
        RequestError::Credential(_) => Verdict::of(&Outcome::Transport),
        RequestError::Model | RequestError::NoEndpoint { .. } | RequestError::Body => Verdict::CLIENT,
    }
}

impl Failure {
    /// By an error answer that is not the client's fault.
    pub(super) fn answered(
        verdict: Verdict,
        status: StatusCode,
        said: &canonical::Failure,
        retry_after: Option<Duration>,
        spent: Spent,
    ) -> Self {
        let code = status.as_u16();
        let (class, detail) = match verdict.fault {
            Fault::Key => ("key", format!("status {code}, the provider refuses this key")),
            Fault::Capacity => ("capacity", format!("status {code}, rate limited by the provider")),
            // Where the status says nothing is wrong, the words do.
            _ if status.is_success() => ("provider", format!("an error in place of an answer: {}", said.message)),
            _ => ("provider", format!("status {code}")),
        };
        // Whoever hears of it must not take it for an answer.
        let told = if status.is_success() { StatusCode::from_u16(said.kind.status()).ok() } else { Some(status) };
        Self { verdict, class, status: told, detail, retry_after, spent }
    }

    pub(super) fn deadline(detail: String, spent: Spent) -> Self {
        let status = Some(StatusCode::GATEWAY_TIMEOUT);
        let verdict = Verdict::of(&Outcome::Deadline);
        Self { verdict, class: "deadline", status, detail, retry_after: None, spent }
    }

    pub(super) fn transport(detail: String, spent: Spent) -> Self {
        let status = Some(StatusCode::BAD_GATEWAY);
        let verdict = Verdict::of(&Outcome::Transport);
        Self { verdict, class: "transport", status, detail, retry_after: None, spent }
    }

    /// The answer was more than this node may hold now.
    pub(super) fn no_room(spent: Spent) -> Self {
        let status = Some(StatusCode::SERVICE_UNAVAILABLE);
        let detail = "there was no room for the answer".to_owned();
        let verdict = Verdict::NOBODY;
        Self { verdict, class: "no_room", status, detail, retry_after: None, spent }
    }

    pub(super) fn malformed(detail: String, spent: Spent) -> Self {
        let status = Some(StatusCode::BAD_GATEWAY);
        let verdict = Verdict::of(&Outcome::Malformed);
        Self { verdict, class: "malformed", status, detail, retry_after: None, spent }
    }

    /// A stream that broke before there was output, by no fault of the client's.
    pub(super) fn before_output(broken: &Broken, facts: &Facts) -> Self {
        let spent = Spent::Counted(facts.written, facts.usage, broken.reason);
        let said = &broken.failure;
        match broken.reason {
            Reason::Deadline => Self::deadline(said.message.clone(), spent),
            Reason::Malformed => Self::malformed(said.message.clone(), spent),
            _ if said.is_of_upstream() => Self::transport(said.message.clone(), spent),
            _ => {
                let status = StatusCode::from_u16(said.kind.status()).unwrap_or(StatusCode::BAD_GATEWAY);
                let failure = Self::answered(judge_broken(broken), status, said, None, spent);
                Self { detail: format!("an error as the stream began: {}", said.message), ..failure }
            }
        }
    }
}
