//! Each fault breaks what it says, and nothing else; the bill says what a provider would charge all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{End, ask, chat, get, json, post, provider};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PLAIN: &str = r#"{"model":"echo","messages":[{"role":"user","content":"one two three"}]}"#;
const STREAM: &str = r#"{"model":"echo","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"one two three"}]}"#;

#[tokio::test]
async fn status_with_retry_after_for_the_first_two() {
    let running = provider(r#"[{"match":{"model":"echo","first":2},"do":{"status":429,"retry_after_ms":1500}}]"#).await;
    for _ in 0..2 {
        let answer = ask(&running, &chat(PLAIN)).await;
        assert_eq!(
            (answer.status, answer.header("retry-after"), answer.header("retry-after-ms")),
            (429, Some("2"), Some("1500"))
        );
        assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
    }
    assert_eq!(ask(&running, &chat(PLAIN)).await.status, 200);
    let bill = json(&running, &get("/bill")).await;
    assert_eq!(bill["requests"], 1, "refused requests are not charged");
    assert_eq!(json(&running, &get("/faults")).await["faults"][0]["hits"], 2);
    ask(&running, &post("/reset", "")).await;
    assert_eq!(ask(&running, &chat(PLAIN)).await.status, 429, "a reset arms the rules of the start again");
}

#[tokio::test]
async fn share_of_the_requests() {
    let running = provider(r#"{"match":{"share":0.25},"do":{"status":500}}"#).await;
    let mut failed = 0;
    for _ in 0..200 {
        failed += u32::from(ask(&running, &chat(PLAIN)).await.status == 500);
    }
    assert!((30..70).contains(&failed), "{failed}");
}

#[tokio::test]
async fn rules_are_set_shown_and_refused_with_the_place() {
    let running = provider("").await;
    let answer = ask(&running, &post("/faults", r#"[{"match":{"path":"/v1/models"},"do":{"status":503}}]"#)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(ask(&running, &get("/v1/models")).await.status, 503);
    assert_eq!(ask(&running, &chat(PLAIN)).await.status, 200);
    let answer = ask(&running, &post("/faults", "[\n{\"do\":{\"stauts\":503}}]")).await;
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(answer.status == 400 && message.contains("`stauts`") && message.contains("line 2 column"), "{message}");
    assert_eq!(ask(&running, &get("/v1/models")).await.status, 503, "refused rules leave the old ones in force");
    ask(&running, &post("/faults", "[]")).await;
    assert_eq!(ask(&running, &get("/v1/models")).await.status, 200);
}

#[tokio::test]
async fn latency_and_token_gaps() {
    let running = provider(r#"{"do":{"latency_ms":80,"token_ms":40}}"#).await;
    let started = Instant::now();
    ask(&running, &chat(PLAIN)).await;
    assert!(started.elapsed() >= Duration::from_millis(80));
    let started = Instant::now();
    ask(&running, &chat(STREAM)).await;
    assert!(started.elapsed() >= Duration::from_millis(80 + 3 * 40), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_hang_says_nothing() {
    let running = provider(r#"{"do":{"hang":true}}"#).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(chat(PLAIN).as_bytes()).await.unwrap();
    let read = tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await;
    assert!(read.is_err(), "nothing and no end: {read:?}");
    assert_eq!(json(&running, &get("/bill")).await["requests"], 0);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let running = provider(r#"{"do":{"reset":true}}"#).await;
    let answer = ask(&running, &chat(PLAIN)).await;
    assert_eq!((answer.status, answer.end), (0, End::Reset));
}

#[tokio::test]
async fn cut_after_events() {
    let running = provider(r#"{"do":{"cut_after_events":3}}"#).await;
    let answer = ask(&running, &chat(STREAM)).await;
    assert_eq!((answer.status, answer.chunks.len(), &answer.end), (200, 3, &End::Cut));
    assert!(!answer.body.contains("[DONE]"));
    let answer = ask(&running, &chat(PLAIN)).await;
    let length: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert!(answer.end == End::Cut && answer.body.len() == length / 2);
    let bill = json(&running, &get("/bill")).await;
    assert_eq!(bill["completion_tokens"], 2 + 4, "two tokens streamed, four sent plain");
}

#[tokio::test]
async fn error_event_after() {
    let running = provider(r#"{"do":{"error_event_after":1}}"#).await;
    let answer = ask(&running, &chat(STREAM)).await;
    let events = answer.events();
    assert_eq!((answer.status, events.len(), answer.end), (200, 2, End::Whole));
    assert_eq!(serde_json::from_str::<Value>(&events[1]).unwrap()["error"]["type"], "server_error");
}

#[tokio::test]
async fn malformed_json_in_right_framing() {
    let running = provider(r#"{"do":{"malformed":true}}"#).await;
    let answer = ask(&running, &chat(PLAIN)).await;
    assert!(answer.end == End::Whole && serde_json::from_str::<Value>(&answer.body).is_err());
    let answer = ask(&running, &chat(STREAM)).await;
    let whole: Vec<_> = answer.events().iter().map(|event| serde_json::from_str::<Value>(event).is_ok()).collect();
    assert_eq!(whole, [true, true, false, true, true, true, true, false], "the third event, and [DONE]");
}

#[tokio::test]
async fn usage_left_out_or_zero() {
    let running = provider(r#"[{"match":{"first":2},"do":{"no_usage":true}},{"do":{"usage_zero":true}}]"#).await;
    assert!(json(&running, &chat(PLAIN)).await.get("usage").is_none());
    let events = ask(&running, &chat(STREAM)).await.events();
    assert!(!events.iter().any(|event| event.contains("total_tokens")) && events.last().unwrap() == "[DONE]");
    assert_eq!(json(&running, &chat(PLAIN)).await["usage"]["total_tokens"], 0);
    assert!(ask(&running, &chat(STREAM)).await.body.contains(r#""total_tokens":0"#));
    let bill = json(&running, &get("/bill")).await;
    assert_eq!((&bill["prompt_tokens"], &bill["completion_tokens"]), (&(4 * 11).into(), &(4 * 4).into()));
}

#[tokio::test]
async fn stamped_events_say_when_they_were_sent() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    let running = provider(r#"{"do":{"stamp":true,"token_ms":1}}"#).await;
    let before = now();
    let events = ask(&running, &chat(STREAM)).await.events();
    let sent: Vec<u64> = events
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok()?["choices"][0]["sent_us"].as_u64())
        .collect();
    assert_eq!(sent.len(), events.len() - 2, "all but the usage and the end: {events:?}");
    assert!(sent.is_sorted() && before <= sent[0] && sent[sent.len() - 1] <= now(), "{sent:?}");
}

#[tokio::test]
async fn slow_bytes_split_events() {
    let running = provider(r#"{"do":{"slow_bytes":0}}"#).await;
    let answer = ask(&running, &chat(STREAM)).await;
    assert!(answer.chunks.len() == answer.body.len() && answer.body.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn an_aborted_endless_stream_is_charged_up_to_what_was_produced() {
    let running = provider(r#"{"do":{"endless":true,"token_ms":5}}"#).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(chat(STREAM).as_bytes()).await.unwrap();
    let mut seen = String::new();
    let mut piece = vec![0; 4096];
    while seen.matches("\"delta\":{\"content\"").count() < 20 {
        let length = stream.read(&mut piece).await.unwrap();
        seen.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    drop(stream);
    let tokens = async || json(&running, &get("/bill")).await["completion_tokens"].as_u64().unwrap();
    // The bill stops growing once the server has seen that the client is gone.
    let mut last = tokens().await;
    let settled = loop {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let now = tokens().await;
        if now == last {
            break now;
        }
        last = now;
        assert!(now < 400, "goes on after the client is gone");
    };
    assert!((20..100).contains(&settled), "{settled}");
    let bill = json(&running, &get("/bill")).await;
    assert_eq!((&bill["requests"], &bill["streams"], &bill["prompt_tokens"]), (&1.into(), &1.into(), &11.into()));
    assert_eq!(bill["cost_nano_usd"], 11 * 1_000 + settled * 2_000);
    assert_eq!(bill["by_model"]["echo"]["completion_tokens"], settled);
    let by_key = bill["by_key"].as_object().unwrap();
    assert!(by_key.len() == 1 && by_key.keys().all(|key| !key.contains("sk-test-1")), "{by_key:?}");
}

#[tokio::test]
async fn endless_plain_answers_go_on() {
    let running = provider(r#"{"do":{"endless":true}}"#).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(chat(PLAIN).as_bytes()).await.unwrap();
    let mut seen = String::new();
    let mut piece = vec![0; 4096];
    while seen.matches(" again").count() < 10 {
        let length = stream.read(&mut piece).await.unwrap();
        assert!(length > 0);
        seen.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
}

#[tokio::test]
async fn the_bill_agrees_with_the_usage_that_was_told() {
    let running = provider("").await;
    let mut told = (0, 0);
    for text in ["a", "some more words", "äöü €"] {
        for stream in [false, true] {
            let body = format!(
                r#"{{"model":"m","stream":{stream},"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"{text}"}}]}}"#
            );
            let answer = ask(&running, &chat(&body)).await;
            let usage = if stream {
                let events = answer.events();
                serde_json::from_str::<Value>(&events[events.len() - 2]).unwrap()["usage"].take()
            } else {
                answer.json()["usage"].take()
            };
            told.0 += usage["prompt_tokens"].as_u64().unwrap();
            told.1 += usage["completion_tokens"].as_u64().unwrap();
        }
    }
    let bill = json(&running, &get("/bill")).await;
    assert_eq!((bill["prompt_tokens"].as_u64(), bill["completion_tokens"].as_u64()), (Some(told.0), Some(told.1)));
    assert_eq!(bill["cost_nano_usd"], told.0 * 500 + told.1 * 1_500);
    assert_eq!((&bill["requests"], &bill["streams"]), (&6.into(), &3.into()));
}
