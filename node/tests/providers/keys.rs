//! How keys are sent; which one is drawn is routing's.

use serde_json::json;

use crate::{chat, upstream};

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
