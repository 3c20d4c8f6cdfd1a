//! Who may use the control plane.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, Uri};
use subtle::ConstantTimeEq;

use super::{Admin, Problem};
use crate::config::Secret;

/// With a token: whoever has it. Without: whoever is on this machine, but no web page in a browser on this machine. A
/// page that was given this address for its own (DNS rebinding) is told by the host it asked for; any other page can send
/// what a form can send, and is told by its origin.
pub(super) async fn check(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let token = admin.token.as_ref().map(Secret::expose);
    match refusal(token, request.headers(), request.uri()) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(token: Option<&str>, headers: &HeaderMap, uri: &Uri) -> Option<Problem> {
    let host = host(headers, uri);
    match token {
        Some(token) => (!carries(headers, token)).then(Problem::unauthorized),
        None if !is_local(host) => Some(Problem::forbidden_host(host)),
        None => foreign_origin(headers, host).map(Problem::forbidden_origin),
    }
}

/// The origin of a page that is not this port's own. Other callers than browsers send none.
fn foreign_origin<'h>(headers: &'h HeaderMap, host: &str) -> Option<&'h str> {
    let origins = headers.get_all(ORIGIN).iter().map(|origin| origin.to_str().unwrap_or("?"));
    let authority = |origin: &'h str| origin.split_once("://").map_or("", |(_, authority)| authority);
    origins.into_iter().find(|origin| !authority(origin).eq_ignore_ascii_case(host))
}

fn carries(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    sent.is_some_and(|sent| sent.ct_eq(token.as_bytes()).into())
}

fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> &'a str {
    headers.get(HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.authority().map(|a| a.as_str())).unwrap_or("")
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_this_machine_counts_as_local() {
        for host in ["localhost", "localhost:8081", "127.0.0.1:8081", "127.1.2.3", "[::1]:8081", "[::1]"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "10.0.0.1:8081", "127.0.0.1.nip.example:80"] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn the_token_must_match_whole() {
        let with = |value: &str| [(AUTHORIZATION, value.parse().unwrap())].into_iter().collect::<HeaderMap>();
        assert!(carries(&with("Bearer abc"), "abc"));
        assert!(!carries(&with("Bearer ab"), "abc"));
        assert!(!carries(&with("abc"), "abc"));
        assert!(!carries(&HeaderMap::new(), "abc"));
    }

    #[test]
    fn a_web_page_cannot_use_what_its_visitor_may() {
        let asked = |token, headers: &[(HeaderName, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
            refusal(token, &headers, &Uri::from_static("/cluster/drain")).map(|problem| problem.status().as_u16())
        };
        let here = (HOST, "127.0.0.1:8081");
        assert_eq!(asked(None, std::slice::from_ref(&here)), None, "curl");
        assert_eq!(asked(None, &[here.clone(), (ORIGIN, "http://127.0.0.1:8081")]), None, "a page of its own");
        for page in ["https://evil.example", "http://127.0.0.1:3000", "http://localhost:8081", "null"] {
            assert_eq!(asked(None, &[here.clone(), (ORIGIN, page)]), Some(403), "{page}");
        }
        assert_eq!(asked(None, &[(HOST, "evil.example:8081")]), Some(403));
        // What a page does not know it cannot send.
        assert_eq!(asked(Some("abc"), &[here.clone(), (ORIGIN, "https://ui.example")]), Some(401));
        let known = (AUTHORIZATION, "Bearer abc");
        assert_eq!(asked(Some("abc"), &[here, (ORIGIN, "https://ui.example"), known]), None);
    }
}
