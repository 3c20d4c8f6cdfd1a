//! Requests that two programs could read in two ways, and headers that are nobody's business upstream: each is sent over
//! a raw socket, and what reaches the provider is one well-formed request, or nothing; never a second one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peerway::http::head::Paths;
use peerway::http::{Edge, accept};
use serde_json::Value;
use support::{KEY, Setup, setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const BODY: &str = r#"{"model":"demo/echo","messages":[{"role":"user","content":"hello"}]}"#;

/// What must come of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    /// Refused with this status before anything was sent upstream; the connection ends.
    Closed(u16),
    /// Refused with this status; the connection goes on.
    Refused(u16),
    /// One request upstream, answered 200.
    Served,
}
use Expected::{Closed, Refused, Served};

/// A chat request with these header lines instead of a `content-length`, and what follows the head.
fn chat(lines: &str, after: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n{lines}\r\n{after}")
}

/// A sound one with more header lines.
fn sound(lines: &str) -> String {
    chat(&format!("content-length: {}\r\n{lines}", BODY.len()), BODY)
}

fn chunks(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// A request that must never be seen as one.
fn hidden() -> String {
    chat(&format!("content-length: {}\r\nx-hidden: 1\r\n", BODY.len()), BODY)
}

fn get(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n{lines}\r\n")
}

fn corpus() -> Vec<(&'static str, String, Expected)> {
    let length = BODY.len();
    let te = "transfer-encoding: chunked\r\n";
    let cl = format!("content-length: {length}\r\n");
    let smuggled = format!("0\r\n\r\n{}", hidden());
    vec![
        // Lengths and chunks.
        ("CL.TE", chat(&format!("content-length: {}\r\n{te}", smuggled.len()), &smuggled), Closed(400)),
        ("TE.CL", chat(&format!("{te}content-length: 4\r\n"), &chunks(BODY)), Closed(400)),
        ("CL.TE obscured by case", chat(&format!("{cl}TRANSFER-encoding: CHUNKED\r\n"), &chunks(BODY)), Closed(400)),
        ("two lengths that differ", chat(&format!("{cl}content-length: 0\r\n"), BODY), Closed(400)),
        ("two lengths that are the same", chat(&format!("{cl}Content-Length: {length}\r\n"), BODY), Closed(400)),
        ("a list of lengths", chat(&format!("content-length: {length}, {length}\r\n"), BODY), Closed(400)),
        ("a length with a sign", chat(&format!("content-length: +{length}\r\n"), BODY), Closed(400)),
        ("a negative length", chat("content-length: -1\r\n", BODY), Closed(400)),
        ("a length in hexadecimal digits", chat(&format!("content-length: 0x{length:x}\r\n"), BODY), Closed(400)),
        ("a length with a space in it", chat("content-length: 6 8\r\n", BODY), Closed(400)),
        ("an endless length", chat("content-length: 99999999999999999999999\r\n", BODY), Closed(400)),
        ("an empty length", chat("content-length: \r\n", BODY), Closed(400)),
        ("a length with white space around it", chat(&format!("content-length: \t {length} \r\n"), BODY), Served),
        ("no length and no chunks", chat("", ""), Refused(400)),
        ("xchunked", chat("transfer-encoding: xchunked\r\n", &chunks(BODY)), Closed(400)),
        ("chunked twice", chat("transfer-encoding: chunked, chunked\r\n", &chunks(BODY)), Closed(400)),
        ("two lines of chunked", chat(&format!("{te}{te}"), &chunks(BODY)), Closed(400)),
        ("chunked and identity", chat("transfer-encoding: chunked, identity\r\n", &chunks(BODY)), Closed(400)),
        ("gzip and chunked", chat("transfer-encoding: gzip, chunked\r\n", &chunks(BODY)), Closed(400)),
        ("chunked in quotes", chat("transfer-encoding: \"chunked\"\r\n", &chunks(BODY)), Closed(400)),
        ("chunked after a vertical tab", chat("transfer-encoding: \x0bchunked\r\n", &chunks(BODY)), Closed(400)),
        ("a space before the colon", chat("transfer-encoding : chunked\r\n", &chunks(BODY)), Closed(400)),
        ("a length with a space before the colon", chat(&format!("content-length : {length}\r\n"), BODY), Closed(400)),
        ("chunks", chat(te, &chunks(BODY)), Served),
        ("chunks with an extension", chat(te, &format!("{length:x};a=b\r\n{BODY}\r\n0\r\n\r\n")), Served),
        ("chunks with a trailer", chat(te, &format!("{length:x}\r\n{BODY}\r\n0\r\nx-sum: 1\r\n\r\n")), Served),
        (
            "framing in a trailer",
            chat(te, &format!("{length:x}\r\n{BODY}\r\n0\r\ntransfer-encoding: chunked\r\n\r\n")),
            Closed(400),
        ),
        (
            "a length in a trailer",
            chat(te, &format!("{length:x}\r\n{BODY}\r\n0\r\ncontent-length: 5\r\n\r\n")),
            Closed(400),
        ),
        ("a chunk of an endless size", chat(te, &format!("ffffffffffffffff\r\n{BODY}\r\n0\r\n\r\n")), Closed(400)),
        ("a chunk of a negative size", chat(te, &format!("-1\r\n{BODY}\r\n0\r\n\r\n")), Closed(400)),
        (
            "a chunk that is longer than it says",
            chat(te, &format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", length - 1)),
            Closed(400),
        ),
        ("a chunk size with a bare LF", chat(te, &format!("{length:x}\n{BODY}\r\n0\r\n\r\n")), Closed(400)),
        ("an extension with a bare LF", chat(te, &format!("{length:x};a\n{BODY}\r\n0\r\n\r\n")), Closed(400)),
        ("an extension without an end", chat(te, &format!("{length:x};{}", "a".repeat(5_000))), Closed(400)),
        ("a chunk size with a space", chat(te, &format!("{length:x} \r\n{BODY}\r\n0\r\n\r\n")), Closed(400)),
        // Lines.
        ("bare LF in the head", chat(&cl, BODY).replace("host: gateway\r\n", "host: gateway\n"), Closed(400)),
        ("bare LF at the head's end", chat(&cl, BODY).replace("\r\n\r\n", "\r\n\n"), Closed(400)),
        ("bare LF after the request line", chat(&cl, BODY).replacen("\r\n", "\n", 1), Closed(400)),
        ("a bare CR", sound("x-a: b\rtransfer-encoding: chunked\r\n"), Closed(400)),
        ("a folded header", sound("x-a: b\r\n transfer-encoding: chunked\r\n"), Closed(400)),
        ("a folded header with a tab", sound("x-a: b\r\n\tc\r\n"), Closed(400)),
        ("a null in a value", sound("x-a: b\0c\r\n"), Closed(400)),
        ("a null in a name", sound("x\0a: b\r\n"), Closed(400)),
        ("a header without a name", sound(": b\r\n"), Closed(400)),
        ("a header without a colon", sound("x-a\r\n"), Closed(400)),
        ("two spaces in the request line", sound("").replacen("POST ", "POST  ", 1), Closed(400)),
        ("a tab in the request line", sound("").replacen("POST ", "POST\t", 1), Closed(400)),
        ("HTTP/0.9", "GET /v1/models\r\n".to_owned(), Closed(400)),
        ("HTTP/1.2", sound("").replacen("HTTP/1.1", "HTTP/1.2", 1), Closed(400)),
        ("HTTP/2.0 in words", sound("").replacen("HTTP/1.1", "HTTP/2.0", 1), Closed(400)),
        ("a head that is too large", sound(&format!("x-a: {}\r\n", "b".repeat(70_000))), Closed(431)),
        ("too many headers", sound(&"x-a: b\r\n".repeat(100)), Closed(431)),
        // HTTP/1.0.
        ("HTTP/1.0", sound("").replacen("HTTP/1.1", "HTTP/1.0", 1), Served),
        ("HTTP/1.0 with chunks", chat(te, &chunks(BODY)).replacen("HTTP/1.1", "HTTP/1.0", 1), Closed(400)),
        ("HTTP/1.0 that is kept", sound("connection: keep-alive\r\n").replacen("HTTP/1.1", "HTTP/1.0", 1), Served),
        // Hosts and targets.
        ("no host", sound("").replacen("host: gateway\r\n", "", 1), Closed(400)),
        ("two hosts", sound("host: elsewhere\r\n"), Closed(400)),
        ("a host with a path", sound("").replacen("host: gateway", "host: gateway/x", 1), Closed(400)),
        ("a host with a user", sound("").replacen("host: gateway", "host: a@gateway", 1), Closed(400)),
        ("another host", sound("").replacen("host: gateway", "host: evil.example", 1), Served),
        ("an absolute target", sound("").replacen("/v1/", "http://evil.example/v1/", 1), Served),
        ("CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n".to_owned(), Closed(400)),
        ("CONNECT with what follows", format!("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n{}", hidden()), Closed(400)),
        ("two slashes", sound("").replacen("/v1/chat", "//v1/chat", 1), Closed(400)),
        ("two slashes inside", sound("").replacen("/v1/chat", "/v1//chat", 1), Closed(400)),
        ("up and down again", sound("").replacen("/v1/chat", "/v1/../v1/chat", 1), Closed(400)),
        ("escaped dots", sound("").replacen("/v1/chat", "/v1/%2e%2e/v1/chat", 1), Closed(400)),
        ("an escaped slash", sound("").replacen("/v1/chat", "/v1%2fchat", 1), Refused(404)),
        ("an escaped null", sound("").replacen("/v1/chat", "/v1/%00chat", 1), Closed(400)),
        ("a backslash", sound("").replacen("/v1/chat", "/v1\\chat", 1), Closed(400)),
        ("the admin API on this port", get("/api/keys", ""), Refused(404)),
        ("the metrics on this port", get("/metrics", ""), Refused(404)),
        // Upgrades and expectations.
        (
            "an upgrade to h2c",
            sound("connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"),
            Served,
        ),
        (
            "an upgrade to a web socket",
            get(
                "/v1/realtime",
                "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
            ),
            Refused(404),
        ),
        ("expect 100-continue", sound("expect: 100-continue\r\n"), Served),
        ("expect a miracle", sound("expect: a-miracle\r\n"), Closed(417)),
        // Headers that stay here.
        (
            "headers of the connection",
            sound("connection: x-secret, openai-beta\r\nx-secret: 1\r\nopenai-beta: hop\r\n"),
            Served,
        ),
        ("a key that is the connection's", sound("connection: authorization\r\n"), Refused(401)),
        (
            "underscores for dashes",
            sound("x_forwarded_for: 1\r\ncontent_length: 5\r\ntransfer_encoding: chunked\r\nopenai_beta: 1\r\n"),
            Served,
        ),
        (
            "a host for whoever listens",
            sound(
                "x-forwarded-host: evil.example\r\nforwarded: host=evil.example\r\nx-original-url: /admin\r\nx-http-method-override: DELETE\r\n",
            ),
            Served,
        ),
        (
            "hop-by-hop headers",
            sound(
                "te: trailers\r\ntrailer: x\r\nkeep-alive: timeout=5\r\nproxy-authorization: Basic x\r\nproxy-connection: close\r\n",
            ),
            Served,
        ),
        ("a cookie and a key", sound("cookie: a=b\r\nx-api-key: sk-client\r\nx-peerway-cache-key: k\r\n"), Served),
    ]
}

/// Sends it, and reads until the answer is whole or the connection closes. Returns the status, the answer, and whether
/// the connection is still open.
async fn send(gateway: SocketAddr, request: &str) -> (u16, String, Option<TcpStream>) {
    let mut connection = TcpStream::connect(gateway).await.unwrap();
    // A refusal may close the connection while the rest is still on its way.
    let _ = connection.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let whole = tokio::time::timeout(Duration::from_secs(10), read_answer(&mut connection, &mut answer)).await;
    let open = whole.expect("an answer or an end");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text, open.then_some(connection))
}

/// Whether the connection is open after one whole answer.
async fn read_answer(connection: &mut TcpStream, answer: &mut Vec<u8>) -> bool {
    loop {
        if let Some((head, body)) = split(answer) {
            if head.starts_with("HTTP/1.1 100") {
                answer.drain(..head.len() + 4);
                continue;
            }
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body >= length.unwrap_or(usize::MAX) {
                return !head.to_ascii_lowercase().contains("connection: close");
            }
        }
        match connection.read_buf(answer).await {
            Ok(1..) => {}
            _ => return false,
        }
    }
}

/// The head, and how much of the body is there.
fn split(answer: &[u8]) -> Option<(String, usize)> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&answer[..end]).into_owned(), answer.len() - end - 4))
}

async fn arrived(setup: &Setup) -> Vec<Value> {
    let seen = setup.provider("GET", "/requests?last=10", "").await;
    seen["requests"].as_array().unwrap().clone()
}

/// What a client may have the provider see, besides what the gateway says itself.
const UPSTREAM: [&str; 9] = [
    "host",
    "content-type",
    "accept",
    "accept-encoding",
    "user-agent",
    "x-request-id",
    "authorization",
    "content-length",
    "openai-beta",
];

#[tokio::test]
async fn the_provider_sees_one_sound_request_or_none() {
    let setup = setup(|_| {}).await;
    let corpus = corpus();
    assert!(corpus.len() >= 80, "{}", corpus.len());
    let mut wrong = Vec::new();
    for (name, request, expected) in corpus {
        setup.provider("POST", "/reset", "").await;
        let (status, answer, open) = send(setup.gateway, &request).await;
        let requests = arrived(&setup).await;
        let (should, one) = match expected {
            Closed(status) | Refused(status) => (status, 0),
            Served => (200, 1),
        };
        if status != should || requests.len() != one {
            wrong.push(format!("{name}: {status} and {} upstream instead of {expected:?}: {answer:?}", requests.len()));
            continue;
        }
        for seen in &requests {
            let headers = seen["headers"].as_object().unwrap();
            let foreign: Vec<&String> = headers.keys().filter(|name| !UPSTREAM.contains(&name.as_str())).collect();
            let own = headers["authorization"] == "Bearer sk-up-demo" && headers["host"] != "evil.example";
            let hop = headers.get("openai-beta").is_some();
            let sound = seen["method"] == "POST" && seen["path"] == "/v1/chat/completions";
            if !foreign.is_empty() || !own || hop || !sound || seen["body"] != BODY.replace("demo/echo", "echo") {
                wrong.push(format!("{name}: {foreign:?} went upstream in {seen}"));
            }
        }
        if status >= 400 && !(answer.contains("\r\nrequest-id: ") && answer.contains("\r\nx-request-id: ")) {
            wrong.push(format!("{name}: no ids in {answer}"));
        }
        // A connection of which somebody could think otherwise must end; any other serves on.
        match (expected, open) {
            (Closed(_), Some(_)) => wrong.push(format!("{name}: the connection goes on")),
            (Refused(_), None) => wrong.push(format!("{name}: the connection ended")),
            (Refused(_), Some(mut connection)) => {
                connection.write_all(sound("").as_bytes()).await.unwrap();
                let mut answer = Vec::new();
                read_answer(&mut connection, &mut answer).await;
                if !answer.starts_with(b"HTTP/1.1 200") {
                    wrong.push(format!("{name}: and then {:?}", String::from_utf8_lossy(&answer)));
                }
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What follows a request on its connection is the next request, and only if it says so.
#[tokio::test]
async fn requests_that_follow_one_another_are_checked_one_by_one() {
    let setup = setup(|_| {}).await;
    let bad = chat(&format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", BODY.len()), BODY);
    let chunked = chat("transfer-encoding: chunked\r\n", &chunks(BODY));
    for (first, second, is_sound) in [
        (&sound(""), &sound(""), true),
        (&chunked, &sound(""), true),
        (&sound(""), &bad, false),
        (&chunked, &bad, false),
    ] {
        setup.provider("POST", "/reset", "").await;
        let mut connection = TcpStream::connect(setup.gateway).await.unwrap();
        // At once, in one piece, cut where it hurts.
        let both = format!("{first}{second}").into_bytes();
        let (one, other) = both.split_at(first.len() + 7);
        connection.write_all(one).await.unwrap();
        connection.write_all(other).await.unwrap();
        let mut answers = Vec::new();
        let reading = async {
            while !(is_sound && statuses(&answers).len() == 2)
                && matches!(connection.read_buf(&mut answers).await, Ok(1..))
            {}
        };
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("two answers, or the connection's end");
        let (statuses, arrived) = (statuses(&answers), arrived(&setup).await.len());
        if is_sound {
            assert_eq!((statuses, arrived), (vec!["200".to_owned(), "200".to_owned()], 2), "{first:?} {second:?}");
        } else {
            // The refusal ends the connection at once, and may cut off what was under way before it.
            let (last, others) = statuses.split_last().unwrap();
            assert_eq!(last, "400", "{first:?} {second:?}");
            assert!(others.iter().all(|status| status == "200") && others.len() <= 1, "{others:?}");
            assert!((others.len()..=1).contains(&arrived), "{arrived} upstream: {first:?} {second:?}");
        }
    }
}

/// Of all answers that have begun.
fn statuses(answers: &[u8]) -> Vec<String> {
    let begun = memchr::memmem::find_iter(answers, b"HTTP/1.1 ").filter_map(|at| answers.get(at + 9..at + 12));
    begun.map(|status| String::from_utf8_lossy(status).into_owned()).collect()
}

/// The management API is behind the same checks, and stricter ones for paths.
#[tokio::test]
async fn the_admin_listener_takes_only_paths_that_everybody_reads_the_same() {
    let http = peerway::config::Http::default();
    let edge = Arc::new(Edge::new(&http, Paths::Admin, Arc::default()));
    let listener = accept::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "admin.listen").unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(|| async { "reached" });
    tokio::spawn(accept::serve(listener, router, edge));
    for (target, status) in [
        ("/api/keys", 200),
        ("/api/keys/a%20b", 200),
        ("/api/keys/a%2Fb", 200),
        ("//api/keys", 400),
        ("/api//keys", 400),
        ("/livez/../api/keys", 400),
        ("/livez/%2e%2e/api/keys", 400),
        ("/livez%2f..%2fapi/keys", 400),
        ("/api%2Fkeys", 400),
        ("/api\\keys", 400),
        ("/api%5ckeys", 400),
        ("/api/keys%00", 400),
        ("/api/keys/.", 400),
    ] {
        let (told, answer, _) = send(address, &get(target, "")).await;
        assert_eq!((told, answer.ends_with("reached")), (status, status == 200), "{target}: {answer}");
    }
    let bad = get("/api/keys", "content-length: 4\r\ntransfer-encoding: chunked\r\n");
    assert_eq!(send(address, &bad).await.0, 400);
}
