//! Where client and provider speak one dialect, the provider gets the client's bytes but for the edits that must be: prompt
//! caches key on exact bytes, and fields that nobody here knows survive.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use http::Request;
use http_body_util::Full;
use serde_json::Value;
use support::dialects::everyone;
use support::{KEY, Setup};

/// Sends these bytes, and tells what reached the provider.
async fn arrived(setup: &Setup, path: &str, body: &str, headers: &[(&str, &str)]) -> Value {
    let mut request =
        Request::post(format!("http://{}{path}", setup.gateway)).header("authorization", format!("Bearer {KEY}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = setup.send(request.body(Full::from(body.to_owned())).unwrap()).await;
    assert_eq!(answer.status.as_u16(), 200, "{path}: {answer:?}");
    assert_eq!(answer.header("x-peerway-dropped"), "", "{path}");
    setup.provider("GET", "/requests?last=1", "").await["requests"][0].clone()
}

/// Odd spaces, odd order, escapes and numbers in forms that nobody would write again.
const GOLDEN: [(&str, &str, &str, &str); 9] = [
    (
        "/v1/chat/completions",
        r#"{ "zebra":[1,  2.50], "model":"openai/echo","messages":[{"role":"user","content":"h\u00e9"}] , "top_p":1.0e0}"#,
        "/v1/chat/completions",
        r#"{ "zebra":[1,  2.50], "model":"echo","messages":[{"role":"user","content":"h\u00e9"}] , "top_p":1.0e0}"#,
    ),
    (
        "/v1/chat/completions",
        r#"{"stream":true ,"model":"alike/echo","messages":[{"content":"a","role":"user"}]}"#,
        "/v1/chat/completions",
        r#"{"stream_options":{"include_usage":true},"stream":true ,"model":"echo","messages":[{"content":"a","role":"user"}]}"#,
    ),
    (
        "/v1/completions",
        r#"{"prompt":"a" ,"max_tokens":9,"model":"openai/gpt-3.5-turbo-instruct"}"#,
        "/v1/completions",
        r#"{"prompt":"a" ,"max_tokens":9,"model":"gpt-3.5-turbo-instruct"}"#,
    ),
    (
        "/v1/responses",
        r#"{"input":"a","store":false , "model":"openai/echo","metadata":{"z":"1","a":"2"}}"#,
        "/v1/responses",
        r#"{"input":"a","store":false , "model":"echo","metadata":{"z":"1","a":"2"}}"#,
    ),
    (
        "/anthropic/v1/messages",
        r#"{"messages":[{"content":[{"text":"a","type":"text","cache_control":{"type":"ephemeral"}}],"role":"user"}],"max_tokens":100,"model":"anthropic/echo"}"#,
        "/v1/messages",
        r#"{"messages":[{"content":[{"text":"a","type":"text","cache_control":{"type":"ephemeral"}}],"role":"user"}],"max_tokens":100,"model":"echo"}"#,
    ),
    (
        "/v1/messages",
        r#"{"stream": true, "messages":[{"content":"a","role":"user"}],"max_tokens":50,"model":"anthropic/echo"}"#,
        "/v1/messages",
        r#"{"stream": true, "messages":[{"content":"a","role":"user"}],"max_tokens":50,"model":"echo"}"#,
    ),
    (
        "/genai/v1beta/models/gemini/echo:streamGenerateContent?alt=sse",
        r#"{"generation_config":{"topK":1.0},  "contents":[{"parts":[{"text":"a"}],"role":"user"}]}"#,
        "/v1beta/models/echo:streamGenerateContent?alt=sse",
        r#"{"generation_config":{"topK":1.0},  "contents":[{"parts":[{"text":"a"}],"role":"user"}]}"#,
    ),
    (
        "/bedrock/model/bedrock%2Fecho/converse",
        r#"{ "messages":[{"content":[{"text":"a"}],"role":"user"}], "inferenceConfig":{"temperature":0.50}}"#,
        "/model/echo/converse",
        r#"{ "messages":[{"content":[{"text":"a"}],"role":"user"}], "inferenceConfig":{"temperature":0.50}}"#,
    ),
    (
        "/cohere/v2/chat",
        r#"{"messages":[{"content":"a","role":"user"}],"safety_mode":"OFF" ,"model":"cohere/echo"}"#,
        "/v2/chat",
        r#"{"messages":[{"content":"a","role":"user"}],"safety_mode":"OFF" ,"model":"echo"}"#,
    ),
];

#[tokio::test]
async fn the_provider_gets_the_clients_bytes() {
    let setup = everyone(|_| {}).await;
    for (path, sent, to, golden) in GOLDEN {
        let seen = arrived(&setup, path, sent, &[]).await;
        assert_eq!((seen["path"].as_str().unwrap(), seen["body"].as_str().unwrap()), (to, golden), "{path}");
    }
}

#[tokio::test]
async fn each_provider_is_shown_its_own_key_and_never_the_clients() {
    let setup = everyone(|_| {}).await;
    for (path, sent, ..) in GOLDEN {
        let seen = arrived(&setup, path, sent, &[("cookie", "secret"), ("x-forwarded-for", "1.2.3.4")]).await;
        assert!(!seen["headers"].to_string().contains(KEY), "{seen}");
        assert!(!seen["headers"].to_string().contains("1.2.3.4"), "{seen}");
        assert_eq!(seen["headers"]["cookie"], Value::Null);
    }
}

#[tokio::test]
async fn what_only_the_dialect_knows_goes_on_in_headers_too() {
    let setup = everyone(|_| {}).await;
    let headers = [("anthropic-version", "2026-10-21"), ("anthropic-beta", "context-1m"), ("openai-beta", "x")];
    let seen = arrived(&setup, GOLDEN[4].0, GOLDEN[4].1, &headers).await["headers"].clone();
    assert_eq!((&seen["anthropic-version"], &seen["anthropic-beta"]), (&"2026-10-21".into(), &"context-1m".into()));
    assert_eq!(seen["openai-beta"], Value::Null);
    let seen = arrived(&setup, GOLDEN[0].0, GOLDEN[0].1, &headers).await["headers"].clone();
    assert_eq!((&seen["anthropic-version"], &seen["openai-beta"]), (&Value::Null, &"x".into()));
}

/// The bytes of a stream are the provider's own.
#[tokio::test]
async fn the_client_gets_the_providers_bytes() {
    let setup = everyone(|_| {}).await;
    for (path, sent, to, golden) in GOLDEN {
        let through =
            Request::post(format!("http://{}{path}", setup.gateway)).header("authorization", format!("Bearer {KEY}"));
        let through = setup.send(through.body(Full::from(sent.to_owned())).unwrap()).await;
        let direct = Request::post(format!("http://{}{to}", setup.provider))
            .header("authorization", "Bearer sk-up-x")
            .header("x-goog-api-key", "sk-up-x")
            .header("anthropic-version", "2023-06-01");
        let direct = setup.send(direct.body(Full::from(golden.to_owned())).unwrap()).await;
        // The usage chunk that nobody asked for is the one thing that is missing.
        let shape = |body: &[u8]| {
            let text = without_names(&String::from_utf8_lossy(body));
            let is_kept = |line: &&str| !line.is_empty() && !line.contains("\"choices\":[]");
            text.lines().filter(is_kept).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(shape(&through.body), shape(&direct.body), "{path}");
    }
}

/// Ids, times and sums of what was said before differ between two answers.
fn without_names(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, after) = rest.split_at(at);
        // The word that the digit is in.
        let word = before
            .rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '-')
            .map_or(0, |at| at + 1);
        kept.push_str(&before[..word]);
        kept.push('#');
        rest =
            after.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-');
    }
    kept + rest
}
