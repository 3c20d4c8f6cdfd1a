//! Errors as OpenAI words and shapes them; `dialect` words them for the others.

use bytes::Bytes;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) kind: &'static str,
    pub(crate) param: Option<&'static str>,
    pub(crate) code: Option<&'static str>,
    pub(crate) retry_after_ms: Option<u64>,
    pub(crate) cause: Cause,
}

/// What dialects word differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    NoKey,
    WrongKey,
    BadSignature,
    /// A rule asked for it.
    Fault,
    Other,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

impl ApiError {
    fn new(status: u16, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), kind, param: None, code, retry_after_ms: None, cause: Cause::Other }
    }

    pub(crate) fn invalid(message: impl Into<String>, param: Option<&'static str>, code: Option<&'static str>) -> Self {
        Self { param, ..Self::new(400, "invalid_request_error", code, message) }
    }

    pub(crate) fn no_such_route(method: &http::Method, path: &str) -> Self {
        Self::new(404, "invalid_request_error", None, format!("Invalid URL ({method} {path})"))
    }

    pub(crate) fn no_such_method(method: &http::Method, path: &str) -> Self {
        Self::new(405, "invalid_request_error", None, format!("Not allowed to {method} on {path}."))
    }

    pub(crate) fn no_such_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self::new(404, "invalid_request_error", Some("model_not_found"), message)
    }

    pub(crate) fn no_key() -> Self {
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using \
                       Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        Self { cause: Cause::NoKey, ..Self::new(401, "invalid_request_error", None, message) }
    }

    pub(crate) fn wrong_key(label: &str) -> Self {
        let message = format!("Incorrect API key provided: {label}.");
        Self { cause: Cause::WrongKey, ..Self::new(401, "invalid_request_error", Some("invalid_api_key"), message) }
    }

    pub(crate) fn bad_signature(message: &str) -> Self {
        Self { cause: Cause::BadSignature, ..Self::new(403, "invalid_request_error", None, message) }
    }

    pub(crate) fn too_large(most: usize) -> Self {
        Self::new(413, "invalid_request_error", None, format!("Request body is larger than {most} bytes."))
    }

    /// The error that a rule asks for.
    pub(crate) fn from_fault(status: u16, retry_after_ms: Option<u64>) -> Self {
        let (kind, code, message) = match status {
            401 => ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided."),
            403 => ("invalid_request_error", None, "You do not have access to this resource."),
            404 => (
                "invalid_request_error",
                Some("model_not_found"),
                "The model does not exist or you do not have access to it.",
            ),
            429 => {
                ("requests", Some("rate_limit_exceeded"), "Rate limit reached for requests. Please try again later.")
            }
            400..500 => ("invalid_request_error", None, "The request was refused by a fault rule."),
            503 => ("server_error", None, "The engine is currently overloaded, please try again later."),
            _ => ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
        };
        Self { retry_after_ms, cause: Cause::Fault, ..Self::new(status, kind, code, message) }
    }

    pub(crate) fn json(&self) -> Bytes {
        let inner = Inner { message: &self.message, kind: self.kind, param: self.param, code: self.code };
        // Cannot fail: the envelope holds nothing but strings.
        serde_json::to_vec(&Envelope { error: inner }).unwrap_or_default().into()
    }
}
