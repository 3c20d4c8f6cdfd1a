use http_body_util::BodyExt;
use serde_json::Value;

use super::*;

fn denied(unit: Unit, wait: Option<u64>) -> Box<Denied> {
    Box::new(Denied {
        tier: Tier::Key,
        owner: "search".into(),
        unit,
        limit: 5_000_000_000,
        window: WindowKind::Forever,
        needed: 1,
        left: 0,
        window_end: wait.map(|wait| 1_800_000_000 + i64::try_from(wait).unwrap()),
        wait: Duration::from_secs(wait.unwrap_or(0)),
    })
}

fn upstream(status: u16, after: Option<u64>) -> ApiError {
    let status = StatusCode::from_u16(status).unwrap();
    ApiError::Upstream { status, attempts: "demo/echo: no".to_owned(), retry_after: after.map(Duration::from_secs) }
}

fn no_operation() -> ApiError {
    ApiError::NoOperation { model: "m".to_owned(), operation: "embeddings", others: "none does".to_owned() }
}

/// An error, its status, its code, `x-should-retry`, and `retry-after` in seconds.
type Row = (ApiError, u16, &'static str, Option<&'static str>, Option<u64>);

/// Each refusal and failure.
fn table() -> Vec<Row> {
    let (model, hint) = ("m".to_owned(), "h".to_owned());
    let (method, path) = ("GET".to_owned(), "/x".to_owned());
    let (no, yes, unsaid) = (Some("false"), Some("true"), None);
    vec![
        (ApiError::NoKey, 401, "invalid_api_key", no, None),
        (ApiError::UnknownKey, 401, "invalid_api_key", no, None),
        (ApiError::UnusableKey(Unusable::Expired), 401, "invalid_api_key", no, None),
        (ApiError::ModelNotFound { model: model.clone(), hint: hint.clone() }, 404, "model_not_found", no, None),
        (ApiError::ModelNotAllowed { model: model.clone(), hint }, 403, "model_not_allowed", no, None),
        (ApiError::UnpricedModel { model }, 403, "model_without_price", no, None),
        (ApiError::BadPath { path: path.clone(), why: "w".to_owned() }, 400, "invalid_request", no, None),
        (ApiError::Refused("no".to_owned()), 403, "refused", no, None),
        (ApiError::BodyBroken("cut".to_owned()), 400, "invalid_request", no, None),
        (ApiError::Undecodable { encoding: "gzip", why: "w".to_owned() }, 400, "invalid_request", no, None),
        (ApiError::ContentEncoding("gzip".to_owned()), 415, "invalid_request", no, None),
        (ApiError::TooLarge { limit: 1 }, 413, "request_too_large", no, None),
        (ApiError::BodySlow("w"), 408, "request_timeout", no, None),
        (ApiError::Malformed(framing::Refusal::Folded), 400, "invalid_request", no, None),
        (ApiError::Malformed(framing::Refusal::TooLarge), 431, "invalid_request", no, None),
        (ApiError::Head(head::Refusal::DotSegment), 400, "invalid_request", no, None),
        (ApiError::Expectation, 417, "invalid_request", no, None),
        (ApiError::NoRoute { method: method.clone(), path: path.clone() }, 404, "invalid_request", no, None),
        (ApiError::WrongMethod { method, path: path.clone() }, 405, "invalid_request", no, None),
        (no_operation(), 400, "unsupported_operation", no, None),
        (ApiError::NotServed { path }, 501, "not_served", no, None),
        (ApiError::BudgetExceeded(denied(Unit::NanoUsd, Some(60))), 429, "budget_exceeded", no, None),
        (ApiError::RateLimited(denied(Unit::Requests, Some(30))), 429, "rate_limit_exceeded", unsaid, Some(30)),
        (ApiError::RateLimited(denied(Unit::Tokens, Some(7200))), 429, "rate_limit_exceeded", no, Some(7200)),
        (ApiError::RateLimited(denied(Unit::Requests, None)), 429, "rate_limit_exceeded", no, None),
        (ApiError::KeyBusy { key: "k".into(), limit: 1 }, 429, "rate_limit_exceeded", unsaid, Some(1)),
        (ApiError::BudgetsNotReady { waits_for: "peers".to_owned() }, 503, "budgets_not_ready", yes, Some(1)),
        (ApiError::Overloaded(Shed::Memory), 503, "overloaded", yes, Some(1)),
        (upstream(500, None), 500, "upstream_error", no, None),
        (upstream(502, None), 502, "upstream_error", no, None),
        (upstream(504, None), 504, "upstream_error", no, None),
        (upstream(401, None), 401, "upstream_error", no, None),
        (upstream(429, None), 429, "upstream_error", unsaid, None),
        (upstream(429, Some(5)), 429, "upstream_error", unsaid, Some(5)),
        (upstream(429, Some(600)), 429, "upstream_error", no, Some(600)),
        (ApiError::ClientGone, 400, "client_gone", no, None),
    ]
}

fn at<'a>(body: &'a Value, path: &str) -> &'a str {
    body.pointer(path).and_then(Value::as_str).unwrap_or("")
}

#[tokio::test]
async fn every_error_in_every_form() {
    let id = HeaderValue::from_static("r1");
    let mut codes = std::collections::HashSet::new();
    for (error, status, code, retry, after) in table() {
        codes.insert(code);
        for form in ErrorForm::ALL {
            let told = format!("{error:?} for {form:?}");
            let (head, body) = error.response(form, &id).into_parts();
            let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!((head.status.as_u16(), header("x-peerway-error")), (status, Some(code)), "{told}");
            assert_eq!(header("x-should-retry"), retry, "{told}");
            assert_eq!(header("retry-after"), after.map(|after| after.to_string()).as_deref(), "{told}");
            assert_eq!(header("retry-after-ms"), after.map(|after| format!("{after}000")).as_deref(), "{told}");
            assert_eq!((header("x-request-id"), header("request-id")), (Some("r1"), Some("r1")), "{told}");
            assert_eq!(header("x-amzn-errortype").is_some(), form == ErrorForm::Bedrock, "{told}");
            let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
            let (message, names) = match form {
                ErrorForm::OpenAi => ("/error/message", vec![("/error/code", code)]),
                ErrorForm::Anthropic => (
                    "/error/message",
                    vec![("/error/details/error_code", code), ("/type", "error"), ("/request_id", "r1")],
                ),
                ErrorForm::Gemini => ("/error/message", vec![("/error/details/0/reason", code)]),
                ErrorForm::Bedrock => ("/message", vec![]),
                ErrorForm::Cohere => ("/message", vec![("/id", "r1")]),
                ErrorForm::Plain => ("/message", vec![("/code", code)]),
            };
            assert_eq!(at(&body, message), error.to_string(), "{told}");
            for (path, value) in names {
                assert_eq!(at(&body, path), value, "{told}: {path} of {body}");
            }
        }
    }
    for code in Code::ALL {
        assert!(codes.contains(code.as_str()), "{code:?} has no row");
    }
}

#[test]
fn the_documentation_lists_the_vocabulary() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
    let documentation = std::fs::read_to_string(path).unwrap();
    let words = Code::ALL.iter().map(|code| code.as_str()).chain(Shed::ALL.iter().map(|shed| shed.as_str()));
    let missing: Vec<&str> = words.filter(|word| !documentation.contains(&format!("| `{word}` |"))).collect();
    assert!(missing.is_empty(), "docs/errors.md lacks {missing:?}");
}

#[test]
fn what_providers_say_is_bounded_and_holds_no_key() {
    let attempts = format!("demo/echo: wrong key sk-proj-abcdefghijklmnop; {}", "é".repeat(9_000));
    let error = ApiError::Upstream { status: StatusCode::BAD_GATEWAY, attempts, retry_after: None };
    let said = error.failure(&HeaderValue::from_static("r1")).message;
    assert!(said.len() <= MAX_MESSAGE + 3 && said.ends_with("...") && !said.contains("abcdefgh"), "{said}");
}
