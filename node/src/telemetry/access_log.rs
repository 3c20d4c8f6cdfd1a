//! One JSON line a request, written by a thread of its own. When it cannot keep up, lines are dropped and counted;
//! a request never waits for its log line.

use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use serde::Serialize;

/// Lines that may wait for the disk or terminal.
const QUEUE: usize = 8192;

/// How long a line may wait for others.
const GATHER: Duration = Duration::from_millis(50);

/// What is logged of a request: ids and figures, never keys, prompts or answers.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    pub time_unix_ms: u64,
    pub request_id: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub duration_us: u64,
    pub overhead_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    pub stream: bool,
    pub attempts: u32,
    pub cache: &'static str,
    /// What the guard said of the nearest kept prompt: how sure it was, and `agrees` or why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_similarity: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_guard: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nano_usd: Option<u64>,
    /// Tokens and cost are, at least in part, counted here and not stated by the provider.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_because: Option<&'static str>,
    /// What a translation left out of the request or the answer, by its names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<String>,
    /// `ok`, an error code, `cut` or `client_gone`.
    pub outcome: &'a str,
}

#[derive(Debug, Clone)]
pub struct AccessLog {
    lines: Option<SyncSender<Vec<u8>>>,
    dropped: Arc<AtomicU64>,
}

impl AccessLog {
    /// Writes nothing.
    pub fn off() -> Self {
        Self { lines: None, dropped: Arc::default() }
    }

    /// Starts the writing thread; it ends when the last handle is dropped.
    pub fn to(sink: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, incoming) = sync_channel(QUEUE);
        std::thread::Builder::new().name("access-log".into()).spawn(move || write_lines(&incoming, sink))?;
        Ok(Self { lines: Some(lines), dropped: Arc::default() })
    }

    pub fn write(&self, line: &Line<'_>) {
        let Some(lines) = &self.lines else { return };
        let mut text = Vec::with_capacity(384);
        if serde_json::to_writer(&mut text, line).is_err() {
            return;
        }
        text.push(b'\n');
        if lines.try_send(text).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn write_lines(incoming: &Receiver<Vec<u8>>, sink: impl Write) {
    let mut sink = BufWriter::with_capacity(64 << 10, sink);
    while let Ok(line) = incoming.recv() {
        let mut line = Some(line);
        // Let more lines come: a thread that waits in `recv` must be woken by whoever sends, which costs a request more
        // than its line does.
        std::thread::sleep(GATHER);
        loop {
            if let Some(line) = line.take()
                && sink.write_all(&line).is_err()
            {
                return;
            }
            match incoming.try_recv() {
                Ok(next) => line = Some(next),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        if sink.flush().is_err() {
            return;
        }
    }
}
