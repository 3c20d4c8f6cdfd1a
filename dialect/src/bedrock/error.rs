//! Errors: `{"message"}`, the name in the header `x-amzn-ErrorType`; in a stream an exception of that name.

use serde::Serialize;

use crate::canonical::{Failure, FailureKind};
use crate::json::{self, Object};

#[derive(Debug, Serialize)]
struct Body<'a> {
    message: &'a str,
}

/// The body of an error answer, and the payload of an exception in a stream.
pub fn encode_error(failure: &Failure) -> Vec<u8> {
    json::bytes(&Body { message: &failure.message })
}

/// The name for `x-amzn-ErrorType`.
pub fn error_type(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::InvalidRequest | FailureKind::TooLarge => "ValidationException",
        FailureKind::Authentication | FailureKind::Permission => "AccessDeniedException",
        FailureKind::NotFound => "ResourceNotFoundException",
        FailureKind::RateLimit => "ThrottlingException",
        FailureKind::Quota | FailureKind::Payment => "ServiceQuotaExceededException",
        FailureKind::Upstream => "InternalServerException",
        FailureKind::Overloaded => "ServiceUnavailableException",
        FailureKind::Timeout => "ModelTimeoutException",
    }
}

/// The member of ConverseStream's union, which has fewer, that an exception in a stream is.
pub(super) fn exception_type(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::InvalidRequest
        | FailureKind::TooLarge
        | FailureKind::Authentication
        | FailureKind::Permission
        | FailureKind::NotFound => "validationException",
        FailureKind::RateLimit | FailureKind::Quota | FailureKind::Payment => "throttlingException",
        FailureKind::Overloaded => "serviceUnavailableException",
        FailureKind::Upstream | FailureKind::Timeout => "modelStreamErrorException",
    }
}

/// What a provider's error answer says, where its headers are not at hand.
pub fn decode_error(status: u16, body: &[u8]) -> Failure {
    decode_named_error(status, None, body)
}

/// What a provider's error answer says. `name` is its header `x-amzn-ErrorType`.
pub fn decode_named_error(status: u16, name: Option<&str>, body: &[u8]) -> Failure {
    let mut message = None;
    let mut name = name.map(str::to_owned);
    if let Ok(mut object) = Object::parse(body) {
        let mut text = |key: &str| object.string(key).ok().flatten().filter(|text| !text.is_empty());
        message = text("message").or_else(|| text("Message"));
        name = name.or_else(|| text("__type")).or_else(|| text("code"));
    }
    // `namespace#Name:http://...` in full.
    let name = name.as_deref().map(|name| {
        let name = name.split(':').next().unwrap_or_default();
        name.rsplit('#').next().unwrap_or_default().to_owned()
    });
    let message = message.unwrap_or_else(|| match std::str::from_utf8(body).map(str::trim) {
        Ok(text) if !text.is_empty() => text.chars().take(500).collect(),
        _ => format!("the provider answered with status {status}"),
    });
    let kind = name.as_deref().and_then(kind_of).unwrap_or(FailureKind::of_status(status));
    Failure { code: name.filter(|name| !name.is_empty()), ..Failure::new(kind, message) }
}

/// Names of error answers, and of exceptions in streams, which begin with a small letter.
fn kind_of(name: &str) -> Option<FailureKind> {
    let mut letters = name.chars();
    let name: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    Some(match name.as_str() {
        "ValidationException" | "ConflictException" | "SerializationException" => FailureKind::InvalidRequest,
        "AccessDeniedException" => FailureKind::Permission,
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignatureException" => FailureKind::Authentication,
        "ResourceNotFoundException" | "UnknownOperationException" => FailureKind::NotFound,
        "ThrottlingException" | "TooManyRequestsException" => FailureKind::RateLimit,
        "ServiceQuotaExceededException" => FailureKind::Quota,
        "ServiceUnavailableException" | "ModelNotReadyException" => FailureKind::Overloaded,
        "ModelTimeoutException" => FailureKind::Timeout,
        "InternalServerException" | "ModelErrorException" | "ModelStreamErrorException" => FailureKind::Upstream,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_name_wherever_it_is() {
        let read = |status, name, body: &str| decode_named_error(status, name, body.as_bytes());
        let failure = read(400, Some("ThrottlingException:http://internal.amazon.com/x/"), r#"{"message":"slow"}"#);
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::RateLimit, "slow"));
        assert_eq!(failure.code.as_deref(), Some("ThrottlingException"));
        let failure = read(403, None, r#"{"__type":"com.amazon.coral#UnrecognizedClientException","Message":"no"}"#);
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Authentication, "no"));
        let failure = read(503, None, "");
        assert_eq!((failure.kind, failure.code), (FailureKind::Overloaded, None));
        assert_eq!(read(500, Some("New"), "<html>").kind, FailureKind::Upstream);
    }

    #[test]
    fn kinds_come_back() {
        for kind in FailureKind::ALL {
            let failure = Failure::new(kind, "m \"q\"");
            let read = decode_named_error(kind.status(), Some(error_type(kind)), &encode_error(&failure));
            let expected = match kind {
                FailureKind::TooLarge => FailureKind::InvalidRequest,
                FailureKind::Authentication => FailureKind::Permission,
                FailureKind::Payment => FailureKind::Quota,
                kind => kind,
            };
            assert_eq!((read.kind, read.message.as_str()), (expected, "m \"q\""));
            assert!(kind_of(exception_type(kind)).is_some());
        }
    }
}
