//! What a hostile client can do with HTTP/2's own frames: it is cut, and costs little until then.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use support::{KEY, Setup, hello, hello_stream, resident, setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 9);
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header block in HPACK's plainest form.
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn request() -> Vec<u8> {
    block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/chat/completions"),
        (":authority", "gateway"),
        ("authorization", &format!("Bearer {KEY}")),
    ])
}

struct Attacker(TcpStream);

impl Attacker {
    async fn connect(setup: &Setup) -> Self {
        let mut connection = TcpStream::connect(setup.gateway).await.unwrap();
        connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        connection.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self(connection)
    }

    /// Sends these again and again, reading what comes; true if the gateway ends the connection.
    async fn gets_cut(mut self, frames: impl Fn(u32) -> Vec<u8>, pause: Duration) -> bool {
        let attack = async {
            let mut answer = vec![0; 16 << 10];
            for round in 0..20_000u32 {
                if self.0.write_all(&frames(round * 2 + 1)).await.is_err() {
                    return true;
                }
                match self.0.try_read(&mut answer) {
                    Ok(0) => return true,
                    Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return true,
                    _ => {}
                }
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            // What was sent may not have been read yet.
            loop {
                match self.0.read(&mut answer).await {
                    Ok(1..) => {}
                    _ => return true,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), attack).await.unwrap_or(false)
    }
}

async fn ends_and_costs_little(setup: &Setup, name: &str, frames: impl Fn(u32) -> Vec<u8>, pause: Duration) {
    let before = resident();
    assert!(Attacker::connect(setup).await.gets_cut(frames, pause).await, "{name}: not cut");
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{name}: {} MiB", grown >> 20);
    assert_eq!(setup.chat(hello()).await.status, StatusCode::OK, "{name}: others are served");
}

#[tokio::test]
async fn floods_of_frames_end_the_connection() {
    let setup = setup(|_| {}).await;
    let none = Duration::ZERO;
    let open = |stream: u32| frame(HEADERS, END_HEADERS, stream, &request());
    let reset = |stream: u32| frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
    ends_and_costs_little(&setup, "rapid reset", |stream| [open(stream), reset(stream)].concat(), none).await;
    ends_and_costs_little(
        &setup,
        "rapid reset, once it is taken on",
        |stream| if stream % 4 == 1 { open(stream / 4 * 2 + 1) } else { reset(stream / 4 * 2 + 1) },
        Duration::from_millis(1),
    )
    .await;
    // The library must reset these itself (CVE-2025-8671).
    ends_and_costs_little(
        &setup,
        "made you reset",
        |stream| [open(stream), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat(),
        none,
    )
    .await;
    ends_and_costs_little(
        &setup,
        "made you reset by data after the end",
        |stream| [frame(HEADERS, END_HEADERS | END_STREAM, stream, &request()), frame(DATA, 0, stream, b"x")].concat(),
        none,
    )
    .await;
    ends_and_costs_little(
        &setup,
        "continuation flood",
        |round| match round {
            1 => frame(HEADERS, 0, 1, &request()),
            _ => frame(CONTINUATION, 0, 1, &block(&[("x-a", "b")])),
        },
        none,
    )
    .await;
    ends_and_costs_little(
        &setup,
        "empty data",
        |round| match round {
            1 => open(1),
            _ => frame(DATA, 0, 1, &[]),
        },
        none,
    )
    .await;
    let long = "b".repeat(120);
    ends_and_costs_little(
        &setup,
        "a head that is too large",
        |round| {
            let lines: Vec<(&str, &str)> = (0..120).map(|_| ("x-a", long.as_str())).collect();
            match round {
                1 => frame(HEADERS, 0, 1, &request()),
                _ => frame(CONTINUATION, 0, 1, &block(&lines)),
            }
        },
        none,
    )
    .await;
    // An entry of the dynamic table, named again and again: 4 KB for each byte.
    let bomb = || {
        let mut bomb = request();
        bomb.push(0x40);
        bomb.extend_from_slice(&[3, b'x', b'-', b'a', 0x7f, 0x81, 0x1e]);
        bomb.extend_from_slice(&[b'b'; 4000]);
        bomb.extend_from_slice(&[0xbe; 12_000]);
        bomb
    };
    ends_and_costs_little(&setup, "hpack bomb", |stream| frame(HEADERS, END_HEADERS, stream, &bomb()), none).await;
    assert_eq!(setup.billed().await, 8, "only those who ask in earnest");
}

/// Pings and settings must be answered, and cost nobody but who sends them.
#[tokio::test]
async fn answers_to_floods_are_not_gathered() {
    let setup = setup(|config| config["http"]["timeouts"] = json!({"write_stall": "500ms"})).await;
    for (name, flood) in [("ping", frame(PING, 0, 0, &[7; 8])), ("settings", frame(SETTINGS, 0, 0, &[]))] {
        let before = resident();
        let mut attacker = Attacker::connect(&setup).await;
        let many = flood.repeat(1_000);
        // Nothing is read, so that the gateway cannot write either.
        let writing = async { while attacker.0.write_all(&many).await.is_ok() {} };
        let cut = tokio::time::timeout(Duration::from_secs(20), writing).await;
        assert!(cut.is_ok(), "{name}: still served");
        let grown = resident().saturating_sub(before);
        assert!(grown < 16 << 20, "{name}: {} MiB", grown >> 20);
    }
    assert_eq!(setup.chat(hello()).await.status, StatusCode::OK);
}

/// A window that is never opened holds an answer back for ever, if nobody minds.
#[tokio::test]
async fn streams_that_are_never_taken_end() {
    let setup = setup(|config| config["http"]["timeouts"] = json!({"write_stall": "1s"})).await;
    setup.fault(json!({"match": {}, "do": {"endless": true, "token_ms": 0}})).await;
    let before = resident();
    let mut attacker = Attacker::connect(&setup).await;
    let body = hello_stream().to_string();
    for stream in 0..20 {
        let stream = stream * 2 + 1;
        attacker.0.write_all(&frame(HEADERS, END_HEADERS, stream, &request())).await.unwrap();
        attacker.0.write_all(&frame(DATA, END_STREAM, stream, body.as_bytes())).await.unwrap();
    }
    let mut told = Vec::new();
    let reading = attacker.0.read_to_end(&mut told);
    let _ = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the connection ends");
    assert!(told.len() < 1 << 20, "no more than the windows: {}", told.len());
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{} MiB", grown >> 20);
    setup.provider("POST", "/reset", "").await;
    assert_eq!(setup.chat(hello()).await.status, StatusCode::OK);
}
