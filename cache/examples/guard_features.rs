//! Prints what the guard weighs, a line of tab-separated numbers for each pair of a JSON-lines file: what
//! `cache/semantic/train/fit.py` learns from. `cargo run -p peerway-cache --example guard_features -- PAIRS`

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a tool")]

use peerway_cache::semantic::guard::FEATURE_NAMES;
use peerway_cache::semantic::{CheckVerdict, Guard};

fn main() {
    println!("contradiction\tdetail\t{}", FEATURE_NAMES.join("\t"));
    let guard = Guard::new();
    for path in std::env::args().skip(1) {
        for line in std::fs::read_to_string(&path).expect("the file of pairs can be read").lines() {
            let pair: serde_json::Value = serde_json::from_str(line).expect("a line is a JSON object");
            let (a, b) = (pair["a"].as_str().unwrap(), pair["b"].as_str().unwrap());
            let verdict = guard.judge(a, b);
            let found = verdict.checks.iter().find(|check| check.verdict == CheckVerdict::Contradicts);
            let reason = verdict
                .reason
                .filter(|_| found.is_some() || verdict.checks.is_empty())
                .map_or("", |reason| reason.as_str());
            let strict = if verdict.checks.is_empty() && reason.is_empty() { "same" } else { reason };
            let numbers: Vec<String> = guard.features(a, b).iter().map(|value| format!("{value:.4}")).collect();
            println!(
                "{}\t{}\t{}",
                strict,
                found.map_or("", |check| check.detail.as_str()).replace(['\t', '\n'], " "),
                numbers.join("\t")
            );
        }
    }
}
