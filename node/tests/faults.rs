//! Providers that fail: what is tried again, what the client is told, and that a cut stream never looks whole.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::scripted::{Scripted, Then};
use support::{Setup, hello, hello_stream, setup};

fn last_error(events: &[String]) -> Value {
    let last = events.last().expect("there is an event");
    assert_ne!(last, "[DONE]", "a broken stream must not look finished");
    serde_json::from_str::<Value>(last).unwrap()["error"].clone()
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_silently() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {"first": 1}, "do": {"status": 503}})).await;
    let answer = setup.chat(hello()).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-attempts")), (200, "2"));
}

#[tokio::test]
async fn a_lost_connection_is_tried_again() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {"first": 1}, "do": {"reset": true}})).await;
    let answer = setup.chat(hello()).await;
    assert_eq!(answer.status.as_u16(), 200);
}

#[tokio::test]
async fn a_fallback_answers_when_the_target_cannot() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": {"status": 500}})).await;
    let mut body = hello();
    body["model"] = json!("smart");
    let answer = setup.chat(body).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "other"));
    assert_eq!(answer.header("x-peerway-attempts"), "3");
}

#[tokio::test]
async fn when_all_failed_the_attempts_are_listed() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {}, "do": {"status": 500}})).await;
    let mut body = hello();
    body["model"] = json!("smart");
    let answer = setup.chat(body).await;
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status.as_u16(), &error["code"]), (500, &json!("upstream_error")));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("demo/echo (key main): status 500; ") && message.contains("other/echo"), "{message}");
    assert_eq!(answer.header("x-should-retry"), "false", "four attempts must not become twelve");
}

#[tokio::test]
async fn a_rate_limit_is_passed_on_with_its_time() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {}, "do": {"status": 429, "retry_after_ms": 2500}})).await;
    let answer = setup.chat(hello()).await;
    assert_eq!(answer.status.as_u16(), 429);
    assert_eq!(answer.header("x-peerway-attempts"), "1", "the same key is not asked again");
    assert_eq!(answer.header("retry-after"), "3");
    // And with what it takes until all nodes know: who comes back on the dot may come to one that still waits.
    assert_eq!(answer.header("retry-after-ms"), "2700");
}

#[tokio::test]
async fn a_silent_provider_is_a_gateway_timeout() {
    let setup = setup(|config| config["providers"][0]["timeouts"]["first_byte"] = json!("200ms")).await;
    setup.fault(json!({"match": {}, "do": {"hang": true}})).await;
    let answer = setup.chat(hello()).await;
    assert_eq!(answer.status.as_u16(), 504, "{answer:?}");
}

#[tokio::test]
async fn a_silent_provider_is_waited_for_once_where_another_one_may_answer() {
    let setup = setup(|config| config["providers"][0]["timeouts"]["first_byte"] = json!("200ms")).await;
    setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": {"hang": true}})).await;
    let mut body = hello();
    body["model"] = json!("smart");
    let answer = setup.chat(body).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "other"));
    assert_eq!(answer.header("x-peerway-attempts"), "2", "not tried again where it hung");
}

#[tokio::test]
async fn an_answer_that_is_never_whole_is_had_from_another_provider() {
    for fault in [
        json!({"slow_bytes": 100}),
        json!({"endless": true, "token_ms": 20}),
        json!({"malformed": true}),
        json!({"cut_after_events": 1}),
    ] {
        let setup = setup(|config| config["providers"][0]["timeouts"]["total"] = json!("200ms")).await;
        setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": fault})).await;
        let mut body = hello();
        body["model"] = json!("smart");
        let answer = setup.chat(body).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "other"), "{fault}");
        assert!(answer.json()["choices"][0]["message"]["content"].is_string(), "{fault}");
    }
}

#[tokio::test]
async fn an_unreachable_provider_is_a_bad_gateway() {
    let setup = setup(|config| config["providers"][0]["base_url"] = json!("http://127.0.0.1:9/v1")).await;
    let answer = setup.chat(hello()).await;
    assert_eq!(answer.status.as_u16(), 502);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("refused"), "{answer:?}");
}

#[tokio::test]
async fn a_cut_stream_ends_with_an_error_event() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {}, "do": {"cut_after_events": 2}})).await;
    let events = setup.chat(hello_stream()).await.events();
    assert!(events.len() >= 2, "what came before the cut has arrived: {events:?}");
    assert_eq!(last_error(&events)["code"], "upstream_error");
}

#[tokio::test]
async fn a_malformed_event_ends_the_stream_with_an_error_event() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {}, "do": {"malformed": true}})).await;
    let answer = setup.chat(hello_stream()).await;
    let error = last_error(&answer.events());
    assert_eq!(error["code"], "upstream_error", "{error}");
}

#[tokio::test]
async fn a_providers_error_event_reaches_the_client_and_ends_the_stream() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {}, "do": {"error_event_after": 2}})).await;
    let events = setup.chat(hello_stream()).await.events();
    assert!(last_error(&events)["message"].is_string());
}

#[tokio::test]
async fn an_error_as_the_second_event_is_tried_again_silently() {
    for fault in [json!({"error_event_after": 1}), json!({"cut_after_events": 1}), json!({"cut_after_events": 0})] {
        let setup = setup(|_| {}).await;
        setup.fault(json!({"match": {"first": 1}, "do": fault})).await;
        let answer = setup.chat(hello_stream()).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-attempts")), (200, "2"), "{answer:?}");
        assert_eq!((answer.streamed_text(), answer.events().pop().unwrap()), ("echo: hello".into(), "[DONE]".into()));
    }
}

#[tokio::test]
async fn a_stream_that_says_nothing_of_its_answer_is_left_for_another() {
    let provider = Scripted::saying(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
         data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        Then::Silence,
    )
    .await;
    let url = format!("{}/v1", provider.url);
    let setup = setup(|config| config["providers"][0]["base_url"] = json!(url)).await;
    let mut body = hello_stream();
    body["model"] = json!("smart");
    let answer = setup.chat(body).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "other"), "{answer:?}");
    assert_eq!(answer.streamed_text(), "echo: hello");
}

#[tokio::test]
async fn when_no_stream_begins_to_answer_it_is_an_error_and_no_stream() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {}, "do": {"error_event_after": 1}})).await;
    let answer = setup.chat(hello_stream()).await;
    assert!(answer.status.is_server_error(), "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], "upstream_error");
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_tried_again() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {"first": 1}, "do": {"malformed": true}})).await;
    let answer = setup.chat(hello()).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-attempts")), (200, "2"), "{answer:?}");
}

#[tokio::test]
async fn nobody_works_longer_than_the_client_waits() {
    let setup = setup(|config| config["providers"][0]["timeouts"] = json!({"first_byte": "60s"})).await;
    setup.fault(json!({"match": {}, "do": {"hang": true}})).await;
    for header in ["x-peerway-timeout", "x-stainless-read-timeout"] {
        let began = std::time::Instant::now();
        let answer = setup.chat_with(hello().to_string(), &[(header, "0.3")]).await;
        assert_eq!(answer.status.as_u16(), 504, "{answer:?}");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        let told = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains("the client's own timeout"), "no timeout of the provider's: {told}");
    }
}

/// A gateway before a provider whose streams say a word and then nothing more.
async fn silent_after_a_word(change: impl FnOnce(&mut Value)) -> Setup {
    let begin = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
         data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    let provider = Scripted::saying(begin, Then::Silence).await;
    setup(|config| {
        config["providers"][0]["base_url"] = json!(format!("{}/v1", provider.url));
        change(config);
    })
    .await
}

#[tokio::test]
async fn a_silent_stream_ends_by_the_total_timeout_where_that_is_the_shorter() {
    let setup = silent_after_a_word(|config| {
        config["providers"][0]["timeouts"] = json!({"idle": "1h", "total": "300ms"});
    })
    .await;
    let answer = tokio::time::timeout(Duration::from_secs(60), setup.chat(hello_stream())).await;
    let events = answer.expect("long before the idle timeout").events();
    let told = last_error(&events)["message"].as_str().unwrap().to_owned();
    assert!(told.contains("no end within 300ms, the total timeout of provider `demo`"), "{events:?}");
}

/// What a client is told of a timeout: which, how long it is, and whose.
#[tokio::test]
async fn a_timeout_is_named() {
    let timeouts = |timeouts: Value| {
        move |config: &mut Value| {
            config["providers"][0]["timeouts"] = timeouts;
            config["providers"][0]["retries"] = json!(0);
        }
    };
    for (given, fault, stream, told) in [
        (
            json!({"first_byte": "250ms"}),
            json!({"hang": true}),
            false,
            "no answer within 250ms, the first-byte timeout of provider `demo`",
        ),
        (
            json!({"idle": "250ms"}),
            json!({"slow_bytes": 60_000}),
            false,
            "nothing came for 250ms, the idle timeout of provider `demo`",
        ),
        (
            json!({"idle": "250ms"}),
            json!({"slow_bytes": 60_000}),
            true,
            "nothing came for 250ms, the idle timeout of provider `demo`",
        ),
        (
            json!({"total": "250ms"}),
            json!({"slow_bytes": 60_000}),
            false,
            "no end within 250ms, the total timeout of provider `demo`",
        ),
    ] {
        let setup = setup(timeouts(given)).await;
        setup.fault(json!({"match": {}, "do": fault})).await;
        let answer = setup.chat(if stream { hello_stream() } else { hello() }).await;
        assert_eq!(answer.status.as_u16(), 504, "{answer:?}");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(told), "{answer:?}");
    }
    // It accepts connections and never says a word of TLS.
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", deaf.local_addr().unwrap());
    let setup = setup(|config| {
        timeouts(json!({"connect": "250ms"}))(config);
        config["providers"][0]["base_url"] = json!(url);
    })
    .await;
    let answer = setup.chat(hello()).await;
    assert_eq!(answer.status.as_u16(), 502, "{answer:?}");
    let told = "no connection within 250ms, the connect timeout of provider `demo`";
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains(told), "{answer:?}");
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_ended() {
    let setup = silent_after_a_word(|_| {}).await;
    let events = setup.chat(hello_stream()).await.events();
    let told = last_error(&events)["message"].as_str().unwrap().to_owned();
    assert!(told.contains("nothing came for 500ms, the idle timeout of provider `demo`"), "{events:?}");
}

#[tokio::test]
async fn slow_bytes_are_put_together() {
    let setup = setup(|config| config["providers"][0]["timeouts"]["idle"] = json!("20s")).await;
    setup.fault(json!({"match": {}, "do": {"slow_bytes": 1}})).await;
    let answer = setup.chat(hello_stream()).await;
    assert_eq!(answer.events().last().unwrap(), "[DONE]");
    assert_eq!(answer.streamed_text(), "echo: hello");
}

#[tokio::test]
async fn a_stream_without_an_end_is_given_one() {
    let setup = setup(|config| config["providers"][0]["timeouts"]["total"] = json!("700ms")).await;
    setup.fault(json!({"match": {}, "do": {"endless": true, "token_ms": 20}})).await;
    let events = setup.chat(hello_stream()).await.events();
    assert!(last_error(&events)["message"].as_str().unwrap().contains("total timeout"), "{events:?}");
}

#[tokio::test]
async fn a_plain_answer_that_falls_silent_is_given_up() {
    let setup = setup(|config| {
        config["providers"][0]["timeouts"]["idle"] = json!("200ms");
        config["providers"][0]["retries"] = json!(0);
    })
    .await;
    setup.fault(json!({"match": {}, "do": {"slow_bytes": 60_000}})).await;
    let answer = setup.chat(hello()).await;
    assert_eq!(answer.status.as_u16(), 504);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("nothing came for 200ms"), "{answer:?}");
}

/// One that is down is left alone for all: the client hears when it is tried again.
#[tokio::test]
async fn a_provider_that_is_left_alone_says_when_it_is_tried_again() {
    let setup = setup(|config| {
        config["providers"][0]["retries"] = json!(0);
        config["health"] = json!({"failures": 1, "probe_interval": "1h"});
    })
    .await;
    setup.fault(json!({"match": {}, "do": {"status": 503}})).await;
    assert_eq!(setup.chat(hello()).await.header("x-peerway-attempts"), "1");
    let answer = setup.chat(hello()).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-attempts")), (503, "0"), "{answer:?}");
    let told = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("its breaker is open: the next probe is due in "), "{told}");
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=3_600).contains(&wait), "{answer:?}");
}
