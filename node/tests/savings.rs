//! What hits save: the tokens of the answer that was given, at the price that asking for it again would have had.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use futures_util::future::join_all;
use peerway::telemetry::savings::{HitKind, Saved};
use serde_json::{Value, json};
use support::{Answer, Setup, hello, hello_stream, setup};

const IN_CACHE: (&str, &str) = ("x-peerway-cache-key", "faq");

async fn ask(setup: &Setup, body: &Value) -> Answer {
    setup.chat_with(body.to_string(), &[IN_CACHE]).await
}

async fn bill(setup: &Setup) -> (u64, u64, u64) {
    let bill = setup.provider("GET", "/bill", "").await;
    let get = |name: &str| bill[name].as_u64().unwrap();
    (get("prompt_tokens"), get("completion_tokens"), get("cost_nano_usd"))
}

fn sums(saved: &Saved) -> (u64, u64, u64) {
    (saved.prompt_tokens, saved.completion_tokens, saved.cost.get())
}

fn times((prompt, completion, cost): (u64, u64, u64), count: u64) -> (u64, u64, u64) {
    (prompt * count, completion * count, cost * count)
}

#[tokio::test]
async fn a_hit_saves_what_the_provider_billed_for_the_answer() {
    let setup = setup(|_| {}).await;
    ask(&setup, &hello()).await;
    let direct = |setup: &Setup| setup.shards.saved(HitKind::Direct);
    assert_eq!(direct(&setup), Saved::default(), "a miss saves nothing");
    let billed = bill(&setup).await;
    assert!(billed.0 > 0 && billed.1 > 0 && billed.2 > 0);
    for (count, body) in [(1, hello()), (2, hello_stream()), (3, hello())] {
        assert_eq!(ask(&setup, &body).await.header("x-peerway-cache"), "hit-direct");
        assert_eq!(sums(&direct(&setup)), times(billed, count));
        assert_eq!((direct(&setup).hits, direct(&setup).priced), (count, count));
    }
    assert_eq!(setup.metric("peerway_cache_hits_total{hit=\"direct\"}"), "3");
    let prompt = setup.metric("peerway_cache_saved_tokens_total{kind=\"prompt\",hit=\"direct\"}");
    assert_eq!(prompt, (3 * billed.0).to_string());
    for kind in [HitKind::Semantic, HitKind::Coalesced, HitKind::Backend] {
        assert_eq!(setup.shards.saved(kind), Saved::default(), "{kind:?}");
    }
    setup.chat(hello()).await;
    assert_eq!(direct(&setup).hits, 3, "a request that takes no part saves nothing");
}

#[tokio::test]
async fn streams_that_follow_another_save_at_their_end_whether_it_is_kept_or_not() {
    let setup = setup(|_| {}).await;
    let (mut hits, mut expected) = (0, (0, 0, 0));
    let mut cut_short = hello_stream();
    cut_short["max_tokens"] = json!(1);
    for body in [hello_stream(), cut_short] {
        setup.fault(json!({"match": {}, "do": {"latency_ms": 1000}})).await;
        let before = bill(&setup).await;
        let answers = join_all([&body; 6].map(|body| ask(&setup, body))).await;
        let count =
            |kind: &str| answers.iter().filter(|answer| answer.header("x-peerway-cache") == kind).count() as u64;
        let (after, misses) = (bill(&setup).await, count("miss"));
        let one = |after: u64, before: u64| (after - before) / misses;
        let one = (one(after.0, before.0), one(after.1, before.1), one(after.2, before.2));
        assert!(count("hit-coalesced") > 0);
        hits += count("hit-coalesced");
        let more = times(one, count("hit-coalesced"));
        expected = (expected.0 + more.0, expected.1 + more.1, expected.2 + more.2);
        let saved = setup.shards.saved(HitKind::Coalesced);
        assert_eq!((saved.hits, saved.priced, sums(&saved)), (hits, hits, expected), "{body}");
    }
}

#[tokio::test]
async fn without_a_price_or_a_usage_nobody_says_what_was_saved() {
    let nowhere = |config: &mut Value| {
        for provider in config["providers"].as_array_mut().unwrap() {
            provider["type"] = json!("openai_compatible");
        }
    };
    let setup = setup(nowhere).await;
    ask(&setup, &hello()).await;
    ask(&setup, &hello()).await;
    let saved = setup.shards.saved(HitKind::Direct);
    assert_eq!((saved.hits, saved.priced, saved.cost.get()), (1, 0, 0));
    assert!(saved.prompt_tokens > 0, "the tokens are known all the same");

    setup.fault(json!({"match": {}, "do": {"no_usage": true}})).await;
    let mut other = hello();
    other["messages"][0]["content"] = json!("two");
    ask(&setup, &other).await;
    assert_eq!(ask(&setup, &other).await.header("x-peerway-cache"), "hit-direct");
    let more = setup.shards.saved(HitKind::Direct);
    assert_eq!(more, Saved { hits: 2, ..saved });
}
