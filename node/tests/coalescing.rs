//! Requests that are the same and under way at once: one call to the provider, one answer for all.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{Answer, Setup, hello, hello_stream, setup};

const IN_CACHE: (&str, &str) = ("x-peerway-cache-key", "faq");

async fn at_once(setup: &Setup, bodies: &[Value]) -> Vec<Answer> {
    join_all(bodies.iter().map(|body| setup.chat_with(body.to_string(), &[IN_CACHE]))).await
}

fn count(answers: &[Answer], kind: &str) -> usize {
    answers.iter().filter(|answer| answer.header("x-peerway-cache") == kind).count()
}

async fn slow(setup: &Setup, how: Value) {
    setup.fault(json!({"match": {}, "do": how})).await;
}

#[tokio::test]
async fn one_plain_answer_serves_all_who_wait() {
    let setup = setup(|_| {}).await;
    slow(&setup, json!({"latency_ms": 1000})).await;
    let answers = at_once(&setup, &vec![hello(); 20]).await;
    assert_eq!(setup.billed().await, 1);
    assert_eq!((count(&answers, "miss"), count(&answers, "bypass")), (1, 0));
    assert!(count(&answers, "hit-coalesced") > 0);
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &answers[0].body));
        assert_eq!(answer.header("x-peerway-provider"), "demo");
    }
}

#[tokio::test]
async fn one_stream_serves_streams_as_it_comes_and_plain_requests_at_its_end() {
    let setup = setup(|_| {}).await;
    slow(&setup, json!({"latency_ms": 1000, "token_ms": 20})).await;
    let mut bodies = vec![hello_stream(); 10];
    bodies.push(hello());
    let answers = at_once(&setup, &bodies).await;
    assert_eq!(setup.billed().await, 1);
    assert_eq!(count(&answers, "miss"), 1);
    let (plain, streams) = answers.split_last().unwrap();
    assert_eq!(plain.json()["choices"][0]["message"]["content"], "echo: hello");
    for stream in streams {
        assert_eq!(
            (stream.streamed_text().as_str(), stream.events().last().unwrap().as_str()),
            ("echo: hello", "[DONE]")
        );
    }
}

#[tokio::test]
async fn a_plain_answer_serves_streams_that_wait() {
    let setup = setup(|_| {}).await;
    slow(&setup, json!({"latency_ms": 1000})).await;
    let answers = at_once(&setup, &[hello(), hello_stream(), hello_stream()]).await;
    assert_eq!(setup.billed().await, 1);
    for stream in &answers[1..] {
        assert_eq!(
            (stream.streamed_text().as_str(), stream.events().last().unwrap().as_str()),
            ("echo: hello", "[DONE]")
        );
    }
}

#[tokio::test]
async fn what_is_not_kept_is_asked_for_by_each() {
    let setup = setup(|_| {}).await;
    slow(&setup, json!({"latency_ms": 500})).await;
    let mut short = hello();
    short["max_tokens"] = json!(1);
    let answers = at_once(&setup, &vec![short; 3]).await;
    assert_eq!((setup.billed().await, count(&answers, "miss")), (3, 3));
    let refused = json!({"match": {}, "do": {"status": 422, "latency_ms": 500}});
    setup.fault(refused).await;
    for answer in at_once(&setup, &vec![hello(); 3]).await {
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-cache")), (422, "miss"));
    }
}

#[tokio::test]
async fn a_stream_that_is_not_kept_still_serves_the_streams_that_follow_it() {
    let setup = setup(|_| {}).await;
    slow(&setup, json!({"latency_ms": 1000})).await;
    let mut short = hello_stream();
    short["max_tokens"] = json!(1);
    let answers = at_once(&setup, &vec![short; 4]).await;
    for answer in &answers {
        assert_eq!(answer.events().last().unwrap(), "[DONE]");
        assert_eq!(answer.streamed_text(), answers[0].streamed_text());
    }
    // One that comes when the answer has ended asks again; all others share.
    assert_eq!(setup.billed().await as usize, count(&answers, "miss"));
    assert!(count(&answers, "hit-coalesced") > 0);
}

#[tokio::test]
async fn when_the_one_who_asks_goes_away_another_one_asks() {
    let setup = setup(|_| {}).await;
    slow(&setup, json!({"latency_ms": 1500})).await;
    let leaves = async {
        // It leads: the others come when the provider has been asked.
        while setup.provider("GET", "/requests?last=1", "").await["requests"].as_array().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        at_once(&setup, &vec![hello(); 5]).await
    };
    let body = hello().to_string();
    let first = tokio::time::timeout(Duration::from_millis(700), setup.chat_with(body, &[IN_CACHE]));
    let (_, answers) = tokio::join!(first, leaves);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(count(&answers, "miss") <= 1, "of those who stayed one asked");
}

#[tokio::test]
async fn who_opts_out_neither_waits_nor_is_waited_for() {
    let setup = setup(|_| {}).await;
    slow(&setup, json!({"latency_ms": 500})).await;
    let body = hello().to_string();
    let ask = |header| setup.chat_with(body.clone(), header);
    let (no_store, no_read, takes) = tokio::join!(
        ask(&[IN_CACHE, ("x-peerway-cache-no-store", "true")]),
        ask(&[IN_CACHE, ("x-peerway-cache-no-read", "true")]),
        ask(&[IN_CACHE, ("x-peerway-cache-ttl", "10s")]),
    );
    assert!([no_store, no_read, takes].iter().all(|answer| answer.header("x-peerway-cache") == "miss"));
    assert_eq!(setup.billed().await, 3);
}
