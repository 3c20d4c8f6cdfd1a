//! What an operator reads when a configuration is wrong: each file in `configs/` against the text beside it.
//! `UPDATE_GOLDEN=1` writes the texts anew.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::{Path, PathBuf};

use peerway::config;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs")
}

fn told(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    match config::parse(name, &text, &|_| None, |_| {}) {
        Ok(loaded) => {
            loaded.warnings.iter().map(|warning| format!("{}\n", warning.display_warning(&loaded.file))).collect()
        }
        Err(errors) => {
            for error in &errors.errors {
                assert!(error.line > 0 && error.column > 0, "{name} has an error without a place: {error}");
            }
            format!("{errors}\n")
        }
    }
}

#[test]
fn each_broken_file_is_told_as_expected() {
    let mut files: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(files.len() >= 10);
    let mut wrong = Vec::new();
    for path in files {
        let golden = path.with_extension("expected");
        let told = told(&path);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &told).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != told {
            wrong.push(format!("{}:\n{told}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_secret_is_shown() {
    for name in [
        "provider_kinds.yaml",
        "secrets_unseen.yaml",
        "unknown_keys.yaml",
        "wrong_types.yaml",
        "syntax.yaml",
        "providers.yaml",
        "routes.yaml",
    ] {
        let told = told(&folder().join(name));
        assert!(!told.is_empty());
        for secret in ["hidden", "0123456789", "9876543210", "sk-client"] {
            assert!(!told.contains(secret), "{name} shows {secret}:\n{told}");
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    let errors = config::load(Path::new("/no/such/peerway.yaml")).unwrap_err();
    assert!(errors.to_string().starts_with("/no/such/peerway.yaml: cannot read the configuration: "), "{errors}");
}
