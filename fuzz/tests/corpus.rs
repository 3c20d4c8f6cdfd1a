//! Every target holds over its kept corpus, has a binary for libFuzzer, and the corpora stay small.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::{Path, PathBuf};

use peerway_fuzz::TARGETS;

/// All corpora together; a minimised one has no need of more.
const MAX_KEPT: usize = 1024 * 1024;

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn inputs(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = here().join("corpus").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn every_target_holds_over_its_corpus() {
    for (name, target) in TARGETS {
        let inputs = inputs(name);
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for (path, input) in inputs {
            let held = std::panic::catch_unwind(|| target(&input));
            assert!(held.is_ok(), "{name} breaks on {}", path.display());
        }
    }
}

#[test]
fn every_target_has_a_binary() {
    let manifest = std::fs::read_to_string(here().join("fuzz/Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let source = here().join("fuzz/fuzz_targets").join(name).with_extension("rs");
        let source = std::fs::read_to_string(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        assert!(source.contains(&format!("run(\"{name}\", input)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
    let binaries = std::fs::read_dir(here().join("fuzz/fuzz_targets")).unwrap().count();
    assert_eq!(binaries, TARGETS.len());
}

#[test]
fn corpora_stay_small() {
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let kept: u64 = TARGETS.iter().flat_map(|(name, _)| inputs(name)).map(|(path, _)| size(&path)).sum();
    assert!(kept < MAX_KEPT as u64, "{kept} bytes: minimise them");
}
