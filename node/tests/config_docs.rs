//! The examples load, the documentation names every key, and so does the schema.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::{Path, PathBuf};

use peerway::cli::schema::schema;
use peerway::config;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Stands for an operator's environment, in which every variable is set.
fn variables(name: &str) -> Option<String> {
    Some(format!("{name}-0123456789"))
}

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_example_loads() {
    let mut files = Vec::new();
    yaml_files(&root().join("examples"), &mut files);
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let loaded = config::parse(&path.display().to_string(), &text, &variables, |_| {});
        if let Err(errors) = loaded {
            panic!("{errors}");
        }
    }
}

/// The paths of all keys of a schema, e.g. `providers[].keys[].id`.
fn keys(schema: &Value, node: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(name) = node["$ref"].as_str() {
        return keys(schema, &schema["$defs"][name.trim_start_matches("#/$defs/")], path, found);
    }
    for variant in node["anyOf"].as_array().into_iter().flatten() {
        keys(schema, variant, path, found);
    }
    if !node["items"].is_null() {
        keys(schema, &node["items"], &format!("{path}[]"), found);
    }
    for (name, inner) in node["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        found.push(path.clone());
        keys(schema, inner, &path, found);
    }
}

#[test]
fn the_schema_and_the_documentation_know_every_key() {
    let schema = schema();
    let mut found = Vec::new();
    keys(&schema, &schema, "", &mut found);
    for top in [
        "node",
        "http",
        "admin",
        "cluster",
        "providers",
        "routes",
        "retries",
        "governance",
        "prices",
        "cache",
        "extra_fields",
        "observability",
    ] {
        assert!(found.iter().any(|path| path == top), "{top} is not in the schema");
    }
    assert!(found.iter().any(|path| path == "providers[].keys[].value"));
    let documentation = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let missing: Vec<&String> = found.iter().filter(|path| !documentation.contains(&format!("`{path}`"))).collect();
    assert!(missing.is_empty(), "docs/configuration.md lacks {missing:?}");
}

#[test]
fn the_schema_refuses_unknown_keys_and_names_the_enumerations() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    let kinds = schema["$defs"]["ProviderKind"].to_string();
    for kind in ["openai", "openai_compatible", "simulated"] {
        assert!(kinds.contains(&format!("\"{kind}\"")), "{kinds}");
    }
}
