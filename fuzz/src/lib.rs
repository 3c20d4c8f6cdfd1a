//! What is fuzzed: every function that reads bytes of somebody we do not trust, and what must hold for any bytes.
//!
//! A target is a function of bytes that panics where a promise is broken. Targets live here, in the product's workspace, so
//! that `cargo test` compiles them and runs each over its `corpus/`; the binaries that libFuzzer drives are one line each,
//! in `fuzz/`. See `README.md` for how to run them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is what a fuzz target reports")]

mod answer;
mod bedrock;
mod cutter;
mod envelope;
mod headers;
mod history;
mod journal;
mod ledger;
mod other;
mod relay;
mod request;
mod splitter;
mod stream;
mod text;
mod wire;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target by the name of its binary and its corpus.
pub const TARGETS: [(&str, Target); 13] = [
    ("dialect_request", request::run),
    ("dialect_answer", answer::run),
    ("dialect_stream", stream::run),
    ("dialect_other", other::run),
    ("dialect_text", text::run),
    ("sse_splitter", splitter::run),
    ("envelope", envelope::run),
    ("event_cutter", cutter::run),
    ("relay", relay::run),
    ("headers", headers::run),
    ("journal_recovery", journal::run),
    ("ledger_entry", ledger::run),
    ("wire_frame", wire::run),
];

/// Runs a target by its name.
pub fn run(name: &str, input: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of this name");
    target(input);
}

/// The dialect that a byte stands for.
fn dialect(byte: u8) -> peerway_dialect::Dialect {
    let all = peerway_dialect::Dialect::ALL;
    all[usize::from(byte) % all.len()]
}

/// Whether bytes are one JSON value.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes).is_ok()
}
