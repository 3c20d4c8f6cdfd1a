//! Headers of a client on their way to an upstream, and of an answer on their way back: only what is listed passes.

use http::{HeaderMap, HeaderName, HeaderValue};
use peerway::gateway::headers::{forward, returned};
use peerway::health::retry_after;

use crate::dialect;

/// What may pass the gateway in either direction; anything else is a leak.
const PASSING: [&str; 12] = [
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "idempotency-key",
    "openai-beta",
    "openai-organization",
    "openai-processing-ms",
    "openai-project",
    "openai-version",
    "traceparent",
    "tracestate",
    "x-amzn-errortype",
];

/// Both dialects, then lines of `name: value`.
pub(crate) fn run(input: &[u8]) {
    let [client, upstream, lines @ ..] = input else { return };
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let mut sent = HeaderMap::new();
    sent.insert("authorization", HeaderValue::from_static("the provider's"));
    forward(&headers, dialect(*client), dialect(*upstream), &mut sent);
    assert_eq!(sent.remove("authorization").as_ref().map(HeaderValue::as_bytes), Some(&b"the provider's"[..]));
    for passed in [sent, returned(&headers)] {
        for name in passed.keys() {
            assert!(PASSING.contains(&name.as_str()), "{name} passes");
            assert!(passed.get_all(name).iter().all(|value| headers.get_all(name).iter().any(|told| told == value)));
        }
    }
    assert!(retry_after(&headers).is_none_or(|wait| wait.as_secs() <= 600));
}
