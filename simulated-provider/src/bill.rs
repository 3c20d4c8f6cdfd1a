//! What a provider would charge: prompt tokens when a request is accepted, completion tokens as they are produced.
//!
//! Each worker counts on its own; the sums are made when somebody asks. Requests that end in an error status, a reset or
//! a hang are not charged. Zeroing swaps the lines, so a stream that still runs goes on counting on the old ones.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// Distinct models and keys that get a line of their own, per worker.
const MOST_LINES: usize = 1_024;
const OTHERS: &str = "(others)";

/// Nano-USD per token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    pub prompt: u64,
    pub completion: u64,
}

/// What a token of this model costs.
pub fn price(model: &str) -> Price {
    match model {
        "echo" => Price { prompt: 1_000, completion: 2_000 },
        "slow" => Price { prompt: 2_000, completion: 8_000 },
        _ => Price { prompt: 500, completion: 1_500 },
    }
}

/// What the bill calls a key: its first 6 characters (fewer where that would be most of it), `...`, and 4 hex digits of
/// a hash, so that keys with a common beginning stay apart and none is printed.
pub fn key_label(key: &str) -> String {
    if key.is_empty() {
        return "(none)".to_owned();
    }
    let shown = 6.min(key.chars().count() / 2);
    let head: String = key.chars().take(shown).collect();
    // FNV-1a, folded.
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{head}...{:04x}", (hash ^ (hash >> 32)) & 0xffff)
}

#[derive(Debug, Default)]
struct Line {
    requests: AtomicU64,
    streams: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    cost: AtomicU64,
}

/// One worker's lines.
#[derive(Debug, Default)]
pub(crate) struct Bill(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    models: HashMap<String, Arc<Line>>,
    keys: HashMap<String, Arc<Line>>,
}

/// An accepted request's place on the bill.
#[derive(Debug)]
pub(crate) struct Account {
    lines: [Arc<Line>; 2],
    price: Price,
}

impl Bill {
    pub(crate) fn accept(&self, model: &str, key: &str, prompt_tokens: u64, stream: Shape) -> Account {
        let lines = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            [line(&mut lines.models, model), line(&mut lines.keys, key)]
        };
        let price = price(model);
        for line in &lines {
            line.requests.fetch_add(1, Ordering::Relaxed);
            line.streams.fetch_add(u64::from(stream == Shape::Stream), Ordering::Relaxed);
            line.prompt_tokens.fetch_add(prompt_tokens, Ordering::Relaxed);
            line.cost.fetch_add(prompt_tokens * price.prompt, Ordering::Relaxed);
        }
        Account { lines, price }
    }

    pub(crate) fn zero(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Lines::default();
    }
}

/// How an answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Plain,
    Stream,
}

impl Account {
    pub(crate) fn produced(&self, completion_tokens: u64) {
        for line in &self.lines {
            line.completion_tokens.fetch_add(completion_tokens, Ordering::Relaxed);
            line.cost.fetch_add(completion_tokens * self.price.completion, Ordering::Relaxed);
        }
    }
}

fn line(lines: &mut HashMap<String, Arc<Line>>, name: &str) -> Arc<Line> {
    if let Some(line) = lines.get(name) {
        return Arc::clone(line);
    }
    let name = if lines.len() < MOST_LINES { name } else { OTHERS };
    Arc::clone(lines.entry(name.to_owned()).or_default())
}

/// A sum, as shown.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Sum {
    requests: u64,
    streams: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    cost_nano_usd: u64,
}

impl Sum {
    fn add(&mut self, line: &Line) {
        self.requests += line.requests.load(Ordering::Relaxed);
        self.streams += line.streams.load(Ordering::Relaxed);
        self.prompt_tokens += line.prompt_tokens.load(Ordering::Relaxed);
        self.completion_tokens += line.completion_tokens.load(Ordering::Relaxed);
        self.cost_nano_usd += line.cost.load(Ordering::Relaxed);
    }
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Total {
    #[serde(flatten)]
    all: Sum,
    by_model: BTreeMap<String, Sum>,
    by_key: BTreeMap<String, Sum>,
}

pub(crate) fn total<'a>(bills: impl Iterator<Item = &'a Bill>) -> Total {
    let mut total = Total::default();
    for bill in bills {
        let lines = bill.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (model, line) in &lines.models {
            total.all.add(line);
            total.by_model.entry(model.clone()).or_default().add(line);
        }
        for (key, line) in &lines.keys {
            let label = if key == OTHERS { OTHERS.to_owned() } else { key_label(key) };
            total.by_key.entry(label).or_default().add(line);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_apart_and_secret() {
        let (first, second) = (key_label("sk-proj-abcdefgh1"), key_label("sk-proj-abcdefgh2"));
        assert!(first.starts_with("sk-pro...") && first != second, "{first} {second}");
        assert!(key_label("abcd").starts_with("ab..."));
        assert_eq!(key_label(""), "(none)");
    }

    #[test]
    fn lines_are_bounded() {
        let bill = Bill::default();
        for number in 0..MOST_LINES + 10 {
            bill.accept(&format!("m{number}"), "k", 1, Shape::Plain);
        }
        let total = total([&bill].into_iter());
        assert_eq!(total.by_model.len(), MOST_LINES + 1);
        assert_eq!(total.by_model[OTHERS].requests, 10);
        assert_eq!(total.all.requests, MOST_LINES as u64 + 10);
    }
}
