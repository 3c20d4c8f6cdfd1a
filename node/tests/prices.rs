//! What an answer costs, and who is told.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::path::Path;
use std::process::Command;

use http::StatusCode;
use peerway::gateway::Plan;
use serde_json::{Value, json};
use support::{Setup, hello, hello_stream, setup};

const COST: &str = "x-peerway-cost-usd";
const TOTAL: &str = "peerway_cost_usd_total";
const IN_CACHE: (&str, &str) = ("x-peerway-cache-key", "ns");

/// "hello" is 9 tokens to the simulated provider, and its echo 2.
const HELLO_NANO: u64 = 9 * 1_000 + 2 * 2_000;
const HELLO_USD: &str = "0.000013";

async fn billed_nano(setup: &Setup) -> u64 {
    setup.provider("GET", "/bill", "").await["cost_nano_usd"].as_u64().unwrap()
}

fn nano(usd: &str) -> u64 {
    usd.parse::<peerway::governance::NanoUsd>().unwrap().get()
}

#[tokio::test]
async fn a_plain_answer_says_its_cost() {
    let setup = setup(|_| {}).await;
    let answer = setup.chat(hello()).await;
    assert_eq!((answer.status, answer.header(COST)), (StatusCode::OK, HELLO_USD));
    assert_eq!(setup.next_log_line()["cost_nano_usd"], HELLO_NANO);
    let mut three = hello();
    (three["model"], three["n"]) = (json!("demo/slow"), json!(3));
    let answer = setup.chat(three).await;
    let produced = answer.json()["usage"]["completion_tokens"].as_u64().unwrap();
    assert!(produced.is_multiple_of(3) && produced > 3, "all choices are in the usage: {produced}");
    assert_eq!(nano(answer.header(COST)), 9 * 2_000 + produced * 8_000);
    setup.next_log_line();
    assert_eq!(nano(&setup.metric(TOTAL)), billed_nano(&setup).await, "what is counted is what is billed");
}

#[tokio::test]
async fn a_streams_cost_is_in_the_log_and_the_metric() {
    let setup = setup(|_| {}).await;
    let answer = setup.chat(hello_stream()).await;
    assert_eq!(answer.header(COST), "", "its head is gone before its usage is known");
    assert_eq!(answer.streamed_text(), "echo: hello");
    let line = setup.next_log_line();
    assert_eq!((&line["stream"], &line["cost_nano_usd"]), (&json!(true), &json!(HELLO_NANO)));
    assert_eq!(setup.metric(TOTAL), HELLO_USD);
}

#[tokio::test]
async fn a_hit_costs_nothing() {
    let setup = setup(|_| {}).await;
    for body in [hello(), hello_stream()] {
        let mut misses = 0;
        let hit = loop {
            let answer = setup.chat_with(body.to_string(), &[IN_CACHE]).await;
            let line = setup.next_log_line();
            if answer.header("x-peerway-cache") == "hit-direct" {
                assert_eq!(line["cost_nano_usd"], 0);
                break answer;
            }
            misses += 1;
            assert!(misses < 100, "never a hit");
        };
        assert_eq!(hit.header(COST), "0");
    }
    assert_eq!(nano(&setup.metric(TOTAL)), billed_nano(&setup).await);
}

#[tokio::test]
async fn an_unknown_price_is_not_a_price_of_zero() {
    let setup = setup(|config| config["providers"][0]["type"] = json!("openai_compatible")).await;
    for body in [hello(), hello_stream()] {
        let answer = setup.chat(body).await;
        assert_eq!((answer.status, answer.headers.get(COST)), (StatusCode::OK, None));
        assert_eq!(setup.next_log_line().get("cost_nano_usd"), None);
    }
    assert_eq!(setup.metric(TOTAL), "0");
}

#[tokio::test]
async fn a_missing_usage_is_counted_and_a_zero_one_is_zero() {
    let setup = setup(|_| {}).await;
    setup.fault(json!({"match": {}, "do": {"no_usage": true}})).await;
    assert!(!setup.chat(hello()).await.header(COST).is_empty());
    let line = setup.next_log_line();
    assert!(line["cost_nano_usd"].as_u64() >= Some(billed_nano(&setup).await) && line["estimated"] == true, "{line}");
    setup.fault(json!({"match": {}, "do": {"usage_zero": true}})).await;
    assert_eq!(setup.chat(hello()).await.header(COST), "0");
    assert_eq!(setup.next_log_line()["cost_nano_usd"], 0);
}

#[tokio::test]
async fn a_failure_has_no_cost_and_a_fallback_that_of_who_answered() {
    let prices = tempfile::tempdir().unwrap();
    let file = prices.path().join("prices.yaml");
    std::fs::write(&file, "models: [ { provider: other, model: echo, input: \"5\", output: 7.5 } ]").unwrap();
    let setup = setup(|config| config["prices"] = json!({ "file": file })).await;
    assert_eq!(setup.chat(hello()).await.header(COST), HELLO_USD, "the table's");
    setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": {"status": 500}})).await;
    let mut smart = hello();
    smart["model"] = json!("smart");
    let answer = setup.chat(smart).await;
    assert_eq!((answer.header("x-peerway-provider"), answer.header(COST)), ("other", "0.00006"), "the file's");
    setup.fault(json!({"match": {}, "do": {"status": 500}})).await;
    let answer = setup.chat(hello()).await;
    assert_eq!((answer.status.is_success(), answer.headers.get(COST)), (false, None));
}

fn config(file: &Path) -> peerway::config::Config {
    serde_json::from_value(json!({ "prices": { "file": file } })).unwrap()
}

#[test]
fn a_broken_price_file_keeps_the_plan_from_being_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prices.yaml");
    let missing = Plan::compile(&config(&file), 1).unwrap_err().to_string();
    assert!(missing.contains("prices.yaml: cannot read the file"), "{missing}");
    std::fs::write(&file, "models:\n  - { provider: a, model: b, input: \"1\", outptu: \"2\" }\n").unwrap();
    let broken = Plan::compile(&config(&file), 1).unwrap_err().to_string();
    assert!(broken.contains("prices.yaml:2:42: unknown key `outptu`"), "{broken}");
    std::fs::write(&file, "models: []").unwrap();
    assert!(Plan::compile(&config(&file), 1).is_ok());
}

#[test]
fn check_reads_the_price_file() {
    let folder = tempfile::tempdir().unwrap();
    let (config, prices) = (folder.path().join("peerway.yaml"), folder.path().join("prices.yaml"));
    std::fs::write(&config, format!("prices: {{ file: {} }}\n", prices.display())).unwrap();
    std::fs::write(&prices, "models:\n  - { provider: a, model: b, input: \"-1\", output: \"2\" }\n").unwrap();
    let check = || {
        let output =
            Command::new(env!("CARGO_BIN_EXE_peerway")).args(["check", "--json"]).arg(&config).output().unwrap();
        (output.status.success(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (ok, report) = check();
    let error = &report["errors"][0];
    assert_eq!(
        (ok, &error["line"], &error["column"], &error["path"]),
        (false, &json!(2), &json!(37), &json!("models[0].input"))
    );
    assert_eq!(report["file"], prices.display().to_string());
    std::fs::write(&prices, "models:\n  - { provider: a, model: b, input: \"1\", output: \"2\" }\n").unwrap();
    assert!(check().0);
}
