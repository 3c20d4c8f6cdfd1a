//! The form of an error: a client's SDK reads it by the dialect that it speaks, which its path tells. The forms
//! themselves are the dialects' own.

use http::HeaderName;
use peerway_dialect::canonical::Failure;
use peerway_dialect::{Dialect, anthropic, bedrock, cohere, gemini, openai};
use serde_json::json;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorForm {
    /// `{"error":{"message","type","param","code"}}`
    #[default]
    OpenAi,
    /// `{"type":"error","error":{"type","message"},"request_id"}`
    Anthropic,
    /// `{"error":{"code","message","status"}}`
    Gemini,
    /// `{"message"}`, and its kind in `x-amzn-errortype`
    Bedrock,
    /// `{"id","message"}`
    Cohere,
    /// `{"message","code"}`
    Plain,
}

impl ErrorForm {
    pub const ALL: [Self; 6] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Bedrock, Self::Cohere, Self::Plain];

    /// By the path's first part; OpenAI's routes are under many, and bare.
    pub fn of_path(path: &str) -> Self {
        let mut parts = path.trim_start_matches('/').split('/');
        match (parts.next(), parts.next()) {
            (Some("anthropic"), _) | (Some("v1"), Some("messages")) => Self::Anthropic,
            (Some("genai"), _) => Self::Gemini,
            (Some("bedrock"), _) => Self::Bedrock,
            (Some("cohere"), _) => Self::Cohere,
            (Some("mcp"), _) => Self::Plain,
            _ => Self::OpenAi,
        }
    }

    pub fn of_dialect(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiCompletions | Dialect::OpenAiResponses => Self::OpenAi,
            Dialect::Anthropic => Self::Anthropic,
            Dialect::Gemini => Self::Gemini,
            Dialect::Bedrock => Self::Bedrock,
            Dialect::Cohere => Self::Cohere,
        }
    }

    pub fn body(self, failure: &Failure) -> Vec<u8> {
        match self {
            Self::OpenAi => openai::error::encode_error(failure),
            Self::Anthropic => anthropic::encode_error(failure),
            Self::Gemini => gemini::encode_error(failure),
            Self::Bedrock => bedrock::encode_error(failure),
            Self::Cohere => cohere::encode_error(failure),
            // Values of strings always serialise, so the fallback is never seen; it keeps this function total.
            Self::Plain => serde_json::to_vec(&json!({ "message": failure.message, "code": failure.code }))
                .unwrap_or_else(|_| b"{}".to_vec()),
        }
    }

    /// What a form says outside of the body.
    pub fn header(self, failure: &Failure) -> Option<(HeaderName, &'static str)> {
        let name = HeaderName::from_static("x-amzn-errortype");
        (self == Self::Bedrock).then(|| (name, bedrock::error_type(failure.kind)))
    }
}

#[cfg(test)]
mod tests {
    use peerway_dialect::canonical::FailureKind;

    use super::*;

    #[test]
    fn golden_bodies() {
        let mut failure = Failure::new(FailureKind::Quota, "the budget is \"used up\"").with_code("budget_exceeded");
        failure.request_id = Some("r1".to_owned());
        for (form, golden) in [
            (
                ErrorForm::OpenAi,
                r#"{"error":{"message":"the budget is \"used up\"","type":"insufficient_quota","param":null,"code":"budget_exceeded"}}"#,
            ),
            (
                ErrorForm::Anthropic,
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"the budget is \"used up\"","details":{"error_code":"budget_exceeded"}},"request_id":"r1"}"#,
            ),
            (
                ErrorForm::Gemini,
                r#"{"error":{"code":429,"message":"the budget is \"used up\"","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"budget_exceeded","domain":"peerway"}]}}"#,
            ),
            (ErrorForm::Bedrock, r#"{"message":"the budget is \"used up\""}"#),
            (ErrorForm::Cohere, r#"{"id":"r1","message":"the budget is \"used up\""}"#),
            (ErrorForm::Plain, r#"{"message":"the budget is \"used up\"","code":"budget_exceeded"}"#),
        ] {
            let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&form.body(&failure)), value(golden.as_bytes()), "{form:?}");
        }
        let named = ErrorForm::Bedrock.header(&failure).map(|(_, kind)| kind);
        assert_eq!(named, Some("ServiceQuotaExceededException"));
        assert_eq!(ErrorForm::OpenAi.header(&failure), None);
    }

    #[test]
    fn the_path_tells_the_dialect() {
        for (path, form) in [
            ("/anthropic/v1/messages", ErrorForm::Anthropic),
            ("/genai/v1beta/models/gemini-2.5-pro:generateContent", ErrorForm::Gemini),
            ("/bedrock/model/x/converse", ErrorForm::Bedrock),
            ("/v1/messages/count_tokens", ErrorForm::Anthropic),
            ("/cohere/v2/chat", ErrorForm::Cohere),
            ("/mcp", ErrorForm::Plain),
            ("/v1/chat/completions", ErrorForm::OpenAi),
            ("/chat/completions", ErrorForm::OpenAi),
            ("/", ErrorForm::OpenAi),
            ("/anthropicx/v1", ErrorForm::OpenAi),
        ] {
            assert_eq!(ErrorForm::of_path(path), form, "{path}");
        }
    }
}
