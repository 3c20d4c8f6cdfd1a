//! The OpenAI operations beside chat, as OpenAI's clients expect them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use common::{Answer, End, ask, get, json, post, post_with, provider};
use peerway_simulated_provider::Running;
use serde_json::{Value, json};

async fn call(running: &Running, path: &str, body: Value) -> Answer {
    ask(running, post(path, &body.to_string())).await
}

fn form(path: &str, fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in fields {
        body.extend_from_slice(format!("--b1\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b1--\r\n");
    post_with(path, &["authorization: Bearer k", "content-type: multipart/form-data; boundary=b1"], &body)
}

const FILE: &[u8] = b"RIFF\x00\xff\xfe\r\n\r\n--b";

#[tokio::test]
async fn completions_plain_and_streamed() {
    let running = provider("").await;
    let body = |more: Value| {
        let mut body = json!({ "model": "echo", "prompt": "hi you" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let answer = call(&running, "/v1/completions", body(json!({ "n": 2, "logprobs": 1 }))).await.json();
    assert_eq!((&answer["object"], &answer["choices"][1]["text"]), (&"text_completion".into(), &"echo: hi you".into()));
    assert_eq!(answer["choices"][0]["logprobs"]["text_offset"], json!([0, 5, 8]));
    assert_eq!(answer["usage"], json!({ "prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15 }));
    let short = call(&running, "/v1/completions", body(json!({ "max_tokens": 1 }))).await.json();
    assert_eq!(
        (&short["choices"][0]["text"], &short["choices"][0]["finish_reason"]),
        (&"echo:".into(), &"length".into())
    );
    let stream = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let mut events = call(&running, "/completions", body(stream)).await.events();
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    let events: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let texts: Vec<&str> = events.iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect();
    assert_eq!(texts, ["echo:", " hi", " you", ""]);
    assert_eq!(
        (&events[3]["choices"][0]["finish_reason"], &events[4]["usage"]["total_tokens"]),
        (&"stop".into(), &12.into())
    );
}

#[tokio::test]
async fn responses_plain() {
    let running = provider("").await;
    let mut answer =
        call(&running, "/v1/responses", json!({ "model": "echo", "input": "hi you", "instructions": "s" }))
            .await
            .json();
    assert!(answer["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!(
        (&answer["object"], &answer["status"], &answer["instructions"]),
        (&"response".into(), &"completed".into(), &"s".into())
    );
    assert!(answer["output"][0]["id"].take().as_str().unwrap().starts_with("msg_"));
    let content = json!([{ "type": "output_text", "annotations": [], "logprobs": [], "text": "echo: hi you" }]);
    let message =
        json!({ "id": null, "type": "message", "status": "completed", "role": "assistant", "content": content });
    assert_eq!(answer["output"][0], message);
    let usage = json!({ "input_tokens": 14, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": 3,
                        "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 17 });
    assert_eq!(answer["usage"], usage);
    let cut =
        call(&running, "/v1/responses", json!({ "model": "echo", "input": "hi", "max_output_tokens": 1 })).await.json();
    assert_eq!(
        (&cut["status"], &cut["incomplete_details"]["reason"]),
        (&"incomplete".into(), &"max_output_tokens".into())
    );
    let schema = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
    let format = json!({ "format": { "type": "json_schema", "name": "x", "schema": schema } });
    let fitted =
        call(&running, "/v1/responses", json!({ "model": "echo", "input": "hi", "text": format })).await.json();
    assert_eq!(fitted["output"][0]["content"][0]["text"], r#"{"n":0}"#);
}

#[tokio::test]
async fn responses_streamed_in_full() {
    let running = provider("").await;
    let body = json!({ "model": "echo", "stream": true, "input": [{ "role": "user", "content": [{ "type": "input_text", "text": "hi" }] }] });
    let events = call(&running, "/v1/responses", body).await.named_events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.strip_prefix("response.").unwrap()).collect();
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(names, expected);
    for (position, (name, data)) in events.iter().enumerate() {
        assert_eq!((&data["type"], &data["sequence_number"]), (&name.as_str().into(), &position.into()));
    }
    assert_eq!((&events[5].1["delta"], &events[6].1["text"]), (&" hi".into(), &"echo: hi".into()));
    assert_eq!(
        (&events[0].1["response"]["status"], &events[9].1["response"]["output"][0]["status"]),
        (&"in_progress".into(), &"completed".into())
    );
}

#[tokio::test]
async fn responses_with_tools_and_reasoning() {
    let running = provider("").await;
    let tool = |name: &str| json!({ "type": "function", "name": name, "parameters": {}, "strict": false });
    let input = r#"call add {"a":1} weather {"city":"Bern"}"#;
    let body = json!({ "model": "echo", "stream": true, "input": input, "tools": [tool("add"), tool("weather")], "reasoning": { "summary": "auto" } });
    let events = call(&running, "/v1/responses", body).await.named_events();
    let mut arguments = vec![String::new(); 3];
    for (name, data) in &events {
        if name == "response.function_call_arguments.delta" {
            arguments[usize::try_from(data["output_index"].as_u64().unwrap()).unwrap()]
                .push_str(data["delta"].as_str().unwrap());
        }
    }
    assert_eq!(arguments, ["", r#"{"a":1}"#, r#"{"city":"Bern"}"#]);
    let last = &events.last().unwrap().1["response"];
    let kinds: Vec<&str> =
        last["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "function_call", "function_call"]);
    assert!(events.iter().any(|(name, _)| name == "response.reasoning_summary_text.delta"));
    let told = last["usage"]["output_tokens"].as_u64().unwrap();
    assert_eq!(json(&running, get("/bill")).await["completion_tokens"], told);
}

#[tokio::test]
async fn embeddings_as_floats_and_base64() {
    let running = provider("").await;
    let ask = async |more: Value| {
        let mut body = json!({ "model": "e", "input": ["some text", "b"], "dimensions": 4 });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call(&running, "/v1/embeddings", body).await.json()
    };
    let floats = ask(json!({})).await;
    assert_eq!(
        (floats["data"][1]["index"].as_u64(), floats["data"][0]["embedding"].as_array().unwrap().len()),
        (Some(1), 4)
    );
    assert_eq!(floats["usage"], json!({ "prompt_tokens": 4, "total_tokens": 4 }));
    let encoded = ask(json!({ "encoding_format": "base64" })).await;
    // 16 bytes.
    assert_eq!(encoded["data"][0]["embedding"].as_str().unwrap().len(), 24);
    assert_eq!(ask(json!({ "input": [1, 2, 3] })).await["usage"]["prompt_tokens"], 3);
    let bill = json(&running, get("/bill")).await;
    assert_eq!((&bill["prompt_tokens"], &bill["completion_tokens"]), (&11.into(), &0.into()));
    assert_eq!(call(&running, "/v1/embeddings", json!({ "model": "e", "input": [] })).await.status, 400);
}

#[tokio::test]
async fn moderations_images_and_rerank() {
    let running = provider("").await;
    let answer = call(&running, "/v1/moderations", json!({ "input": ["violence", "peace"] })).await.json();
    assert_eq!((&answer["results"][0]["flagged"], &answer["results"][1]["flagged"]), (&true.into(), &false.into()));
    assert!(answer["results"][0]["category_scores"]["violence"].as_f64() > Some(0.5));
    let answer = call(&running, "/v1/images/generations", json!({ "model": "gpt-image-1", "prompt": "a cat", "n": 2 }))
        .await
        .json();
    assert!(answer["data"][1]["b64_json"].as_str().unwrap().starts_with("iVBORw0KGgo"));
    assert_eq!(answer["usage"]["output_tokens"], 200);
    let answer = json(
        &running,
        form(
            "/v1/images/edits",
            &[
                ("name=\"model\"", b"gpt-image-1"),
                ("name=\"prompt\"", b"a dog"),
                ("name=\"image[]\"; filename=\"a.png\"", FILE),
            ],
        ),
    )
    .await;
    assert_eq!(answer["data"].as_array().unwrap().len(), 1);
    let body = json!({ "model": "r", "query": "red house", "documents": ["blue boat", { "text": "a red house" }], "top_n": 1 });
    let answer = call(&running, "/v1/rerank", body).await.json();
    assert_eq!(
        (&answer["results"][0]["index"], &answer["results"][0]["document"]["text"]),
        (&1.into(), &"a red house".into())
    );
    assert_eq!(answer["usage"]["total_tokens"], 9);
    let bill = json(&running, get("/bill")).await;
    assert_eq!(bill["by_model"]["gpt-image-1"]["completion_tokens"], 300);
}

#[tokio::test]
async fn speech_is_binary_and_comes_in_pieces() {
    let running = provider(r#"{"match":{"model":"cut"},"do":{"cut_after_events":1}}"#).await;
    let body = |model: &str| json!({ "model": model, "input": "hello there", "voice": "alloy" });
    let answer = call(&running, "/v1/audio/speech", body("tts-1")).await;
    assert_eq!((answer.header("content-type"), answer.chunks.len()), (Some("audio/mpeg"), 3));
    assert!(answer.raw.len() == 3 * 417 && answer.raw.starts_with(&[0xff, 0xfb]));
    let answer = call(&running, "/v1/audio/speech", body("cut")).await;
    assert_eq!((answer.raw.len(), answer.end), (417, End::Cut));
}

#[tokio::test]
async fn uploads_are_heard_and_shown_without_loss() {
    let running = provider("").await;
    let fields: [(&str, &[u8]); 2] = [("name=\"model\"", b"whisper-1"), ("name=\"file\"; filename=\"a.wav\"", FILE)];
    let request = form("/v1/audio/transcriptions", &fields);
    let answer = json(&running, &request).await;
    assert_eq!(answer["text"], format!("echo: heard {} bytes of a.wav", FILE.len()));
    assert_eq!(answer["usage"]["input_tokens"], 1);
    let shown = json(&running, get("/requests?last=1")).await;
    let body = &shown["requests"][0];
    let sent = &request[request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4..];
    assert_eq!(body["body_bytes"], sent.len());
    let encoded = body["body_base64"].as_str().unwrap();
    assert_eq!(base64::Engine::decode(&base64::prelude::BASE64_STANDARD, encoded).unwrap(), sent);
    let mut streamed = fields.to_vec();
    streamed.push(("name=\"stream\"", b"true"));
    let events = ask(&running, form("/v1/audio/transcriptions", &streamed)).await.events();
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!((&last["type"], &last["text"]), (&"transcript.text.done".into(), &answer["text"]));
    let answer = json(&running, form("/v1/audio/translations", &fields)).await;
    assert!(answer["text"].as_str().unwrap().starts_with("echo: translated"));
    assert_eq!(ask(&running, form("/v1/audio/transcriptions", &fields[..1])).await.status, 400);
}

#[tokio::test]
async fn azures_form_names_the_model_in_the_path() {
    let running = provider("").await;
    let body = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    let ask = async |path: &str| ask(&running, post_with(path, &["api-key: azure-key"], body.as_bytes())).await;
    let answer = ask("/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21").await;
    assert_eq!((answer.status, &answer.json()["model"]), (200, &"my gpt".into()));
    assert_eq!(ask("/openai/deployments/gpt/chat/completions").await.status, 404, "the version is not optional");
    let bill = json(&running, get("/bill")).await;
    assert!(bill["by_key"].as_object().unwrap().keys().all(|key| key.starts_with("azur")), "{bill}");
}

#[tokio::test]
async fn faults_in_every_stream() {
    let rules = r#"[{"match":{"model":"error"},"do":{"error_event_after":2}}, {"match":{"model":"bad"},"do":{"malformed":true}}, {"match":{"model":"busy"},"do":{"status":503}}]"#;
    let running = provider(rules).await;
    let responses = async |model: &str| {
        call(&running, "/v1/responses", json!({ "model": model, "input": "hi", "stream": true })).await
    };
    let events = responses("error").await.named_events();
    assert_eq!((events.len(), events[2].0.as_str(), &events[2].1["code"]), (3, "error", &"server_error".into()));
    assert!(responses("bad").await.named_events()[2].1.is_null());
    let events =
        call(&running, "/v1/completions", json!({ "model": "error", "prompt": "hi", "stream": true })).await.events();
    assert!(serde_json::from_str::<Value>(&events[2]).unwrap()["error"].is_object());
    for path in
        ["completions", "responses", "embeddings", "moderations", "images/generations", "audio/speech", "rerank"]
    {
        let body =
            json!({ "model": "busy", "prompt": "x", "input": "x", "voice": "v", "query": "x", "documents": ["x"] });
        let answer = call(&running, &format!("/v1/{path}"), body).await;
        assert_eq!((answer.status, &answer.json()["error"]["type"]), (503, &"server_error".into()), "{path}");
    }
}
