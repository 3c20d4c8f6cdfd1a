//! What the guard serves and what it refuses, by type, beside plain cosine: `cargo run -p peerway-cache --example
//! semantic_pairs -- [PAIRS.jsonl] [--misses]`. Without a file: the pairs in `cache/tests/data`.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a tool")]
#![allow(clippy::cast_precision_loss, reason = "counts of some hundred pairs")]

use std::collections::BTreeMap;

use peerway_cache::semantic::embed::cosine;
use peerway_cache::semantic::{Guard, StaticEmbedder, Verdict};

/// The threshold that the configuration has by default.
const THRESHOLD: f32 = 0.85;
const COSINES: [f32; 3] = [0.8, 0.9, 0.95];

struct Judged {
    line: serde_json::Value,
    verdict: Verdict,
    cosine: f32,
}

impl Judged {
    fn same(&self) -> bool {
        self.line["same"].as_bool().unwrap()
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"))
        .cloned()
        .unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/semantic_pairs.jsonl").into());
    let (guard, embedder) = (Guard::new(), StaticEmbedder::new());
    let text = std::fs::read_to_string(&path).expect("the file of pairs can be read");
    let judged: Vec<Judged> = text
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a line is a JSON object");
            let (a, b) = (line["a"].as_str().unwrap(), line["b"].as_str().unwrap());
            let verdict = guard.judge(a, b);
            let cosine = cosine(&embedder.vector(a), &embedder.vector(b));
            Judged { line, verdict, cosine }
        })
        .collect();
    by_type(&judged);
    curve(&judged);
    reliability(&judged);
    if arguments.iter().any(|argument| argument == "--misses") {
        misses(&judged);
    }
}

/// Hits by type: the guard at the default threshold, then plain cosine at three.
fn by_type(judged: &[Judged]) {
    println!(
        "{:12} {:22} {:>5} {:>6} {:>8} {:>8} {:>8}",
        "", "type", "pairs", "guard", "cos 0.80", "cos 0.90", "cos 0.95"
    );
    let mut types: BTreeMap<(bool, String), Vec<&Judged>> = BTreeMap::new();
    for one in judged {
        types.entry((!one.same(), one.line["type"].as_str().unwrap_or("").to_owned())).or_default().push(one);
        types.entry((!one.same(), "~ all".to_owned())).or_default().push(one);
    }
    for ((wrong, name), found) in &types {
        let share = |hit: &dyn Fn(&Judged) -> bool| {
            100.0 * found.iter().filter(|one| hit(one)).count() as f32 / found.len() as f32
        };
        print!(
            "{:12} {name:22} {:5} {:5.1}%",
            if *wrong { "near-miss" } else { "paraphrase" },
            found.len(),
            share(&|one| one.verdict.similarity >= THRESHOLD)
        );
        for cut in COSINES {
            print!(" {:7.1}%", share(&|one| one.cosine >= cut));
        }
        println!();
    }
}

/// What each threshold serves.
fn curve(judged: &[Judged]) {
    println!("\n{:>9} {:>12} {:>12}", "threshold", "paraphrases", "near-misses");
    for threshold in [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98] {
        let share = |same: bool| {
            let of: Vec<&Judged> = judged.iter().filter(|one| one.same() == same).collect();
            100.0 * of.iter().filter(|one| one.verdict.similarity >= threshold).count() as f32 / of.len().max(1) as f32
        };
        println!("{threshold:9.2} {:11.1}% {:11.1}%", share(true), share(false));
    }
}

/// Of the pairs with a similarity in each band, how many are paraphrases.
fn reliability(judged: &[Judged]) {
    println!("\n{:>12} {:>6} {:>12}", "similarity", "pairs", "paraphrases");
    for (low, high) in
        [(0.0, 0.01), (0.01, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.75), (0.75, 0.85), (0.85, 0.95), (0.95, 1.01)]
    {
        let band: Vec<&Judged> = judged.iter().filter(|one| (low..high).contains(&one.verdict.similarity)).collect();
        let right = band.iter().filter(|one| one.same()).count();
        println!(
            "{low:5.2} - {:4.2} {:6} {:11.1}%",
            f32::min(high, 1.0),
            band.len(),
            100.0 * right as f32 / band.len().max(1) as f32
        );
    }
}

fn misses(judged: &[Judged]) {
    for one in judged.iter().filter(|one| one.same() != (one.verdict.similarity >= THRESHOLD)) {
        println!(
            "{} {} {:.2} {:?}\n  {}\n  {}",
            one.line["id"], one.line["type"], one.verdict.similarity, one.verdict.reason, one.line["a"], one.line["b"]
        );
    }
}
