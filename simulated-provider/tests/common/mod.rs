//! A raw HTTP/1.1 client over a TCP stream: shows frames and ends of connections as they are on the wire.
#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use peerway_simulated_provider::{Options, Running, start};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// The body without transfer coding.
    pub(crate) body: String,
    /// The same, as bytes.
    pub(crate) raw: Vec<u8>,
    /// The chunks of a chunked body.
    pub(crate) chunks: Vec<String>,
    pub(crate) end: End,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    Cut,
    Reset,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The data of each event of a stream.
    pub(crate) fn events(&self) -> Vec<String> {
        self.body
            .split("\n\n")
            .filter(|event| !event.is_empty())
            .map(|event| event.strip_prefix("data: ").unwrap().to_owned())
            .collect()
    }

    /// Name and data of each event of a stream whose events have names.
    pub(crate) fn named_events(&self) -> Vec<(String, Value)> {
        self.body
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("event: ")?.split_once("\ndata: "))
            .map(|(name, data)| (name.to_owned(), serde_json::from_str(data).unwrap_or(Value::Null)))
            .collect()
    }
}

pub(crate) async fn provider(faults: &str) -> Running {
    let faults = if faults.is_empty() { Vec::new() } else { peerway_simulated_provider::parse_rules(faults).unwrap() };
    start(Options { faults, workers: 2, ..Options::default() }).await.unwrap()
}

pub(crate) fn chat(body: &str) -> String {
    post("/v1/chat/completions", body)
}

pub(crate) fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer sk-test-1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A request with these header lines instead of a bearer key.
pub(crate) fn post_with(path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let mut request =
        format!("POST {path} HTTP/1.1\r\nhost: t\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(body);
    request
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n")
}

pub(crate) async fn ask(running: &Running, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(request.as_ref()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), read(&mut stream)).await.expect("an answer within 20 s")
}

pub(crate) async fn json(running: &Running, request: impl AsRef<[u8]>) -> Value {
    ask(running, request).await.json()
}

async fn read(stream: &mut TcpStream) -> Answer {
    let mut seen = Vec::new();
    let mut end = None;
    loop {
        if let Some(at) = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..at]).into_owned();
            let rest = &seen[at + 4..];
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
            let mut answer = Answer {
                status,
                head: head.lines().map(|line| lower_name(line) + "\n").collect(),
                body: String::new(),
                raw: Vec::new(),
                chunks: Vec::new(),
                end: End::Whole,
            };
            let whole = if answer.header("transfer-encoding") == Some("chunked") {
                let chunks = chunks(rest);
                answer.raw = chunks.concat();
                answer.chunks = chunks.iter().map(|chunk| String::from_utf8_lossy(chunk).into_owned()).collect();
                rest.ends_with(b"0\r\n\r\n")
            } else {
                let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
                answer.raw = rest.to_vec();
                rest.len() == length
            };
            answer.body = String::from_utf8_lossy(&answer.raw).into_owned();
            if whole {
                return answer;
            }
            if let Some(end) = end {
                answer.end = end;
                return answer;
            }
        } else if let Some(end) = end {
            let (head, body) = (String::new(), String::new());
            return Answer { status: 0, head, body, raw: Vec::new(), chunks: Vec::new(), end };
        }
        let mut piece = vec![0; 16 << 10];
        match stream.read(&mut piece).await {
            Ok(0) => end = Some(End::Cut),
            Ok(length) => seen.extend_from_slice(&piece[..length]),
            Err(_) => end = Some(End::Reset),
        }
    }
}

fn lower_name(line: &str) -> String {
    line.split_once(':').map_or(line.to_owned(), |(name, value)| format!("{}:{value}", name.to_lowercase()))
}

fn chunks(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    while let Some(at) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        let after = &rest[at + 2..];
        if size == 0 || after.len() < size + 2 {
            break;
        }
        chunks.push(after[..size].to_vec());
        rest = &after[size + 2..];
    }
    chunks
}
