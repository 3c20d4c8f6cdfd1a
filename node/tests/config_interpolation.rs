//! What the environment puts into a configuration is a value, whatever it holds.

use std::collections::HashMap;

use peerway::config::{self, Loaded};
use proptest::prelude::*;

fn load(text: &str, variables: &HashMap<&str, String>) -> Result<Loaded, config::ConfigErrors> {
    config::parse("test.yaml", text, &|name| variables.get(name).cloned(), |_| {})
}

/// Visible ASCII, which is what a key may hold; the characters that YAML cares for are in it.
fn key() -> impl Strategy<Value = String> {
    "[!-~]{1,40}"
}

proptest! {
    #[test]
    fn a_value_is_never_structure(value in key(), zone in any::<String>()) {
        let variables = HashMap::from([("KEY", value.clone()), ("ZONE", zone.clone())]);
        for text in [
            "node: { zone: ${ZONE} }\nproviders: [ { name: a, type: openai, keys: [ { id: x, value: ${KEY}, weight: 2 } ] } ]",
            "node:\n  zone: ${ZONE}\nproviders:\n- name: a\n  type: openai\n  keys:\n  - id: x\n    value: ${KEY}\n    weight: 2",
            "node: { zone: \"${ZONE}\" }\nproviders: [ { name: a, type: openai, keys: [ { id: x, value: '${KEY}', weight: 2 } ] } ]",
        ] {
            let config = load(text, &variables).map_err(|errors| TestCaseError::fail(errors.to_string()))?.config;
            prop_assert_eq!(config.node.zone.as_deref().unwrap_or(""), zone.as_str());
            prop_assert_eq!(config.providers[0].keys[0].value.expose(), value.as_str());
            prop_assert_eq!(config.providers[0].keys[0].weight, 2.0);
        }
    }

    #[test]
    fn later_errors_keep_their_place(zone in "[^\u{0}]{0,60}") {
        let text = "node: { zone: \"x${ZONE}\", idd: ${ZONE} }\nhttp: { zone: ${ZONE:-a: [b}, listen: 1 }\n";
        let errors = load(text, &HashMap::from([("ZONE", zone)])).unwrap_err();
        let places: Vec<(usize, usize)> = errors.errors.iter().map(|error| (error.line, error.column)).collect();
        prop_assert_eq!(places, [(1, 27), (2, 9), (2, 39)]);
    }

    #[test]
    fn no_text_makes_the_loader_panic(text in "[ \n:\\-\\[\\]{}$,\"'#|>&*!a-c0-9]{0,80}") {
        let _ = load(&text, &HashMap::new());
    }

    #[test]
    fn no_change_of_a_real_file_makes_the_loader_panic(at in 0usize..600, with in any::<char>()) {
        let text: String = include_str!("configs/secrets_unseen.yaml").chars().enumerate()
            .map(|(index, c)| if index == at { with } else { c }).collect();
        if let Err(errors) = load(&text, &HashMap::new()) {
            prop_assert!(!errors.to_string().is_empty());
        }
    }
}

#[test]
fn what_a_reference_becomes_has_the_type_that_is_asked_for() {
    let text = "http: { workers: ${N}, drain: ${D:-7s} }\ngovernance: { require_key: ${B} }\nadmin: { token: ${NONE:-} }\n\
                node: { id: ${N}, zone: $${N} }";
    let variables = HashMap::from([("N", "4".to_owned()), ("B", "false".to_owned())]);
    let config = load(text, &variables).unwrap().config;
    assert_eq!(config.http.workers, Some(4));
    assert_eq!(config.http.drain.get().as_secs(), 7);
    assert!(!config.governance.require_key);
    assert!(config.admin.token.is_none());
    assert_eq!(config.node.id.as_deref(), Some("4"));
    assert_eq!(config.node.zone.as_deref(), Some("${N}"));
}

#[test]
fn numbers_keep_their_digits_where_a_text_is_meant() {
    let text = "governance: { keys: [ { id: 007, value: 1e5, models: [\"*\"], budgets: [ { limit_usd: 10.10, window: 1d } ] } ] }";
    let key = &load(text, &HashMap::new()).unwrap().config.governance.keys[0];
    assert_eq!((key.id.as_str(), key.value.as_ref().unwrap().expose()), ("007", "1e5"));
    assert_eq!(key.budgets[0].limit_usd, "10.10");
}

#[test]
fn an_empty_file_and_empty_blocks_are_defaults() {
    for text in ["", "# nothing\n", "http:\nproviders:\ncluster:\n", "---\n", "{}"] {
        let loaded = load(text, &HashMap::new()).unwrap_or_else(|errors| panic!("{text:?}: {errors}"));
        assert_eq!(loaded.config.http.listen.port(), 8080);
        assert!(loaded.config.cluster.is_none());
    }
}

#[test]
fn anchors_and_merges_work() {
    let text = "providers:\n- &base { name: a, type: openai, timeouts: { connect: 1s } }\n- { <<: *base, name: b }\n- { <<: *base, name: a }\n";
    let errors = load(text, &HashMap::new()).unwrap_err();
    assert_eq!(errors.errors.len(), 1, "{errors}");
    assert_eq!(errors.errors[0].path, "providers[2].name");
}
