//! This test binary again, as a child process in which nothing is left to chance.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The seed of this process, when it is such a child.
pub(crate) fn seed() -> Option<u64> {
    std::env::var("SIMULATION_SEED").ok().map(|seed| seed.parse().unwrap())
}

/// Runs one ignored test of this binary with a seed, and gives the lines of its output.
pub(crate) fn run(test: &str, seed: u64) -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("SIMULATION_SEED", seed.to_string())
        .env("LD_PRELOAD", fixed_entropy())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seed {seed} failed; repeat it with SIMULATION_ONLY={seed}\n{text}\n{errors}");
    text.lines().map(str::to_owned).collect()
}

/// The shared object that answers every question for randomness from the seed, compiled once per process.
fn fixed_entropy() -> &'static PathBuf {
    static COMPILED: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = COMPILED.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fixed_entropy.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/fixed_entropy.c");
        let status =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]).arg(&path).arg(source).status();
        assert!(status.expect("the simulation needs a C compiler (cc)").success());
        (dir, path)
    });
    path
}
