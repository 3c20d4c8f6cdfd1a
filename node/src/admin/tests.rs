use std::collections::BTreeSet;

use super::*;

/// The routes of the document, as `METHOD path`.
fn documented() -> BTreeSet<String> {
    let document = serde_json::to_value(document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &serde_json::Value| item.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    paths
        .iter()
        .flat_map(|(path, item)| methods(item).into_iter().map(move |method| format!("{method} {path}")))
        .collect()
}

/// The routes that the handlers of this room declare.
fn declared() -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin");
    let mut declared = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for declaration in text.split("#[utoipa::path(").skip(1) {
            let (method, rest) = declaration.split_once(',').unwrap();
            let route = rest.split('"').nth(1).unwrap();
            declared.insert(format!("{} {route}", method.trim()));
        }
    }
    declared
}

#[test]
fn every_route_is_in_the_document() {
    // Made in another way, a route would be in the router and not in the document.
    let text = include_str!("mod.rs");
    for call in [".route(", ".nest", ".merge(", ".route_service("] {
        assert!(!text.contains(call), "{call}: declare it with routes!");
    }
    assert_eq!(documented(), declared());
    for route in
        ["get /cluster/status", "post /api/keys", "patch /api/keys/{id}", "delete /api/cache", "get /openapi.json"]
    {
        assert!(documented().contains(route), "{route}");
    }
}

#[test]
fn nothing_in_the_document_is_left_undefined() {
    let text = serde_json::to_string(&document()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let schemas = value["components"]["schemas"].as_object().unwrap();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
    // Secrets go in and never come out.
    for view in ["KeyView", "KeyList", "KeyChanged"] {
        assert!(schemas.contains_key(view), "{view}");
    }
}
