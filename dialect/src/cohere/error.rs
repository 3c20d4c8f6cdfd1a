//! `{"message","id"}`.

use serde::Serialize;

use crate::canonical::{Failure, FailureKind};
use crate::json::{self, Object};

#[derive(Debug, Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    message: &'a str,
}

/// The body of an error answer. The status alone says of which kind it is.
pub fn encode_error(failure: &Failure) -> Vec<u8> {
    json::bytes(&Body { id: failure.request_id.as_deref(), message: &failure.message })
}

/// What a provider's error answer says. Bodies that are not in the form still give the status's meaning.
pub fn decode_error(status: u16, body: &[u8]) -> Failure {
    // Cohere's own numbers: 498 is a key that is not known, 499 a client that went away.
    let kind = if status == 498 { FailureKind::Authentication } else { FailureKind::of_status(status) };
    let told = Object::parse(body).ok().and_then(|mut object| {
        let message = object.string("message").ok().flatten().or(object.string("data").ok().flatten())?;
        Some((message, object.string("id").ok().flatten()))
    });
    if let Some((message, request_id)) = told {
        return Failure { request_id, ..Failure::new(kind, message) };
    }
    let text = String::from_utf8_lossy(body);
    let message = match text.trim() {
        "" => format!("the provider answered with status {status}"),
        text => match text.char_indices().nth(500) {
            Some((at, _)) => format!("{}...", &text[..at]),
            None => text.to_owned(),
        },
    };
    Failure::new(kind, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_but_quota_comes_back() {
        for kind in FailureKind::ALL.into_iter().filter(|kind| *kind != FailureKind::Quota) {
            let failure = Failure { request_id: Some("r".into()), ..Failure::new(kind, "m \"q\"") };
            assert_eq!(decode_error(kind.status(), &encode_error(&failure)), failure);
        }
    }

    #[test]
    fn reads_what_is_in_no_form() {
        for (status, body, kind, message) in [
            (498, r#"{"message":"invalid api token"}"#, FailureKind::Authentication, "invalid api token"),
            (500, r#"{"data":"x"}"#, FailureKind::Upstream, "x"),
            (503, "", FailureKind::Overloaded, "the provider answered with status 503"),
            (400, "{\"x\":1}", FailureKind::InvalidRequest, "{\"x\":1}"),
        ] {
            let failure = decode_error(status, body.as_bytes());
            assert_eq!((failure.kind, failure.message.as_str()), (kind, message), "{body}");
        }
    }
}
