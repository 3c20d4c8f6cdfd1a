//! Bedrock's Converse, its binary event stream and its signatures.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use common::{Answer, End, ask, get, json, post_with, provider};
use peerway_simulated_provider::{Options, Running, start};
use serde_json::{Value, json};

const CONVERSE: &str = "/model/echo/converse";
const STREAM: &str = "/model/echo/converse-stream";

async fn call(running: &Running, path: &str, body: &Value) -> Answer {
    let headers = ["authorization: Bearer bedrock-key", "content-type: application/json"];
    ask(running, post_with(path, &headers, body.to_string().as_bytes())).await
}

fn hello(more: Value) -> Value {
    let mut body = json!({ "messages": [{ "role": "user", "content": [{ "text": "hi you" }] }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Type and payload of each frame, with both checksums checked.
fn frames(mut raw: &[u8]) -> Vec<(String, Value)> {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap()) as usize;
    let mut frames = Vec::new();
    while !raw.is_empty() {
        let (total, headers) = (number(&raw[..4]), number(&raw[4..8]));
        assert_eq!(crc32fast::hash(&raw[..8]) as usize, number(&raw[8..12]));
        assert_eq!(crc32fast::hash(&raw[..total - 4]) as usize, number(&raw[total - 4..total]));
        let mut names = &raw[12..12 + headers];
        let mut kind = String::new();
        while !names.is_empty() {
            let length = usize::from(names[0]);
            let name = String::from_utf8(names[1..=length].to_vec()).unwrap();
            assert_eq!(names[length + 1], 7);
            let value_length = usize::from(u16::from_be_bytes([names[length + 2], names[length + 3]]));
            let value = String::from_utf8(names[length + 4..length + 4 + value_length].to_vec()).unwrap();
            if name == ":event-type" || name == ":exception-type" {
                kind = value;
            }
            names = &names[length + 4 + value_length..];
        }
        let payload = serde_json::from_slice(&raw[12 + headers..total - 4]).unwrap_or(Value::Null);
        frames.push((kind, payload));
        raw = &raw[total..];
    }
    frames
}

fn calls() -> Value {
    let tool = |name: &str| json!({ "toolSpec": { "name": name, "inputSchema": { "json": { "type": "object" } } } });
    let said = r#"call add {"a":1} weather {"city":"Bern"}"#;
    json!({ "toolConfig": { "tools": [tool("add"), tool("weather")] },
            "messages": [{ "role": "user", "content": [{ "text": said }] }] })
}

#[tokio::test]
async fn plain_answer() {
    let running = provider("").await;
    let answer = call(&running, "/model/anthropic.claude%3A0/converse", &hello(json!({}))).await;
    assert!(answer.status == 200 && answer.header("x-amzn-requestid").is_some());
    let expected = json!({
        "output": { "message": { "role": "assistant", "content": [{ "text": "echo: hi you" }] } },
        "stopReason": "end_turn", "metrics": { "latencyMs": 1 },
        "usage": { "inputTokens": 9, "outputTokens": 3, "totalTokens": 12, "cacheReadInputTokens": 0, "cacheWriteInputTokens": 0 } });
    assert_eq!(answer.json(), expected);
    let bill = json(&running, get("/bill")).await;
    assert_eq!(bill["by_model"]["anthropic.claude:0"]["completion_tokens"], 3);
}

#[tokio::test]
async fn stream_of_text() {
    let running = provider("").await;
    let answer = call(&running, STREAM, &hello(json!({}))).await;
    assert_eq!(answer.header("content-type"), Some("application/vnd.amazon.eventstream"));
    let frames = frames(&answer.raw);
    assert_eq!(answer.chunks.len(), frames.len());
    let kinds: Vec<&str> = frames.iter().map(|(kind, _)| kind.as_str()).collect();
    let expected = [
        "messageStart",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ];
    assert_eq!(kinds, expected);
    assert_eq!((&frames[2].1["contentBlockIndex"], &frames[2].1["delta"]), (&0.into(), &json!({ "text": " hi" })));
    assert_eq!((&frames[5].1["stopReason"], &frames[6].1["usage"]["totalTokens"]), (&"end_turn".into(), &12.into()));
}

#[tokio::test]
async fn parallel_tool_calls_plain_and_streamed() {
    let running = provider("").await;
    let answer = call(&running, CONVERSE, &hello(calls())).await.json();
    let content = &answer["output"]["message"]["content"];
    assert_eq!(answer["stopReason"], "tool_use");
    assert_eq!((&content[0]["toolUse"]["name"], &content[0]["toolUse"]["input"]), (&"add".into(), &json!({ "a": 1 })));
    assert_eq!(content[1]["toolUse"]["input"], json!({ "city": "Bern" }));
    let mut inputs = vec![String::new(); 2];
    for (kind, payload) in frames(&call(&running, STREAM, &hello(calls())).await.raw) {
        let index = payload["contentBlockIndex"].as_u64().unwrap_or(0);
        if kind == "contentBlockStart" {
            assert!(payload["start"]["toolUse"]["toolUseId"].is_string());
        }
        if let Some(piece) = payload["delta"]["toolUse"]["input"].as_str() {
            inputs[usize::try_from(index).unwrap()].push_str(piece);
        }
    }
    assert_eq!(inputs, [r#"{"a":1}"#, r#"{"city":"Bern"}"#]);
    let mut forced = hello(calls());
    forced["toolConfig"]["toolChoice"] = json!({ "tool": { "name": "weather" } });
    let answer = call(&running, CONVERSE, &forced).await.json();
    assert_eq!(answer["output"]["message"]["content"][0]["toolUse"]["name"], "weather");
}

#[tokio::test]
async fn config_thinking_and_counting() {
    let running = provider("").await;
    let config = json!({ "inferenceConfig": { "maxTokens": 2 } });
    assert_eq!(call(&running, CONVERSE, &hello(config)).await.json()["stopReason"], "max_tokens");
    let config = json!({ "inferenceConfig": { "stopSequences": [" you"] } });
    assert_eq!(call(&running, CONVERSE, &hello(config)).await.json()["stopReason"], "stop_sequence");
    let schema = r#"{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}"#;
    let config = json!({ "outputConfig": { "textFormat": { "type": "json_schema", "structure": { "jsonSchema": { "schema": schema, "name": "x" } } } } });
    let answer = call(&running, CONVERSE, &hello(config)).await.json();
    assert_eq!(answer["output"]["message"]["content"][0]["text"], r#"{"n":0}"#);
    let config =
        json!({ "additionalModelRequestFields": { "thinking": { "type": "enabled", "budget_tokens": 1_024 } } });
    let answer = call(&running, CONVERSE, &hello(config)).await.json();
    assert!(answer["output"]["message"]["content"][0]["reasoningContent"]["reasoningText"]["signature"].is_string());
    let counted =
        call(&running, "/model/echo/count-tokens", &json!({ "input": { "converse": hello(json!({})) } })).await;
    assert_eq!(counted.json(), json!({ "inputTokens": 9 }));
}

#[tokio::test]
async fn embeddings_of_both_bodies() {
    let running = provider("").await;
    let titan = json!({ "inputText": "a b c d e", "dimensions": 4 });
    let answer = call(&running, "/model/amazon.titan-embed-text-v2%3A0/invoke", &titan).await.json();
    assert_eq!((answer["embedding"].as_array().unwrap().len(), &answer["inputTextTokenCount"]), (4, &3.into()));
    let cohere = json!({ "texts": ["a", "b"], "input_type": "search_query", "embedding_types": ["float"] });
    let answer = call(&running, "/model/cohere.embed-v4%3A0/invoke", &cohere).await.json();
    assert_eq!(answer["embeddings"]["float"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_the_service_refuses_is_refused() {
    let running = provider("").await;
    for (body, message) in [
        (json!({ "messages": [] }), "must not be empty"),
        (hello(json!({ "messages": [{ "role": "user", "content": "text" }] })), "content blocks"),
        (hello(json!({ "messages": [{ "role": "assistant", "content": [{ "text": "x" }] }] })), "start with a user"),
        (
            hello(
                json!({ "messages": [{ "role": "user", "content": [{ "toolResult": { "toolUseId": "t", "content": [] } }] }] }),
            ),
            "toolConfig",
        ),
    ] {
        let answer = call(&running, CONVERSE, &body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.header("x-amzn-errortype").unwrap().starts_with("ValidationException"));
        assert!(answer.json()["message"].as_str().unwrap().contains(message), "{}", answer.body);
    }
}

/// The signature below is what botocore 1.44 makes of this body.
const SIGNED_BODY: &str = r#"{"messages": [{"role": "user", "content": [{"text": "hi"}]}]}"#;

#[tokio::test]
async fn signatures_are_checked_where_the_secret_is_known() {
    let aws_keys = vec![("AKIDEXAMPLE".to_owned(), "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned())];
    let running = start(Options { aws_keys, ..Options::default() }).await.unwrap();
    let ask = async |id: &str, body: &str| {
        let authorization = format!(
            "authorization: AWS4-HMAC-SHA256 Credential={id}/20261121/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=01bf3322e6e6a2b689ea6913472a563d4a08bf24f01abf8e680ce6add5f13b33"
        );
        let headers = ["content-type: application/json", "x-amz-date: 20261121T120000Z", &authorization];
        ask(&running, post_with("/model/anthropic.claude-v1%3A0/converse", &headers, body.as_bytes())).await
    };
    let answer = ask("AKIDEXAMPLE", SIGNED_BODY).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let bill = json(&running, get("/bill")).await;
    assert!(bill["by_key"].as_object().unwrap().keys().all(|key| key.starts_with("AKIDE")), "{bill}");
    for (id, body, kind) in
        [("AKIDEXAMPLE", "{}", "InvalidSignatureException"), ("AKIDOTHER", SIGNED_BODY, "UnrecognizedClientException")]
    {
        let answer = ask(id, body).await;
        assert_eq!(answer.status, 403);
        assert!(answer.header("x-amzn-errortype").unwrap().starts_with(kind));
    }
}

#[tokio::test]
async fn faults() {
    let rules = r#"[{"match":{"model":"busy"},"do":{"status":429,"retry_after_ms":1000}}, {"match":{"model":"error"},"do":{"error_event_after":2}},
        {"match":{"model":"cut"},"do":{"cut_after_events":2}}, {"match":{"model":"bad"},"do":{"malformed":true}},
        {"match":{"model":"quiet"},"do":{"no_usage":true}}]"#;
    let running = provider(rules).await;
    let ask =
        async |model: &str, method: &str| call(&running, &format!("/model/{model}/{method}"), &hello(json!({}))).await;
    let answer = ask("busy", "converse").await;
    assert!(answer.status == 429 && answer.header("x-amzn-errortype").unwrap().starts_with("ThrottlingException"));
    let error = frames(&ask("error", "converse-stream").await.raw);
    assert_eq!((error.len(), error[2].0.as_str()), (3, "modelStreamErrorException"));
    assert!(error[2].1["message"].is_string());
    let answer = ask("cut", "converse-stream").await;
    assert_eq!((frames(&answer.raw).len(), &answer.end), (2, &End::Cut));
    assert!(frames(&ask("bad", "converse-stream").await.raw)[2].1.is_null());
    assert!(!ask("quiet", "converse").await.body.contains("usage"));
}
