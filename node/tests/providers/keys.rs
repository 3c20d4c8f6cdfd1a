//! Which key is drawn.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::{chat, upstream};

#[test]
fn keys_are_drawn_by_weight() {
    let upstream = upstream(json!({"type": "openai", "keys": [
        {"id": "a", "value": "sk-a", "weight": 6}, {"id": "b", "value": "sk-b", "weight": 3},
        {"id": "c", "value": "sk-c", "weight": 1}, {"id": "other", "value": "sk-o", "weight": 90, "models": ["o3*"]},
    ]}));
    let mut drawn: BTreeMap<Arc<str>, f64> = BTreeMap::new();
    let times = 20_000;
    for _ in 0..times {
        let key = upstream.pick_key("gpt-5", &[]).unwrap().unwrap();
        *drawn.entry(Arc::clone(&key.id)).or_default() += 1.0 / f64::from(times);
    }
    assert_eq!(drawn.len(), 3, "a key is for its models only: {drawn:?}");
    // Six standard deviations of the widest share are 0.021.
    for (id, share) in [("a", 0.6), ("b", 0.3), ("c", 0.1)] {
        assert!((drawn[id] - share).abs() < 0.021, "{id}: {drawn:?}");
    }
}

#[test]
fn a_failed_key_is_left_out_until_none_is_left() {
    let upstream = upstream(json!({"type": "openai", "keys": [
        {"id": "a", "value": "sk-a"}, {"id": "b", "value": "sk-b", "models": ["gpt-*"]}]}));
    let failed: [Arc<str>; 2] = ["a".into(), "b".into()];
    assert_eq!(&*upstream.pick_key("gpt-5", &failed[..1]).unwrap().unwrap().id, "b");
    assert!(upstream.pick_key("gpt-5", &failed).is_none());
    assert!(upstream.pick_key("o3", &failed[..1]).is_none(), "no key for the model is no key");
}

#[tokio::test]
async fn the_drawn_key_is_the_one_that_is_sent() {
    let upstream = upstream(json!({"type": "anthropic", "keys": [
        {"id": "a", "value": "sk-a"}, {"id": "b", "value": "sk-b", "models": ["other"]}]}));
    assert_eq!(chat(&upstream, "claude").await.headers()["x-api-key"], "sk-a");
}

#[tokio::test]
async fn without_keys_nothing_is_sent() {
    let upstream = upstream(json!({"type": "ollama", "allow_private": true}));
    assert!(!chat(&upstream, "llama3").await.headers().contains_key("authorization"));
}
