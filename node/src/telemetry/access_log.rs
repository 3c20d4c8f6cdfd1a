//! One JSON line a request, written by a thread of its own. When it cannot keep up, lines are dropped and counted;
//! a request never waits for its log line.

use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

/// Lines that may wait for the disk or terminal.
const QUEUE: usize = 8192;

/// How long a line may wait for others.
const GATHER: Duration = Duration::from_millis(50);

/// What is logged of a request: ids and figures, never keys, prompts or answers.
#[derive(Debug)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct Line<'a> {
    pub time_unix_ms: u64,
    pub request_id: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub duration_us: u64,
    pub overhead_us: u64,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub ttft_us: Option<u64>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub key: Option<&'a str>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub provider: Option<&'a str>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub model: Option<&'a str>,
    pub stream: bool,
    pub attempts: u32,
    pub cache: &'static str,
    /// What the guard said of the nearest kept prompt: how sure it was, and `agrees` or why not.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub cache_similarity: Option<f32>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub cache_guard: Option<&'static str>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub prompt_tokens: Option<u64>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub completion_tokens: Option<u64>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub cost_nano_usd: Option<u64>,
    /// Tokens and cost are, at least in part, counted here and not stated by the provider.
    #[cfg_attr(test, serde(skip_serializing_if = "std::ops::Not::not"))]
    pub estimated: bool,
    /// Why.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub estimated_because: Option<&'static str>,
    /// What a translation left out of the request or the answer, by its names.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub dropped: Option<String>,
    /// `ok`, an error code, `cut` or `client_gone`.
    pub outcome: &'a str,
}

impl Line<'_> {
    /// The line as JSON, with its end. Written by hand: it is one a request.
    fn json(&self) -> Vec<u8> {
        let mut object = Object { text: Vec::with_capacity(512) };
        object.number("time_unix_ms", Some(self.time_unix_ms));
        object.text("request_id", Some(self.request_id));
        object.text("method", Some(self.method));
        object.text("path", Some(self.path));
        object.number("status", Some(self.status.into()));
        object.number("duration_us", Some(self.duration_us));
        object.number("overhead_us", Some(self.overhead_us));
        object.number("ttft_us", self.ttft_us);
        object.text("key", self.key);
        object.text("provider", self.provider);
        object.text("model", self.model);
        object.raw("stream", if self.stream { b"true" } else { b"false" });
        object.number("attempts", Some(self.attempts.into()));
        object.text("cache", Some(self.cache));
        if let Some(similarity) = self.cache_similarity {
            object.raw("cache_similarity", format!("{similarity:?}").as_bytes());
        }
        object.text("cache_guard", self.cache_guard);
        object.number("prompt_tokens", self.prompt_tokens);
        object.number("completion_tokens", self.completion_tokens);
        object.number("cost_nano_usd", self.cost_nano_usd);
        if self.estimated {
            object.raw("estimated", b"true");
        }
        object.text("estimated_because", self.estimated_because);
        object.text("dropped", self.dropped.as_deref());
        object.text("outcome", Some(self.outcome));
        object.end()
    }
}

/// A JSON object that is being written; what is `None` is left out.
struct Object {
    text: Vec<u8>,
}

impl Object {
    fn raw(&mut self, name: &str, value: &[u8]) {
        self.text.extend_from_slice(if self.text.is_empty() { b"{\"" } else { b",\"" });
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"\":");
        self.text.extend_from_slice(value);
    }

    fn number(&mut self, name: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.raw(name, itoa::Buffer::new().format(number).as_bytes());
        }
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        self.raw(name, b"\"");
        let is_plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        match is_plain {
            true => self.text.extend_from_slice(text.as_bytes()),
            false => {
                let quoted = serde_json::Value::from(text).to_string();
                self.text.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
            }
        }
        self.text.push(b'"');
    }

    fn end(mut self) -> Vec<u8> {
        self.text.extend_from_slice(b"}\n");
        self.text
    }
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
        if lines.try_send(line.json()).is_err() {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_line_is_what_a_json_library_would_write(
            (path, model, number) in (".*", proptest::option::of(".*"), any::<u64>()),
            (count, flag, dropped) in (proptest::option::of(any::<u64>()), any::<bool>(), proptest::option::of(".*")),
            similarity in proptest::option::of(0.0..=1.0_f32),
        ) {
            let line = Line {
                time_unix_ms: number,
                request_id: &path,
                method: "POST",
                path: &path,
                status: number as u16,
                duration_us: number,
                overhead_us: 0,
                ttft_us: count,
                key: model.as_deref(),
                provider: None,
                model: model.as_deref(),
                stream: flag,
                attempts: number as u32,
                cache: "miss",
                cache_similarity: similarity,
                cache_guard: similarity.map(|_| "doubt"),
                prompt_tokens: count,
                completion_tokens: None,
                cost_nano_usd: count,
                estimated: flag,
                estimated_because: flag.then_some("cut"),
                dropped,
                outcome: "ok",
            };
            prop_assert_eq!(String::from_utf8(line.json()).unwrap(), serde_json::to_string(&line).unwrap() + "\n");
        }
    }
}
