//! What is refused of a head that is well formed, and what of it is for this connection alone.

use http::header::{CONNECTION, EXPECT};
use http::{HeaderMap, HeaderName, Request};

/// Which paths are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paths {
    /// Names of models hold escaped slashes.
    Data,
    /// Names of keys may, and nothing before them.
    Admin,
}

/// Where names begin: `/api/keys/NAME`.
const ID_SEGMENT: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("CONNECT is for proxies, and this is none")]
    Connect,
    #[error("the path holds an empty segment (`//`): see the base URL of your client")]
    EmptySegment,
    #[error("the path holds a segment `.` or `..`")]
    DotSegment,
    #[error("the path holds a backslash or a control character")]
    Character,
    #[error("the path holds an escaped slash")]
    EscapedSlash,
}

/// Whether the target may be asked for, whatever it is.
pub(super) fn check<B>(request: &Request<B>, paths: Paths) -> Result<(), Refusal> {
    if request.method() == http::Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let path = request.uri().path().as_bytes();
    let (mut slashes, mut segment) = (0, 0);
    let mut only_dots = true;
    let mut at = 0;
    while at < path.len() {
        let (byte, width) = match unescaped(&path[at..]) {
            Some(byte) => (byte, 3),
            None => (path[at], 1),
        };
        if byte == b'\\' || byte.is_ascii_control() {
            return Err(Refusal::Character);
        }
        if byte == b'/' && width == 3 && paths == Paths::Admin && slashes < ID_SEGMENT {
            return Err(Refusal::EscapedSlash);
        }
        if byte == b'/' {
            slashes += usize::from(width == 1);
            end_of_segment(segment, only_dots)?;
            if segment == 0 && at > 0 && width == 1 {
                return Err(Refusal::EmptySegment);
            }
            (segment, only_dots) = (0, true);
        } else {
            segment += 1;
            only_dots &= byte == b'.';
        }
        at += width;
    }
    end_of_segment(segment, only_dots)
}

fn end_of_segment(length: usize, only_dots: bool) -> Result<(), Refusal> {
    if only_dots && matches!(length, 1 | 2) { Err(Refusal::DotSegment) } else { Ok(()) }
}

/// The byte that `%XX` stands for.
fn unescaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = *text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Whether the request expects only what can be met.
pub(super) fn expects_too_much(headers: &HeaderMap) -> bool {
    headers.get_all(EXPECT).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Takes out the headers that the client named as being for this connection alone (RFC 9110, section 7.6.1).
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if !headers.contains_key(CONNECTION) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.eq_ignore_ascii_case(b"keep-alive") && !name.eq_ignore_ascii_case(b"close"))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn paths_that_others_could_read_otherwise() {
        let verdict = |path: &str, paths| check(&Request::get(path).body(()).unwrap(), paths);
        for (path, refusal) in [
            ("//v1/models", Refusal::EmptySegment),
            ("/v1//models", Refusal::EmptySegment),
            ("/v1/models//", Refusal::EmptySegment),
            ("/v1/../api/keys", Refusal::DotSegment),
            ("/v1/%2e%2E/api/keys", Refusal::DotSegment),
            ("/v1/.%2e", Refusal::DotSegment),
            ("/v1/./models", Refusal::DotSegment),
            ("/v1/..", Refusal::DotSegment),
            ("/v1/%5c..", Refusal::Character),
            ("/v1/a%00b", Refusal::Character),
            ("/v1/a%0d%0ab", Refusal::Character),
        ] {
            for paths in [Paths::Data, Paths::Admin] {
                assert_eq!(verdict(path, paths), Err(refusal), "{path}");
            }
        }
        for path in [
            "/",
            "/v1/models",
            "/v1/models/",
            "/v1/models/openai/gpt-4.1",
            "/v1/...",
            "/genai/v1/models/a.b:generateContent?alt=sse&x=../..//",
            "/v1/100%",
            "/api/keys/search%2Fprod",
            "/v1/%zz",
        ] {
            assert_eq!((verdict(path, Paths::Data), verdict(path, Paths::Admin)), (Ok(()), Ok(())), "{path}");
        }
        let escaped = "/bedrock/arn%3Aaws%2Fprofile/converse";
        assert_eq!(
            (verdict(escaped, Paths::Data), verdict(escaped, Paths::Admin)),
            (Ok(()), Err(Refusal::EscapedSlash))
        );
        assert_eq!(verdict("/v1/x%2f..%2fkeys", Paths::Data), Err(Refusal::DotSegment));
        let connect = Request::connect("a:443").body(()).unwrap();
        assert_eq!(check(&connect, Paths::Data), Err(Refusal::Connect));
    }

    #[test]
    fn what_is_for_the_connection_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret"),
            ("connection", "openai-beta"),
            ("x-secret", "1"),
            ("openai-beta", "2"),
            ("x-kept", "3"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["connection", "x-kept"]);
    }

    #[test]
    fn one_expectation_can_be_met() {
        let expecting = |value| [(EXPECT, HeaderValue::from_static(value))].into_iter().collect::<HeaderMap>();
        assert!(!expects_too_much(&HeaderMap::new()) && !expects_too_much(&expecting("100-Continue")));
        assert!(expects_too_much(&expecting("100-continue, more")) && expects_too_much(&expecting("a miracle")));
    }
}
