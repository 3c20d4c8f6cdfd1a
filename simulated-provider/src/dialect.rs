//! Errors and headers as each kind of provider writes them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::error::{ApiError, Cause};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
    Bedrock,
    Cohere,
}

const OPENAI_HEADERS: [(&str, &str); 7] = [
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-limit-tokens", "10000000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-remaining-tokens", "9999900"),
    ("x-ratelimit-reset-requests", "6ms"),
    ("x-ratelimit-reset-tokens", "0s"),
];
const ANTHROPIC_HEADERS: [(&str, &str); 7] = [
    ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
    ("anthropic-ratelimit-requests-limit", "4000"),
    ("anthropic-ratelimit-requests-remaining", "3999"),
    ("anthropic-ratelimit-requests-reset", "2030-01-01T00:00:00Z"),
    ("anthropic-ratelimit-tokens-limit", "400000"),
    ("anthropic-ratelimit-tokens-remaining", "400000"),
    ("anthropic-ratelimit-tokens-reset", "2030-01-01T00:00:00Z"),
];
const GEMINI_HEADERS: [(&str, &str); 3] =
    [("vary", "X-Origin, Referer"), ("x-frame-options", "SAMEORIGIN"), ("x-content-type-options", "nosniff")];
const COHERE_HEADERS: [(&str, &str); 1] = [("x-endpoint-monthly-call-limit", "1000")];

impl Dialect {
    /// The headers of every answer, the request's id among them.
    pub(crate) fn headers(self, id: &str, processing_ms: u64) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(12);
        let (fixed, id_name): (&[(&'static str, &'static str)], _) = match self {
            Self::OpenAi => (&OPENAI_HEADERS, "x-request-id"),
            Self::Anthropic => (&ANTHROPIC_HEADERS, "request-id"),
            Self::Gemini => (&GEMINI_HEADERS, "x-goog-request-id"),
            Self::Bedrock => (&[], "x-amzn-requestid"),
            Self::Cohere => (&COHERE_HEADERS, "x-debug-trace-id"),
        };
        for (name, value) in fixed {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if self == Self::OpenAi {
            headers.insert(HeaderName::from_static("openai-processing-ms"), HeaderValue::from(processing_ms));
        }
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert(HeaderName::from_static(id_name), id);
        }
        headers
    }

    /// Status and body of an error, and the header that names its kind where the dialect has one.
    pub(crate) fn error(self, error: &ApiError, id: &str) -> (u16, Bytes, Option<HeaderValue>) {
        let ApiError { status, message, .. } = error;
        let (status, body) = match self {
            Self::OpenAi => return (*status, error.json(), None),
            Self::Anthropic => {
                let inner = json!({ "type": anthropic_kind(*status), "message": anthropic_message(error) });
                (*status, json!({ "type": "error", "error": inner, "request_id": id }))
            }
            Self::Gemini => gemini_error(error),
            Self::Bedrock => {
                let kind = format!("{}:http://internal.amazon.com/coral/com.amazon.bedrock/", bedrock_kind(error));
                // AWS answers a key that it does not know with 403.
                let status = if error.cause == Cause::WrongKey || error.cause == Cause::NoKey { 403 } else { *status };
                return (status, json!({ "message": message }).to_string().into(), HeaderValue::from_str(&kind).ok());
            }
            Self::Cohere => (*status, json!({ "id": id, "message": cohere_message(error) })),
        };
        (status, body.to_string().into(), None)
    }
}

fn anthropic_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}

fn anthropic_message(error: &ApiError) -> &str {
    match (error.cause, error.status) {
        (Cause::NoKey | Cause::WrongKey, _) | (Cause::Fault, 401) => "invalid x-api-key",
        (Cause::Fault, 429) => "This request would exceed your organization's rate limit. Please try again later.",
        (Cause::Fault, 529) => "Overloaded",
        (Cause::Fault, 500..) => "Internal server error",
        _ => &error.message,
    }
}

pub(crate) fn gemini_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        400..=499 => "INVALID_ARGUMENT",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

fn gemini_error(error: &ApiError) -> (u16, Value) {
    let key_info = || {
        json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
                 "domain": "googleapis.com", "metadata": { "service": "generativelanguage.googleapis.com" } }])
    };
    let (status, message, details) = match (error.cause, error.status) {
        // Google answers a key that it does not know with 400.
        (Cause::WrongKey, _) => (400, "API key not valid. Please pass a valid API key.", Some(key_info())),
        (Cause::NoKey, _) => {
            (403, "Method doesn't allow unregistered callers. Please use API Key to call this API.", None)
        }
        (Cause::Fault, 429) => {
            let delay = format!("{}s", error.retry_after_ms.unwrap_or(0) as f64 / 1e3);
            let retry = json!([{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }]);
            let message = "You exceeded your current quota, please check your plan and billing details.";
            (429, message, error.retry_after_ms.map(|_| retry))
        }
        (Cause::Fault, 503) => (503, "The model is overloaded. Please try again later.", None),
        (Cause::Fault, status @ 500..) => (status, "An internal error has occurred. Please retry.", None),
        (_, status) => (status, error.message.as_str(), None),
    };
    let mut inner = json!({ "code": status, "message": message, "status": gemini_status(status) });
    if let Some(details) = details {
        inner["details"] = details;
    }
    (status, json!({ "error": inner }))
}

fn bedrock_kind(error: &ApiError) -> &'static str {
    match (error.cause, error.status) {
        (Cause::BadSignature, _) => "InvalidSignatureException",
        (Cause::WrongKey, _) | (Cause::Fault, 401) => "UnrecognizedClientException",
        (_, 401 | 403) => "AccessDeniedException",
        (_, 404) => "ResourceNotFoundException",
        (_, 408) => "ModelTimeoutException",
        (_, 424) => "ModelErrorException",
        (_, 429) => "ThrottlingException",
        (_, 503) => "ServiceUnavailableException",
        (_, 400..500) => "ValidationException",
        _ => "InternalServerException",
    }
}

fn cohere_message(error: &ApiError) -> &str {
    match (error.cause, error.status) {
        (Cause::NoKey, _) => "no api key supplied",
        (Cause::WrongKey, _) | (Cause::Fault, 401) => "invalid api token",
        (Cause::Fault, 429) => "Please wait and try again later",
        (Cause::Fault, 500..) => "internal server error",
        _ => &error.message,
    }
}
