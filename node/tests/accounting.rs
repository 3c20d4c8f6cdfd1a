//! What is charged against what the provider bills: the same where the provider states it, never less where it does
//! not, and then flagged.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Setup, hello, hello_stream, setup};

const LONG: Duration = Duration::from_secs(20);

/// A prompt that makes the answer longer than a few tokens.
fn talkative(stream: bool) -> Value {
    let words = "a be see the harbour master of two ships, 17 berths; and (who) pays? ".repeat(6);
    json!({"model": "demo/echo", "stream": stream, "messages": [{"role": "user", "content": words}]})
}

fn slow(stream: bool) -> Value {
    let mut body = talkative(stream);
    body["model"] = json!("demo/slow");
    body
}

/// What the next finished request cost here and what the provider bills for all so far.
async fn charged(setup: &Setup) -> (Value, u64, u64) {
    let line = setup.next_log_line();
    let cost = line["cost_nano_usd"].as_u64().unwrap_or_else(|| panic!("no cost in {line}"));
    (line, cost, setup.bill().await)
}

async fn stated(setup: &Setup) -> Value {
    let (line, cost, bill) = charged(setup).await;
    assert_eq!(cost, bill, "{line}");
    assert_eq!(line.get("estimated_because"), None, "{line}");
    assert!(bill > 0);
    line
}

async fn estimated(setup: &Setup, reason: &str) -> Value {
    let (line, cost, bill) = charged(setup).await;
    assert!(cost >= bill, "{cost} < {bill}: {line}");
    assert_eq!(line["estimated_because"], reason, "{line}");
    let metric = setup.metric(&format!("peerway_cost_estimated_total{{reason=\"{reason}\"}}"));
    assert_eq!(metric, "1");
    line
}

#[tokio::test]
async fn a_stated_usage_is_charged_to_the_nano_dollar() {
    for body in [hello(), hello_stream(), talkative(false), talkative(true), slow(false), slow(true)] {
        let setup = setup(|_| {}).await;
        setup.chat(body).await;
        stated(&setup).await;
    }
}

#[tokio::test]
async fn usage_counts_all_choices() {
    for mut body in [talkative(false), talkative(true)] {
        body["n"] = json!(3);
        let setup = setup(|_| {}).await;
        setup.chat(body).await;
        stated(&setup).await;
    }
}

#[tokio::test]
async fn a_missing_usage_is_counted() {
    let tools = json!([{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]);
    for stream in [false, true] {
        let mut calls = talkative(stream);
        calls["tools"] = tools.clone();
        calls["tool_choice"] = json!("required");
        let mut choices = talkative(stream);
        choices["n"] = json!(3);
        let mut short = hello();
        short["stream"] = json!(stream);
        for body in [short, talkative(stream), calls, choices] {
            let setup = setup(|_| {}).await;
            setup.fault(json!({"match": {}, "do": {"no_usage": true}})).await;
            let answer = setup.chat(body).await;
            assert_eq!(answer.status.as_u16(), 200);
            let line = estimated(&setup, "no_usage").await;
            assert!(line["cost_nano_usd"].as_u64().unwrap() < 4 * setup.bill().await, "out of proportion: {line}");
            if !stream {
                assert!(!answer.header("x-peerway-cost-usd").is_empty(), "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_usage_of_zero_is_zero() {
    for body in [hello(), hello_stream()] {
        let setup = setup(|_| {}).await;
        setup.fault(json!({"match": {}, "do": {"usage_zero": true}})).await;
        setup.chat(body).await;
        let (line, cost, _) = charged(&setup).await;
        assert_eq!((cost, line.get("estimated_because")), (0, None), "{line}");
    }
}

#[tokio::test]
async fn a_stream_that_broke_off_is_charged_for_what_came() {
    for events in [0, 1, 2, 5, 40] {
        let setup = setup(|_| {}).await;
        setup.fault(json!({"match": {}, "do": {"cut_after_events": events}})).await;
        setup.chat(talkative(true)).await;
        estimated(&setup, "cut").await;
    }
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {}, "do": {"error_event_after": 5}})).await;
    setup.chat(talkative(true)).await;
    estimated(&setup, "cut").await;
}

#[tokio::test]
async fn a_stream_with_a_malformed_event_is_read_out_for_its_cost() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {}, "do": {"malformed": true}})).await;
    setup.chat(talkative(true)).await;
    assert_eq!(stated(&setup).await["outcome"], "cut");
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_charged_for_what_came() {
    let setup = setup(|config| config["providers"][0]["timeouts"]["idle"] = json!("500ms")).await;
    setup.fault(json!({"match": {}, "do": {"token_ms": 60_000}})).await;
    setup.chat(talkative(true)).await;
    estimated(&setup, "deadline").await;
}

/// A gateway whose key has more money than any test spends.
async fn with_budget() -> Setup {
    setup(|config| config["governance"]["keys"][0]["budgets"] = json!([{"limit_usd": "1000", "window": "1Y"}])).await
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_pays_for_all_of_it() {
    let setup = with_budget().await;
    setup.chat_and_leave(slow(true), 3, LONG).await;
    let line = stated(&setup).await;
    assert_eq!((&line["outcome"], &line["status"]), (&json!("client_gone"), &json!(499)), "{line}");
    assert!(line["duration_us"].as_u64().unwrap() < 900_000, "as long as the client was there: {line}");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_pays_for_it() {
    for stream in [false, true] {
        let setup = with_budget().await;
        setup.fault(json!({"match": {}, "do": {"latency_ms": 400}})).await;
        setup.chat_and_leave(talkative(stream), 1, Duration::from_millis(150)).await;
        assert_eq!(stated(&setup).await["outcome"], "client_gone");
    }
}

#[tokio::test]
async fn where_nobody_counts_a_stream_is_left_with_its_client() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {}, "do": {"endless": true, "token_ms": 5}})).await;
    setup.chat_and_leave(hello_stream(), 3, LONG).await;
    // What is billed until the provider notices depends on how soon it does.
    let line = setup.next_log_line();
    assert_eq!(
        (&line["outcome"], &line["estimated_because"]),
        (&json!("client_gone"), &json!("client_gone")),
        "{line}"
    );
    assert!(
        line["duration_us"].as_u64().unwrap() < 5_000_000,
        "at once, not after the time for those that are counted: {line}"
    );
}

#[tokio::test]
async fn where_nobody_counts_an_answer_is_not_waited_for() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {}, "do": {"hang": true}})).await;
    setup.chat_and_leave(hello(), 1, Duration::from_millis(150)).await;
    let line = setup.next_log_line();
    assert_eq!(
        (&line["outcome"], &line["estimated_because"]),
        (&json!("client_gone"), &json!("client_gone")),
        "{line}"
    );
}

#[tokio::test]
async fn for_a_client_that_left_nothing_is_tried_again() {
    let setup = with_budget().await;
    setup.fault(json!({"match": {}, "do": {"latency_ms": 400, "status": 500}})).await;
    setup.chat_and_leave(hello(), 1, Duration::from_millis(150)).await;
    let line = setup.next_log_line();
    assert_eq!((&line["outcome"], &line["attempts"]), (&json!("client_gone"), &json!(1)), "{line}");
    assert_eq!(setup.bill().await, 0);
}

#[tokio::test]
async fn beyond_the_bound_of_unattended_streams_what_came_is_charged() {
    let setup = with_budget().await;
    // All clients are gone long before the first stream ends.
    setup.fault(json!({"match": {}, "do": {"token_ms": 80}})).await;
    let clients = (0..70).map(|_| setup.chat_and_leave(slow(true), 2, LONG));
    futures_util::future::join_all(clients).await;
    let lines: Vec<Value> = (0..70).map(|_| setup.next_log_line()).collect();
    let cost: u64 = lines.iter().map(|line| line["cost_nano_usd"].as_u64().unwrap()).sum();
    let bill = setup.bill().await;
    let counted = lines.iter().filter(|line| line["estimated_because"] == "client_gone").count();
    assert!(cost >= bill, "{cost} < {bill}");
    assert_eq!(counted, 6, "64 are read to their end");
}

#[tokio::test]
async fn a_provider_that_may_have_begun_is_reckoned_with_its_prompt() {
    let short = |config: &mut Value| {
        config["providers"][0]["timeouts"]["first_byte"] = json!("200ms");
        config["providers"][0]["retries"] = json!(0);
    };
    let begun = setup(short).await;
    begun.fault(json!({"match": {}, "do": {"latency_ms": 5_000}})).await;
    assert_eq!(begun.chat(talkative(false)).await.status.as_u16(), 504);
    assert!(begun.bill().await > 0, "a prompt is billed when it is taken in");
    estimated(&begun, "deadline").await;
    let hung = setup(short).await;
    hung.fault(json!({"match": {}, "do": {"hang": true}})).await;
    hung.chat(talkative(false)).await;
    estimated(&hung, "deadline").await;
    let reset = setup(short).await;
    reset.fault(json!({"match": {}, "do": {"reset": true}})).await;
    reset.chat(talkative(false)).await;
    estimated(&reset, "transport").await;
}

#[tokio::test]
async fn an_attempt_that_cost_nothing_is_not_charged() {
    let setup = setup(|config| config["providers"][0]["base_url"] = json!("http://127.0.0.1:9/v1")).await;
    let mut body = talkative(false);
    body["model"] = json!("smart");
    assert_eq!(setup.chat(body.clone()).await.header("x-peerway-provider"), "other");
    stated(&setup).await;
    setup.provider("POST", "/reset", "").await;
    setup.fault(json!({"match": {"first": 1}, "do": {"status": 503}})).await;
    setup.chat(body).await;
    stated(&setup).await;
    setup.provider("POST", "/reset", "").await;
    setup.fault(json!({"match": {}, "do": {"status": 400}})).await;
    setup.chat(hello()).await;
    let line = setup.next_log_line();
    assert_eq!((line.get("cost_nano_usd"), setup.bill().await), (None, 0), "{line}");
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_charged_as_the_most_it_can_be() {
    for fault in [json!({"cut_after_events": 1}), json!({"malformed": true})] {
        let setup = setup(|config| config["providers"][0]["retries"] = json!(0)).await;
        setup.fault(json!({"match": {}, "do": fault})).await;
        let mut body = talkative(false);
        body["max_tokens"] = json!(500);
        setup.chat(body).await;
        let line = setup.next_log_line();
        let cost = line["cost_nano_usd"].as_u64().unwrap();
        let bill = setup.bill().await;
        assert!(cost >= bill && cost < bill + 500 * 2_000, "{cost} for {bill}: {line}");
        assert!(line["estimated_because"].is_string(), "{line}");
        assert_eq!(line["completion_tokens"], 500, "{line}");
    }
}

#[tokio::test]
async fn every_attempt_that_produced_something_is_charged() {
    let setup = setup(|config| config["providers"][0]["retries"] = json!(0)).await;
    setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": {"cut_after_events": 1}})).await;
    let mut body = talkative(false);
    body["model"] = json!("smart");
    body["max_tokens"] = json!(200);
    let answer = setup.chat(body).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-attempts")), (200, "2"));
    let line = estimated(&setup, "transport").await;
    assert!(line["completion_tokens"].as_u64().unwrap() > 200, "the first attempt's and the second's: {line}");
}
