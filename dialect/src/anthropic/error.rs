//! `{"type":"error","error":{"type","message"},"request_id"}`, alone or as the event `error` of a stream.

use serde::Serialize;

use crate::canonical::{Failure, FailureKind};
use crate::json::{self, Object};
use crate::openai;

#[derive(Debug, Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: Inner<'a>,
    request_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Inner<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(Debug, Serialize)]
struct Details<'a> {
    error_code: &'a str,
}

fn kind_name(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::InvalidRequest => "invalid_request_error",
        FailureKind::Authentication => "authentication_error",
        FailureKind::Payment => "billing_error",
        FailureKind::Permission => "permission_error",
        FailureKind::NotFound => "not_found_error",
        FailureKind::TooLarge => "request_too_large",
        FailureKind::RateLimit | FailureKind::Quota => "rate_limit_error",
        FailureKind::Upstream => "api_error",
        FailureKind::Overloaded => "overloaded_error",
        FailureKind::Timeout => "timeout_error",
    }
}

/// The body of an error answer, which is also the data of an error event. The code goes where Anthropic's libraries look
/// for one: `error.details.error_code`.
pub fn encode_error(failure: &Failure) -> Vec<u8> {
    json::bytes(&Body {
        kind: "error",
        error: Inner {
            kind: kind_name(failure.kind),
            message: &failure.message,
            details: failure.code.as_deref().map(|error_code| Details { error_code }),
        },
        request_id: failure.request_id.as_deref(),
    })
}

/// What a provider's error answer or error event says.
pub fn decode_error(status: u16, body: &[u8]) -> Failure {
    read(status, body).unwrap_or_else(|| openai::error::decode_error(status, body))
}

fn read(status: u16, body: &[u8]) -> Option<Failure> {
    let mut object = Object::parse(body).ok()?;
    let mut error = object.object("error").ok()??;
    let named = error.string("type").ok()??;
    let code = match error.object("details") {
        Ok(Some(mut details)) => details.string("error_code").ok().flatten(),
        _ => None,
    };
    let kind = match named.as_str() {
        // Said with 400 for money, and with 413 for size.
        "invalid_request_error" => match FailureKind::of_status(status) {
            FailureKind::Upstream => FailureKind::InvalidRequest,
            kind => kind,
        },
        "rate_limit_error" if code.as_deref() == Some("budget_exceeded") => FailureKind::Quota,
        name => {
            FailureKind::ALL.into_iter().find(|kind| kind_name(*kind) == name).unwrap_or(FailureKind::of_status(status))
        }
    };
    let known = FailureKind::ALL.into_iter().any(|kind| kind_name(kind) == named);
    Some(Failure {
        kind,
        message: error.string("message").ok().flatten().unwrap_or_default(),
        code: code.or_else(|| (!known).then_some(named)),
        param: None,
        request_id: object.string("request_id").ok().flatten(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back() {
        for kind in FailureKind::ALL {
            let code = if kind == FailureKind::Quota { "budget_exceeded" } else { "c" };
            let failure = Failure { request_id: Some("req_1".into()), ..Failure::new(kind, "m").with_code(code) };
            assert_eq!(decode_error(kind.status(), &encode_error(&failure)), failure);
        }
    }

    #[test]
    fn reads_what_is_not_in_the_form() {
        let overloaded =
            br#"{"type":"error","error":{"details":null,"type":"overloaded_error","message":"Overloaded"}}"#;
        assert_eq!(decode_error(529, overloaded), Failure::new(FailureKind::Overloaded, "Overloaded"));
        assert_eq!(decode_error(200, overloaded).kind, FailureKind::Overloaded, "as in a stream");
        assert_eq!(decode_error(503, b"no").kind, FailureKind::Overloaded);
        let conflict = br#"{"type":"error","error":{"type":"conflict_error","message":"x"}}"#;
        assert_eq!(decode_error(409, conflict).code.as_deref(), Some("conflict_error"));
    }
}
