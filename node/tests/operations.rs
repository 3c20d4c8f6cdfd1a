//! Everything but chat, through the gateway: what goes to the provider and what comes back, in every dialect that has the
//! operation, what it costs, and what happens when it fails.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use support::scripted::Scripted;
use support::{Answer, KEY, Setup, setup};

/// The provider in its other dialects, beside `demo` and `other`.
async fn every() -> Setup {
    setup(every_dialect).await
}

fn every_dialect(config: &mut Value) {
    let base = config["providers"][0]["base_url"].as_str().unwrap().trim_end_matches("/v1").to_owned();
    for (kind, version) in [("anthropic", "v1"), ("gemini", "v1beta"), ("cohere", "v2")] {
        let provider = json!({"name": kind, "type": kind, "base_url": format!("{base}/{version}"), "allow_private": true,
            "retries": 1, "keys": [{"id": "main", "value": format!("key-{kind}")}],
            "timeouts": {"first_byte": "2s", "idle": "500ms"}});
        config["providers"].as_array_mut().unwrap().push(provider);
    }
    config["governance"]["keys"][0]["models"] = json!(["*"]);
}

/// The last request that the provider has seen.
async fn seen(setup: &Setup) -> Value {
    setup.provider("GET", "/requests?last=1", "").await["requests"][0].take()
}

async fn send(setup: &Setup, path: &str, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let request = Request::post(format!("http://{}{path}", setup.gateway))
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", content_type)
        .header("anthropic-version", "2023-06-01");
    setup.send(request.body(Full::new(body.into())).unwrap()).await
}

async fn post(setup: &Setup, path: &str, body: &Value) -> Answer {
    send(setup, path, "application/json", body.to_string()).await
}

/// A form with these fields, and how its content is told.
fn form(fields: &[(&str, &[u8])]) -> Bytes {
    let mut body = Vec::new();
    for (disposition, content) in fields {
        body.extend_from_slice(format!("--b1\r\nContent-Disposition: form-data; {disposition}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b1--\r\n");
    body.into()
}

const FORM: &str = "multipart/form-data; boundary=b1";
const SOUND: (&str, &[u8]) = ("name=\"file\"; filename=\"a.wav\"", b"RIFF\x00\xff\xfe\r\n\r\n--b");

fn model(name: &str) -> (&str, &[u8]) {
    ("name=\"model\"", name.as_bytes())
}

/// The cost of the next request in the log, and the bill so far.
async fn costs(setup: &Setup) -> (Value, u64) {
    (setup.next_log_line(), setup.bill().await)
}

async fn stated(setup: &Setup) {
    let (line, bill) = costs(setup).await;
    assert_eq!(line["cost_nano_usd"], bill, "{line}");
    assert_eq!(line.get("estimated_because"), None, "{line}");
    assert!(bill > 0);
}

async fn never_below(setup: &Setup, reason: &str) {
    let (line, bill) = costs(setup).await;
    assert!(line["cost_nano_usd"].as_u64().unwrap() >= bill, "{line}: {bill}");
    assert_eq!(line["estimated_because"], reason, "{line}");
}

#[tokio::test]
async fn embeddings_pass_as_bytes_under_every_prefix() {
    let setup = every().await;
    let body = r#"{ "input":["a b",  "c"], "model":"demo/echo","unknown":1.50, "encoding_format":"float" }"#;
    for prefix in ["/v1", "/openai/v1", "/openai", "/litellm", "/langchain", ""] {
        let answer = send(&setup, &format!("{prefix}/embeddings"), "application/json", body).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "demo"), "{answer:?}");
        assert_eq!(answer.json()["data"].as_array().unwrap().len(), 2);
    }
    let seen = seen(&setup).await;
    assert_eq!(seen["body"], body.replace("demo/echo", "echo"));
    assert_eq!(seen["path"], "/v1/embeddings");
}

#[tokio::test]
async fn what_an_operation_states_is_charged() {
    let sound = form(&[model("demo/echo"), SOUND]);
    for (path, body) in [
        ("/v1/embeddings", json!({"model": "demo/echo", "input": ["some text", "more"]})),
        ("/v1/rerank", json!({"model": "demo/echo", "query": "red", "documents": ["a", "red one"]})),
        ("/v1/images/generations", json!({"model": "demo/echo", "prompt": "a cat", "n": 2})),
    ] {
        let setup = every().await;
        let answer = post(&setup, path, &body).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}: {answer:?}");
        stated(&setup).await;
    }
    for path in ["/v1/audio/transcriptions", "/v1/audio/translations"] {
        let setup = every().await;
        assert_eq!(send(&setup, path, FORM, sound.clone()).await.status.as_u16(), 200);
        stated(&setup).await;
    }
}

#[tokio::test]
async fn what_is_not_stated_is_never_charged_below_the_bill() {
    let text = [model("demo/echo"), SOUND, ("name=\"response_format\"", b"text")];
    for (path, kind, body) in [
        ("/v1/embeddings", "application/json", json!({"model": "demo/echo", "input": "some text"}).to_string().into()),
        (
            "/v1/rerank",
            "application/json",
            json!({"model": "demo/echo", "query": "red", "documents": ["a"]}).to_string().into(),
        ),
        (
            "/v1/images/generations",
            "application/json",
            json!({"model": "demo/echo", "prompt": "a cat", "n": 2}).to_string().into(),
        ),
        (
            "/v1/audio/speech",
            "application/json",
            json!({"model": "demo/echo", "input": "hello", "voice": "v"}).to_string().into(),
        ),
        ("/v1/audio/transcriptions", FORM, form(&text)),
    ] {
        let setup = every().await;
        setup.fault(json!({"do": {"no_usage": true}})).await;
        let answer = send(&setup, path, kind, body).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}: {answer:?}");
        never_below(&setup, "no_usage").await;
    }
}

#[tokio::test]
async fn embeddings_of_openais_clients_by_every_provider() {
    let setup = every().await;
    for provider in ["demo", "gemini", "cohere"] {
        let body = json!({"model": format!("{provider}/echo"), "input": ["a b", "c"], "dimensions": 8});
        let floats = post(&setup, "/v1/embeddings", &body).await;
        assert_eq!(floats.status.as_u16(), 200, "{provider}: {floats:?}");
        let floats = floats.json();
        let vector: Vec<f32> = serde_json::from_value(floats["data"][1]["embedding"].clone()).unwrap();
        assert_eq!((vector.len(), &floats["data"][1]["index"]), (8, &json!(1)), "{provider}");
        let mut body = body;
        body["encoding_format"] = json!("base64");
        let encoded = post(&setup, "/v1/embeddings", &body).await.json();
        let bytes = BASE64_STANDARD.decode(encoded["data"][1]["embedding"].as_str().unwrap()).unwrap();
        let decoded: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(decoded, vector, "{provider}");
    }
    assert_eq!(seen(&setup).await["path"], "/v2/embed");
}

#[tokio::test]
async fn embeddings_of_geminis_and_coheres_clients_by_every_provider() {
    let setup = every().await;
    let content = |text: &str| json!({"parts": [{"text": text}]});
    for provider in ["demo", "gemini", "cohere"] {
        let one = json!({"content": content("a b"), "outputDimensionality": 8});
        let path = format!("/genai/v1beta/models/{provider}/echo:embedContent");
        let one = post(&setup, &path, &one).await;
        assert_eq!(one.status.as_u16(), 200, "{provider}: {one:?}");
        let one = one.json();
        assert_eq!(one["embedding"]["values"].as_array().unwrap().len(), 8, "{provider}");
        let request = |text| json!({"model": format!("models/{provider}/echo"), "content": content(text), "outputDimensionality": 8});
        let many = json!({"requests": [request("a b"), request("c")]});
        let path = format!("/genai/v1/models/{provider}/echo:batchEmbedContents");
        let many = post(&setup, &path, &many).await.json();
        assert_eq!(
            (many["embeddings"].as_array().unwrap().len(), &many["embeddings"][0]),
            (2, &one["embedding"]),
            "{provider}"
        );

        let body = json!({"model": format!("{provider}/echo"), "input_type": "search_query", "texts": ["a b"],
            "embedding_types": ["float"], "output_dimension": 8});
        let answer = post(&setup, "/cohere/v2/embed", &body).await;
        assert_eq!(answer.status.as_u16(), 200, "{provider}: {answer:?}");
        let vector = |values: &Value| serde_json::from_value::<Vec<f32>>(values.clone()).unwrap();
        let (theirs, ours) = (&answer.json()["embeddings"]["float"][0], &one["embedding"]["values"]);
        assert_eq!(vector(theirs), vector(ours), "{provider}");
    }
}

#[tokio::test]
async fn rerank_of_both_kinds_of_client_by_both_kinds_of_provider() {
    let setup = every().await;
    for path in ["/v1/rerank", "/cohere/v2/rerank"] {
        for provider in ["demo", "cohere"] {
            let body = json!({"model": format!("{provider}/echo"), "query": "red house", "top_n": 1,
                "documents": ["blue boat", "a red house"], "return_documents": true});
            let answer = post(&setup, path, &body).await;
            assert_eq!(answer.status.as_u16(), 200, "{path} {provider}: {answer:?}");
            let results = answer.json()["results"].take();
            assert_eq!((results.as_array().unwrap().len(), &results[0]["index"]), (1, &json!(1)), "{path} {provider}");
            assert!(results[0]["relevance_score"].as_f64().unwrap() > 0.5);
            if path == "/v1/rerank" {
                assert_eq!(results[0]["document"]["text"], "a red house", "{provider}");
            }
        }
    }
    let objects = json!({"model": "cohere/echo", "query": "red", "documents": [{"text": "a red house"}]});
    assert_eq!(post(&setup, "/v1/rerank", &objects).await.status.as_u16(), 200);
    let sent: Value = serde_json::from_str(seen(&setup).await["body"].as_str().unwrap()).unwrap();
    assert_eq!(sent["documents"], json!(["a red house"]));
}

#[tokio::test]
async fn moderations_are_free_and_have_a_model_of_their_own() {
    let setup = setup(|config| {
        every_dialect(config);
        config["providers"][0]["models"] = json!(["omni-moderation-*", "echo"]);
    })
    .await;
    let answer = post(&setup, "/v1/moderations", &json!({"input": "violence"})).await;
    assert_eq!(answer.json()["results"][0]["flagged"], true, "{answer:?}");
    let named = json!({"model": "demo/omni-moderation-latest", "input": "violence"});
    assert_eq!(post(&setup, "/v1/moderations", &named).await.status.as_u16(), 200);
    assert_eq!((setup.bill().await, setup.billed().await), (0, 2));
    setup.next_log_line();
    assert_eq!(setup.next_log_line()["cost_nano_usd"], Value::Null);
}

#[tokio::test]
async fn forms_pass_byte_for_byte_but_for_the_model() {
    let setup = every().await;
    let fields =
        |name| form(&[("name=\"prompt\"", b"a dog"), model(name), ("name=\"image[]\"; filename=\"a.png\"", SOUND.1)]);
    for path in ["/v1/images/edits", "/litellm/images/edits"] {
        let answer = send(&setup, path, FORM, fields("demo/echo")).await;
        assert!(answer.json()["data"][0]["b64_json"].is_string(), "{answer:?}");
        let seen = seen(&setup).await;
        assert_eq!(seen["headers"]["content-type"], FORM);
        let body = BASE64_STANDARD.decode(seen["body_base64"].as_str().unwrap()).unwrap();
        assert_eq!(body, fields("echo"));
    }
    let answer = send(&setup, "/v1/audio/transcriptions", FORM, form(&[SOUND])).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-error")), (400, "invalid_request"));
    assert_eq!(answer.json()["error"]["param"], "model");
    let answer = send(&setup, "/v1/audio/transcriptions", "application/json", "{}").await;
    assert!(answer.status.as_u16() == 400 && answer.json()["error"]["message"].as_str().unwrap().contains("multipart"));
}

#[tokio::test]
async fn transcripts_come_as_text_or_as_events() {
    let setup = every().await;
    let heard = |more| form(&[model("demo/echo"), SOUND, more]);
    let answer = send(&setup, "/v1/audio/transcriptions", FORM, heard(("name=\"response_format\"", b"text"))).await;
    assert!(
        answer.header("content-type").starts_with("text/plain") && answer.body.starts_with(b"echo: heard"),
        "{answer:?}"
    );
    setup.next_log_line();
    setup.provider("POST", "/reset", "").await;
    let answer = send(&setup, "/v1/audio/transcriptions", FORM, heard(("name=\"stream\"", b"true"))).await;
    let events = answer.events();
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!(last["type"], "transcript.text.done");
    stated(&setup).await;
}

#[tokio::test]
async fn speech_is_handed_on_as_it_comes() {
    let setup = every().await;
    let body = json!({"model": "demo/echo", "input": "some words to be said aloud", "voice": "alloy"});
    let answer = post(&setup, "/v1/audio/speech", &body).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "audio/mpeg"));
    assert_eq!((answer.body.len(), answer.header("transfer-encoding")), (7 * 417, "chunked"));
    let line = setup.next_log_line();
    assert_eq!(line["completion_tokens"], (7_u64 * 417).div_ceil(100), "by its bytes: {line}");
    assert!(line["cost_nano_usd"].as_u64().unwrap() >= setup.bill().await, "{line}");
    assert_eq!((&line["estimated_because"], &line["outcome"]), (&json!("no_usage"), &json!("ok")), "{line}");
}

#[tokio::test]
async fn speech_that_breaks_off_breaks_off_for_the_client() {
    let setup = every().await;
    setup.fault(json!({"do": {"cut_after_events": 1}})).await;
    let body = json!({"model": "demo/echo", "input": "some words to be said aloud", "voice": "alloy"}).to_string();
    let request = Request::post(format!("http://{}/v1/audio/speech", setup.gateway))
        .header("authorization", format!("Bearer {KEY}"))
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let error = setup.try_send(request).await.expect_err("an end that looks whole");
    assert!(!error.is_empty());
    let line = setup.next_log_line();
    assert_eq!((&line["outcome"], &line["estimated_because"]), (&json!("cut"), &json!("cut")), "{line}");
    assert!(line["completion_tokens"].as_u64().unwrap() > 0, "what came is charged: {line}");
}

#[tokio::test]
async fn speech_costs_what_its_bytes_can_be() {
    let body = json!({"model": "demo/echo", "input": "hello", "voice": "alloy"});
    let mut charged = Vec::new();
    for (kind, bytes) in [("audio/mpeg", 2_000), ("audio/pcm", 8_000), ("audio/wav", 8_000), ("audio/opus", 1 << 20)] {
        let provider = Scripted::answering(200, kind, &"s".repeat(bytes)).await;
        let setup = setup(|config| config["providers"][0]["base_url"] = json!(format!("{}/v1", provider.url))).await;
        assert_eq!(post(&setup, "/v1/audio/speech", &body).await.body.len(), bytes);
        let line = setup.next_log_line();
        charged.push(line["completion_tokens"].as_u64().unwrap());
        if bytes == 1 << 20 {
            let text = line["prompt_tokens"].as_u64().unwrap();
            assert_eq!(charged.pop(), Some(16 * text), "more than so few words can be: {line}");
        }
    }
    assert_eq!(charged, [20, 10, 10]);
}

#[tokio::test]
async fn tokens_are_counted_by_whoever_can() {
    let setup = every().await;
    let messages = json!([{"role": "user", "content": "hi you"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "hi you"}]}]);
    for provider in ["anthropic", "gemini"] {
        let body = json!({"model": format!("{provider}/echo"), "messages": messages});
        let answer = post(&setup, "/anthropic/v1/messages/count_tokens", &body).await;
        assert_eq!(
            (answer.json(), answer.header("x-peerway-count")),
            (json!({"input_tokens": 9}), "provider"),
            "{provider}"
        );
        let path = format!("/genai/v1beta/models/{provider}/echo:countTokens");
        let answer = post(&setup, &path, &json!({"contents": contents})).await;
        assert_eq!(
            (&answer.json()["totalTokens"], answer.header("x-peerway-count")),
            (&json!(9), "provider"),
            "{provider}"
        );
    }
    assert_eq!(setup.bill().await, 0);
    let asked = setup.billed().await;
    let body = json!({"model": "demo/echo", "messages": messages});
    let answer = post(&setup, "/anthropic/v1/messages/count_tokens", &body).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-count")), (200, "estimate"));
    assert!((9..60).contains(&answer.json()["input_tokens"].as_u64().unwrap()), "{answer:?}");
    let body = json!({"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hi you"}]}]}}});
    let answer = post(&setup, "/bedrock/model/demo%2Fecho/count-tokens", &body).await;
    assert!((9..90).contains(&answer.json()["inputTokens"].as_u64().unwrap()), "{answer:?}");
    assert_eq!(setup.billed().await, asked, "nobody was asked");
}

#[tokio::test]
async fn another_target_answers_where_one_fails() {
    let speech = json!({"model": "smart", "input": "x", "voice": "v"}).to_string();
    for (path, kind, body) in [
        ("/v1/embeddings", "application/json", Bytes::from(json!({"model": "smart", "input": "x"}).to_string())),
        ("/v1/audio/speech", "application/json", speech.into()),
        ("/v1/audio/translations", FORM, form(&[model("smart"), SOUND])),
    ] {
        for (effect, attempts) in [(json!({"status": 503}), "3"), (json!({"status": 429}), "2")] {
            // Of its own, or what has failed before would not be asked again.
            let setup = every().await;
            setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": effect})).await;
            let answer = send(&setup, path, kind, body.clone()).await;
            let told =
                (answer.status.as_u16(), answer.header("x-peerway-provider"), answer.header("x-peerway-attempts"));
            assert_eq!(told, (200, "other", attempts), "{path}: {answer:?}");
        }
    }
    let setup = every().await;
    setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": {"malformed": true}})).await;
    let answer = post(&setup, "/v1/embeddings", &json!({"model": "smart", "input": "x"})).await;
    assert_eq!(answer.header("x-peerway-provider"), "other");
}

#[tokio::test]
async fn failures_are_told_in_the_clients_words() {
    let setup = every().await;
    // The client's own mistake is not tried again.
    let answer = post(&setup, "/v1/embeddings", &json!({"model": "smart", "input": []})).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-attempts")), (400, "1"));
    assert!(answer.json()["error"]["message"].is_string());
    let answer = post(&setup, "/v1/rerank", &json!({"model": "cohere/echo", "query": "", "documents": ["x"]})).await;
    assert!(
        answer.status.as_u16() == 400 && answer.json()["error"]["message"].as_str().unwrap().contains("query"),
        "{answer:?}"
    );
    let answer = post(&setup, "/v1/rerank", &json!({"model": "demo/echo", "query": "", "documents": ["x"]})).await;
    assert!(
        answer.status.as_u16() == 400 && answer.json()["error"]["message"].as_str().unwrap().contains("query"),
        "{answer:?}"
    );
    setup.fault(json!({"do": {"status": 500}})).await;
    let answer = post(&setup, "/v1/embeddings", &json!({"model": "smart", "input": "x"})).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-error")), (500, "upstream_error"));
    let path = "/genai/v1/models/gemini/echo:embedContent";
    let answer = post(&setup, path, &json!({"content": {"parts": [{"text": "x"}]}})).await;
    assert_eq!(answer.json()["error"]["status"], "INTERNAL", "{answer:?}");
}

#[tokio::test]
async fn what_nobody_does_is_refused_by_name() {
    let setup = every().await;
    let answer = post(&setup, "/v1/images/generations", &json!({"model": "anthropic/echo", "prompt": "x"})).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-error")), (400, "unsupported_operation"));
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("images/generations") && message.contains("demo"), "{message}");
    let answer = post(&setup, "/v1/embeddings", &json!({"model": "nowhere/x", "input": "x"})).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-error")), (404, "model_not_found"));
    let tokens = json!({"model": "gemini/echo", "input": [[1, 2, 3]]});
    let answer = post(&setup, "/v1/embeddings", &tokens).await;
    assert!(
        answer.status.as_u16() == 400 && answer.json()["error"]["message"].as_str().unwrap().contains("token"),
        "{answer:?}"
    );
    assert_eq!(setup.billed().await, 0);
    let request = Request::post(format!("http://{}/v1/audio/speech", setup.gateway)).body(Full::default()).unwrap();
    assert_eq!(setup.send(request).await.status.as_u16(), 401);
}

#[tokio::test]
async fn budgets_hold_for_every_operation() {
    let setup = setup(|config| {
        every_dialect(config);
        config["governance"]["keys"][0]["budgets"] = json!([{"limit_usd": "0.0001", "window": "1Y"}]);
    })
    .await;
    let embed = json!({"model": "demo/echo", "input": "some text"});
    assert_eq!(post(&setup, "/v1/embeddings", &embed).await.status.as_u16(), 200);
    let large = json!({"model": "demo/echo", "input": "word ".repeat(5_000)});
    let answer = post(&setup, "/v1/embeddings", &large).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-error")), (429, "budget_exceeded"), "{answer:?}");
    assert_eq!(setup.billed().await, 1);
    // What has no price cannot be paid for by a budget.
    let answer = post(&setup, "/v1/embeddings", &json!({"model": "gemini/echo", "input": "x"})).await;
    assert_eq!(answer.header("x-peerway-error"), "model_without_price", "{answer:?}");
    // What is free needs none.
    let counted = json!({"model": "anthropic/echo", "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(post(&setup, "/anthropic/v1/messages/count_tokens", &counted).await.status.as_u16(), 200);
    assert_eq!(
        post(&setup, "/v1/moderations", &json!({"model": "demo/echo", "input": "x"})).await.status.as_u16(),
        200
    );
}

#[tokio::test]
async fn a_provider_that_hangs_is_charged_its_prompt() {
    let setup = every().await;
    setup.fault(json!({"do": {"hang": true}})).await;
    let request = json!({"model": "demo/echo", "input": "x"});
    let asked = tokio::time::timeout(Duration::from_secs(20), post(&setup, "/v1/embeddings", &request)).await.unwrap();
    assert_eq!((asked.status.as_u16(), asked.header("x-peerway-error")), (504, "upstream_error"), "{asked:?}");
    let line = setup.next_log_line();
    assert!(line["cost_nano_usd"].as_u64().unwrap() > 0 && line["estimated_because"] == "deadline", "{line}");
}
