//! What a client gets: answers, refusals, and bytes that are the provider's own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use support::{KEY, hello, hello_stream, setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_plain_answer_is_the_providers_own() {
    let setup = setup(|_| {}).await;
    let answer = setup.chat_with(hello().to_string(), &[("x-request-id", "mine-7")]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "echo: hello");
    for (header, value) in [
        ("x-request-id", "mine-7"),
        ("request-id", "mine-7"),
        ("x-peerway-node", "node-1"),
        ("x-peerway-provider", "demo"),
        ("x-peerway-model", "echo"),
        ("x-peerway-attempts", "1"),
        ("x-peerway-cache", "bypass"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(answer.header(header), value, "{header}");
    }
    assert!(answer.header("x-peerway-overhead-us").parse::<u64>().is_ok());
}

#[tokio::test]
async fn the_upstream_sees_the_clients_bytes_but_for_the_model() {
    let setup = setup(|_| {}).await;
    let body = "{ \"zebra\" : [1,  2.50],\n \"model\":\"demo/echo\", \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9\"}] , \"a\":null}";
    let answer =
        setup.chat_with(body, &[("openai-beta", "x=1"), ("cookie", "secret"), ("x-forwarded-for", "1.2.3.4")]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let seen = setup.provider("GET", "/requests?last=1", "").await["requests"][0].clone();
    assert_eq!(seen["body"], body.replace("demo/echo", "echo"));
    assert_eq!(seen["path"], "/v1/chat/completions");
    let headers = &seen["headers"];
    assert_eq!(headers["authorization"], "Bearer sk-up-demo", "the provider's key and never the client's");
    assert_eq!(headers["openai-beta"], "x=1");
    assert_eq!((&headers["cookie"], &headers["x-forwarded-for"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn every_prefix_of_the_sdks_works() {
    let setup = setup(|_| {}).await;
    for prefix in ["/v1", "/openai/v1", "/openai", "/litellm", "/langchain", ""] {
        let request = Request::post(format!("http://{}{prefix}/chat/completions", setup.gateway))
            .header("x-api-key", KEY)
            .body(Full::from(hello().to_string()))
            .unwrap();
        assert_eq!(setup.send(request).await.status, StatusCode::OK, "{prefix}");
        let request = Request::get(format!("http://{}{prefix}/models", setup.gateway))
            .header("authorization", format!("Bearer {KEY}"))
            .body(Full::default())
            .unwrap();
        let models = setup.send(request).await.json();
        let ids: Vec<&str> = models["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["smart", "demo/echo", "demo/slow"], "only what the key may use");
    }
}

#[tokio::test]
async fn refusals_say_what_is_wrong_and_what_would_work() {
    let setup = setup(|_| {}).await;
    let with_model = |model: &str| {
        let mut body = hello();
        body["model"] = json!(model);
        body.to_string()
    };
    let large = "x".repeat(70_000);
    for (body, headers, status, code, says) in [
        (hello().to_string(), vec![("authorization", "Bearer wrong")], 401, "invalid_api_key", "not known"),
        (hello().to_string(), vec![("authorization", "")], 401, "invalid_api_key", "no API key"),
        (with_model("demo/nope"), vec![], 404, "model_not_found", "demo/echo"),
        (with_model("nope"), vec![], 404, "model_not_found", "smart"),
        (with_model("other/echo"), vec![], 403, "model_not_allowed", "demo/*"),
        (with_model("echo"), vec![("authorization", "Bearer sk-second")], 404, "model_not_found", "Several providers"),
        ("{\"model\":".to_owned(), vec![], 400, "invalid_request", "at byte 9"),
        ("{}".to_owned(), vec![], 400, "invalid_request", "`model` is missing"),
        (large, vec![], 413, "request_too_large", "65536"),
        (hello().to_string(), vec![("content-encoding", "gzip")], 415, "invalid_request", "gzip"),
    ] {
        let answer = setup.chat_with(body.clone(), &headers).await;
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status.as_u16(), error["code"].as_str().unwrap()), (status, code), "{error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error} should say {says:?}");
        assert_eq!(answer.header("x-peerway-error"), code);
        assert!(!answer.header("x-request-id").is_empty() && !answer.header("request-id").is_empty());
    }
    assert_eq!(setup.billed().await, 0, "nothing of this reached the provider");
}

/// A client that sends head and body apart, as most do, must not find its kept connection closed by a refusal.
#[tokio::test]
async fn a_refused_key_does_not_cost_the_connection() {
    let setup = setup(|_| {}).await;
    let mut connection = TcpStream::connect(setup.gateway).await.unwrap();
    let body = hello().to_string();
    for _ in 0..3 {
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-nobody\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        // Long enough for the head to be looked at alone.
        tokio::time::sleep(Duration::from_millis(30)).await;
        connection.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut part = [0; 4096];
            let read = tokio::time::timeout(Duration::from_secs(5), connection.read(&mut part)).await.unwrap().unwrap();
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&part[..read]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 401"), "{:?}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_named() {
    let setup = setup(|_| {}).await;
    for (method, path, status) in [(Method::GET, "/v1/nope", 404), (Method::GET, "/v1/chat/completions", 405)] {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", setup.gateway))
            .body(Full::default())
            .unwrap();
        let answer = setup.send(request).await;
        assert_eq!(answer.status.as_u16(), status);
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(path));
    }
}

#[tokio::test]
async fn a_stream_comes_whole_with_usage_only_if_asked_for() {
    let setup = setup(|_| {}).await;
    let answer = setup.chat(hello_stream()).await;
    assert!(answer.header("content-type").starts_with("text/event-stream"));
    let events = answer.events();
    assert_eq!(events.last().unwrap(), "[DONE]");
    assert_eq!(answer.streamed_text(), "echo: hello");
    let has_usage = |events: &[String]| events.iter().any(|event| event.contains("\"usage\":{"));
    assert!(!has_usage(&events));

    let mut asking = hello_stream();
    asking["stream_options"] = json!({"include_usage": true});
    assert!(has_usage(&setup.chat(asking).await.events()));
    let seen = setup.provider("GET", "/requests?last=2", "").await;
    for request in seen["requests"].as_array().unwrap() {
        let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["stream_options"]["include_usage"], true, "the gateway asks for the usage in any case");
    }
}

#[tokio::test]
async fn the_clients_own_mistakes_come_back_in_the_providers_words() {
    let setup = setup(|_| {}).await;
    let answer = setup.chat(json!({"model": "demo/echo"})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("messages"));
    assert_eq!(answer.header("x-peerway-attempts"), "1", "another attempt would not help");
}
