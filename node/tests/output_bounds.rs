//! How long an answer may be: what is reserved for it bounds what the provider is asked for, however the client says it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use support::dialects::{Client, everyone};
use support::{Answer, KEY, Setup};

/// Each client, a model whose provider speaks its dialect, and the members in which it may bound an answer.
const PLACES: [(Client, &str, &[&str]); 7] = [
    (Client::Chat, "alike/echo", &["max_tokens", "max_completion_tokens"]),
    (Client::Completions, "openai/echo-instruct", &["max_tokens"]),
    (Client::Responses, "openai/echo", &["max_output_tokens"]),
    (Client::Anthropic, "anthropic/echo", &["max_tokens"]),
    (Client::Gemini, "gemini/echo", &["maxOutputTokens", "max_output_tokens"]),
    (Client::Bedrock, "bedrock/echo", &["maxTokens"]),
    (Client::Cohere, "cohere/echo", &["max_tokens"]),
];

/// A gateway whose key has so few tokens left that an answer without a bound is given one.
async fn nearly_used_up() -> Setup {
    everyone(|config| {
        config["governance"]["keys"][0]["limits"] = json!([{"unit": "tokens", "limit": 700, "window": "1Y"}]);
    })
    .await
}

/// A request that bounds its answer by these members, written as given.
fn request(client: Client, model: &str, bounds: &[(&str, &str)]) -> (String, String) {
    let (path, mut body) = client.request(model, "hello", false);
    body.as_object_mut().unwrap().remove("max_tokens");
    let members: Vec<String> = bounds.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let members = match client {
        Client::Gemini => format!("\"generationConfig\":{{{}}}", members.join(",")),
        Client::Bedrock => format!("\"inferenceConfig\":{{{}}}", members.join(",")),
        _ => members.join(","),
    };
    let body = body.to_string();
    (path, format!("{},{members}}}", body.strip_suffix('}').unwrap()))
}

async fn ask(setup: &Setup, path: &str, body: String) -> Answer {
    let request = Request::post(format!("http://{}{path}", setup.gateway))
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    setup.send(request).await
}

/// The body of the last request that the provider has seen.
async fn sent(setup: &Setup) -> String {
    let requests = setup.provider("GET", "/requests?last=1", "").await;
    requests["requests"][0]["body"].as_str().unwrap().to_owned()
}

/// Every value that stands under one of these names, wherever it is.
fn bounds_in(body: &Value, names: &[&str]) -> Vec<Value> {
    let mut found = Vec::new();
    for (name, value) in body.as_object().unwrap() {
        if names.contains(&name.as_str()) {
            found.push(value.clone());
        } else if value.is_object() {
            found.extend(bounds_in(value, names));
        }
    }
    found
}

#[tokio::test]
async fn a_bound_that_bounds_nothing_is_replaced() {
    for (client, model, names) in PLACES {
        for given in ["null", "-1", "-0.5", "-1e6", "\"-1\""] {
            let setup = nearly_used_up().await;
            for name in names {
                let (path, body) = request(client, model, &[(name, given)]);
                let answer = ask(&setup, &path, body).await;
                assert_eq!(answer.status.as_u16(), 200, "{client:?} {name} {given}: {answer:?}");
                let cap: u64 = answer.header("x-peerway-output-limit").parse().unwrap();
                let sent = sent(&setup).await;
                let members: usize = names.iter().map(|name| sent.matches(&format!("\"{name}\"")).count()).sum();
                assert_eq!(members, 1, "{client:?} {name} {given}: {sent}");
                let told = bounds_in(&serde_json::from_str(&sent).unwrap(), names);
                assert_eq!(told, [json!(cap)], "{client:?} {name} {given}: {sent}");
            }
        }
    }
}

#[tokio::test]
async fn of_two_names_one_bounds_the_answer() {
    for (client, model, names) in PLACES.into_iter().filter(|(.., names)| names.len() == 2) {
        let setup = nearly_used_up().await;
        let (path, body) = request(client, model, &[(names[0], "-1"), (names[1], "null")]);
        let answer = ask(&setup, &path, body).await;
        let cap: u64 = answer.header("x-peerway-output-limit").parse().unwrap();
        let sent = sent(&setup).await;
        let told: Vec<Value> = bounds_in(&serde_json::from_str(&sent).unwrap(), names);
        assert!(told.contains(&json!(cap)), "{client:?}: {sent}");
        assert!(told.iter().all(|bound| bound.is_null() || *bound == json!(cap)), "{client:?}: {sent}");
    }
}

#[tokio::test]
async fn a_bound_is_counted_however_it_is_written() {
    for (client, model, names) in PLACES {
        let setup = nearly_used_up().await;
        for name in names {
            for given in ["100000", "1e5", "1.0e5", "100000.0", "99999.5", "\"100000\"", "\"1e5\"", "1e300"] {
                let (path, body) = request(client, model, &[(name, given)]);
                let answer = ask(&setup, &path, body).await;
                let told = answer.header("x-peerway-error");
                assert_eq!((answer.status.as_u16(), told), (429, "rate_limit_exceeded"), "{client:?} {name} {given}");
            }
        }
        assert_eq!(setup.billed().await, 0, "{client:?}");
    }
}

#[tokio::test]
async fn choices_are_counted_however_they_are_written() {
    for given in ["100", "1e2", "100.0", "\"100\""] {
        let setup = nearly_used_up().await;
        let (path, body) = request(Client::Chat, "alike/echo", &[("max_tokens", "20"), ("n", given)]);
        let answer = ask(&setup, &path, body).await;
        assert_eq!(answer.status.as_u16(), 429, "{given}: {answer:?}");
    }
}

#[tokio::test]
async fn a_bound_that_nobody_understands_is_refused_by_name() {
    for (client, model, names) in PLACES {
        let setup = everyone(|_| {}).await;
        for name in names {
            for given in ["true", "[1]", "{\"a\":1}", "\"many\"", "\"\"", "1e999", "\"inf\"", "\"nan\""] {
                let (path, body) = request(client, model, &[(name, given)]);
                let answer = ask(&setup, &path, body).await;
                let told = answer.header("x-peerway-error");
                assert_eq!((answer.status.as_u16(), told), (400, "invalid_request"), "{client:?} {name} {given}");
                assert!(client.error(&answer).contains(name), "{client:?} {name} {given}: {answer:?}");
            }
            let (path, body) = request(client, model, &[(name, "5"), (name, "100000")]);
            let answer = ask(&setup, &path, body).await;
            assert_eq!(answer.status.as_u16(), 400, "{client:?} {name}: {answer:?}");
            assert!(client.error(&answer).contains("given twice"), "{client:?} {name}: {answer:?}");
        }
        assert_eq!(setup.billed().await, 0, "{client:?}");
    }
}
