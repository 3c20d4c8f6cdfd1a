//! Which keys there are for a model, and that the one that is chosen is sent.

use serde_json::json;

use crate::{chat, upstream};

#[test]
fn a_key_is_for_its_models_only() {
    let upstream = upstream(json!({"type": "openai", "keys": [
        {"id": "any", "value": "sk-a", "weight": 3}, {"id": "some", "value": "sk-b", "models": ["gpt-*", "o3"]}]}));
    let fitting = |model: &str| -> Vec<(&str, f64)> {
        upstream.keys().iter().filter(|key| key.fits(model)).map(|key| (&*key.id, key.weight())).collect()
    };
    assert_eq!(fitting("gpt-5"), [("any", 3.0), ("some", 1.0)]);
    assert_eq!(fitting("o3"), [("any", 3.0), ("some", 1.0)]);
    assert_eq!(fitting("o3-mini"), [("any", 3.0)]);
}

#[tokio::test]
async fn the_chosen_key_is_the_one_that_is_sent() {
    let upstream = upstream(json!({"type": "anthropic", "keys": [
        {"id": "a", "value": "sk-a", "models": ["claude"]}, {"id": "b", "value": "sk-b", "models": ["other"]}]}));
    assert_eq!(chat(&upstream, "claude").await.headers()["x-api-key"], "sk-a");
    assert_eq!(chat(&upstream, "other").await.headers()["x-api-key"], "sk-b");
}

#[tokio::test]
async fn without_keys_nothing_is_sent() {
    let upstream = upstream(json!({"type": "ollama", "allow_private": true}));
    assert!(!chat(&upstream, "llama3").await.headers().contains_key("authorization"));
}
