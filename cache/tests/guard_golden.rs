//! What the guard says of every pair that comes with the repository, word for word: making it faster must not change it.
//!
//! A guard that is meant to judge otherwise (other lists, other weights) needs another golden file:
//! `PEERWAY_WRITE_GOLDEN=1 cargo test -p peerway-cache --test guard_golden`, and a look at the difference.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use peerway_cache::semantic::{CheckVerdict, Guard, Verdict};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/judgements.tsv");

/// Each pair of the two files as it stands, then each line beside its neighbour's: texts that have little in common.
fn pairs() -> Vec<(String, String)> {
    let files = [include_str!("data/semantic_pairs.jsonl"), include_str!("../semantic/train/own_pairs.jsonl")];
    let pairs: Vec<(String, String)> = files
        .iter()
        .flat_map(|file| file.lines())
        .map(|line| {
            let pair: serde_json::Value = serde_json::from_str(line).unwrap();
            (pair["a"].as_str().unwrap().to_owned(), pair["b"].as_str().unwrap().to_owned())
        })
        .collect();
    let crossed = pairs.windows(2).map(|two| (two[0].0.clone(), two[1].1.clone()));
    // Long prompts: eight lines in a row against eight that begin one line later, and against eight others.
    let long =
        |from: usize| pairs.iter().cycle().skip(from).take(8).map(|(a, _)| a.as_str()).collect::<Vec<_>>().join("\n");
    let joined = (0..pairs.len())
        .step_by(16)
        .flat_map(|from| [(long(from), long(from + 1)), (long(from), long(from + 8))])
        .collect::<Vec<_>>();
    pairs.iter().cloned().chain(crossed).chain(joined).collect()
}

fn reason(verdict: &Verdict) -> &'static str {
    verdict.reason.map_or("-", |reason| reason.as_str())
}

/// Every check that found something, with the words it was found in, as a number.
fn checks(verdict: &Verdict) -> String {
    let mut digest = blake3::Hasher::new();
    for check in verdict.checks.iter().filter(|check| check.verdict != CheckVerdict::Same) {
        for part in [check.name.as_str(), check.verdict.as_str(), &check.detail] {
            digest.update(part.as_bytes()).update(b"\n");
        }
    }
    digest.finalize().to_hex()[..8].to_owned()
}

#[test]
fn every_judgement_is_the_golden_one() {
    let guard = Guard::new();
    let judged: Vec<Verdict> = pairs().iter().map(|(a, b)| guard.judge(a, b)).collect();
    if std::env::var_os("PEERWAY_WRITE_GOLDEN").is_some() {
        let line = |verdict: &Verdict| format!("{:.7}\t{}\t{}\n", verdict.similarity, reason(verdict), checks(verdict));
        std::fs::write(GOLDEN, judged.iter().map(line).collect::<String>()).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    assert_eq!(golden.lines().count(), judged.len());
    for ((line, verdict), (a, b)) in golden.lines().zip(&judged).zip(pairs()) {
        let [similarity, why, digest] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let near = (similarity.parse::<f32>().unwrap() - verdict.similarity).abs() < 1e-5;
        assert!(
            near && why == reason(verdict) && digest == checks(verdict),
            "{a} / {b}: {line} in the file, but {verdict:?}"
        );
    }
}
