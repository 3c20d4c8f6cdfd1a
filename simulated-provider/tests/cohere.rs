//! Cohere's v2 API, as its clients expect it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use common::{Answer, End, ask, get, json, post, provider};
use peerway_simulated_provider::Running;
use serde_json::{Value, json};

async fn chat(running: &Running, more: Value) -> Answer {
    let mut body = json!({ "model": "echo", "messages": [{ "role": "user", "content": "hi you" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask(running, post("/v2/chat", &body.to_string())).await
}

fn calls(stream: bool) -> Value {
    let tool =
        |name: &str| json!({ "type": "function", "function": { "name": name, "parameters": { "type": "object" } } });
    let said = r#"call add {"a":1} weather {"city":"Bern"}"#;
    json!({ "tools": [tool("add"), tool("weather")], "stream": stream, "messages": [{ "role": "user", "content": said }] })
}

#[tokio::test]
async fn plain_answer() {
    let running = provider("").await;
    let mut answer = chat(&running, json!({})).await.json();
    assert!(answer["id"].take().is_string());
    let tokens = json!({ "input_tokens": 9, "output_tokens": 3 });
    let expected = json!({ "id": null, "finish_reason": "COMPLETE",
        "message": { "role": "assistant", "content": [{ "type": "text", "text": "echo: hi you" }] },
        "usage": { "billed_units": tokens, "tokens": tokens } });
    assert_eq!(answer, expected);
    assert_eq!(json(&running, get("/bill")).await["completion_tokens"], 3);
}

#[tokio::test]
async fn stream_of_text() {
    let running = provider("").await;
    let answer = chat(&running, json!({ "stream": true })).await;
    assert!(answer.body.ends_with("data: [DONE]\n\n"));
    let events = answer.named_events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "message-start",
        "content-start",
        "content-delta",
        "content-delta",
        "content-delta",
        "content-end",
        "message-end",
    ];
    assert_eq!(names, expected);
    assert!(events.iter().all(|(name, data)| data["type"] == name.as_str()));
    assert_eq!(events[3].1["delta"]["message"]["content"]["text"], " hi");
    assert_eq!(
        (&events[6].1["delta"]["finish_reason"], &events[6].1["delta"]["usage"]["tokens"]["output_tokens"]),
        (&"COMPLETE".into(), &3.into())
    );
}

#[tokio::test]
async fn parallel_tool_calls_plain_and_streamed() {
    let running = provider("").await;
    let answer = chat(&running, calls(false)).await.json();
    assert_eq!(answer["finish_reason"], "TOOL_CALL");
    let made = answer["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(
        (&made[0]["function"]["arguments"], &made[1]["function"]["name"]),
        (&r#"{"a":1}"#.into(), &"weather".into())
    );
    assert!(made[0]["id"] != made[1]["id"] && answer["message"].get("content").is_none());
    let mut arguments = vec![String::new(); 2];
    for (name, data) in chat(&running, calls(true)).await.named_events() {
        if name == "tool-call-delta" {
            let piece = data["delta"]["message"]["tool_calls"]["function"]["arguments"].as_str().unwrap();
            arguments[usize::try_from(data["index"].as_u64().unwrap()).unwrap()].push_str(piece);
        }
    }
    assert_eq!(arguments, [r#"{"a":1}"#, r#"{"city":"Bern"}"#]);
}

#[tokio::test]
async fn options() {
    let running = provider("").await;
    assert_eq!(chat(&running, json!({ "max_tokens": 2 })).await.json()["finish_reason"], "MAX_TOKENS");
    assert_eq!(chat(&running, json!({ "stop_sequences": [" you"] })).await.json()["finish_reason"], "STOP_SEQUENCE");
    let schema = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
    let format = json!({ "response_format": { "type": "json_object", "json_schema": schema } });
    assert_eq!(chat(&running, format).await.json()["message"]["content"][0]["text"], r#"{"n":0}"#);
    let thought = chat(&running, json!({ "thinking": { "type": "enabled" }, "logprobs": true })).await.json();
    assert_eq!(
        (&thought["message"]["content"][0]["type"], &thought["logprobs"][1]["text"]),
        (&"thinking".into(), &" hi".into())
    );
}

#[tokio::test]
async fn embed_and_rerank() {
    let running = provider("").await;
    let body = json!({ "model": "e", "input_type": "search_query", "texts": ["a b", "c"], "embedding_types": ["float", "int8"], "output_dimension": 8 });
    let answer = json(&running, post("/v2/embed", &body.to_string())).await;
    assert_eq!(answer["embeddings"]["float"][1].as_array().unwrap().len(), 8);
    assert!(answer["embeddings"]["int8"][0][0].is_i64());
    assert_eq!(answer["meta"]["billed_units"]["input_tokens"], 2);
    let body = json!({ "model": "r", "query": "red house", "documents": ["blue boat", "a red house"], "top_n": 1 });
    let answer = json(&running, post("/v2/rerank", &body.to_string())).await;
    assert_eq!((answer["results"].as_array().unwrap().len(), &answer["results"][0]["index"]), (1, &1.into()));
    let bill = json(&running, get("/bill")).await;
    assert_eq!(
        (&bill["by_model"]["e"]["prompt_tokens"], &bill["by_model"]["r"]["prompt_tokens"]),
        (&2.into(), &9.into())
    );
}

#[tokio::test]
async fn refusals_and_faults() {
    let rules = r#"[{"match":{"model":"busy"},"do":{"status":429}}, {"match":{"model":"error"},"do":{"error_event_after":3}},
        {"match":{"model":"cut"},"do":{"cut_after_events":3}}, {"match":{"model":"bad"},"do":{"malformed":true}}]"#;
    let running = provider(rules).await;
    for (more, message) in [
        (json!({ "messages": [] }), "messages must be specified"),
        (json!({ "tool_choice": "auto" }), "REQUIRED or NONE"),
        (json!({ "messages": [{ "role": "tool", "content": "x" }] }), "tool_call_id"),
    ] {
        let answer = chat(&running, more).await;
        assert!(
            answer.status == 400 && answer.json()["message"].as_str().unwrap().contains(message),
            "{}",
            answer.body
        );
        assert!(answer.json()["id"].is_string());
    }
    assert_eq!(chat(&running, json!({ "model": "busy" })).await.status, 429);
    let events = chat(&running, json!({ "model": "error", "stream": true })).await.named_events();
    assert_eq!((events.len(), &events[3].1["delta"]["finish_reason"]), (4, &"ERROR".into()));
    let answer = chat(&running, json!({ "model": "cut", "stream": true })).await;
    assert_eq!((answer.chunks.len(), &answer.end), (3, &End::Cut));
    assert!(chat(&running, json!({ "model": "bad", "stream": true })).await.named_events()[2].1.is_null());
}
