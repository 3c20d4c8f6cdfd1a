//! Anthropic's Messages API, as its clients expect it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use common::{Answer, End, ask, get, json, post_with, provider};
use peerway_simulated_provider::{Options, Running, start};
use serde_json::{Value, json};

async fn messages(running: &Running, body: Value) -> Answer {
    let headers = ["x-api-key: sk-ant-12345", "anthropic-version: 2023-06-01"];
    ask(running, post_with("/v1/messages", &headers, body.to_string().as_bytes())).await
}

fn hello(more: Value) -> Value {
    let mut body = json!({ "model": "echo", "max_tokens": 100, "messages": [{ "role": "user", "content": "hi you" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn calls() -> Value {
    let tool = |name: &str| json!({ "name": name, "input_schema": { "type": "object" } });
    let said = r#"call add {"a":1,"b":2} weather {"city":"Bern"}"#;
    json!({ "tools": [tool("add"), tool("weather")], "messages": [{ "role": "user", "content": said }] })
}

#[tokio::test]
async fn plain_answer() {
    let running = provider("").await;
    let answer = messages(&running, hello(json!({}))).await;
    assert!(answer.status == 200 && answer.header("request-id").unwrap().starts_with("req_"));
    let mut message = answer.json();
    assert!(message["id"].take().as_str().unwrap().starts_with("msg_"));
    let usage = json!({ "input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0 },
        "output_tokens": 3, "service_tier": "standard" });
    let expected = json!({ "id": null, "type": "message", "role": "assistant", "model": "echo", "usage": usage,
        "content": [{ "type": "text", "text": "echo: hi you" }], "stop_reason": "end_turn", "stop_sequence": null });
    assert_eq!(message, expected);
    let bill = json(&running, get("/bill")).await;
    assert_eq!((&bill["prompt_tokens"], &bill["completion_tokens"]), (&9.into(), &3.into()));
    assert!(bill["by_key"].as_object().unwrap().keys().all(|key| key.starts_with("sk-an")), "{bill}");
}

#[tokio::test]
async fn stream_of_text() {
    let running = provider("").await;
    let answer = messages(&running, hello(json!({ "stream": true }))).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = answer.named_events();
    assert!(events.iter().all(|(name, data)| data["type"] == name.as_str()), "{events:?}");
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        (&events[0].1["message"]["usage"]["input_tokens"], &events[0].1["message"]["content"]),
        (&9.into(), &json!([]))
    );
    assert_eq!(
        events[4].1,
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": " hi" } })
    );
    assert_eq!(events[7].1["delta"], json!({ "stop_reason": "end_turn", "stop_sequence": null }));
    assert_eq!(events[7].1["usage"]["output_tokens"], 3);
}

#[tokio::test]
async fn parallel_tool_calls_plain_and_streamed() {
    let running = provider("").await;
    let message = messages(&running, hello(calls())).await.json();
    let content = message["content"].as_array().unwrap();
    assert_eq!(message["stop_reason"], "tool_use");
    assert_eq!((&content[0]["name"], &content[0]["input"]), (&"add".into(), &json!({ "a": 1, "b": 2 })));
    assert_eq!((&content[1]["name"], &content[1]["input"]), (&"weather".into(), &json!({ "city": "Bern" })));
    assert!(content[0]["id"] != content[1]["id"] && content[0]["id"].as_str().unwrap().starts_with("toolu_"));

    let mut body = hello(calls());
    body["stream"] = true.into();
    let mut inputs = vec![String::new(); 2];
    for (name, data) in messages(&running, body).await.named_events() {
        if name == "content_block_start" {
            assert_eq!(data["content_block"]["input"], json!({}));
        }
        if let Some(piece) = data["delta"]["partial_json"].as_str() {
            inputs[usize::try_from(data["index"].as_u64().unwrap()).unwrap()].push_str(piece);
        }
    }
    assert_eq!(inputs, [r#"{"a":1,"b":2}"#, r#"{"city":"Bern"}"#]);
}

#[tokio::test]
async fn tool_choice_and_results() {
    let running = provider("").await;
    let stop = async |more: Value| {
        let mut body = hello(calls());
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let message = messages(&running, body).await.json();
        (message["stop_reason"].as_str().unwrap().to_owned(), message["content"].as_array().unwrap().len())
    };
    assert_eq!(stop(json!({ "tool_choice": { "type": "none" } })).await, ("end_turn".into(), 1));
    assert_eq!(stop(json!({ "tool_choice": { "type": "tool", "name": "add" } })).await, ("tool_use".into(), 1));
    let one = json!({ "tool_choice": { "type": "auto", "disable_parallel_tool_use": true } });
    assert_eq!(stop(one).await, ("tool_use".into(), 1));
    let result = json!({ "messages": [
        { "role": "user", "content": "call add" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "t", "name": "add", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": "3" }] }] });
    assert_eq!(stop(result).await, ("end_turn".into(), 1));
}

#[tokio::test]
async fn thinking_stop_length_and_schema() {
    let running = provider("").await;
    let thinking = json!({ "max_tokens": 2_000, "thinking": { "type": "enabled", "budget_tokens": 1_024 } });
    let message = messages(&running, hello(thinking.clone())).await.json();
    assert_eq!(message["content"][0]["type"], "thinking");
    assert!(message["content"][0]["signature"].is_string() && message["content"][1]["type"] == "text");
    let mut body = hello(thinking);
    body["stream"] = true.into();
    let events = messages(&running, body).await.named_events();
    let kinds: Vec<&str> = events.iter().filter_map(|(_, data)| data["delta"]["type"].as_str()).collect();
    let expected = [
        "thinking_delta",
        "thinking_delta",
        "thinking_delta",
        "thinking_delta",
        "thinking_delta",
        "signature_delta",
        "text_delta",
        "text_delta",
        "text_delta",
    ];
    assert_eq!(kinds, expected);

    let message = messages(&running, hello(json!({ "max_tokens": 2 }))).await.json();
    assert_eq!((&message["stop_reason"], &message["content"][0]["text"]), (&"max_tokens".into(), &"echo: hi".into()));
    let message = messages(&running, hello(json!({ "stop_sequences": [" you"] }))).await.json();
    assert_eq!((&message["stop_reason"], &message["stop_sequence"]), (&"stop_sequence".into(), &" you".into()));
    let schema = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
    let format = json!({ "output_config": { "format": { "type": "json_schema", "schema": schema } } });
    let message = messages(&running, hello(format)).await.json();
    assert_eq!(message["content"][0]["text"], r#"{"n":0}"#);
}

#[tokio::test]
async fn what_is_cached_is_written_once_and_then_read() {
    let running = provider("").await;
    let body = hello(
        json!({ "system": [{ "type": "text", "text": "x".repeat(400), "cache_control": { "type": "ephemeral" } }] }),
    );
    let mut seen = Vec::new();
    for _ in 0..2 {
        let usage = messages(&running, body.clone()).await.json()["usage"].take();
        let number = |name: &str| usage[name].as_u64().unwrap();
        seen.push((number("input_tokens"), number("cache_creation_input_tokens"), number("cache_read_input_tokens")));
    }
    let rest = 3 + 4 + 4 + 2;
    assert_eq!(seen, [(rest, 100, 0), (rest, 0, 100)]);
    assert_eq!(json(&running, get("/bill")).await["prompt_tokens"], 2 * (rest + 100));
}

#[tokio::test]
async fn tokens_are_counted_and_not_charged() {
    let running = provider("").await;
    let body = json!({ "model": "echo", "messages": [{ "role": "user", "content": "hi you" }] });
    let headers = ["x-api-key: k", "anthropic-version: 2023-06-01"];
    let request = post_with("/v1/messages/count_tokens", &headers, body.to_string().as_bytes());
    assert_eq!(json(&running, request).await, json!({ "input_tokens": 9 }));
    let bill = json(&running, get("/bill")).await;
    assert_eq!((&bill["requests"], &bill["cost_nano_usd"]), (&1.into(), &0.into()));
}

#[tokio::test]
async fn what_the_real_api_refuses_is_refused() {
    let running = provider("").await;
    for (more, message) in [
        (json!({ "max_tokens": null }), "max_tokens: Field required"),
        (json!({ "frequency_penalty": 1 }), "frequency_penalty: Extra inputs are not permitted"),
        (json!({ "messages": [] }), "messages: at least one message is required"),
        (json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "" }] }] }), "non-empty"),
        (json!({ "messages": [{ "role": "system", "content": "x" }] }), "top-level `system`"),
    ] {
        let answer = messages(&running, hello(more)).await;
        let error = answer.json();
        assert_eq!(
            (answer.status, &error["type"], &error["error"]["type"]),
            (400, &"error".into(), &"invalid_request_error".into())
        );
        assert!(error["error"]["message"].as_str().unwrap().contains(message), "{error}");
        assert!(error["request_id"].is_string());
    }
    let unversioned = post_with("/v1/messages", &["x-api-key: k"], hello(json!({})).to_string().as_bytes());
    assert_eq!(ask(&running, unversioned).await.status, 400);
}

#[tokio::test]
async fn keys_of_both_eras() {
    let running = start(Options { keys: vec!["sk-1".into()], ..Options::default() }).await.unwrap();
    let ask = async |header: &str| {
        let headers = [header, "anthropic-version: 2023-06-01"];
        ask(&running, post_with("/v1/messages", &headers, hello(json!({})).to_string().as_bytes())).await
    };
    assert_eq!(ask("x-api-key: sk-1").await.status, 200);
    assert_eq!(ask("authorization: Bearer sk-1").await.status, 200);
    let refused = ask("x-api-key: other").await;
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (401, &"authentication_error".into()));
    assert_eq!(ask("x-goog-api-key: sk-1").await.status, 401);
}

#[tokio::test]
async fn faults() {
    let rules = r#"[{"match":{"model":"over"},"do":{"status":529,"retry_after_ms":1500}},
        {"match":{"model":"error"},"do":{"error_event_after":4}}, {"match":{"model":"cut"},"do":{"cut_after_events":5}},
        {"match":{"model":"bad"},"do":{"malformed":true}}, {"match":{"model":"quiet"},"do":{"no_usage":true}}]"#;
    let running = provider(rules).await;
    let ask =
        async |model: &str, stream: bool| messages(&running, hello(json!({ "model": model, "stream": stream }))).await;
    let answer = ask("over", false).await;
    assert_eq!((answer.status, answer.header("retry-after")), (529, Some("2")));
    assert_eq!(answer.json()["error"], json!({ "type": "overloaded_error", "message": "Overloaded" }));
    let events = ask("error", true).await.named_events();
    assert_eq!(
        (events.len(), events[4].0.as_str(), &events[4].1["error"]["type"]),
        (5, "error", &"overloaded_error".into())
    );
    let answer = ask("cut", true).await;
    assert_eq!((answer.chunks.len(), &answer.end), (5, &End::Cut));
    let events = ask("bad", true).await.named_events();
    assert_eq!(events.iter().position(|(_, data)| data.is_null()), Some(2));
    assert!(serde_json::from_str::<Value>(&ask("bad", false).await.body).is_err());
    assert!(!ask("quiet", true).await.body.contains("usage") && !ask("quiet", false).await.body.contains("usage"));
}

#[tokio::test]
async fn models() {
    let running = provider("").await;
    let request = get("/v1/models").replace("host: t", "host: t\r\nanthropic-version: 2023-06-01");
    let models = json(&running, &request).await;
    assert_eq!((&models["data"][0]["type"], &models["has_more"]), (&"model".into(), &false.into()));
}
