//! The commands that ask a running node, against a listener that answers as one does.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::ExitCode;
use std::thread::{self, JoinHandle};

use peerway::cli::cluster::{self, AdminArgs, ClusterArgs, ClusterCommand, StatusArgs};

/// Answers one request and gives back what it was.
fn node(status: &'static str, body: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut part = [0; 4096];
        loop {
            let read = stream.read(&mut part).unwrap();
            request.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&request).into_owned();
            if text.contains("\r\n\r\n") && (text.starts_with("GET") || text.ends_with('}')) {
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).unwrap();
                return text.to_lowercase();
            }
        }
    });
    (url, served)
}

fn at(admin: String, json: bool) -> AdminArgs {
    AdminArgs { admin, token: Some("sesame".to_owned()), json }
}

fn is_success(code: ExitCode) -> bool {
    format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS)
}

#[test]
fn status_shows_a_table_or_the_answer_itself() {
    let body = r#"{"cluster":"prod","nodes":[{"id":"node-a","state":"ready"}]}"#;
    for json in [false, true] {
        let (url, served) = node("200 OK", body);
        let mut out = Vec::new();
        assert!(is_success(cluster::status(&StatusArgs { at: at(url, json) }, &mut out)));
        let out = String::from_utf8(out).unwrap();
        match json {
            true => assert_eq!(
                serde_json::from_str::<serde_json::Value>(&out).unwrap(),
                serde_json::from_str::<serde_json::Value>(body).unwrap()
            ),
            false => assert!(out.contains("node-a  ready"), "{out}"),
        }
        let request = served.join().unwrap();
        assert!(request.starts_with("get /cluster/status http/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: bearer sesame\r\n"), "{request}");
    }
}

#[test]
fn drain_names_the_node() {
    let (url, served) = node("200 OK", "{}");
    let command = ClusterCommand::Drain { node: "node-b".parse().unwrap(), at: at(url, false) };
    let mut out = Vec::new();
    assert!(is_success(cluster::run(&ClusterArgs { command }, &mut out)));
    assert!(String::from_utf8(out).unwrap().starts_with("node-b drains"));
    let request = served.join().unwrap();
    assert!(
        request.starts_with("post /cluster/drain http/1.1\r\n") && request.ends_with(r#"{"node":"node-b"}"#),
        "{request}"
    );
}

#[test]
fn a_refusal_and_a_silence_fail() {
    let (url, served) = node("401 Unauthorized", r#"{"detail":"send a token"}"#);
    assert!(!is_success(cluster::status(&StatusArgs { at: at(url, false) }, &mut Vec::new())));
    served.join().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("http://{gone}"), "https://127.0.0.1:1".to_owned(), "not a url".to_owned()] {
        let mut out = Vec::new();
        assert!(!is_success(cluster::status(&StatusArgs { at: at(url, false) }, &mut out)));
        assert!(out.is_empty());
    }
}
