//! Reads an answer's body to its end: as much as is taken, as long as is waited, and as this node has room for.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use crate::http::memory::Memory;
use crate::provider::{Body, Timeout};

/// Why a body is not whole.
#[derive(Debug)]
pub(super) enum Broken {
    /// By a timeout of the provider's, or by the client's own.
    Late(Option<Timeout>),
    /// It is longer than so many bytes.
    TooLong(usize),
    Lost(String),
    /// This node may hold no more.
    NoRoom,
}

/// Reads a body, and tells what is wrong if it has no end; what came before is there either way.
pub(super) async fn read(
    mut body: Body,
    limit: usize,
    (until, timeout_then): (Instant, Option<Timeout>),
    idle: Duration,
    memory: &Memory,
) -> (Bytes, Option<Broken>) {
    let mut held = memory.hold();
    let mut pieces: Vec<Bytes> = Vec::new();
    let reading = async {
        let mut length = 0;
        loop {
            let frame = match timeout(idle, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Some(Broken::Lost(chain(&error))),
                Ok(None) => return None,
                Err(_) => return Some(Broken::Late(Some(Timeout::Idle))),
            };
            if let Ok(piece) = frame.into_data() {
                length += piece.len();
                if length > limit {
                    return Some(Broken::TooLong(limit));
                }
                if held.grow(piece.len()).is_err() {
                    return Some(Broken::NoRoom);
                }
                pieces.push(piece);
            }
        }
    };
    let broken = timeout_at(until, reading).await.unwrap_or(Some(Broken::Late(timeout_then)));
    let whole = match pieces.as_mut_slice() {
        [] => Bytes::new(),
        [piece] => std::mem::take(piece),
        pieces => Bytes::from(pieces.concat()),
    };
    (held.bind(whole), broken)
}

/// An error with its causes: the outermost alone says only "client error".
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
