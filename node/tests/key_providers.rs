//! What a virtual key makes of its providers' weights: its share of a route, and whose a bare model is.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{Setup, setup};

fn asking(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello"}]})
}

/// How many of so many requests each provider answered.
async fn spread(setup: &Setup, model: &str, requests: usize, headers: &[(&str, &str)]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for number in 0..requests {
        let session = format!("s{number}");
        let mut all = headers.to_vec();
        if headers.iter().any(|(name, _)| *name == "authorization") {
            all.push(("x-peerway-session-id", session.as_str()));
        }
        let answer = setup.chat_with(asking(model).to_string(), &all).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        *counts.entry(answer.header("x-peerway-provider").to_owned()).or_default() += 1;
    }
    counts
}

/// The first key has 19 of 20 requests go to `other`; the second one says nothing of it.
async fn weighing() -> Setup {
    setup(|config| {
        config["routes"] = json!([{"model": "smart", "targets": [
            {"provider": "demo", "model": "echo"}, {"provider": "other", "model": "echo"}]}]);
        config["governance"]["keys"][0]["models"] = json!(["smart", "demo/*", "other/*"]);
        config["governance"]["keys"][0]["providers"] =
            json!([{"provider": "demo", "weight": 0.1}, {"provider": "other", "weight": 1.9}]);
    })
    .await
}

#[tokio::test]
async fn a_key_has_weights_of_its_own() {
    let setup = weighing().await;
    let mine = spread(&setup, "smart", 100, &[]).await;
    assert!(mine["other"] >= 80, "{mine:?}");
    let sessions = spread(&setup, "smart", 100, &[("authorization", "Bearer sk-test")]).await;
    assert!(sessions["other"] >= 80, "{sessions:?}");
    let others = spread(&setup, "smart", 100, &[("authorization", "Bearer sk-second")]).await;
    assert!((20..=80).contains(&others["other"]), "{others:?}");
}

#[tokio::test]
async fn a_bare_model_is_shared_out_between_the_providers_that_the_key_names() {
    let setup = weighing().await;
    let mine = spread(&setup, "echo", 100, &[]).await;
    assert!(mine["other"] >= 80, "{mine:?}");
    // One takes over from the other.
    setup.fault(json!({"match": {"key": "sk-up-other"}, "do": {"status": 500}})).await;
    assert_eq!(spread(&setup, "echo", 5, &[]).await, BTreeMap::from([("demo".to_owned(), 5)]));
    // Whoever names none must say which it is.
    let answer = setup.chat_with(asking("echo").to_string(), &[("authorization", "Bearer sk-second")]).await;
    assert_eq!(answer.status.as_u16(), 404, "{answer:?}");
}

#[tokio::test]
async fn a_bare_model_is_at_the_only_provider_that_the_key_names() {
    let setup = setup(|config| {
        config["governance"]["keys"][0]["models"] = json!(["echo"]);
        config["governance"]["keys"][0]["providers"] = json!([{"provider": "other"}]);
    })
    .await;
    assert_eq!(spread(&setup, "echo", 5, &[]).await, BTreeMap::from([("other".to_owned(), 5)]));
}
