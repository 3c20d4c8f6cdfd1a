//! The judge: a provider's cheap model that is asked whether a kept answer serves, what it may decide, who pays for it, and
//! that a request is answered whatever becomes of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Answer, Setup, setup};

const IN_CACHE: (&str, &str) = ("x-peerway-cache-key", "faq");
const KEPT: &str = "My puppy keeps chewing the furniture. How do I stop it?";
/// Nothing contradicts, and the guard is far from sure.
const DOUBTED: &str = "How can I get my young dog to quit gnawing on chairs and tables?";
const SURE: &str = "My puppy keeps chewing the furniture, how do I stop it";
const THERE: &str = "flights from Paris to Rome";
const BACK: &str = "flights from Rome to Paris";

fn chat(text: &str) -> Value {
    json!({"model": "demo/echo", "messages": [{"role": "user", "content": text}]})
}

/// With a judge, whose answers take as long as they take on a busy machine.
async fn judged(change: impl FnOnce(&mut Value)) -> Setup {
    setup(|config| {
        config["cache"] = json!({"semantic": {"judge": {"model": "other/slow", "deadline": "60s"}}});
        change(config);
    })
    .await
}

/// What the judge does.
async fn does(setup: &Setup, effect: Value) {
    setup.provider("POST", "/faults", &json!([{"match": {"model": "slow"}, "do": effect}]).to_string()).await;
}

async fn says(setup: &Setup, text: &str) {
    does(setup, json!({"text": text, "latency_ms": 0})).await;
}

async fn ask_with(setup: &Setup, text: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[IN_CACHE], headers].concat();
    let answer = setup.chat_with(chat(text).to_string(), &headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

async fn ask(setup: &Setup, text: &str) -> Answer {
    ask_with(setup, text, &[]).await
}

/// Asks without keeping the answer, so that it can be asked again.
async fn try_out(setup: &Setup, text: &str) -> Answer {
    ask_with(setup, text, &[("x-peerway-cache-no-store", "true")]).await
}

fn told(answer: &Answer) -> (&str, &str) {
    (answer.header("x-peerway-cache"), answer.header("x-peerway-cache-guard"))
}

async fn keep(setup: &Setup, text: &str) -> Answer {
    let learned = || setup.state.cache.stats_json()["semantic"]["learned"].as_u64().unwrap();
    let before = learned();
    let answer = ask(setup, text).await;
    assert_eq!(answer.header("x-peerway-cache"), "miss");
    let enough = async {
        while learned() == before {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), enough).await.expect("the answer is learned");
    answer
}

/// What became of questions to the judge.
fn counted(setup: &Setup) -> Value {
    setup.state.cache.stats_json()["semantic"]["confirmations"]["judge"].clone()
}

/// What it was asked, with headers and all.
async fn asked(setup: &Setup) -> Vec<Value> {
    let seen = setup.provider("GET", "/requests?last=1000", "").await;
    let is_judged = |request: &&Value| request["body"].as_str().unwrap().contains("\"model\":\"slow\"");
    seen["requests"].as_array().unwrap().iter().filter(is_judged).cloned().collect()
}

#[tokio::test]
async fn a_doubt_that_the_judge_confirms_is_a_hit() {
    let setup = judged(|_| {}).await;
    says(&setup, "Yes").await;
    let first = keep(&setup, KEPT).await;
    let second = ask(&setup, DOUBTED).await;
    assert_eq!(told(&second), ("hit-semantic", "judge"));
    assert_eq!(second.body, first.body);
    assert!(second.header("x-peerway-cache-similarity").parse::<f32>().unwrap() < 0.85, "the guard's own");
    assert_eq!(setup.billed().await, 2, "the first answer and the judge");
    // Known from now on.
    assert_eq!(told(&ask(&setup, DOUBTED).await), ("hit-semantic", "judge"));
    assert_eq!(setup.billed().await, 2);
    assert_eq!(counted(&setup), json!({"agreed": 2, "refused": 0, "failed": 0, "unasked": 0, "remembered": 1}));
}

#[tokio::test]
async fn whatever_else_it_says_is_no() {
    for text in ["no", "yes, I think so", "{\"answer\": \"yes\"}", "Ignore that. yes"] {
        let setup = judged(|_| {}).await;
        says(&setup, text).await;
        keep(&setup, KEPT).await;
        assert_eq!(told(&try_out(&setup, DOUBTED).await), ("miss", "judge"), "{text}");
        assert_eq!(told(&try_out(&setup, DOUBTED).await), ("miss", "judge"), "{text}");
        assert_eq!(counted(&setup)["refused"], 2);
    }
}

#[tokio::test]
async fn what_is_contradicted_or_certain_is_not_asked_about() {
    let setup = judged(|_| {}).await;
    says(&setup, "yes").await;
    keep(&setup, THERE).await;
    assert_eq!(told(&try_out(&setup, BACK).await), ("miss", "direction"));
    keep(&setup, KEPT).await;
    assert_eq!(told(&ask(&setup, SURE).await), ("hit-semantic", "agrees"));
    // Who wants to be surer than the rule is not given what the guard doubts.
    let surer = [("x-peerway-cache-threshold", "0.9"), ("x-peerway-cache-no-store", "true")];
    assert_eq!(told(&ask_with(&setup, DOUBTED, &surer).await), ("miss", "doubt"));
    assert!(asked(&setup).await.is_empty());
}

#[tokio::test]
async fn what_is_certain_is_asked_about_where_that_is_wanted() {
    let setup = judged(|config| config["cache"]["semantic"]["confirm"] = json!("all")).await;
    says(&setup, "no").await;
    keep(&setup, KEPT).await;
    assert_eq!(told(&try_out(&setup, SURE).await), ("miss", "judge"));
    keep(&setup, THERE).await;
    assert_eq!(told(&try_out(&setup, BACK).await), ("miss", "direction"));
    assert_eq!(asked(&setup).await.len(), 1);
}

#[tokio::test]
async fn a_judge_that_fails_leaves_the_guards_verdict() {
    for effect in [
        json!({"status": 503}),
        json!({"status": 400}),
        json!({"status": 429}),
        json!({"reset": true}),
        json!({"malformed": true}),
    ] {
        let setup = judged(|config| config["cache"]["semantic"]["confirm"] = json!("all")).await;
        does(&setup, effect.clone()).await;
        keep(&setup, KEPT).await;
        assert_eq!(told(&try_out(&setup, SURE).await), ("hit-semantic", "agrees"), "{effect}");
        assert_eq!(counted(&setup)["failed"], 1, "{effect}");
        // And is left alone for a while.
        let before = asked(&setup).await.len();
        assert_eq!(told(&try_out(&setup, DOUBTED).await), ("miss", "doubt"), "{effect}");
        assert_eq!((asked(&setup).await.len(), &counted(&setup)["unasked"]), (before, &json!(1)), "{effect}");
    }
}

#[tokio::test]
async fn a_judge_that_is_late_is_not_waited_for() {
    let setup = judged(|config| config["cache"]["semantic"]["judge"]["deadline"] = json!("100ms")).await;
    does(&setup, json!({"hang": true})).await;
    keep(&setup, KEPT).await;
    assert_eq!(told(&ask(&setup, DOUBTED).await), ("miss", "doubt"));
    assert_eq!(counted(&setup)["failed"], 1);
}

#[tokio::test]
async fn it_is_told_its_task_and_two_texts_and_nothing_of_the_client() {
    let setup = judged(|_| {}).await;
    says(&setup, "yes").await;
    keep(&setup, KEPT).await;
    let client = [("openai-organization", "theirs"), ("user-agent", "theirs/1")];
    assert_eq!(told(&ask_with(&setup, DOUBTED, &client).await), ("hit-semantic", "judge"));
    let asked = asked(&setup).await;
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].to_string().contains("theirs"), "{}", asked[0]);
    assert_eq!(asked[0]["headers"]["authorization"], "Bearer sk-up-other", "the provider's key");
    let body: Value = serde_json::from_str(asked[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["temperature"], &body["max_tokens"]), (&json!(0), &json!(4)));
    let roles: Vec<&str> = body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user"]);
    let texts: Value = serde_json::from_str(body["messages"][1]["content"].as_str().unwrap()).unwrap();
    assert_eq!(texts, json!({"kept": KEPT, "asked": DOUBTED}));
}

#[tokio::test]
async fn the_key_that_asks_pays_and_is_told() {
    let setup = judged(|config| {
        config["governance"]["keys"][0]["budgets"] = json!([{"limit_usd": "1", "window": "1Y"}]);
    })
    .await;
    says(&setup, "yes").await;
    let first: f64 = keep(&setup, KEPT).await.header("x-peerway-cost-usd").parse().unwrap();
    let hit = ask(&setup, DOUBTED).await;
    assert_eq!(told(&hit), ("hit-semantic", "judge"));
    let judged: f64 = hit.header("x-peerway-cost-usd").parse().unwrap();
    assert!(first > 0.0 && judged > 0.0, "{first} {judged}");
    let again = ask(&setup, DOUBTED).await;
    assert_eq!(
        (told(&again), again.header("x-peerway-cost-usd")),
        (("hit-semantic", "judge"), "0"),
        "it was remembered"
    );
    let lines = [setup.next_log_line(), setup.next_log_line(), setup.next_log_line()];
    let line = lines.iter().find(|line| line["path"] == "cache.semantic.judge").expect("a line of its own");
    assert_eq!((&line["key"], &line["model"], &line["provider"]), (&json!("test"), &json!("slow"), &json!("other")));
    let nano = line["cost_nano_usd"].as_f64().unwrap();
    assert!((nano - judged * 1e9).abs() < 1.0, "{nano} {judged}");
    let requests = "peerway_requests_total{route=\"cache-judge\",provider=\"other\",model=\"slow\",status=\"200\"}";
    assert_eq!(setup.metric(requests), "1");
    let bill = setup.bill().await;
    assert_eq!(first.mul_add(1e9, nano).round() as u64, bill, "what the client is told is what is billed");
}

#[tokio::test]
async fn a_key_that_cannot_pay_asks_no_judge() {
    let setup = judged(|config| {
        let poor = json!([{"limit_usd": "0.000001", "window": "1Y"}]);
        config["governance"]["keys"][0]["providers"] =
            json!([{"provider": "demo"}, {"provider": "other", "budgets": poor}]);
    })
    .await;
    says(&setup, "yes").await;
    keep(&setup, KEPT).await;
    assert_eq!(told(&try_out(&setup, DOUBTED).await), ("miss", "doubt"));
    assert!(asked(&setup).await.is_empty());
    assert_eq!((&counted(&setup)["unasked"], &counted(&setup)["failed"]), (&json!(1), &json!(0)));
}
