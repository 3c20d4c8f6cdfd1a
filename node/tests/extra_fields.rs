//! `extra_fields`: there where the configuration wants it, in whole JSON answers, and never in what is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use peerway::config::Config;
use peerway::gateway::Plan;
use serde_json::{Value, json};
use support::{Answer, Setup, hello, hello_stream, setup};

const IN_CACHE: (&str, &str) = ("x-peerway-cache-key", "faq");
const KEPT: &str = "What should I do if I lose my passport while travelling abroad?";
const SAME: &str = "What should I do if I lose my passport while traveling abroad";

async fn telling() -> Setup {
    setup(|config| config["extra_fields"] = json!(true)).await
}

fn chat(text: &str) -> Value {
    json!({"model": "demo/echo", "messages": [{"role": "user", "content": text}]})
}

async fn ask(setup: &Setup, body: &Value) -> Answer {
    setup.chat_with(body.to_string(), &[IN_CACHE]).await
}

fn told(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    answer.json()["extra_fields"].clone()
}

/// The answer without what was added.
fn without(answer: &Answer) -> String {
    let text = std::str::from_utf8(&answer.body).unwrap();
    let (before, _) = text.split_once(",\"extra_fields\":").expect("it is told");
    format!("{before}}}")
}

/// Until what was asked can be found by meaning; that happens beside the request's way.
async fn learned(setup: &Setup) {
    let learned = || setup.state.cache.stats_json()["semantic"]["learned"].as_u64().unwrap();
    let enough = async {
        while learned() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), enough).await.expect("the answer is learned");
}

#[tokio::test]
async fn without_the_setting_nothing_is_added() {
    let setup = setup(|_| {}).await;
    for body in [hello(), hello(), json!({"model": "nobody/none", "messages": []})] {
        assert!(ask(&setup, &body).await.json().get("extra_fields").is_none(), "{body}");
    }
}

#[tokio::test]
async fn a_miss_and_each_kind_of_hit_say_what_they_are() {
    let setup = telling().await;
    let first = ask(&setup, &chat(KEPT)).await;
    let id = first.header("x-peerway-cache-id");
    let fields = told(&first);
    assert_eq!((&fields["provider"], &fields["model"]), (&json!("demo"), &json!("echo")));
    assert!(fields["latency"].is_u64(), "{fields}");
    assert_eq!(fields["cache_debug"], json!({"cache_hit": false, "cache_id": id}));

    let direct = ask(&setup, &chat(KEPT)).await;
    assert_eq!(told(&direct)["cache_debug"], json!({"cache_hit": true, "hit_type": "direct", "cache_id": id}));
    assert_eq!(told(&direct)["provider"], "demo");

    learned(&setup).await;
    let semantic = ask(&setup, &chat(SAME)).await;
    let similarity: f64 = semantic.header("x-peerway-cache-similarity").parse().unwrap();
    assert_eq!(
        told(&semantic)["cache_debug"],
        json!({"cache_hit": true, "hit_type": "semantic", "similarity": similarity, "threshold": 0.85, "cache_id": id})
    );
    let bypass = setup.chat(hello()).await;
    assert_eq!(told(&bypass).get("cache_debug"), None);

    setup.fault(json!({"match": {}, "do": {"latency_ms": 1000}})).await;
    let body = hello();
    let (one, other) = tokio::join!(ask(&setup, &body), ask(&setup, &body));
    let mut kinds = [told(&one), told(&other)].map(|fields| fields["cache_debug"]["hit_type"].clone());
    kinds.sort_by_key(Value::is_null);
    assert_eq!(kinds, [json!("coalesced"), Value::Null]);
    assert!(told(&one)["latency"].as_u64().unwrap() >= 1_000);
}

#[tokio::test]
async fn what_is_kept_is_the_providers_own() {
    let setup = telling().await;
    let first = ask(&setup, &hello()).await;
    let second = ask(&setup, &hello()).await;
    assert_eq!(second.header("x-peerway-cache"), "hit-direct");
    assert_eq!(without(&first), without(&second));
    assert_eq!(second.json()["usage"], first.json()["usage"]);

    // The same node, with a configuration that does not want it any more.
    let base_url = format!("http://{}/v1", setup.provider);
    let config: Config = serde_json::from_value(json!({"providers": [{"name": "demo", "type": "simulated",
        "base_url": base_url, "allow_private": true, "models": ["echo"], "keys": [{"id": "main", "value": "k"}]}]}))
    .unwrap();
    setup.state.plan.store(Arc::new(Plan::compile(&config, 1).unwrap()));
    let third = ask(&setup, &hello()).await;
    assert_eq!(third.header("x-peerway-cache"), "hit-direct");
    assert_eq!(third.body, without(&first), "byte for byte");
}

#[tokio::test]
async fn streams_pass_as_they_are() {
    let setup = telling().await;
    for kind in ["miss", "hit-direct"] {
        let stream = ask(&setup, &hello_stream()).await;
        assert_eq!(stream.header("x-peerway-cache"), kind);
        assert!(!String::from_utf8_lossy(&stream.body).contains("extra_fields"));
    }
    let plain = ask(&setup, &hello()).await;
    assert_eq!(told(&plain)["cache_debug"]["hit_type"], "direct");
}

#[tokio::test]
async fn errors_of_the_gateway_and_other_dialects_say_it_too() {
    let setup = telling().await;
    let unknown = ask(&setup, &json!({"model": "nobody/none", "messages": []})).await;
    assert_eq!((unknown.status.as_u16(), told(&unknown)["latency"].is_u64()), (404, true));
    assert_eq!(unknown.json()["error"]["code"], "model_not_found");
    let stranger = setup.chat_with(hello().to_string(), &[("authorization", "Bearer nobody")]).await;
    assert_eq!((stranger.status.as_u16(), told(&stranger).get("cache_debug")), (401, None));

    let embedded = setup.post("/v1/embeddings", json!({"model": "demo/echo", "input": "hello"})).await;
    assert_eq!((embedded.status.as_u16(), &told(&embedded)["provider"]), (200, &json!("demo")), "{embedded:?}");
    let message = json!({"model": "demo/echo", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]});
    let message = setup.post("/anthropic/v1/messages", message).await;
    assert_eq!((message.status.as_u16(), &told(&message)["model"]), (200, &json!("echo")), "{message:?}");
    assert_eq!(message.json()["type"], "message");

    // What a provider says of a request that is the client's own fault goes on as it is.
    setup.fault(json!({"match": {}, "do": {"status": 422}})).await;
    let refused = setup.chat(hello()).await;
    assert_eq!((refused.status.as_u16(), refused.json().get("extra_fields")), (422, None));
}
