//! Errors as OpenAI's clients read them.

use serde::Serialize;

#[derive(Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

/// `{"error":{"message","type","param","code"}}`.
pub fn error_body(message: &str, kind: &str, param: Option<&str>, code: &str) -> Vec<u8> {
    // Strings always serialise, so the fallback is never seen; it keeps this function total.
    serde_json::to_vec(&Body { error: Inner { message, kind, param, code } }).unwrap_or_else(|_| b"{}".to_vec())
}
