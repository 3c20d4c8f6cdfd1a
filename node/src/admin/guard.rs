//! Who may use the control plane.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Uri};
use subtle::ConstantTimeEq;

use super::{Admin, Problem};

/// With a token: whoever has it. Without: whoever is on this machine, but no web page in a browser on this machine
/// (DNS rebinding), which is told by the host it asked for.
pub(super) async fn check(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    match &admin.token {
        Some(token) if !carries(request.headers(), token.expose()) => Problem::unauthorized().into_response(),
        None if !is_local(host(request.headers(), request.uri())) => {
            Problem::forbidden_host(host(request.headers(), request.uri())).into_response()
        }
        _ => next.run(request).await,
    }
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
}
