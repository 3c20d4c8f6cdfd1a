//! One answer for one question: hits in both forms, for nobody else, and never of something broken.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::scripted::Scripted;
use support::{Answer, Setup, hello, hello_stream, setup};

const IN_CACHE: (&str, &str) = ("x-peerway-cache-key", "faq");

async fn ask(setup: &Setup, body: &Value) -> Answer {
    setup.chat_with(body.to_string(), &[IN_CACHE]).await
}

/// Asks for what was asked for before: the entry is there as soon as the first answer has ended.
async fn hit(setup: &Setup, body: &Value) -> Answer {
    let answer = ask(setup, body).await;
    assert_eq!(answer.header("x-peerway-cache"), "hit-direct");
    answer
}

#[tokio::test]
async fn the_second_time_is_a_hit() {
    let setup = setup(|_| {}).await;
    let first = ask(&setup, &hello()).await;
    assert_eq!(first.header("x-peerway-cache"), "miss");
    let second = hit(&setup, &hello()).await;
    assert_eq!(second.body, first.body, "byte for byte");
    assert_eq!(second.header("x-peerway-cache-id"), first.header("x-peerway-cache-id"));
    assert_eq!((second.header("x-peerway-provider"), second.header("x-peerway-attempts")), ("demo", "0"));
}

#[tokio::test]
async fn a_stream_serves_a_plain_request_and_the_reverse() {
    let setup = setup(|_| {}).await;
    ask(&setup, &hello_stream()).await;
    let plain = hit(&setup, &hello()).await.json();
    assert_eq!(plain["choices"][0]["message"]["content"], "echo: hello");
    assert_eq!(plain["object"], "chat.completion");
    assert!(plain["usage"]["completion_tokens"].as_u64().unwrap() > 0);
    let stream = hit(&setup, &hello_stream()).await;
    assert_eq!((stream.streamed_text().as_str(), stream.events().last().unwrap().as_str()), ("echo: hello", "[DONE]"));

    let mut other = hello();
    other["messages"][0]["content"] = json!("two");
    ask(&setup, &other).await;
    other["stream"] = json!(true);
    let stream = hit(&setup, &other).await;
    assert_eq!((stream.streamed_text().as_str(), stream.events().last().unwrap().as_str()), ("echo: two", "[DONE]"));
}

#[tokio::test]
async fn a_large_answer_takes_little_memory_and_is_served_as_it_came() {
    let setup = setup(|_| {}).await;
    let mut body = hello_stream();
    body["messages"][0]["content"] = json!("one word more ".repeat(200));
    let first = ask(&setup, &body).await;
    let began = Instant::now();
    // It is compressed beside the request's way.
    while setup.state.cache.size().1 as usize > first.body.len() / 4 {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?} of {}", setup.state.cache.size(), first.body.len());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(hit(&setup, &body).await.body, first.body, "byte for byte");
    body["stream"] = json!(false);
    assert_eq!(hit(&setup, &body).await.json()["choices"][0]["message"]["content"], first.streamed_text());
}

#[tokio::test]
async fn another_key_never_hits() {
    let setup = setup(|_| {}).await;
    ask(&setup, &hello()).await;
    hit(&setup, &hello()).await;
    let headers = [IN_CACHE, ("authorization", "Bearer sk-second")];
    assert_eq!(setup.chat_with(hello().to_string(), &headers).await.header("x-peerway-cache"), "miss");
}

#[tokio::test]
async fn without_a_cache_key_nothing_takes_part() {
    let setup = setup(|_| {}).await;
    for _ in 0..2 {
        assert_eq!(setup.chat(hello()).await.header("x-peerway-cache"), "bypass");
    }
    assert_eq!(setup.billed().await, 2);
}

#[tokio::test]
async fn a_client_can_only_opt_out() {
    let setup = setup(|_| {}).await;
    let with = async |name: &str, value: &str| {
        setup.chat_with(hello().to_string(), &[IN_CACHE, (name, value)]).await.header("x-peerway-cache").to_owned()
    };
    assert_eq!(with("x-peerway-cache-no-store", "true").await, "miss");
    assert_eq!(with("x-peerway-cache-ttl", "0s").await, "miss");
    assert_eq!(ask(&setup, &hello()).await.header("x-peerway-cache"), "miss", "neither was kept");
    hit(&setup, &hello()).await;
    assert_eq!(with("x-bf-cache-no-read", "1").await, "miss");
}

#[tokio::test]
async fn where_nothing_takes_part_no_header_changes_that() {
    let loose = [
        ("x-peerway-cache-type", "semantic"),
        ("x-peerway-cache-threshold", "0"),
        ("x-peerway-cache-ttl", "1h"),
        ("x-peerway-cache-no-store", "false"),
        ("x-peerway-cache-no-read", "false"),
    ];
    let with_key = [&[IN_CACHE, ("x-bf-cache-key", "faq")], &loose[..]].concat();
    let long = "k".repeat(257);
    let with_long_key = [&[("x-peerway-cache-key", long.as_str())], &loose[..]].concat();
    for (activation, headers) in [("off", &with_key), ("header", &loose.to_vec()), ("header", &with_long_key)] {
        let setup = setup(|config| config["cache"] = json!({"activation": activation})).await;
        for _ in 0..2 {
            let answer = setup.chat_with(hello().to_string(), headers).await;
            assert_eq!(answer.header("x-peerway-cache"), "bypass", "{activation} {headers:?}");
        }
        assert_eq!(setup.billed().await, 2);
    }
}

#[tokio::test]
async fn no_header_makes_a_larger_entry() {
    let setup = setup(|config| config["cache"] = json!({"max_entry": "100B"})).await;
    for _ in 0..2 {
        let headers = [IN_CACHE, ("x-peerway-cache-ttl", "1h"), ("x-peerway-cache-no-store", "false")];
        assert_eq!(setup.chat_with(hello().to_string(), &headers).await.header("x-peerway-cache"), "miss");
    }
}

#[tokio::test]
async fn a_refused_finish_or_a_late_break_is_never_kept() {
    for (body, kind) in support::not_to_keep() {
        let provider = Scripted::answering(200, kind, &body).await;
        let setup = setup(|config| config["providers"][0]["base_url"] = json!(format!("{}/v1", provider.url))).await;
        let asked = if kind == "application/json" { hello() } else { hello_stream() };
        for _ in 0..2 {
            let before = provider.asked().len();
            assert_eq!(ask(&setup, &asked).await.header("x-peerway-cache"), "miss", "{body}");
            assert!(provider.asked().len() > before, "{body}");
        }
    }
}

#[tokio::test]
async fn what_is_not_whole_is_never_kept() {
    let setup = setup(|_| {}).await;
    for (fault, body) in [
        (json!({"cut_after_events": 2}), hello_stream()),
        (json!({"cut_after_events": 2}), hello()),
        (json!({"error_event_after": 1}), hello_stream()),
        (json!({"status": 500}), hello()),
        (json!({"status": 500}), hello_stream()),
        (json!({"malformed": true}), hello_stream()),
    ] {
        setup.fault(json!({"match": {}, "do": fault})).await;
        ask(&setup, &body).await;
        setup.provider("POST", "/faults", "[]").await;
        let billed = setup.billed().await;
        let answer = setup.chat_with(body.to_string(), &[IN_CACHE, ("x-peerway-cache-no-store", "true")]).await;
        assert_eq!(answer.header("x-peerway-cache"), "miss", "after {fault}");
        assert_eq!(setup.billed().await, billed + 1);
    }
    let mut short = hello();
    short["max_tokens"] = json!(1);
    assert_eq!(ask(&setup, &short).await.json()["choices"][0]["finish_reason"], "length");
    assert_eq!(ask(&setup, &short).await.header("x-peerway-cache"), "miss", "an answer cut by length is not kept");
}
