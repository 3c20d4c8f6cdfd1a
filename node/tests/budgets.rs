//! Budgets and limits on a request's way: what is held before it is sent, what is settled after, and what is refused.
//! The ledger here is one of this process alone; how budgets hold across nodes is tested elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::time::Duration;

use http::Request;
use http_body_util::Full;
use peerway::governance::access::caps;
use peerway::governance::charges::{Owner, provider_config};
use peerway_cluster::ledger::allowance::{Allowance, Tier};
use serde_json::{Value, json};
use support::{KEY, Setup, hello, hello_stream, setup};

/// The key's only allowance, as its configuration has it.
fn of_key(budgets: &Value, limits: &Value) -> Allowance {
    owned(Tier::Key, "test", budgets, limits)
}

fn owned(tier: Tier, name: &str, budgets: &Value, limits: &Value) -> Allowance {
    let budgets: Vec<peerway::config::Budget> = serde_json::from_value(budgets.clone()).unwrap();
    let limits: Vec<peerway::config::Limit> = serde_json::from_value(limits.clone()).unwrap();
    let caps = caps(&budgets, &limits).unwrap();
    let owner = Owner { tier, name, caps: &caps };
    let mut allowances = owner.allowances();
    allowances.next().unwrap()
}

fn usd(limit: &str) -> Value {
    json!([{"limit_usd": limit, "window": "1Y"}])
}

async fn budget(limit: &str) -> (Setup, Allowance) {
    let budgets = usd(limit);
    let allowance = of_key(&budgets, &json!([]));
    (setup(|config| config["governance"]["keys"][0]["budgets"] = budgets).await, allowance)
}

/// Waits until nothing is held any more, and tells what was spent.
async fn settled(setup: &Setup, allowance: &Allowance) -> u64 {
    for _ in 0..500 {
        let (spent, held) = setup.ledger.spent(allowance);
        if held == 0 {
            return spent;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("something is held for ever: {:?}", setup.ledger.spent(allowance));
}

#[tokio::test]
async fn what_is_settled_is_what_is_billed() {
    let (setup, allowance) = budget("1").await;
    for body in [hello(), hello_stream(), hello()] {
        assert_eq!(setup.chat(body).await.status.as_u16(), 200);
    }
    assert_eq!(settled(&setup, &allowance).await, setup.bill().await);
}

#[tokio::test]
async fn a_client_that_leaves_is_settled_by_what_it_cost() {
    let (setup, allowance) = budget("1").await;
    let mut body = hello_stream();
    body["model"] = json!("demo/slow");
    setup.chat_and_leave(body, 3, Duration::from_secs(20)).await;
    setup.next_log_line();
    assert_eq!(settled(&setup, &allowance).await, setup.bill().await);
}

#[tokio::test]
async fn a_stream_that_broke_off_is_never_settled_below_its_bill() {
    let (setup, allowance) = budget("1").await;
    setup.fault(json!({"match": {}, "do": {"cut_after_events": 4}})).await;
    setup.chat(hello_stream()).await;
    assert!(settled(&setup, &allowance).await >= setup.bill().await);
}

#[tokio::test]
async fn a_hit_and_a_refusal_cost_nothing() {
    let (setup, allowance) = budget("1").await;
    let cached = [("x-peerway-cache-key", "k")];
    setup.chat_with(hello().to_string(), &cached).await;
    let spent = settled(&setup, &allowance).await;
    assert_eq!(setup.chat_with(hello().to_string(), &cached).await.header("x-peerway-cache"), "hit-direct");
    setup.fault(json!({"match": {}, "do": {"status": 503}})).await;
    assert_eq!(setup.chat(hello()).await.status.as_u16(), 503);
    assert_eq!(settled(&setup, &allowance).await, spent);
}

#[tokio::test]
async fn a_used_up_budget_is_told_in_every_form() {
    let (setup, _) = budget("0.00002").await;
    let refused = setup.chat(hello()).await;
    assert_eq!((refused.status.as_u16(), refused.header("x-should-retry")), (429, "false"), "{refused:?}");
    assert_eq!((refused.header("retry-after"), refused.header("x-peerway-error")), ("", "budget_exceeded"));
    let error = refused.json()["error"].clone();
    assert_eq!((&error["code"], &error["type"]), (&json!("budget_exceeded"), &json!("insufficient_quota")));
    let message = error["message"].as_str().unwrap();
    for part in ["budget of key `test`", "0.00002 USD per 1Y", "ends at 2", "-01-01T00:00:00Z"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert_eq!(setup.bill().await, 0, "nothing was sent");
    assert_eq!(setup.metric("peerway_budget_denied_total{tier=\"key\"}"), "1");
}

#[tokio::test]
async fn a_dialect_that_is_not_served_yet_refuses_in_its_own_form() {
    let ask = async |setup: &Setup, path: &str| {
        let request = Request::post(format!("http://{}{path}", setup.gateway)).header("x-api-key", KEY);
        setup.send(request.body(Full::default()).unwrap()).await
    };
    let (setup, _) = budget("0").await;
    let refused = ask(&setup, "/anthropic/v1/messages").await;
    assert_eq!((refused.status.as_u16(), refused.header("x-should-retry")), (429, "false"));
    let body = refused.json();
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!("rate_limit_error")));
    assert_eq!(body["request_id"], refused.header("x-request-id"));
    let refused = ask(&setup, "/genai/v1beta/models/gemini-2.5-pro:generateContent").await;
    assert_eq!(refused.json()["error"]["status"], "RESOURCE_EXHAUSTED");
    let refused = ask(&setup, "/cohere/v2/chat").await;
    assert_eq!(
        (refused.header("x-peerway-error"), &refused.json()["id"]),
        ("budget_exceeded", &json!(refused.header("x-request-id")))
    );
    let (setup, _) = budget("1").await;
    assert_eq!(ask(&setup, "/anthropic/v1/messages").await.status.as_u16(), 501);
}

#[tokio::test]
async fn a_limit_of_requests_counts_each_once_whatever_became_of_it() {
    let limits = json!([{"unit": "requests", "limit": 3, "window": "1h"}]);
    let allowance = of_key(&json!([]), &limits);
    let setup = setup(|config| config["governance"]["keys"][0]["limits"] = limits).await;
    let first = setup.chat(hello()).await;
    assert_eq!(first.header("x-ratelimit-limit-requests"), "3");
    setup.fault(json!({"match": {"first": 4}, "do": {"status": 503}})).await;
    assert_eq!(setup.chat(hello()).await.status.as_u16(), 503);
    assert_eq!(settled(&setup, &allowance).await, 2, "two attempts are one request");
    let mut unknown = hello();
    unknown["model"] = json!("demo/nothing");
    assert_eq!(setup.chat(unknown).await.status.as_u16(), 404, "and one that is not sent is none");
    setup.provider("POST", "/reset", "").await;
    let third = setup.chat(hello()).await;
    assert_eq!((third.status.as_u16(), third.header("x-ratelimit-remaining-requests")), (200, "1"));
    let refused = setup.chat(hello()).await;
    assert_eq!(refused.status.as_u16(), 429);
    let error = refused.json()["error"].clone();
    assert_eq!((&error["code"], &error["type"]), (&json!("rate_limit_exceeded"), &json!("rate_limit_error")));
    let after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=3_600).contains(&after), "{after}");
    // Some SDKs would sleep for an hour.
    assert_eq!(refused.header("x-should-retry"), if after > 120 { "false" } else { "" });
    let after_ms: u64 = refused.header("retry-after-ms").parse().unwrap();
    assert!(after_ms <= after * 1_000 && after_ms + 1_000 > after * 1_000, "{after_ms}");
}

#[tokio::test]
async fn a_limit_of_tokens_is_settled_by_usage() {
    let limits = json!([{"unit": "tokens", "limit": 10_000, "window": "1h"}]);
    let allowance = of_key(&json!([]), &limits);
    let setup = setup(|config| config["governance"]["keys"][0]["limits"] = limits).await;
    let used = setup.chat(hello()).await.json()["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(settled(&setup, &allowance).await, used);
    let mut greedy = hello();
    greedy["max_tokens"] = json!(10_000);
    let refused = setup.chat(greedy).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["type"]), (429, &json!("rate_limit_error")));
}

#[tokio::test]
async fn every_tier_is_charged_and_the_first_that_has_not_enough_is_named() {
    let (month, day) = (json!([{"limit_usd": "1", "window": "1M"}]), json!([{"limit_usd": "0.00001", "window": "1d"}]));
    let setup = setup(|config| {
        config["governance"]["customers"] = json!([{"id": "acme", "budgets": month}]);
        config["governance"]["teams"] = json!([{"id": "search", "customer": "acme", "budgets": day}]);
        config["governance"]["keys"][0]["team"] = json!("search");
        config["governance"]["keys"][1]["team"] = json!("search");
    })
    .await;
    let refused = setup.chat(hello()).await;
    let message = refused.json()["error"]["message"].to_string();
    assert!(refused.status.as_u16() == 429 && message.contains("budget of team `search`"), "{message}");
    let acme = owned(Tier::Customer, "acme", &month, &json!([]));
    assert_eq!(setup.ledger.spent(&acme), (0, 0), "all or nothing");
}

#[tokio::test]
async fn a_key_with_a_budget_spends_only_what_has_a_price() {
    let change = |config: &mut Value| {
        config["providers"][0]["type"] = json!("openai_compatible");
        config["governance"]["keys"][0]["budgets"] = usd("1");
    };
    let setup = setup(change).await;
    let refused = setup.chat(hello()).await;
    assert_eq!(refused.status.as_u16(), 403);
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("demo/echo") && message.contains("prices.file"), "{message}");
    let allowed = setup.chat_with(hello().to_string(), &[("authorization", "Bearer sk-second")]).await;
    assert_eq!(allowed.status.as_u16(), 200, "a key without a budget may");
    let mut alias = hello();
    alias["model"] = json!("smart");
    let answered = setup.chat(alias).await;
    assert_eq!(answered.header("x-peerway-provider"), "other", "the target that has one");
}

#[tokio::test]
async fn a_budget_at_one_provider_leaves_the_others_open() {
    let poor = usd("0.000001");
    let setup = setup(|config| {
        config["governance"]["keys"][0]["providers"] = json!([{"provider": "demo", "budgets": poor}]);
    })
    .await;
    let mut alias = hello();
    alias["model"] = json!("smart");
    assert_eq!(setup.chat(alias).await.header("x-peerway-provider"), "other");
    let refused = setup.chat(hello()).await;
    let message = refused.json()["error"]["message"].to_string();
    assert!(refused.status.as_u16() == 429 && message.contains("key and provider `test/demo`"), "{message}");
    let allowance = owned(Tier::ProviderConfig, &provider_config("test", "demo"), &poor, &json!([]));
    assert_eq!(setup.ledger.spent(&allowance), (0, 0));
}

#[tokio::test]
async fn sixty_clients_at_once_never_spend_more_than_the_limit() {
    let (setup, allowance) = budget("0.001").await;
    let client = async || {
        let mut granted = 0;
        // More than the limit is good for, so a limit that does not hold is a failure and not a test without an end.
        for _ in 0..40 {
            let mut body = hello();
            body["max_tokens"] = json!(8);
            match setup.chat(body).await.status.as_u16() {
                200 => granted += 1,
                429 => return granted,
                other => panic!("{other}"),
            }
        }
        granted
    };
    let granted: u64 = futures_util::future::join_all((0..60).map(|_| client())).await.into_iter().sum();
    let spent = settled(&setup, &allowance).await;
    assert_eq!(spent, setup.bill().await);
    assert!(spent <= allowance.limit && granted > 30, "{granted} answers for {spent}");
}
