//! Which headers pass through the gateway: of the client's to the upstream, and of the upstream's answer to the client.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};
use peerway_dialect::Dialect;

/// Client headers that providers understand. Everything else stays here: what is not listed cannot smuggle.
static FORWARDED: [HeaderName; 3] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("idempotency-key"),
];
static FORWARDED_TO_OPENAI: [HeaderName; 3] = [
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("openai-beta"),
];
static FORWARDED_TO_ANTHROPIC: [HeaderName; 2] =
    [HeaderName::from_static("anthropic-version"), HeaderName::from_static("anthropic-beta")];
/// Headers of the upstream's answer that are its client's business.
static RETURNED: [HeaderName; 3] = [
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-version"),
    HeaderName::from_static("x-amzn-errortype"),
];

/// Puts the client's headers that a provider of this dialect understands into its request, all values of each, in the
/// place of what stands there.
pub fn forward(client: &HeaderMap, client_dialect: Dialect, dialect: Dialect, request: &mut HeaderMap) {
    let own: &[HeaderName] = match dialect {
        _ if dialect != client_dialect => &[],
        Dialect::OpenAiChat | Dialect::OpenAiCompletions | Dialect::OpenAiResponses => &FORWARDED_TO_OPENAI,
        Dialect::Anthropic => &FORWARDED_TO_ANTHROPIC,
        Dialect::Gemini | Dialect::Bedrock | Dialect::Cohere => &[],
    };
    for name in FORWARDED.iter().chain(own) {
        let mut values = client.get_all(name).iter();
        if let Some(first) = values.next() {
            request.insert(name, first.clone());
        }
        for more in values {
            request.append(name, more.clone());
        }
    }
}

/// The headers of an answer that go on to the client.
pub fn returned(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(16);
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        kept.insert(CONTENT_TYPE, kind.clone());
    }
    for name in &RETURNED {
        if let Some(value) = headers.get(name) {
            kept.insert(name, value.clone());
        }
    }
    kept
}

/// Whether an answer is server-sent events.
pub fn is_events(headers: &HeaderMap) -> bool {
    is_of_type(headers, "text/event-stream")
}

/// Whether a body is of this media type, whatever its parameters. Names of media types know no case (RFC 9110, 8.3.1).
pub fn is_of_type(headers: &HeaderMap, name: &str) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.as_bytes().split(|byte| *byte == b';').next())
    else {
        return false;
    };
    kind.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_what_is_listed_goes_to_the_upstream() {
        let client = headers(&[
            ("authorization", "Bearer vk"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "10.0.0.1"),
            ("traceparent", "00-1"),
            ("anthropic-version", "2023-06-01"),
            ("openai-beta", "assistants=v2"),
        ]);
        let mut sent = headers(&[("authorization", "Bearer provider")]);
        forward(&client, Dialect::Anthropic, Dialect::Anthropic, &mut sent);
        let expected =
            [("authorization", "Bearer provider"), ("traceparent", "00-1"), ("anthropic-version", "2023-06-01")];
        assert_eq!(sent, headers(&expected));
        let mut sent = HeaderMap::new();
        forward(&client, Dialect::Anthropic, Dialect::OpenAiChat, &mut sent);
        assert_eq!(sent, headers(&[("traceparent", "00-1")]), "what is of another dialect stays");
    }

    #[test]
    fn a_media_type_is_told_by_its_name_alone() {
        for (kind, expected) in [
            ("text/event-stream", true),
            ("text/event-stream;charset=utf-8", true),
            ("Text/Event-Stream ; charset=utf-8", true),
            ("text/event-stream-of-another-kind", false),
            ("application/json", false),
        ] {
            assert_eq!(is_events(&headers(&[("content-type", kind)])), expected, "{kind}");
        }
        assert!(!is_events(&HeaderMap::new()));
    }

    #[test]
    fn every_value_of_a_header_goes_on() {
        let mut client = HeaderMap::new();
        client.append("anthropic-beta", HeaderValue::from_static("a"));
        client.append("anthropic-beta", HeaderValue::from_static("b"));
        let mut sent = headers(&[("anthropic-beta", "of the configuration")]);
        forward(&client, Dialect::Anthropic, Dialect::Anthropic, &mut sent);
        assert_eq!(sent.get_all("anthropic-beta").iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
