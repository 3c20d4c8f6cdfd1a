//! `{"error":{"message","type","param","code"}}`, alone or as an event of a stream.

use serde::Serialize;

use crate::canonical::{Failure, FailureKind};
use crate::json::{self, Item, Object};

#[derive(Debug, Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Inner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

fn kind_name(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::InvalidRequest | FailureKind::TooLarge => "invalid_request_error",
        FailureKind::Authentication => "authentication_error",
        FailureKind::Permission => "permission_error",
        FailureKind::NotFound => "not_found_error",
        FailureKind::RateLimit => "rate_limit_error",
        FailureKind::Payment | FailureKind::Quota => "insufficient_quota",
        FailureKind::Upstream | FailureKind::Timeout => "upstream_error",
        FailureKind::Overloaded => "server_error",
    }
}

/// The body of an error answer, which is also the data of an error event.
pub fn encode_error(failure: &Failure) -> Vec<u8> {
    json::bytes(&Body { error: inner(failure) })
}

/// What stands under `error`.
pub(crate) fn inner(failure: &Failure) -> Inner<'_> {
    Inner {
        message: &failure.message,
        kind: kind_name(failure.kind),
        param: failure.param.as_deref(),
        code: failure.code.as_deref(),
    }
}

/// What a provider's error answer says. Bodies that are not in the form still give the status's meaning.
pub fn decode_error(status: u16, body: &[u8]) -> Failure {
    let kind = FailureKind::of_status(status);
    let told = Object::parse(body).ok().and_then(|mut object| {
        let item = object.take("error");
        // OpenAI-like servers put the message at the top, or in `detail`, or send `error` as text.
        item.or_else(|| object.take("message")).or_else(|| object.take("detail"))
    });
    match told {
        Some(item) => read(item, kind),
        None => Failure::new(kind, plain_message(status, body)),
    }
}

/// What the truthy `error` of a body or of a stream's chunk says; `kind` where it does not say more.
pub(crate) fn read(error: Item<'_>, kind: FailureKind) -> Failure {
    if let Ok(message) = error.string() {
        return Failure::new(kind, message);
    }
    let raw = error.raw();
    let Ok(mut object) = error.object() else { return Failure::new(kind, clipped(raw)) };
    let text = |item: Item<'_>| item.string().unwrap_or_else(|_| item.raw().to_owned());
    let code = object.take("code").map(text);
    let named = object.take("type").map(text);
    let kind = kind_of(named.as_deref(), code.as_deref()).unwrap_or(kind);
    let message = object.take("message").map_or_else(|| clipped(raw), text);
    Failure {
        kind,
        message,
        code: code.or_else(|| named.filter(|named| !is_ours(named))),
        param: object.take("param").map(text),
        request_id: None,
    }
}

fn is_ours(name: &str) -> bool {
    FailureKind::ALL.into_iter().any(|kind| kind_name(kind) == name)
}

/// Types and codes that say more than the status, or that say it inside a stream, where there is none.
pub(crate) fn kind_of(kind: Option<&str>, code: Option<&str>) -> Option<FailureKind> {
    match code {
        Some("insufficient_quota" | "budget_exceeded" | "billing_hard_limit_reached") => {
            return Some(FailureKind::Quota);
        }
        Some("rate_limit_exceeded" | "429") => return Some(FailureKind::RateLimit),
        Some("context_length_exceeded") => return Some(FailureKind::InvalidRequest),
        Some("model_not_found") => return Some(FailureKind::NotFound),
        Some("invalid_api_key") => return Some(FailureKind::Authentication),
        Some("request_too_large") => return Some(FailureKind::TooLarge),
        Some("overloaded") => return Some(FailureKind::Overloaded),
        _ => {}
    }
    match kind? {
        "insufficient_quota" => Some(FailureKind::Quota),
        "authentication_error" => Some(FailureKind::Authentication),
        "permission_error" => Some(FailureKind::Permission),
        "not_found_error" => Some(FailureKind::NotFound),
        "rate_limit_error" | "tokens" | "requests" => Some(FailureKind::RateLimit),
        "overloaded_error" => Some(FailureKind::Overloaded),
        // `invalid_request_error` comes with many a status; `server_error` says no more than 5xx does.
        _ => None,
    }
}

/// Enough of a body in no known form to recognise it by.
fn plain_message(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() { format!("the provider answered with status {status}") } else { clipped(text) }
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
    fn reads_the_forms_that_servers_use() {
        for (status, body, kind, message) in [
            (
                401,
                r#"{"error":{"message":"no","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                FailureKind::Authentication,
                "no",
            ),
            (
                429,
                r#"{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
                FailureKind::Quota,
                "m",
            ),
            (400, r#"{"error":"model is loading"}"#, FailureKind::InvalidRequest, "model is loading"),
            (422, r#"{"detail":[{"loc":["body"]}]}"#, FailureKind::InvalidRequest, r#"[{"loc":["body"]}]"#),
            (500, r#"{"object":"error","message":"boom","code":500}"#, FailureKind::Upstream, "boom"),
            (502, "<html>bad gateway</html>", FailureKind::Upstream, "<html>bad gateway</html>"),
            (503, "", FailureKind::Overloaded, "the provider answered with status 503"),
        ] {
            let failure = decode_error(status, body.as_bytes());
            assert_eq!((failure.kind, failure.message.as_str()), (kind, message), "{body}");
        }
    }

    #[test]
    fn every_kind_comes_back() {
        for kind in FailureKind::ALL {
            let failure = Failure { param: Some("n".into()), ..Failure::new(kind, "m \"q\"").with_code("c") };
            let read = decode_error(kind.status(), &encode_error(&failure));
            // OpenAI has one word for money, whoever's it is.
            let kind = if kind == FailureKind::Payment { FailureKind::Quota } else { kind };
            assert_eq!(read, Failure { kind, ..failure });
        }
    }
}
