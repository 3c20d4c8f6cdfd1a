//! Whose fault an attempt is. One table; everything that decides anything by it reads it here.
//!
//! | what came | fault | what may still help |
//! |---|---|---|
//! | an answer | none | |
//! | 400, 404, 405, 406, 409, 410, 411, 413, 414, 415, 422, 431, 451 and the like | client | nothing |
//! | too long a context, or a refused content, whatever the status | client | nothing |
//! | 401, 402, 403; a refused key in a 400 | key | another key |
//! | 429, 529; a quota that is used up, whatever the status | capacity | another key |
//! | other 5xx, 408, 424, a redirect | provider | the same key again |
//! | no connection, no answer in time, a cut or unreadable answer | provider | the same key again |
//! | an error in place of an answer, or in a stream | by its own words | as above |
//!
//! A fault of the client must never move a breaker: else one client takes a provider from all others.

use peerway_dialect::canonical::{Failure, FailureKind};

use super::Fault;
use crate::routing::context;

/// What an attempt came to.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// A whole answer, or a stream that ended as it should.
    Ok,
    /// The provider said that it failed. `status` is that of the answer in which it said so: an error within a stream, or
    /// in place of an answer, comes with 200.
    Status { status: u16, failure: &'a Failure },
    /// There was no connection, or it was lost before there was an answer.
    Transport,
    /// Too late.
    Deadline,
    /// The answer broke off.
    Cut,
    /// The answer cannot be read, or has no end.
    Malformed,
}

/// What may still help after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same again after a short while: the fault was the way or the server.
    SameKey,
    /// Another key or another target: this key is refused or full.
    OtherKey,
    /// Nothing: any target would say the same.
    Never,
}

/// Codes, in the providers' own words, of requests that no server would take.
const CLIENT_CODES: [&str; 17] = [
    "string_above_max_length",
    "max_tokens_exceeded",
    "request_too_large",
    "content_filter",
    "content_filter_error",
    "content_policy_violation",
    "moderation_blocked",
    "ResponsibleAIPolicyViolation",
    "invalid_prompt",
    "invalid_image_format",
    "image_parse_error",
    // A header of the client's that goes on to the provider.
    "mismatched_organization",
    "mismatched_project",
    "invalid_organization",
    "tool_use_failed",
    "json_validate_failed",
    "unsupported_country_region_territory",
];

/// Parts of messages, in lower case, of providers that have no codes for it.
const CLIENT_WORDS: [&str; 5] =
    ["content management policy", "content policy", "usage policies", "flagged by", "blocked by guardrail"];

const CAPACITY_CODES: [&str; 9] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "rate_limit_exceeded",
    "rate_limit_error",
    "RESOURCE_EXHAUSTED",
    "ThrottlingException",
    "TooManyRequestsException",
    "ServiceQuotaExceededException",
    "capacity_exceeded",
];

const KEY_CODES: [&str; 6] = [
    "invalid_api_key",
    "API_KEY_INVALID",
    "UnrecognizedClientException",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "account_deactivated",
];

const KEY_WORDS: [&str; 3] = ["api key not valid", "invalid api key", "api key expired"];

/// Whose fault an attempt is.
pub fn attribute(outcome: &Outcome<'_>) -> Fault {
    match outcome {
        Outcome::Ok => Fault::None,
        Outcome::Transport | Outcome::Deadline | Outcome::Cut | Outcome::Malformed => Fault::Provider,
        Outcome::Status { status, failure } => said(*status, failure),
    }
}

/// Words say more than a status, and a status more than the kind that was made of both.
fn said(status: u16, failure: &Failure) -> Fault {
    let code = failure.code.as_deref().unwrap_or_default();
    let is_one_of = |codes: &[&str]| codes.iter().any(|known| known.eq_ignore_ascii_case(code));
    // Providers explain themselves early; the rest may be the client's own prompt.
    let message = failure.message.chars().take(500).collect::<String>().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if is_one_of(&CAPACITY_CODES) || failure.kind == FailureKind::Quota {
        return Fault::Capacity;
    }
    if is_one_of(&CLIENT_CODES) || context::is_code(code) {
        return Fault::Client;
    }
    match status {
        429 | 529 => Fault::Capacity,
        // Another status of a proxy in between, or of a provider that has no better one.
        _ if says(&CLIENT_WORDS) || context::says(&message) => Fault::Client,
        400 | 401 | 403 if is_one_of(&KEY_CODES) || says(&KEY_WORDS) => Fault::Key,
        401..=403 => Fault::Key,
        407 | 408 | 424 | 425 => Fault::Provider,
        // Groq: its flexible tier is full.
        498 if says(&["capacity"]) => Fault::Capacity,
        400..=499 => by_kind(failure.kind, Fault::Client),
        500..=599 | 300..=399 => match failure.kind {
            FailureKind::RateLimit => Fault::Capacity,
            _ => Fault::Provider,
        },
        _ => by_kind(failure.kind, Fault::Provider),
    }
}

/// Where the status says nothing or not enough.
fn by_kind(kind: FailureKind, otherwise: Fault) -> Fault {
    match kind {
        FailureKind::Authentication | FailureKind::Payment | FailureKind::Permission => Fault::Key,
        FailureKind::RateLimit | FailureKind::Quota => Fault::Capacity,
        FailureKind::Overloaded | FailureKind::Upstream | FailureKind::Timeout => Fault::Provider,
        FailureKind::InvalidRequest | FailureKind::NotFound | FailureKind::TooLarge => match otherwise {
            // A stream that has begun is no request that cannot be read.
            Fault::Provider if kind != FailureKind::InvalidRequest => Fault::Client,
            otherwise => otherwise,
        },
    }
}

/// Whose fault an attempt is, and how far that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub fault: Fault,
    /// The key was refused as a whole. With 403 it may lack this model only, which a client could ask for at will.
    pub is_whole_key: bool,
}

impl Verdict {
    /// This node itself was in the way: as with a client's fault, it says nothing of the provider.
    pub const NOBODY: Self = Self::CLIENT;

    /// Nobody's but the client's.
    pub const CLIENT: Self = Self { fault: Fault::Client, is_whole_key: false };

    /// The key is no good, whatever the model.
    pub const KEY: Self = Self { fault: Fault::Key, is_whole_key: true };

    pub fn of(outcome: &Outcome<'_>) -> Self {
        let fault = attribute(outcome);
        let is_whole_key = match outcome {
            Outcome::Status { status, failure } => *status != 403 && failure.kind != FailureKind::Permission,
            _ => false,
        };
        Self { fault, is_whole_key: fault == Fault::Key && is_whole_key }
    }

    /// What may still help, as long as nothing went to the client.
    pub fn retry(self) -> Retry {
        match self.fault {
            Fault::None | Fault::Client => Retry::Never,
            Fault::Key | Fault::Capacity => Retry::OtherKey,
            Fault::Provider => Retry::SameKey,
        }
    }
}

#[cfg(test)]
mod tests;
