//! The form of an error: a client's SDK reads it by the dialect that it speaks, which its path tells.

use http::StatusCode;
use peerway_dialect::bedrock::error_type;
use peerway_dialect::canonical::FailureKind;
use serde::Serialize;
use serde_json::json;

use crate::dialect::openai;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorForm {
    /// `{"error":{"message","type","param","code"}}`
    #[default]
    OpenAi,
    /// `{"type":"error","error":{"type","message"},"request_id"}`
    Anthropic,
    /// `{"error":{"code","message","status"}}`
    Gemini,
    /// `{"message","code"}`, and the name of the error in `x-amzn-errortype`.
    Bedrock,
    /// `{"message","code"}`, which other SDKs find the message in.
    Plain,
}

/// What an error says, in no dialect.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    pub status: StatusCode,
    pub message: &'a str,
    /// OpenAI's `type`.
    pub kind: &'a str,
    pub param: Option<&'a str>,
    pub code: &'a str,
    pub request_id: &'a str,
}

impl ErrorForm {
    /// By the path's first part; OpenAI's routes are under many, and bare.
    pub fn of_path(path: &str) -> Self {
        let mut parts = path.trim_start_matches('/').split('/');
        match (parts.next(), parts.next()) {
            (Some("anthropic"), _) | (Some("v1"), Some("messages")) => Self::Anthropic,
            (Some("genai"), _) => Self::Gemini,
            (Some("bedrock"), _) => Self::Bedrock,
            (Some("cohere" | "mcp"), _) => Self::Plain,
            _ => Self::OpenAi,
        }
    }

    pub fn body(self, said: &Said<'_>) -> Vec<u8> {
        match self {
            Self::OpenAi => openai::error_body(said.message, said.kind, said.param, said.code),
            Self::Anthropic => bytes(&json!({
                "type": "error",
                "error": {
                    "type": anthropic_type(said.status),
                    "message": said.message,
                    "details": { "error_code": said.code },
                },
                "request_id": said.request_id,
            })),
            Self::Gemini => bytes(&json!({
                "error": {
                    "code": said.status.as_u16(),
                    "message": said.message,
                    "status": gemini_status(said.status),
                    "details": [{
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": said.code,
                        "domain": "peerway",
                    }],
                },
            })),
            Self::Bedrock | Self::Plain => bytes(&json!({ "message": said.message, "code": said.code })),
        }
    }

    /// The name of the error, for clients that look for one in a header.
    pub fn error_type(self, status: StatusCode, code: &str) -> Option<&'static str> {
        let kind = match code {
            "budget_exceeded" => FailureKind::Quota,
            _ => FailureKind::of_status(status.as_u16()),
        };
        (self == Self::Bedrock).then(|| error_type(kind))
    }
}

/// Anthropic's documented error types.
fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// The names of google.rpc.Code that Google's HTTP mapping gives for a status.
fn gemini_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        400..=499 => "INVALID_ARGUMENT",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    // Values of strings and numbers always serialise, so the fallback is never seen; it keeps this function total.
    serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(form: ErrorForm) -> String {
        let said = Said {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: "the budget is \"used up\"",
            kind: "insufficient_quota",
            param: None,
            code: "budget_exceeded",
            request_id: "r1",
        };
        String::from_utf8(form.body(&said)).unwrap()
    }

    #[test]
    fn golden_bodies() {
        let openai = r#"{"error":{"message":"the budget is \"used up\"","type":"insufficient_quota","param":null,"code":"budget_exceeded"}}"#;
        let anthropic = r#"{"type":"error","error":{"type":"rate_limit_error","message":"the budget is \"used up\"","details":{"error_code":"budget_exceeded"}},"request_id":"r1"}"#;
        let gemini = r#"{"error":{"code":429,"message":"the budget is \"used up\"","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"budget_exceeded","domain":"peerway"}]}}"#;
        let plain = r#"{"message":"the budget is \"used up\"","code":"budget_exceeded"}"#;
        for (form, golden) in [
            (ErrorForm::OpenAi, openai),
            (ErrorForm::Anthropic, anthropic),
            (ErrorForm::Gemini, gemini),
            (ErrorForm::Bedrock, plain),
            (ErrorForm::Plain, plain),
        ] {
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&body(form)), value(golden), "{form:?}");
        }
    }

    #[test]
    fn the_path_tells_the_dialect() {
        for (path, form) in [
            ("/anthropic/v1/messages", ErrorForm::Anthropic),
            ("/genai/v1beta/models/gemini-2.5-pro:generateContent", ErrorForm::Gemini),
            ("/bedrock/model/x/converse", ErrorForm::Bedrock),
            ("/v1/messages/count_tokens", ErrorForm::Anthropic),
            ("/cohere/v2/chat", ErrorForm::Plain),
            ("/v1/chat/completions", ErrorForm::OpenAi),
            ("/chat/completions", ErrorForm::OpenAi),
            ("/", ErrorForm::OpenAi),
            ("/anthropicx/v1", ErrorForm::OpenAi),
        ] {
            assert_eq!(ErrorForm::of_path(path), form, "{path}");
        }
    }
}
