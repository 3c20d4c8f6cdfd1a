//! The Gemini API and Vertex AI's paths, as Google's clients expect them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use common::{Answer, End, ask, get, json, post_with, provider};
use peerway_simulated_provider::{Options, Running, start};
use serde_json::{Value, json};

async fn call(running: &Running, path: &str, body: &Value) -> Answer {
    ask(running, post_with(path, &["x-goog-api-key: AIza-1"], body.to_string().as_bytes())).await
}

fn hello(more: Value) -> Value {
    let mut body = json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi you" }] }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

const GENERATE: &str = "/v1beta/models/echo:generateContent";
const STREAM: &str = "/v1beta/models/echo:streamGenerateContent?alt=sse";

fn events(answer: &Answer) -> Vec<Value> {
    answer
        .body
        .split("\r\n\r\n")
        .filter_map(|event| Some(serde_json::from_str(event.strip_prefix("data: ")?).unwrap_or(Value::Null)))
        .collect()
}

#[tokio::test]
async fn plain_answer_under_every_path() {
    let running = provider("").await;
    for path in [
        GENERATE,
        "/v1/models/echo:generateContent",
        "/models/echo:generateContent",
        "/v1/projects/p/locations/eu/publishers/google/models/echo:generateContent",
    ] {
        let answer = call(&running, path, &hello(json!({}))).await;
        let mut response = answer.json();
        assert!(response["responseId"].take().is_string());
        let expected = json!({
            "candidates": [{ "content": { "parts": [{ "text": "echo: hi you" }], "role": "model" }, "finishReason": "STOP", "index": 0 }],
            "usageMetadata": { "promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12,
                               "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": 9 }] },
            "modelVersion": "echo", "responseId": null });
        assert_eq!(response, expected, "{path}");
    }
    let bill = json(&running, get("/bill")).await;
    assert_eq!((&bill["by_model"]["echo"]["requests"], &bill["prompt_tokens"]), (&4.into(), &36.into()));
}

#[tokio::test]
async fn streams_of_both_forms() {
    let running = provider("").await;
    let answer = call(&running, STREAM, &hello(json!({}))).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let events = events(&answer);
    let texts: Vec<&str> =
        events.iter().map(|event| event["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["echo:", " hi", " you", ""]);
    assert_eq!(events[3]["candidates"][0]["finishReason"], "STOP");
    let counts: Vec<_> =
        events.iter().map(|event| event["usageMetadata"]["candidatesTokenCount"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1, 2, 3, 3]);

    let answer = call(&running, "/v1beta/models/echo:streamGenerateContent", &hello(json!({}))).await;
    let array = answer.json();
    assert_eq!((array.as_array().unwrap().len(), answer.chunks.len()), (4, 5));
    assert_eq!(json(&running, get("/bill")).await["completion_tokens"], 6);
}

#[tokio::test]
async fn function_calls_come_whole() {
    let running = provider("").await;
    let tools = json!([{ "functionDeclarations": [{ "name": "add" }, { "name": "weather" }] }]);
    let said = r#"call add {"a":1} weather {"city":"Bern"}"#;
    let contents = json!([{ "parts": [{ "text": said }] }]);
    let body = hello(json!({ "tools": tools, "contents": contents }));
    let parts = json!([{ "functionCall": { "name": "add", "args": { "a": 1 } } },
                       { "functionCall": { "name": "weather", "args": { "city": "Bern" } } }]);
    let response = call(&running, GENERATE, &body).await.json();
    assert_eq!(response["candidates"][0]["content"]["parts"], parts);
    let streamed: Vec<Value> = events(&call(&running, STREAM, &body).await)
        .into_iter()
        .map(|mut event| event["candidates"][0]["content"]["parts"][0].take())
        .filter(|part| part.get("functionCall").is_some())
        .collect();
    assert_eq!(Value::from(streamed), parts);
    let bill = json(&running, get("/bill")).await;
    let told = response["usageMetadata"]["candidatesTokenCount"].as_u64().unwrap();
    assert_eq!(bill["completion_tokens"], 2 * told);
    let forced = json!({ "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["weather"] } });
    let response = call(&running, GENERATE, &hello(json!({ "tools": tools, "toolConfig": forced }))).await.json();
    assert_eq!(response["candidates"][0]["content"]["parts"][0]["functionCall"]["name"], "weather");
}

#[tokio::test]
async fn config_in_camel_or_snake_case() {
    let running = provider("").await;
    let schema = json!({ "type": "OBJECT", "required": ["n"], "properties": { "n": { "type": "INTEGER" } } });
    let config = json!({ "generation_config": { "response_mime_type": "application/json", "responseSchema": schema } });
    let response = call(&running, GENERATE, &hello(config)).await.json();
    assert_eq!(response["candidates"][0]["content"]["parts"][0]["text"], r#"{"n":0}"#);
    let config = json!({ "generationConfig": { "maxOutputTokens": 2, "candidateCount": 2, "responseLogprobs": true } });
    let response = call(&running, GENERATE, &hello(config)).await.json();
    assert_eq!(response["candidates"][1]["finishReason"], "MAX_TOKENS");
    assert_eq!(response["candidates"][1]["logprobsResult"]["chosenCandidates"][1]["token"], " hi");
    assert_eq!(response["usageMetadata"]["candidatesTokenCount"], 4);
    let config = json!({ "generationConfig": { "thinkingConfig": { "includeThoughts": true } }, "systemInstruction": { "parts": [{ "text": "s" }] } });
    let response = call(&running, GENERATE, &hello(config)).await.json();
    assert_eq!(response["candidates"][0]["content"]["parts"][0]["thought"], true);
    let usage = &response["usageMetadata"];
    assert_eq!(
        (&usage["promptTokenCount"], &usage["thoughtsTokenCount"], &usage["totalTokenCount"]),
        (&14.into(), &5.into(), &22.into())
    );
}

#[tokio::test]
async fn unknown_fields_are_refused() {
    let running = provider("").await;
    for (body, name) in [
        (hello(json!({ "max_tokens": 5 })), "\"max_tokens\""),
        (hello(json!({ "generationConfig": { "maxTokens": 5 } })), "\"maxTokens\" at 'generation_config'"),
        (
            json!({ "contents": [{ "role": "user", "parts": [{ "text": "x", "type": "text" }] }] }),
            "\"type\" at 'contents[0].parts[0]'",
        ),
        (json!({}), "contents is not specified"),
        (json!({ "contents": [{ "role": "assistant", "parts": [{ "text": "x" }] }] }), "valid role"),
    ] {
        let answer = call(&running, GENERATE, &body).await;
        let error = answer.json()["error"].take();
        assert_eq!((answer.status, &error["code"], &error["status"]), (400, &400.into(), &"INVALID_ARGUMENT".into()));
        assert!(error["message"].as_str().unwrap().contains(name), "{error}");
    }
}

#[tokio::test]
async fn tokens_are_counted() {
    let running = provider("").await;
    for body in [hello(json!({})), json!({ "generateContentRequest": hello(json!({ "model": "models/echo" })) })] {
        let counted = call(&running, "/v1beta/models/echo:countTokens", &body).await.json();
        assert_eq!(counted["totalTokens"], 9);
    }
    assert_eq!(json(&running, get("/bill")).await["cost_nano_usd"], 0);
}

#[tokio::test]
async fn embeddings() {
    let running = provider("").await;
    let content = |text: &str| json!({ "parts": [{ "text": text }] });
    let one = json!({ "content": content("a b"), "outputDimensionality": 8 });
    let embedded = call(&running, "/v1beta/models/e:embedContent", &one).await.json();
    assert_eq!(embedded["embedding"]["values"].as_array().unwrap().len(), 8);
    let requests =
        ["a b", "c"].map(|text| json!({ "model": "models/e", "content": content(text), "outputDimensionality": 8 }));
    let batch = call(&running, "/v1beta/models/e:batchEmbedContents", &json!({ "requests": requests })).await.json();
    assert_eq!(batch["embeddings"][0], embedded["embedding"]);
    let instances = json!({ "instances": [{ "content": "a b" }], "parameters": { "outputDimensionality": 8 } });
    let path = "/v1/projects/p/locations/l/publishers/google/models/e:predict";
    let predicted = call(&running, path, &instances).await.json();
    assert_eq!(predicted["predictions"][0]["embeddings"]["values"], embedded["embedding"]["values"]);
    assert_eq!(json(&running, get("/bill")).await["prompt_tokens"], 1 + 2 + 1);
}

#[tokio::test]
async fn keys_in_headers_and_query() {
    let running = start(Options { keys: vec!["AIza-1".into()], ..Options::default() }).await.unwrap();
    let body = hello(json!({})).to_string();
    let status = async |path: &str, header: &str| {
        let answer = ask(&running, post_with(path, &[header], body.as_bytes())).await;
        (answer.status, answer.json()["error"]["status"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(status(GENERATE, "x-goog-api-key: AIza-1").await.0, 200);
    assert_eq!(status(GENERATE, "authorization: Bearer AIza-1").await.0, 200);
    assert_eq!(status(&format!("{GENERATE}?key=AIza-1"), "accept: */*").await.0, 200);
    // Google's own way to say that a key is wrong.
    assert_eq!(status(GENERATE, "x-goog-api-key: wrong").await, (400, "INVALID_ARGUMENT".into()));
    assert_eq!(status(GENERATE, "accept: */*").await, (403, "PERMISSION_DENIED".into()));
}

#[tokio::test]
async fn faults() {
    let rules = r#"[{"match":{"model":"busy"},"do":{"status":429,"retry_after_ms":2500}}, {"match":{"model":"over"},"do":{"status":503}},
        {"match":{"model":"error"},"do":{"error_event_after":2}}, {"match":{"model":"cut"},"do":{"cut_after_events":2}},
        {"match":{"model":"bad"},"do":{"malformed":true}}, {"match":{"model":"zero"},"do":{"usage_zero":true}}]"#;
    let running = provider(rules).await;
    let ask = async |model: &str, query: &str| {
        call(&running, &format!("/v1beta/models/{model}:{query}"), &hello(json!({}))).await
    };
    let answer = ask("busy", "generateContent").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("3")));
    let error = answer.json()["error"].take();
    assert_eq!((&error["status"], &error["details"][0]["retryDelay"]), (&"RESOURCE_EXHAUSTED".into(), &"2.5s".into()));
    assert_eq!(ask("over", "generateContent").await.json()["error"]["status"], "UNAVAILABLE");
    let answer = ask("error", "streamGenerateContent?alt=sse").await;
    let (sent, error) = answer.body.rsplit_once("\r\n\r\n").unwrap();
    assert_eq!(sent.matches("data: ").count(), 2);
    assert_eq!(serde_json::from_str::<Value>(error).unwrap()["error"]["code"], 503);
    let array = ask("error", "streamGenerateContent").await.json();
    assert_eq!((array.as_array().unwrap().len(), &array[2]["error"]["code"]), (3, &503.into()));
    let answer = ask("cut", "streamGenerateContent?alt=sse").await;
    assert_eq!((answer.chunks.len(), &answer.end), (2, &End::Cut));
    assert!(events(&ask("bad", "streamGenerateContent?alt=sse").await)[2].is_null());
    assert_eq!(ask("zero", "generateContent").await.json()["usageMetadata"]["totalTokenCount"], 0);
}
