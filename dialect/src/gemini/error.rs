//! `{"error":{"code","message","status","details"}}`, alone, in an array, or in a stream.

use serde::Serialize;

use crate::canonical::{Failure, FailureKind};
use crate::json::{self, Item, Object};

use super::fields::Fields;

#[derive(Debug, Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Debug, Serialize)]
struct Inner<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "@type")]
enum Detail<'a> {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    Info { reason: &'a str, domain: &'static str },
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest", rename_all = "camelCase")]
    BadRequest { field_violations: [Violation<'a>; 1] },
}

#[derive(Debug, Serialize)]
struct Violation<'a> {
    field: &'a str,
    description: &'a str,
}

const fn status(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::InvalidRequest | FailureKind::TooLarge => "INVALID_ARGUMENT",
        FailureKind::Authentication => "UNAUTHENTICATED",
        FailureKind::Permission => "PERMISSION_DENIED",
        FailureKind::NotFound => "NOT_FOUND",
        FailureKind::Payment | FailureKind::RateLimit | FailureKind::Quota => "RESOURCE_EXHAUSTED",
        FailureKind::Upstream => "INTERNAL",
        FailureKind::Overloaded => "UNAVAILABLE",
        FailureKind::Timeout => "DEADLINE_EXCEEDED",
    }
}

/// The body of an error answer. A code is the `reason` of Google's own form of detail, a parameter its field.
pub fn encode_error(failure: &Failure) -> Vec<u8> {
    let status = status(failure.kind);
    let mut details = Vec::new();
    if let Some(reason) = failure.code.as_deref().filter(|code| *code != status) {
        details.push(Detail::Info { reason, domain: "peerway" });
    }
    if let Some(field) = failure.param.as_deref() {
        details.push(Detail::BadRequest { field_violations: [Violation { field, description: &failure.message }] });
    }
    json::bytes(&Body { error: Inner { code: failure.kind.status(), message: &failure.message, status, details } })
}

/// What a provider's error answer says. Bodies that are not in the form still give the status's meaning.
pub fn decode_error(status: u16, body: &[u8]) -> Failure {
    // A stream that is an array tells its error as the array's one element.
    let mut inner = body.trim_ascii();
    if let Some(element) = inner.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
        inner = element;
    }
    if let Some(told) = Object::parse(inner).ok().and_then(|mut object| object.take("error")) {
        return read(told, Some(status));
    }
    let text = String::from_utf8_lossy(body);
    let message = match text.trim() {
        "" => format!("the provider answered with status {status}"),
        text => clipped(text),
    };
    Failure::new(FailureKind::of_status(status), message)
}

/// What `error` says; inside a stream its own code is the only status.
pub(super) fn read(error: Item<'_>, status: Option<u16>) -> Failure {
    let raw = error.raw();
    if let Ok(message) = error.string() {
        return Failure::new(FailureKind::of_status(status.unwrap_or(502)), message);
    }
    let Ok(mut fields) = Fields::of(error) else {
        return Failure::new(FailureKind::of_status(status.unwrap_or(502)), clipped(raw));
    };
    let code = u16::try_from(fields.count("code")).ok().filter(|code| (400..600).contains(code));
    let name = fields.string("status").ok().flatten();
    let by_name = name.as_deref().and_then(kind_of);
    let kind = match code.or(status) {
        // Google says 400 of a key that it does not know, and 500 of much.
        Some(code) => FailureKind::of_status(code),
        None => by_name.unwrap_or(FailureKind::Upstream),
    };
    let (mut reason, mut param) = (None, None);
    for item in fields.list("details").unwrap_or_default() {
        let Ok(mut detail) = Fields::of(item) else { continue };
        reason = reason.or(detail.string("reason").ok().flatten());
        for item in detail.list("fieldViolations").unwrap_or_default() {
            let field = Fields::of(item).ok().and_then(|mut violation| violation.string("field").ok().flatten());
            param = param.or(field);
        }
    }
    let kind = match reason.as_deref() {
        Some("API_KEY_INVALID" | "API_KEY_SERVICE_BLOCKED") => FailureKind::Authentication,
        Some("insufficient_quota" | "budget_exceeded") => FailureKind::Quota,
        _ => kind,
    };
    let message = fields.string("message").ok().flatten().unwrap_or_else(|| clipped(raw));
    Failure { kind, message, code: reason.or(name), param, request_id: None }
}

fn kind_of(status: &str) -> Option<FailureKind> {
    Some(match status {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => FailureKind::InvalidRequest,
        "UNAUTHENTICATED" => FailureKind::Authentication,
        "PERMISSION_DENIED" => FailureKind::Permission,
        "NOT_FOUND" => FailureKind::NotFound,
        "RESOURCE_EXHAUSTED" => FailureKind::RateLimit,
        "UNAVAILABLE" => FailureKind::Overloaded,
        "DEADLINE_EXCEEDED" => FailureKind::Timeout,
        _ => return None,
    })
}

fn clipped(text: &str) -> String {
    match text.char_indices().nth(500) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_that_google_uses() {
        for (status, body, kind, message) in [
            (
                400,
                r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[
                {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
                FailureKind::Authentication,
                "API key not valid.",
            ),
            (
                429,
                r#"[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]"#,
                FailureKind::RateLimit,
                "slow",
            ),
            (503, "{\n \"error\": {\"code\": 503, \"message\": \"m\"}\n}\n", FailureKind::Overloaded, "m"),
            (502, "<html>", FailureKind::Upstream, "<html>"),
            (504, "", FailureKind::Timeout, "the provider answered with status 504"),
            (500, r#"{"error":"x"}"#, FailureKind::Upstream, "x"),
        ] {
            let failure = decode_error(status, body.as_bytes());
            assert_eq!((failure.kind, failure.message.as_str()), (kind, message), "{body}");
        }
    }

    #[test]
    fn every_kind_comes_back() {
        for kind in FailureKind::ALL {
            let code = if kind == FailureKind::Quota { "budget_exceeded" } else { "c" };
            let failure = Failure { param: Some("n".into()), ..Failure::new(kind, "m \"q\"").with_code(code) };
            assert_eq!(decode_error(kind.status(), &encode_error(&failure)), failure);
            let plain = Failure::new(kind, "m");
            let read = decode_error(kind.status(), &encode_error(&plain));
            assert_eq!(read.code.as_deref(), Some(status(kind)));
        }
    }
}
