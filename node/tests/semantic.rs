//! Answers to requests that mean the same: when one is given, when not, and that nobody can ask for less care.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::scripted::Scripted;
use support::{Answer, Setup, setup};

const IN_CACHE: (&str, &str) = ("x-peerway-cache-key", "faq");
const KEPT: &str = "What should I do if I lose my passport while travelling abroad?";
const SAME: &str = "What should I do if I lose my passport while traveling abroad";
/// As near to one another as two texts get, by their vectors.
const THERE: &str = "flights from Paris to Rome";
const BACK: &str = "flights from Rome to Paris";

fn chat(text: &str) -> Value {
    json!({"model": "demo/echo", "messages": [{"role": "user", "content": text}]})
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn stream(body: Value) -> Value {
    with(body, "stream", json!(true))
}

async fn ask(setup: &Setup, body: &Value) -> Answer {
    ask_with(setup, body, &[]).await
}

async fn ask_with(setup: &Setup, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[IN_CACHE], headers].concat();
    let answer = setup.chat_with(body.to_string(), &headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

fn kind(answer: &Answer) -> &str {
    answer.header("x-peerway-cache")
}

fn guard(answer: &Answer) -> &str {
    answer.header("x-peerway-cache-guard")
}

fn semantic(setup: &Setup, name: &str) -> u64 {
    setup.state.cache.stats_json()["semantic"][name].as_u64().unwrap()
}

/// Until so many answers can be found by meaning; that happens beside the request's way.
async fn learned(setup: &Setup, count: u64) {
    let enough = async {
        while semantic(setup, "learned") < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), enough).await.expect("the answer is learned");
}

/// Asks what nobody asked before, until it can be found by meaning.
async fn keep(setup: &Setup, body: &Value) -> Answer {
    let before = semantic(setup, "learned");
    let answer = ask(setup, body).await;
    assert_eq!(kind(&answer), "miss");
    learned(setup, before + 1).await;
    answer
}

/// Neither answered by meaning nor compared with anything.
async fn is_not_compared(setup: &Setup, body: &Value, headers: &[(&str, &str)]) {
    let answer = ask_with(setup, body, headers).await;
    assert_eq!((kind(&answer), guard(&answer)), ("miss", ""), "{body} {headers:?}");
}

#[tokio::test]
async fn a_paraphrase_is_given_the_answer_that_is_there() {
    let setup = setup(|_| {}).await;
    let first = keep(&setup, &chat(KEPT)).await;
    let second = ask(&setup, &chat(SAME)).await;
    assert_eq!((kind(&second), guard(&second)), ("hit-semantic", "agrees"));
    assert_eq!(second.body, first.body, "byte for byte");
    assert!(second.header("x-peerway-cache-similarity").parse::<f32>().unwrap() >= 0.85);
    assert_eq!(second.header("x-peerway-cache-id"), first.header("x-peerway-cache-id"), "the entry that was given");
    assert_eq!((second.header("x-peerway-provider"), second.header("x-peerway-attempts")), ("demo", "0"));
    assert_eq!(second.header("x-peerway-cost-usd"), "0");
    assert_eq!(setup.billed().await, 1);
    setup.next_log_line();
    let line = setup.next_log_line();
    assert_eq!((&line["cache"], &line["cache_guard"]), (&json!("hit-semantic"), &json!("agrees")));
    assert_eq!((&line["cost_nano_usd"], line["cache_similarity"].as_f64().unwrap() >= 0.85), (&json!(0), true));
    // It has become no entry of its own: whoever wants to be surer is not given it.
    let surer = ask_with(&setup, &chat(SAME), &[("x-peerway-cache-threshold", "1.01")]).await;
    assert_eq!(kind(&surer), "miss");
}

#[tokio::test]
async fn a_near_miss_is_refused_and_says_why() {
    let setup = setup(|_| {}).await;
    keep(&setup, &chat(THERE)).await;
    let back = ask(&setup, &chat(BACK)).await;
    assert_eq!((kind(&back), guard(&back)), ("miss", "direction"));
    assert_eq!(back.header("x-peerway-cache-similarity"), "0.000");
    assert_eq!(back.json()["choices"][0]["message"]["content"], format!("echo: {BACK}"));
    assert_eq!(setup.billed().await, 2);
    assert_eq!(setup.state.cache.stats_json()["semantic"]["refusals"], json!({"direction": 1}));
}

#[tokio::test]
async fn a_stream_serves_a_plain_request_and_the_reverse() {
    let setup = setup(|_| {}).await;
    keep(&setup, &stream(chat(KEPT))).await;
    let plain = ask(&setup, &chat(SAME)).await;
    assert_eq!(kind(&plain), "hit-semantic");
    assert_eq!(plain.json()["choices"][0]["message"]["content"], format!("echo: {KEPT}"));

    let other = with(chat(KEPT), "temperature", json!(0.5));
    keep(&setup, &other).await;
    let streamed = ask(&setup, &stream(with(chat(SAME), "temperature", json!(0.5)))).await;
    assert_eq!(kind(&streamed), "hit-semantic");
    assert_eq!(streamed.streamed_text(), format!("echo: {KEPT}"));
    assert_eq!(streamed.events().last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn a_client_can_ask_to_be_surer_only() {
    // No pair is that sure, so whatever is given here was given by a client's word.
    let strict = setup(|config| config["cache"] = json!({"semantic": {"threshold": 1.0}})).await;
    keep(&strict, &chat(KEPT)).await;
    keep(&strict, &chat(THERE)).await;
    let no_store = ("x-peerway-cache-no-store", "true");
    for name in ["x-peerway-cache-threshold", "x-bf-cache-threshold"] {
        for value in ["0.1", "0", "-1", "NaN", "", "a little"] {
            for text in [SAME, BACK] {
                let answer = ask_with(&strict, &chat(text), &[(name, value), no_store]).await;
                assert_eq!(kind(&answer), "miss", "{name}: {value}");
                assert_ne!(guard(&answer), "", "it was compared");
            }
        }
    }
    let usual = setup(|_| {}).await;
    keep(&usual, &chat(KEPT)).await;
    for (value, wanted) in [("1", "miss"), ("1.5", "miss"), ("0.2", "hit-semantic"), ("a lot", "hit-semantic")] {
        let answer = ask_with(&usual, &chat(SAME), &[("x-bf-cache-threshold", value), no_store]).await;
        assert_eq!(kind(&answer), wanted, "{value}");
    }
}

#[tokio::test]
async fn a_client_can_do_without() {
    let setup = setup(|_| {}).await;
    let direct = ("x-peerway-cache-type", "direct");
    let semantic_only = ("x-peerway-cache-type", "semantic");
    // What is asked for like that is not found by meaning either.
    assert_eq!(kind(&ask_with(&setup, &chat(KEPT), &[direct]).await), "miss");
    assert_eq!(kind(&ask_with(&setup, &chat(KEPT), &[direct]).await), "hit-direct");
    is_not_compared(&setup, &chat(SAME), &[]).await;
    learned(&setup, 1).await;
    let no_store = ("x-peerway-cache-no-store", "true");
    let other = chat("what should I do if I lose my passport while traveling abroad");
    is_not_compared(&setup, &other, &[direct, no_store]).await;
    assert_eq!(kind(&ask_with(&setup, &other, &[semantic_only, no_store]).await), "hit-semantic");
    assert_eq!(kind(&ask_with(&setup, &chat(KEPT), &[semantic_only]).await), "hit-direct", "nothing is nearer");
}

#[tokio::test]
async fn what_is_not_to_be_kept_or_read_is_not() {
    let setup = setup(|_| {}).await;
    let no_store = ("x-peerway-cache-no-store", "true");
    let no_read = ("x-peerway-cache-no-read", "true");
    is_not_compared(&setup, &chat(KEPT), &[no_store]).await;
    is_not_compared(&setup, &chat(SAME), &[]).await;
    learned(&setup, 1).await;
    assert_eq!(kind(&ask_with(&setup, &chat(KEPT), &[no_store]).await), "hit-semantic", "reading is allowed");
    is_not_compared(&setup, &chat(KEPT), &[no_read]).await;
    learned(&setup, 2).await;

    // What was cut short is no answer to anything.
    let short = |text: &str| with(chat(text), "max_tokens", json!(1));
    is_not_compared(&setup, &short(KEPT), &[]).await;
    is_not_compared(&setup, &short(SAME), &[]).await;
    assert_eq!(semantic(&setup, "learned"), 2);
}

#[tokio::test]
async fn what_is_not_whole_answers_nothing_by_meaning() {
    let no_store = ("x-peerway-cache-no-store", "true");
    let setup = setup(|_| {}).await;
    for (fault, body) in [
        (json!({"cut_after_events": 2}), stream(chat(KEPT))),
        (json!({"cut_after_events": 2}), chat(KEPT)),
        (json!({"error_event_after": 1}), stream(chat(KEPT))),
        (json!({"status": 500}), chat(KEPT)),
        (json!({"status": 500}), stream(chat(KEPT))),
        (json!({"malformed": true}), stream(chat(KEPT))),
    ] {
        setup.fault(json!({"match": {}, "do": fault})).await;
        setup.chat_with(body.to_string(), &[IN_CACHE]).await;
        setup.provider("POST", "/faults", "[]").await;
        is_not_compared(&setup, &chat(SAME), &[no_store]).await;
    }
    // Learning happens beside the request's way; by the time a later answer is learned, an earlier one is too.
    keep(&setup, &chat(THERE)).await;
    is_not_compared(&setup, &chat(SAME), &[no_store]).await;
    assert_eq!(semantic(&setup, "learned"), 1);
}

#[tokio::test]
async fn a_refused_finish_or_a_late_break_answers_nothing_by_meaning() {
    for (body, kind) in support::not_to_keep() {
        let provider = Scripted::answering(200, kind, &body).await;
        let setup = setup(|config| config["providers"][0]["base_url"] = json!(format!("{}/v1", provider.url))).await;
        let asked = if kind == "application/json" { chat(KEPT) } else { stream(chat(KEPT)) };
        setup.chat_with(asked.to_string(), &[IN_CACHE]).await;
        let again = setup.chat_with(with(asked, "messages", chat(SAME)["messages"].clone()).to_string(), &[IN_CACHE]);
        let again = again.await;
        assert_eq!((again.header("x-peerway-cache"), guard(&again)), ("miss", ""), "{body}");
        assert_eq!(semantic(&setup, "learned"), 0, "{body}");
    }
}

#[tokio::test]
async fn nobody_keeps_an_answer_for_longer_than_configured() {
    let setup = setup(|config| config["cache"] = json!({"ttl": "500ms"})).await;
    for value in ["1h", "3600", "18446744073709551615", "-1", ""] {
        for name in ["x-peerway-cache-ttl", "x-bf-cache-ttl"] {
            let text = |text: &str| chat(&format!("{text} ({name} {value:?})"));
            ask_with(&setup, &text(KEPT), &[(name, value)]).await;
            let gone = async {
                let no_store = ("x-peerway-cache-no-store", "true");
                for body in [text(KEPT), text(SAME)] {
                    while kind(&ask_with(&setup, &body, &[(name, value), no_store]).await) != "miss" {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            };
            tokio::time::timeout(Duration::from_secs(60), gone).await.expect("it expires when it is configured to");
        }
    }
}

#[tokio::test]
async fn nobody_is_given_what_another_tenant_asked_for() {
    let team =
        |id: &str, value: &str, team: Option<&str>| json!({"id": id, "value": value, "team": team, "models": ["*"]});
    let config = |scope: &'static str| {
        move |config: &mut Value| {
            config["cache"] = json!({"scope": scope});
            config["governance"] = json!({"teams": [{"id": "red"}, {"id": "blue"}], "keys": [
                team("test", support::KEY, Some("red")), team("b", "sk-b", Some("red")), team("c", "sk-c", Some("blue")),
                team("d", "sk-d", None),
            ]});
        }
    };
    let no_store = ("x-peerway-cache-no-store", "true");
    for (scope, may) in [("key", &[][..]), ("team", &["sk-b"]), ("cluster", &["sk-b", "sk-c", "sk-d"])] {
        let setup = setup(config(scope)).await;
        keep(&setup, &chat(KEPT)).await;
        for key in ["sk-b", "sk-c", "sk-d"] {
            let bearer = format!("Bearer {key}");
            let answer = ask_with(&setup, &chat(SAME), &[("authorization", &bearer), no_store]).await;
            let (wanted, word) = if may.contains(&key) { ("hit-semantic", "agrees") } else { ("miss", "") };
            assert_eq!((kind(&answer), guard(&answer)), (wanted, word), "{key} with the scope {scope}");
            let same = ask_with(&setup, &chat(KEPT), &[("authorization", &bearer), no_store]).await;
            let wanted = if may.contains(&key) { "hit-direct" } else { "miss" };
            assert_eq!(kind(&same), wanted, "{key} with the scope {scope}");
        }
        let elsewhere = setup.chat_with(chat(SAME).to_string(), &[("x-peerway-cache-key", "other")]).await;
        assert_eq!((kind(&elsewhere), guard(&elsewhere)), ("miss", ""), "another cache key");
    }
}

#[tokio::test]
async fn all_but_the_last_text_must_be_the_same() {
    let setup = setup(|_| {}).await;
    keep(&setup, &chat(KEPT)).await;
    let system = |text: &str| json!({"role": "system", "content": text});
    let user = |text: &str| json!({"role": "user", "content": text});
    let tool = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    for (name, value) in [
        ("model", json!("smart")),
        ("temperature", json!(0.1)),
        ("tools", tool),
        ("response_format", json!({"type": "json_object"})),
        ("some_future_member", json!(1)),
        ("messages", json!([system("You answer in French."), user(SAME)])),
        ("messages", json!([user("Hello."), {"role": "assistant", "content": "Hi."}, user(SAME)])),
        ("messages", json!([{"role": "user", "name": "a", "content": SAME}])),
    ] {
        is_not_compared(&setup, &with(chat(SAME), name, value), &[]).await;
    }
    // Who sends it and how it travels do not matter.
    let sent = with(with(chat(SAME), "user", json!("u-1")), "metadata", json!({"a": "b"}));
    assert_eq!(kind(&ask(&setup, &sent).await), "hit-semantic");

    let talk =
        |text: &str| json!([system("Be brief."), user("Hello."), {"role": "assistant", "content": "Hi."}, user(text)]);
    keep(&setup, &with(chat(""), "messages", talk(KEPT))).await;
    assert_eq!(kind(&ask(&setup, &with(chat(""), "messages", talk(SAME))).await), "hit-semantic");
}

#[tokio::test]
async fn what_is_more_than_text_is_not_compared() {
    let setup = setup(|_| {}).await;
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let parts = |text: &str| json!([{"role": "user", "content": [{"type": "text", "text": text}, image]}]);
    let result = |text: &str| {
        let call = json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        json!([{"role": "user", "content": text}, {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": text}])
    };
    let long = |text: &str| {
        let turn = [json!({"role": "user", "content": "a"}), json!({"role": "assistant", "content": "b"})];
        let mut messages: Vec<Value> = turn.iter().cycle().take(4).cloned().collect();
        messages.push(json!({"role": "user", "content": text}));
        json!(messages)
    };
    for messages in [&parts as &dyn Fn(&str) -> Value, &result, &long] {
        for text in [KEPT, SAME] {
            is_not_compared(&setup, &with(chat(""), "messages", messages(text)), &[]).await;
        }
    }
    assert_eq!(semantic(&setup, "learned") + semantic(&setup, "misses") + semantic(&setup, "hits"), 0);
    let text = |text: &str| json!([{"role": "user", "content": [{"type": "text", "text": text}]}]);
    keep(&setup, &with(chat(""), "messages", text(KEPT))).await;
    assert_eq!(kind(&ask(&setup, &with(chat(""), "messages", text(SAME))).await), "hit-semantic");
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let setup = setup(|config| config["cache"] = json!({"semantic": {"enabled": false}})).await;
    for text in [KEPT, SAME] {
        is_not_compared(&setup, &chat(text), &[("x-peerway-cache-type", "semantic")]).await;
        assert_eq!(kind(&ask(&setup, &chat(text)).await), "hit-direct");
    }
    assert_eq!(semantic(&setup, "misses"), 0);
}

#[tokio::test]
async fn what_was_purged_serves_nobody() {
    let setup = setup(|_| {}).await;
    let kept = keep(&setup, &chat(KEPT)).await;
    setup.state.cache.purge_id(kept.header("x-peerway-cache-id")).await.unwrap();
    assert_eq!(kind(&ask(&setup, &chat(SAME)).await), "miss");
}

#[tokio::test]
async fn many_at_once_are_all_given_the_answer() {
    let setup = setup(|_| {}).await;
    keep(&setup, &chat(KEPT)).await;
    let (plain, streamed) = (chat(SAME), stream(chat(SAME)));
    let answers = join_all((0..60).map(|at| ask(&setup, if at % 2 == 0 { &plain } else { &streamed }))).await;
    let kinds: Vec<_> = answers.iter().map(kind).collect();
    assert!(kinds.iter().all(|kind| *kind == "hit-semantic"), "{kinds:?}");
    assert_eq!(setup.billed().await, 1);
}
