//! The answers are byte for byte what OpenAI's clients expect, apart from ids and times.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use common::{Answer, ask, chat, get, json, post, provider};
use peerway_simulated_provider::{Options, start};
use serde_json::Value;

/// Replaces what changes from run to run.
fn settled(text: &str) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap();
    assert!(value["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(value["created"].as_u64().unwrap() > 1_700_000_000);
    let (id, created) = (value["id"].take(), value["created"].take());
    let id = id.as_str().unwrap();
    text.replace(id, "ID").replace(&id[id.len() - 20..], "TAIL").replace(&created.to_string(), "NOW")
}

fn settled_events(answer: &Answer) -> Vec<String> {
    let mut events = answer.events();
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    assert_eq!(answer.chunks.len(), events.len() + 1, "each event is a frame of its own");
    events.iter().map(|event| settled(event)).collect()
}

const HEAD: &str = r#"{"id":"ID","object":"chat.completion.chunk","created":NOW,"model":"echo","service_tier":"default","system_fingerprint":"fp_simulated","choices":["#;

fn chunk(choice: &str) -> String {
    format!("{HEAD}{choice}]}}")
}

const USAGE: &str = r#"{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;

#[tokio::test]
async fn plain_answer() {
    let running = provider("").await;
    let answer = ask(&running, &chat(r#"{"model":"echo","messages":[{"role":"user","content":"hi \"x\""}]}"#)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("openai-processing-ms"), Some("0"));
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("10000"));
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    assert_eq!(
        settled(&answer.body),
        r#"{"id":"ID","object":"chat.completion","created":NOW,"model":"echo","choices":[{"index":0,"message":{"role":"assistant","content":"echo: hi \"x\"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":USAGE,"service_tier":"default","system_fingerprint":"fp_simulated"}"#
            .replace("USAGE", USAGE)
    );
}

#[tokio::test]
async fn stream_without_and_with_usage() {
    let running = provider("").await;
    let answer =
        ask(&running, &chat(r#"{"model":"echo","stream":true,"messages":[{"role":"user","content":"hi you"}]}"#)).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let choices = [
        r#"{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}"#,
        r#"{"index":0,"delta":{"content":"echo:"},"logprobs":null,"finish_reason":null}"#,
        r#"{"index":0,"delta":{"content":" hi"},"logprobs":null,"finish_reason":null}"#,
        r#"{"index":0,"delta":{"content":" you"},"logprobs":null,"finish_reason":null}"#,
        r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}"#,
    ];
    assert_eq!(settled_events(&answer), choices.map(chunk));

    let body = r#"{"model":"echo","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi you"}]}"#;
    let events = settled_events(&ask(&running, &chat(body)).await);
    let mut expected = choices.map(|choice| format!("{HEAD}{choice}],\"usage\":null}}")).to_vec();
    expected.push(format!("{HEAD}],\"usage\":{USAGE}}}"));
    assert_eq!(events, expected);
}

#[tokio::test]
async fn tool_call_plain_and_streamed() {
    let running = provider("").await;
    let body = |stream| {
        chat(&format!(
            r#"{{"model":"echo","stream":{stream},"tools":[{{"type":"function","function":{{"name":"a"}}}},{{"type":"function","function":{{"name":"b"}}}}],"messages":[{{"role":"user","content":"call b a"}}]}}"#
        ))
    };
    let plain = json(&running, &body(false)).await;
    let choice = &plain["choices"][0];
    assert_eq!((choice["finish_reason"].as_str(), choice["message"]["content"].is_null()), (Some("tool_calls"), true));
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!((calls[0]["function"]["name"].as_str(), calls[1]["function"]["name"].as_str()), (Some("b"), Some("a")));
    assert_eq!(calls[0]["function"]["arguments"], r#"{"text":"call b a"}"#);
    assert_ne!(calls[0]["id"], calls[1]["id"]);

    let events = settled_events(&ask(&running, &body(true)).await);
    let delta =
        |delta: &str| chunk(&format!(r#"{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":null}}"#));
    let fragments = |index: usize| {
        [r#"{\"text\":"#, r#"\"call b "#, r#"a\"}"#]
            .map(|text| delta(&format!(r#""tool_calls":[{{"index":{index},"function":{{"arguments":"{text}"}}}}]"#)))
    };
    let start = |index: usize, name: &str| {
        delta(&format!(
            r#""tool_calls":[{{"index":{index},"id":"call_TAIL0_{index}","type":"function","function":{{"name":"{name}","arguments":""}}}}]"#
        ))
    };
    let mut expected = vec![delta(r#""role":"assistant","content":null,"refusal":null"#), start(0, "b")];
    expected.extend(fragments(0));
    expected.push(start(1, "a"));
    expected.extend(fragments(1));
    expected.push(chunk(r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}"#));
    assert_eq!(events, expected);
}

#[tokio::test]
async fn tool_choice_rules() {
    let running = provider("").await;
    let ask = async |choice: &str, messages: &str| {
        let tools = r#""tools":[{"type":"function","function":{"name":"a"}}]"#;
        let body = format!(r#"{{"model":"echo",{tools},{choice}"messages":[{messages}]}}"#);
        let answer = json(&running, &chat(&body)).await;
        answer["choices"][0]["finish_reason"].as_str().unwrap().to_owned()
    };
    let user = |text| format!(r#"{{"role":"user","content":"{text}"}}"#);
    assert_eq!(ask("", &user("hello")).await, "stop");
    assert_eq!(ask(r#""tool_choice":"required","#, &user("hello")).await, "tool_calls");
    assert_eq!(ask(r#""tool_choice":"none","#, &user("call a")).await, "stop");
    let result = format!(r#"{},{{"role":"assistant","content":null}},{{"role":"tool","content":"7"}}"#, user("call a"));
    assert_eq!(ask("", &result).await, "stop");
}

#[tokio::test]
async fn max_tokens_choices_logprobs_and_formats() {
    let running = provider("").await;
    let ask = async |fields: &str| {
        json(&running, &chat(&format!(r#"{{"model":"echo",{fields},"messages":[{{"role":"system","content":"s"}},{{"role":"user","content":[{{"type":"text","text":"one two"}}]}}]}}"#))).await
    };
    let answer = ask(r#""max_completion_tokens":2,"n":2"#).await;
    assert_eq!(answer["choices"][1]["message"]["content"], "echo: one");
    assert_eq!(answer["choices"][1]["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 4);
    let answer = ask(r#""logprobs":true"#).await;
    assert_eq!(answer["choices"][0]["logprobs"]["content"][1]["token"], " one");
    let answer = ask(r#""response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}}}"#).await;
    assert_eq!(answer["choices"][0]["message"]["content"], r#"{"n":0}"#);
}

#[tokio::test]
async fn interleaved_choices_in_a_stream() {
    let running = provider("").await;
    let answer =
        ask(&running, &chat(r#"{"model":"echo","stream":true,"n":2,"messages":[{"role":"user","content":"x"}]}"#))
            .await;
    let mut events = answer.events();
    events.pop();
    let indices: Vec<_> = events
        .iter()
        .map(|event| serde_json::from_str::<Value>(event).unwrap()["choices"][0]["index"].as_u64().unwrap())
        .collect();
    assert_eq!(indices, [0, 1, 0, 1, 0, 1, 0, 1]);
}

#[tokio::test]
async fn refusals_have_openais_shape() {
    let running = provider("").await;
    for (body, param, code) in [
        ("{", Value::Null, Value::Null),
        (r#"{"model":"echo"}"#, "messages".into(), "missing_required_parameter".into()),
        (r#"{"model":"echo","messages":[]}"#, "messages".into(), "empty_array".into()),
        (r#"{"messages":[{"role":"user"}]}"#, Value::Null, Value::Null),
        (
            r#"{"model":"echo","messages":[{"role":"user","content":"x"}],"n":0}"#,
            "n".into(),
            "integer_out_of_range".into(),
        ),
    ] {
        let answer = ask(&running, &chat(body)).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["type"]), (400, &"invalid_request_error".into()), "{body}");
        assert_eq!((&error["param"], &error["code"]), (&param, &code), "{body}");
    }
    assert_eq!(ask(&running, &get("/v1/nothing")).await.status, 404);
    assert_eq!(ask(&running, &get("/v1/chat/completions")).await.status, 405);
    assert_eq!(json(&running, &get("/bill")).await["requests"], 0);
}

#[tokio::test]
async fn keys_and_models_where_they_are_given() {
    let options = Options { keys: vec!["sk-test-1".into()], models: vec!["echo".into()], ..Options::default() };
    let running = start(options).await.unwrap();
    let body = r#"{"model":"echo","messages":[{"role":"user","content":"x"}]}"#;
    assert_eq!(ask(&running, &chat(body)).await.status, 200);
    let answer = ask(&running, &chat(body).replace("sk-test-1", "sk-wrong")).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (401, Some("invalid_api_key")));
    assert!(!answer.body.contains("sk-wrong"));
    let answer = ask(&running, &chat(&body.replace("echo", "other"))).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (404, Some("model_not_found")));
    assert_eq!(ask(&running, &get("/v1/models")).await.status, 401);
    let models =
        ask(&running, &get("/v1/models").replace("host: t", "host: t\r\nauthorization: Bearer sk-test-1")).await;
    assert_eq!(models.json()["data"][0]["id"], "echo");
}

#[tokio::test]
async fn slow_and_configured_latency() {
    let latency = "60ms".parse().unwrap();
    let running = start(Options { latency, answer_tokens: Some(9), ..Options::default() }).await.unwrap();
    let time = async |model: &str, stream: bool| {
        let started = std::time::Instant::now();
        let answer = ask(
            &running,
            &chat(&format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"x"}}]}}"#)),
        )
        .await;
        assert_eq!(answer.status, 200);
        (started.elapsed().as_millis(), answer)
    };
    let (slow, stream, echo, other) =
        tokio::join!(time("slow", false), time("slow", true), time("echo", false), time("other", false));
    assert!((1_000..1_900).contains(&slow.0) && (1_000..1_900).contains(&stream.0), "{} {}", slow.0, stream.0);
    assert!(other.0 >= 60, "{}", other.0);
    assert_eq!(other.1.json()["usage"]["completion_tokens"], 9);
    assert_eq!(echo.1.json()["usage"]["completion_tokens"], 2);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let running = provider("").await;
    let error = start(Options { listen: running.address, ..Options::default() }).await.unwrap_err().to_string();
    assert!(error.contains(&running.address.to_string()), "{error}");
    running.stop().await;
}

#[tokio::test]
async fn what_arrived_is_shown_byte_for_byte() {
    let running = provider("").await;
    let body =
        "{ \"model\" : \"echo\",\n\t\"messages\":[{\"role\":\"user\",\"content\":\"\\u00e4 ä\"}], \"unknown\": 1.50 }";
    ask(&running, &chat(r#"{"model":"echo","messages":[{"role":"user","content":"x"}]}"#)).await;
    ask(&running, &chat(body)).await;
    let shown = json(&running, &get("/requests?last=1")).await;
    let requests = shown["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0]["body"], body);
    assert_eq!((&requests[0]["method"], &requests[0]["path"]), (&"POST".into(), &"/v1/chat/completions".into()));
    assert_eq!(requests[0]["headers"]["authorization"], "Bearer sk-test-1");
    assert_eq!(json(&running, &get("/requests?last=9")).await["requests"].as_array().unwrap().len(), 2);
    ask(&running, &post("/reset", "")).await;
    assert_eq!(json(&running, &get("/requests?last=9")).await["requests"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_large_prompt_arrives_whole() {
    let running = provider("").await;
    let text = "word ".repeat(80_000);
    let answer =
        json(&running, &chat(&format!(r#"{{"model":"echo","messages":[{{"role":"user","content":"{text}"}}]}}"#)))
            .await;
    assert_eq!(answer["usage"]["prompt_tokens"], 3 + 4 + 100_000);
    assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().len() < 5_000);
}
