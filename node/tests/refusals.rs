//! What a provider says that it will not do: judged by what it says however it says it, told to the client in its own
//! words, and never with a key of ours in it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use support::dialects::{Client, everyone};
use support::scripted::{Scripted, Then, whole};
use support::{KEY, Setup, hello, hello_stream, setup};
use tokio::sync::Notify;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const TOO_LONG: &str = r#"{"error":{"message":"This model's maximum context length is 9 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;

/// A gateway whose provider `demo` is this one.
async fn behind(provider: &Scripted) -> Setup {
    let url = format!("{}/v1", provider.url);
    setup(|config| config["providers"][0]["base_url"] = json!(url)).await
}

/// Error answers whose body is longer than is read, breaks off, or never ends.
fn broken(status: u16) -> [(Vec<u8>, Then); 3] {
    let long = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "no ".repeat(30_000));
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-type: {JSON}\r\ncontent-length: 1000\r\n\r\n{{\"error\":{{\"mes");
    [(whole(status, JSON, &long).into(), Then::Close), (head.clone().into(), Then::Close), (head.into(), Then::Silence)]
}

#[tokio::test]
async fn an_error_that_is_not_whole_is_judged_by_its_status() {
    for (answer, then) in broken(422) {
        let provider = Scripted::saying(answer, then).await;
        let setup = behind(&provider).await;
        let answer = setup.chat(hello()).await;
        let attempts = answer.header("x-peerway-attempts");
        assert_eq!((answer.status.as_u16(), attempts), (422, "1"), "{answer:?}");
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "invalid_request_error", "{answer:?}");
        assert!(error["message"].as_str().unwrap().contains("422"), "{answer:?}");
        assert_eq!(provider.asked().len(), 1, "no other attempt can help");
    }
    for (status, told, attempts) in [(401, "refuses this key", "1"), (503, "status 503", "2")] {
        for (answer, then) in broken(status) {
            let provider = Scripted::saying(answer, then).await;
            let answer = behind(&provider).await.chat(hello()).await;
            assert_eq!(answer.header("x-peerway-attempts"), attempts, "{status}: {answer:?}");
            assert_eq!(answer.status.as_u16(), status, "{answer:?}");
            assert!(answer.json()["error"]["message"].as_str().unwrap().contains(told), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_fault_of_the_clients_is_refused_though_the_provider_says_200() {
    let event = format!("data: {TOO_LONG}\n\n");
    for (kind, body, stream) in [(JSON, TOO_LONG, false), (JSON, TOO_LONG, true), (EVENTS, &event, true)] {
        let provider = Scripted::answering(200, kind, body).await;
        let setup = behind(&provider).await;
        let answer = setup.chat(if stream { hello_stream() } else { hello() }).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (400, JSON), "{kind} {stream}: {answer:?}");
        let error = &answer.json()["error"];
        assert_eq!(error["code"], "context_length_exceeded", "{kind} {stream}: {answer:?}");
        assert_eq!(error["type"], "invalid_request_error", "{kind} {stream}: {answer:?}");
        assert_eq!((answer.header("x-peerway-attempts"), provider.asked().len()), ("1", 1), "{kind} {stream}");
        let line = setup.next_log_line();
        assert_eq!(line["status"], 400, "{line}");
        let page = setup.state.health.snapshot();
        let seen = page.iter().find(|it| &*it.target.provider == "demo").unwrap();
        assert!(seen.breaker == "closed" && seen.success.is_none_or(|success| success == 1.0), "{seen:?}");
    }
}

#[tokio::test]
async fn each_client_is_refused_in_its_own_words() {
    for client in [Client::Chat, Client::Responses, Client::Anthropic, Client::Gemini, Client::Bedrock, Client::Cohere]
    {
        for (kind, body) in [(JSON, TOO_LONG.to_owned()), (EVENTS, format!("data: {TOO_LONG}\n\n"))] {
            let provider = Scripted::answering(200, kind, &body).await;
            let url = format!("{}/v1", provider.url);
            let setup = everyone(|config| config["providers"][1]["base_url"] = json!(url)).await;
            let answer = client.say(&setup, "alike", "hello", kind == EVENTS).await;
            assert_eq!(answer.status.as_u16(), 400, "{client:?} {kind}: {answer:?}");
            assert!(client.error(&answer).contains("maximum context length"), "{client:?} {kind}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_too_long_goes_to_the_context_fallbacks_whatever_the_status() {
    for (kind, body) in [(JSON, TOO_LONG.to_owned()), (EVENTS, format!("data: {TOO_LONG}\n\n"))] {
        let provider = Scripted::answering(200, kind, &body).await;
        let url = format!("{}/v1", provider.url);
        let setup = setup(|config| {
            config["providers"][0]["base_url"] = json!(url);
            config["routes"][0]["context_fallbacks"] = json!([{"provider": "other", "model": "echo"}]);
            config["routes"][0]["fallbacks"] = json!([]);
        })
        .await;
        let mut request = if kind == EVENTS { hello_stream() } else { hello() };
        request["model"] = json!("smart");
        let answer = setup.chat(request).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "other"), "{answer:?}");
    }
}

const BEGUN: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const OPENAI: [&str; 2] = [
    "data: {\"id\":\"c\",\"model\":\"m\",\"object\":\"chat.completion.chunk\",\"created\":1,\"choices\":[{\"index\":0,\
     \"delta\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":null}]}\n\n",
    "data: {\"error\":{\"message\":\"Incorrect API key provided: sk-proj-abcdefghijkl1234.\",\"type\":\"server_error\"}}\n\n",
];
const ANTHROPIC: [&str; 2] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\
     \"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\
     \"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n\
     event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
     \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
     event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
     \"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\
     \"message\":\"Incorrect API key provided: sk-proj-abcdefghijkl1234.\"}}\n\n",
];

#[tokio::test]
async fn a_key_in_a_streams_error_stays_here() {
    for (name, at, [begin, error]) in [("alike", 1, OPENAI), ("anthropic", 2, ANTHROPIC)] {
        for client in [Client::Chat, Client::Responses, Client::Anthropic, Client::Gemini, Client::Cohere] {
            let has_begun = Arc::new(Notify::new());
            let then = Then::More(Arc::clone(&has_begun), error);
            let provider = Scripted::saying(format!("{BEGUN}{begin}"), then).await;
            let url = format!("{}/v1", provider.url);
            let setup = everyone(|config| {
                config["providers"][at]["base_url"] = json!(url);
                config["providers"][at]["timeouts"] = json!({"idle": "60s"});
            })
            .await;
            let (path, body) = client.request(&format!("{name}/echo"), "hello", true);
            let request = Request::post(format!("http://{}{path}", setup.gateway))
                .header("authorization", format!("Bearer {KEY}"))
                .body(Full::new(Bytes::from(body.to_string())))
                .unwrap();
            let answer = setup.send_telling(request, &has_begun).await;
            let told = String::from_utf8_lossy(&answer.body);
            assert!(told.contains("Incorrect API key provided"), "{client:?} {name}: {told}");
            assert!(!told.contains("abcdefghijkl"), "{client:?} {name}: {told}");
        }
    }
}

#[tokio::test]
async fn what_an_error_costs_is_charged() {
    let openai = json!({"error": {"message": "no", "type": "server_error"},
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}});
    let anthropic = json!({"type": "error", "error": {"type": "api_error", "message": "no"},
        "usage": {"input_tokens": 11, "output_tokens": 7}});
    let gemini = json!({"error": {"code": 500, "message": "no", "status": "INTERNAL"},
        "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}});
    let event = format!("data: {openai}\n\n");
    let one = |provider: &'static str, at, status, kind, body: String| (provider, at, status, kind, body);
    for (name, at, status, kind, body) in [
        one("alike", 1, 200, JSON, openai.to_string()),
        one("alike", 1, 500, JSON, openai.to_string()),
        one("alike", 1, 422, JSON, openai.to_string()),
        one("alike", 1, 200, EVENTS, event),
        one("anthropic", 2, 200, JSON, anthropic.to_string()),
        one("anthropic", 2, 529, JSON, anthropic.to_string()),
        one("gemini", 3, 200, JSON, gemini.to_string()),
        one("gemini", 3, 500, JSON, gemini.to_string()),
    ] {
        let provider = Scripted::answering(status, kind, &body).await;
        let path = if name == "gemini" { "v1beta" } else { "v1" };
        let url = format!("{}/{path}", provider.url);
        let setup = everyone(|config| {
            config["providers"][at]["base_url"] = json!(url);
            config["providers"][at]["retries"] = json!(0);
        })
        .await;
        let answer = Client::Chat.say(&setup, name, "hello", kind == EVENTS).await;
        assert!(!answer.status.is_success(), "an error is no 200: {name} {status}: {answer:?}");
        let line = setup.next_log_line();
        let tokens = (&line["prompt_tokens"], &line["completion_tokens"]);
        assert_eq!(tokens, (&json!(11), &json!(7)), "{name} {status} {kind}: {line}");
    }
    let usage = json!({"error": {"message": "no"}, "usage": {"prompt_tokens": 11, "total_tokens": 11}});
    let provider = Scripted::answering(200, JSON, &usage.to_string()).await;
    let setup = behind(&provider).await;
    let answer = setup.post("/v1/embeddings", json!({"model": "demo/echo", "input": "hello"})).await;
    assert!(answer.status.is_server_error(), "{answer:?}");
    let line: Value = setup.next_log_line();
    assert_eq!((&line["prompt_tokens"], &line["attempts"]), (&json!(22), &json!(2)), "each attempt: {line}");
}
