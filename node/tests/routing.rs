//! Which target answers: strategies, fallbacks, sessions, context windows, the retry budget, and the explanation.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerway::routing::{Facts, Observed, Standing, Target};
use serde_json::{Value, json};
use support::{Answer, Setup, setup, setup_seeing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What a node has seen, by provider.
#[derive(Debug, Default)]
struct Seen(Mutex<HashMap<String, Facts>>);

impl Seen {
    fn set(&self, provider: &str, facts: Facts) {
        self.0.lock().unwrap().insert(provider.to_owned(), facts);
    }
}

impl Observed for Seen {
    fn of_key(&self, target: &Target, _: Option<&Arc<str>>) -> Facts {
        self.0.lock().unwrap().get(&*target.upstream.name).cloned().unwrap_or_default()
    }
}

fn down() -> Facts {
    Facts { standing: Standing::Down("its breaker is open".to_owned()), ..Facts::default() }
}

/// Three providers, `demo`, `other` and `third`, as targets of `smart`.
fn three(strategy: &str, config: &mut Value) {
    let mut third = config["providers"][0].clone();
    third["name"] = json!("third");
    third["keys"] = json!([{"id": "main", "value": "sk-up-third"}]);
    config["providers"].as_array_mut().unwrap().push(third);
    let target = |provider: &str| json!({"provider": provider, "model": "echo"});
    config["routes"] = json!([{"model": "smart", "strategy": strategy,
        "targets": [target("demo"), target("other"), target("third")]}]);
}

fn smart() -> Value {
    json!({"model": "smart", "messages": [{"role": "user", "content": "hello"}]})
}

async fn ask(setup: &Setup, body: &Value, headers: &[(&str, &str)]) -> Answer {
    setup.chat_with(body.to_string(), headers).await
}

/// How many of so many requests each provider answered.
async fn spread(setup: &Setup, requests: usize) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for _ in 0..requests {
        let answer = ask(setup, &smart(), &[]).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        *counts.entry(answer.header("x-peerway-provider").to_owned()).or_default() += 1;
    }
    counts
}

fn explanation(answer: &Answer) -> Value {
    serde_json::from_str(answer.header("x-peerway-explanation")).unwrap()
}

#[tokio::test]
async fn weights_are_kept() {
    let setup = setup(|config| {
        three("weighted", config);
        for (target, weight) in [(0, 8.0), (1, 1.0), (2, 1.0)] {
            config["routes"][0]["targets"][target]["weight"] = json!(weight);
        }
    })
    .await;
    let counts = spread(&setup, 300).await;
    // Five standard deviations of a binomial around 240.
    assert!((205..=275).contains(&counts["demo"]), "{counts:?}");
}

#[tokio::test]
async fn each_strategy_looks_at_its_own_facts() {
    let seen = |facts: [Facts; 3]| {
        let seen = Seen::default();
        ["demo", "other", "third"].into_iter().zip(facts).for_each(|(provider, facts)| seen.set(provider, facts));
        Arc::new(seen)
    };
    let health = |health| Facts { health, ..Facts::default() };
    let latency = |ms| Facts { latency: Some(Duration::from_millis(ms)), ..Facts::default() };
    let in_flight = |in_flight| Facts { in_flight, ..Facts::default() };
    for (strategy, facts, most) in [
        ("adaptive", [health(0.01), health(1.0), health(0.01)], 90),
        ("fastest", [latency(900), latency(100), latency(300)], 85),
        ("least_in_flight", [in_flight(50), in_flight(0), in_flight(50)], 45),
    ] {
        let setup = setup_seeing(seen(facts), |config| three(strategy, config)).await;
        let counts = spread(&setup, 100).await;
        assert!(counts["other"] >= most, "{strategy}: {counts:?}");
    }
    let setup = setup(|config| {
        three("cheapest", config);
        // `slow` is dearer than `echo`.
        config["routes"][0]["targets"][0]["model"] = json!("slow");
        config["routes"][0]["targets"][2]["model"] = json!("slow");
    })
    .await;
    assert_eq!(spread(&setup, 20).await, HashMap::from([("other".to_owned(), 20)]));
}

#[tokio::test]
async fn what_is_down_is_not_asked_while_another_is_up() {
    let seen = Arc::new(Seen::default());
    seen.set("demo", down());
    seen.set("third", down());
    let setup = setup_seeing(Arc::clone(&seen) as _, |config| three("weighted", config)).await;
    assert_eq!(spread(&setup, 30).await, HashMap::from([("other".to_owned(), 30)]));
    // A half-open breaker is tried by a request, which another target answers if that fails.
    seen.set("third", Facts { standing: Standing::ProbeDue, ..Facts::default() });
    setup.fault(json!({"match": {"key": "sk-up-third"}, "do": {"status": 500}})).await;
    let answer = ask(&setup, &smart(), &[]).await;
    assert_eq!((answer.header("x-peerway-provider"), answer.header("x-peerway-attempts")), ("other", "3"));
}

#[tokio::test]
async fn a_bare_model_goes_where_it_is_clear_whose_it_is() {
    let setup = setup(|config| {
        config["providers"][1]["models"] = json!(["ec*", "only-*"]);
        config["governance"]["keys"][0]["models"] = json!(["*"]);
    })
    .await;
    let mut body = smart();
    for (model, status, provider) in [("echo", 200, "demo"), ("only-here", 200, "other"), ("nowhere", 404, "")] {
        body["model"] = json!(model);
        let answer = ask(&setup, &body, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (status, provider), "{model}");
    }
    // Of several, the one that the key may use.
    let setup = support::setup(|_| {}).await;
    body["model"] = json!("echo");
    assert_eq!(ask(&setup, &body, &[]).await.header("x-peerway-provider"), "demo");
    let ambiguous = ask(&setup, &body, &[("authorization", "Bearer sk-second")]).await;
    assert_eq!(ambiguous.status.as_u16(), 404);
    let message = ambiguous.json()["error"]["message"].to_string();
    assert!(message.contains("demo/echo or other/echo"), "{message}");
    // The only provider serves whatever is asked for, if it lists nothing.
    let setup = support::setup(|config| {
        config["providers"].as_array_mut().unwrap().truncate(1);
        config["providers"][0]["models"] = json!([]);
        config["routes"] = json!([]);
        config["governance"]["keys"][0]["models"] = json!(["demo/*"]);
    })
    .await;
    assert_eq!(ask(&setup, &body, &[]).await.header("x-peerway-provider"), "demo");
}

#[tokio::test]
async fn fallbacks_of_the_request_answer_and_the_provider_does_not_see_them() {
    let setup = setup(|config| config["governance"]["keys"][0]["models"] = json!(["*"])).await;
    setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": {"status": 500}})).await;
    let request = |fallbacks: &str| {
        format!(
            r#"{{ "model":"demo/echo", "fallbacks" : {fallbacks} , "messages":[{{"role":"user","content":"h\u00e9"}}] }}"#
        )
    };
    for fallbacks in
        [r#"["other/echo"]"#, r#"[{"provider":"other","model":"echo"}]"#, r#"[{"model":"demo/slow"}, "smart"]"#]
    {
        let answer = setup.chat_with(request(fallbacks), &[("x-peerway-explain", "true")]).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "other"), "{answer:?}");
        let seen = setup.provider("GET", "/requests?last=1", "").await["requests"][0].clone();
        let sent = r#"{ "model":"echo" , "messages":[{"role":"user","content":"h\u00e9"}] }"#;
        assert_eq!(seen["body"], sent, "every other byte is the client's");
        assert_eq!(explanation(&answer)["candidates"][1]["role"], "request_fallback");
    }
}

#[tokio::test]
async fn fallbacks_are_understood_in_every_dialect() {
    let setup = setup(|config| config["governance"]["keys"][0]["models"] = json!(["*"])).await;
    setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": {"status": 500}})).await;
    let user = json!([{"role": "user", "content": "hello"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "hello"}]}]);
    for (path, mut body) in [
        ("anthropic/v1/messages", json!({"model": "demo/echo", "max_tokens": 64, "messages": user})),
        ("genai/v1beta/models/demo/echo:generateContent", json!({"contents": contents})),
        ("cohere/v2/chat", json!({"model": "demo/echo", "messages": user})),
    ] {
        body["fallbacks"] = json!(["other/echo"]);
        let request = http::Request::post(format!("http://{}/{path}", setup.gateway))
            .header("x-api-key", support::KEY)
            .header("content-type", "application/json")
            .body(http_body_util::Full::from(body.to_string()))
            .unwrap();
        let answer = setup.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "other"), "{path}: {answer:?}");
        let seen = setup.provider("GET", "/requests?last=1", "").await["requests"][0].clone();
        assert!(!seen["body"].as_str().unwrap().contains("fallbacks"), "{path}: {seen}");
    }
}

#[tokio::test]
async fn when_fallbacks_fail_too_the_first_failure_is_told() {
    let setup = setup(|config| config["governance"]["keys"][0]["models"] = json!(["*"])).await;
    setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": {"status": 503}})).await;
    let faults = json!([{"match": {"key": "sk-up-demo"}, "do": {"status": 503}},
        {"match": {"key": "sk-up-other"}, "do": {"status": 500}}]);
    setup.provider("POST", "/faults", &faults.to_string()).await;
    let mut body = smart();
    body["model"] = json!("demo/echo");
    body["fallbacks"] = json!(["other/echo"]);
    let answer = ask(&setup, &body, &[]).await;
    assert_eq!(answer.status.as_u16(), 503);
    let message = answer.json()["error"]["message"].to_string();
    assert!(message.contains("demo/echo (key main): status 503") && message.contains("other/echo"), "{message}");
}

#[tokio::test]
async fn fallbacks_that_cannot_be_used_are_refused_before_anything_is_sent() {
    let setup = setup(|config| {
        config["providers"].as_array_mut().unwrap().push(json!({"name": "unpriced", "type": "openai_compatible",
            "base_url": "http://127.0.0.1:9/v1", "allow_private": true}));
        let budget = json!([{"limit_usd": "10", "window": "1d"}]);
        let keys = config["governance"]["keys"].as_array_mut().unwrap();
        keys.push(json!({"id": "poor", "value": "sk-poor", "models": ["*"], "budgets": budget}));
    })
    .await;
    for (fallbacks, key, status, code, says) in [
        (json!("other/echo"), support::KEY, 400, "invalid_request", "`fallbacks` must be a list"),
        (
            json!(["demo/echo", {"provider": "demo"}]),
            support::KEY,
            400,
            "invalid_request",
            "`fallbacks[1].model` is missing",
        ),
        (json!(["demo/echo", "other/echo"]), support::KEY, 403, "model_not_allowed", "`fallbacks[1]` names it"),
        (json!(["nope/nope"]), support::KEY, 404, "model_not_found", "`fallbacks[0]` names it"),
        (json!(["unpriced/x"]), "sk-poor", 403, "model_without_price", "`unpriced/x`"),
        (json!(vec!["demo/echo"; 9]), support::KEY, 400, "invalid_request", "at most 8"),
    ] {
        let mut body = support::hello();
        body["fallbacks"] = fallbacks.clone();
        let answer = ask(&setup, &body, &[("authorization", &format!("Bearer {key}"))]).await;
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status.as_u16(), &error["code"]), (status, &json!(code)), "{fallbacks}: {error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error} should say {says:?}");
    }
    assert_eq!(setup.billed().await, 0);
}

#[tokio::test]
async fn a_session_stays_with_its_target_on_every_node() {
    let seen = [Arc::new(Seen::default()), Arc::new(Seen::default())];
    let one = setup_seeing(Arc::clone(&seen[0]) as _, |config| three("fastest", config)).await;
    let two = setup_seeing(Arc::clone(&seen[1]) as _, |config| three("fastest", config)).await;
    // What a node alone has seen does not move a session.
    seen[1].set("demo", Facts { latency: Some(Duration::from_millis(1)), ..Facts::default() });
    let home = async |setup: &Setup, session: &str| {
        let answer = ask(setup, &smart(), &[("x-peerway-session-id", session)]).await;
        answer.header("x-peerway-provider").to_owned()
    };
    let sessions: Vec<String> = (0..40).map(|index| format!("session-{index}")).collect();
    let mut homes = Vec::new();
    for session in &sessions {
        let first = home(&one, session).await;
        assert_eq!(home(&two, session).await, first);
        let alias = ask(&one, &smart(), &[("x-bf-session-id", session)]).await;
        assert_eq!(alias.header("x-peerway-provider"), first);
        homes.push(first);
    }
    for provider in ["demo", "other", "third"] {
        let share = homes.iter().filter(|home| *home == provider).count();
        assert!((4..=24).contains(&share), "{provider}: {share} of 40");
    }
    // When a target goes, its own sessions move and nobody else's.
    seen.iter().for_each(|seen| seen.set("other", down()));
    for (session, before) in sessions.iter().zip(&homes) {
        let after = home(&one, session).await;
        assert_eq!(home(&two, session).await, after);
        assert!(if before == "other" { after != "other" } else { after == *before }, "{before} -> {after}");
    }
}

#[tokio::test]
async fn a_session_stays_with_its_key_at_the_provider() {
    let keys = |config: &mut Value| {
        let key = |id: usize| json!({"id": format!("k{id}"), "value": format!("sk-up-{id}")});
        config["providers"][0]["keys"] = (0..3).map(key).collect();
    };
    let (one, two) = (setup(keys).await, setup(keys).await);
    let mut used = HashMap::new();
    for session in 0..30 {
        for setup in [&one, &two] {
            let session = format!("s{session}");
            for _ in 0..2 {
                ask(setup, &support::hello(), &[("x-peerway-session-id", &session)]).await;
                let seen = setup.provider("GET", "/requests?last=1", "").await;
                let key = seen["requests"][0]["headers"]["authorization"].clone();
                assert_eq!(used.entry(session.clone()).or_insert(key.clone()), &key);
            }
        }
    }
    let mut keys: Vec<String> = used.into_values().map(|key| key.to_string()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 3, "sessions spread over the keys");
}

fn prices(rows: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("models:\n{rows}")).unwrap();
    file
}

#[tokio::test]
async fn a_request_goes_where_it_fits() {
    let file = prices(
        "  - { provider: demo, model: echo, input: \"1\", output: \"1\", context: 200 }
  - { provider: other, model: echo, input: \"1\", output: \"1\", context: 100000 }
",
    );
    let setup = setup(|config| {
        config["prices"] = json!({"file": file.path()});
        config["routes"][0]["targets"] = json!([{"provider": "demo", "model": "echo"}]);
        config["routes"][0]["fallbacks"] = json!([]);
        config["routes"][0]["context_fallbacks"] = json!([{"provider": "other", "model": "echo"}]);
    })
    .await;
    let explain = [("x-peerway-explain", "true")];
    let answer = ask(&setup, &smart(), &explain).await;
    assert_eq!(answer.header("x-peerway-provider"), "demo");
    assert_eq!(explanation(&answer)["candidates"][1]["role"], "context_fallback");
    let mut long = smart();
    long["messages"][0]["content"] = json!("a long story ".repeat(200));
    let mut wordy = smart();
    wordy["max_tokens"] = json!(199);
    for body in [long, wordy] {
        let answer = ask(&setup, &body, &explain).await;
        assert_eq!((answer.header("x-peerway-provider"), answer.header("x-peerway-attempts")), ("other", "1"));
        let passed_over = explanation(&answer)["candidates"][1].clone();
        assert_eq!((&passed_over["target"], &passed_over["place"]), (&json!("demo/echo"), &Value::Null));
        assert!(passed_over["why"].as_str().unwrap().contains("do not fit"), "{passed_over}");
    }
}

/// A provider for which every request is too long.
/// Finds every request too long, but for those to the model `longer`.
async fn short_provider() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 16_384];
            let read = connection.read(&mut request).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            if text.contains("longer") {
                let body = r#"{"id":"1","object":"chat.completion","created":1,"model":"longer","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
                let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
                let _ = connection.write_all(answer.as_bytes()).await;
                continue;
            }
            let body = r#"{"error":{"message":"This model's maximum context length is 9 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
            let head = format!(
                "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = connection.write_all((head + body).as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_provider_that_finds_a_request_too_long_leads_to_the_context_fallbacks() {
    let address = short_provider().await;
    let with = |fallbacks: Value| {
        setup(move |config| {
            config["providers"].as_array_mut().unwrap().push(json!({"name": "short", "type": "openai_compatible",
                "base_url": format!("http://{address}/v1"), "allow_private": true}));
            config["routes"] = json!([{"model": "smart", "targets": [{"provider": "short", "model": "m"}],
                "fallbacks": [{"provider": "demo", "model": "echo"}], "context_fallbacks": fallbacks}]);
        })
    };
    let setup = with(json!([{"provider": "other", "model": "echo"}])).await;
    let answer = ask(&setup, &smart(), &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "other"), "{answer:?}");
    // Ordinary fallbacks would not like the request better.
    let answer = ask(&with(json!([])).await, &smart(), &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-attempts")), (400, "1"));
    // When the longer ones fail, the answer is what the first one said.
    setup.fault(json!({"match": {}, "do": {"status": 500}})).await;
    let answer = ask(&setup, &smart(), &[]).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (400, &json!("context_length_exceeded")));
}

#[tokio::test]
async fn a_request_that_is_too_long_is_no_failure_that_uses_up_retries() {
    let address = short_provider().await;
    let setup = setup(move |config| {
        config["providers"].as_array_mut().unwrap().push(json!({"name": "short", "type": "openai_compatible",
            "base_url": format!("http://{address}/v1"), "allow_private": true}));
        config["routes"] = json!([{"model": "smart", "targets": [{"provider": "short", "model": "m"}],
            "context_fallbacks": [{"provider": "short", "model": "longer"}]}]);
        config["retries"] = json!({"budget": 0.1, "minimum": 0});
    })
    .await;
    for _ in 0..20 {
        let answer = ask(&setup, &smart(), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-model")), (200, "longer"), "{answer:?}");
    }
}

/// What the provider was shown last, the latest last.
async fn keys_shown(setup: &Setup, last: usize) -> Vec<String> {
    let seen = setup.provider("GET", &format!("/requests?last={last}"), "").await;
    let key = |request: &Value| request["headers"]["authorization"].to_string();
    seen["requests"].as_array().unwrap().iter().map(key).collect()
}

#[tokio::test]
async fn a_failure_of_the_server_is_tried_again_with_the_same_key() {
    let setup = setup(|config| {
        let key = |id: usize| json!({"id": format!("k{id}"), "value": format!("sk-up-{id}")});
        config["providers"][0]["keys"] = (0..8).map(key).collect();
    })
    .await;
    for _ in 0..10 {
        setup.fault(json!({"match": {"first": 1}, "do": {"status": 500}})).await;
        let answer = ask(&setup, &support::hello(), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-attempts")), (200, "2"), "{answer:?}");
        let keys = keys_shown(&setup, 2).await;
        assert_eq!(keys[0], keys[1]);
        setup.fault(json!({"match": {"first": 1}, "do": {"status": 401}})).await;
        let answer = ask(&setup, &support::hello(), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-attempts")), (200, "2"), "{answer:?}");
        let keys = keys_shown(&setup, 2).await;
        assert_ne!(keys[0], keys[1], "a refused key is another matter");
        // As if the operator had replaced all of them.
        (0..8).for_each(|id| setup.state.health.renew_key("demo", &format!("k{id}")));
    }
}

/// The first provider is Vertex, whose tokens come from this address; the second one stands in.
async fn with_tokens_from(address: std::net::SocketAddr) -> Setup {
    let account = json!({"client_email": "gateway@p.iam.example", "project_id": "p",
        "private_key": include_str!("providers/fixtures/service_account.pem"), "token_uri": format!("http://{address}/token")});
    setup(move |config| {
        config["providers"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "google", "type": "vertex", "location": "global",
            "allow_private": true, "keys": [{"id": "main", "value": account.to_string()}]}));
        config["routes"] = json!([{"model": "smart", "targets": [{"provider": "google", "model": "gemini"}],
            "fallbacks": [{"provider": "other", "model": "echo"}]}]);
        config["health"] = json!({"failures": 3, "probe_interval": "1h"});
    })
    .await
}

#[tokio::test]
async fn a_provider_whose_tokens_cannot_be_had_is_left_alone_like_one_that_fails() {
    let (refuses, closes) = (short_provider().await, tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    let closed = closes.local_addr().unwrap();
    drop(closes);
    for (address, requests, why) in [(refuses, 1, "the key was refused"), (closed, 3, "its breaker is open")] {
        let setup = with_tokens_from(address).await;
        for attempts in std::iter::repeat_n("2", requests).chain(["1"]) {
            let answer = ask(&setup, &smart(), &[("x-peerway-explain", "true")]).await;
            assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "other"), "{answer:?}");
            assert_eq!(answer.header("x-peerway-attempts"), attempts, "{why}");
        }
        let told = explanation(&ask(&setup, &smart(), &[("x-peerway-explain", "true")]).await);
        assert_eq!(told["candidates"][1]["why"], format!("last, as it is down: {why}"));
    }
}

#[tokio::test]
async fn nobody_waits_longer_for_a_token_than_the_client_does() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let setup = with_tokens_from(silent.local_addr().unwrap()).await;
    let asked = std::time::Instant::now();
    let answer = ask(&setup, &smart(), &[("x-peerway-timeout", "300ms")]).await;
    assert_eq!(answer.status.as_u16(), 504, "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(9), "the endpoint has ten: {:?}", asked.elapsed());
    let told =
        explanation(&ask(&setup, &smart(), &[("x-peerway-timeout", "300ms"), ("x-peerway-explain", "true")]).await);
    assert_eq!(told["candidates"][0]["target"], "google/gemini", "an impatient client moves no breaker");
}

#[tokio::test]
async fn names_without_end_lead_nowhere_and_are_not_kept() {
    let setup = setup(|config| config["providers"][0]["models"] = json!([])).await;
    let body = json!({"model": format!("demo/{}", "x".repeat(50_000)), "messages": []});
    let answer = setup.chat(body).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-error")), (404, "model_not_found"));
    assert!(answer.body.len() < 2_000, "{} bytes", answer.body.len());
    assert!(setup.state.health.snapshot().is_empty());
}

#[tokio::test]
async fn further_attempts_stay_within_their_budget() {
    let setup = setup(|config| {
        // What there is a second would be more, the slower the machine.
        config["retries"] = json!({"budget": 0.1, "minimum": 0});
        // A breaker would open long before.
        config["health"] = json!({"failures": 1_000_000, "ratio": 1.0});
        config["routes"][0]["fallbacks"] = json!([{"provider": "other", "model": "echo"}]);
    })
    .await;
    setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": {"status": 500}})).await;
    for _ in 0..300 {
        let answer = ask(&setup, &smart(), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "other"), "{answer:?}");
    }
    let attempts: u64 =
        setup.metric("peerway_upstream_attempts_total{provider=\"demo\",result=\"provider\"}").parse().unwrap();
    assert!((300..=330).contains(&attempts), "{attempts} attempts where 300 requests failed");
    let withheld: u64 = setup.metric("peerway_retries_withheld_total{provider=\"demo\"}").parse().unwrap();
    assert_eq!(attempts + withheld, 600, "each was tried again or not");
    let alone = json!({"model": "demo/echo", "messages": [{"role": "user", "content": "hello"}]});
    // Every tenth one may be tried again.
    let mut texts = Vec::new();
    for _ in 0..3 {
        let answer = ask(&setup, &alone, &[]).await;
        assert_eq!(answer.status.as_u16(), 500, "the failure itself is told: {answer:?}");
        texts.push(String::from_utf8_lossy(&answer.body).into_owned());
    }
    assert!(texts.iter().any(|text| text.contains("(`retries.budget`)")), "{texts:?}");
}

/// Failovers are rare in an outage: as soon as the breaker is open, the next target is the first one.
#[tokio::test]
async fn an_outage_costs_a_few_failovers_and_then_none() {
    let setup = setup(|config| {
        config["retries"] = json!({"budget": 0.1, "minimum": 2});
        config["health"] = json!({"probe_interval": "1h"});
    })
    .await;
    setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": {"status": 500}})).await;
    let mut attempts = 0;
    for _ in 0..60 {
        let answer = ask(&setup, &smart(), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-peerway-provider")), (200, "other"), "{answer:?}");
        attempts += answer.header("x-peerway-attempts").parse::<usize>().unwrap();
    }
    assert!((61..=70).contains(&attempts), "{attempts} attempts for 60 requests");
    let told = explanation(&ask(&setup, &smart(), &[("x-peerway-explain", "true")]).await);
    let order: Vec<&str> =
        told["candidates"].as_array().unwrap().iter().map(|one| one["target"].as_str().unwrap()).collect();
    assert_eq!(order, ["other/echo", "demo/echo"]);
}

#[tokio::test]
async fn whoever_asks_is_told_why_also_when_it_fails() {
    let seen = Arc::new(Seen::default());
    seen.set("demo", down());
    let setup = setup_seeing(seen, |config| three("adaptive", config)).await;
    assert_eq!(ask(&setup, &smart(), &[]).await.header("x-peerway-explanation"), "", "only whoever asks");
    let answer = ask(&setup, &smart(), &[("x-peerway-explain", "true"), ("x-peerway-session-id", "s")]).await;
    let told = explanation(&answer);
    assert_eq!(
        (&told["route"], &told["strategy"], &told["session"]),
        (&json!("smart"), &json!("adaptive"), &json!(true))
    );
    let candidates = told["candidates"].as_array().unwrap();
    let first = candidates[0]["target"].as_str().unwrap();
    assert_eq!(first, format!("{}/echo", answer.header("x-peerway-provider")));
    assert_eq!((&candidates[0]["place"], &candidates[0]["key"]), (&json!(1), &json!("main")));
    let last = &candidates[2];
    assert_eq!(
        (&last["target"], &last["why"]),
        (&json!("demo/echo"), &json!("last, as it is down: its breaker is open"))
    );
    setup.fault(json!({"match": {}, "do": {"status": 500}})).await;
    let failed = ask(&setup, &smart(), &[("x-bf-explain", "true")]).await;
    assert_eq!(failed.status.as_u16(), 500);
    assert_eq!(explanation(&failed)["candidates"].as_array().unwrap().len(), 3);
}
