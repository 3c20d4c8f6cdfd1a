//! Hooks see what passes, before the upstream, after it and at each piece of a stream, and may refuse it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test that is how it fails")]

mod support;

use std::sync::{Arc, Mutex};

use peerway::gateway::Hooks;
use peerway::gateway::hooks::{AfterUpstream, Answered, BeforeUpstream, OnEvent, Outgoing, Refusal};
use serde_json::json;
use support::{Setup, hello, hello_stream, setup_with_hooks};

/// Writes down what it sees, and refuses what holds a word.
#[derive(Debug, Default)]
struct Watch {
    seen: Mutex<Vec<String>>,
    refuses: Option<&'static str>,
}

impl Watch {
    fn refusing(word: &'static str) -> Arc<Self> {
        Arc::new(Self { refuses: Some(word), ..Self::default() })
    }

    fn look(&self, what: String) -> Result<(), Refusal> {
        let refused = self.refuses.is_some_and(|word| what.contains(word));
        self.seen.lock().unwrap().push(what);
        if refused { Err(Refusal("a word that may not pass".to_owned())) } else { Ok(()) }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl BeforeUpstream for Watch {
    fn before(&self, request: &Outgoing<'_>) -> Result<(), Refusal> {
        let Outgoing { key, provider, model, dialect, stream, body } = request;
        self.look(format!("{key:?} {provider}/{model} {dialect} {stream} {}", String::from_utf8_lossy(body)))
    }
}

impl AfterUpstream for Watch {
    fn after(&self, answer: &Answered<'_>) -> Result<(), Refusal> {
        let Answered { key, provider, model, dialect, status, body } = answer;
        self.look(format!("{key:?} {provider}/{model} {dialect} {status} {}", String::from_utf8_lossy(body)))
    }
}

impl OnEvent for Watch {
    fn event(&self, piece: &[u8]) -> Result<(), Refusal> {
        self.look(String::from_utf8_lossy(piece).into_owned())
    }
}

async fn watched(watch: &Arc<Watch>) -> Setup {
    let hooks = Hooks {
        before: vec![Arc::clone(watch) as _],
        after: vec![Arc::clone(watch) as _],
        events: vec![Arc::clone(watch) as _],
    };
    setup_with_hooks(|_| {}, hooks).await
}

#[tokio::test]
async fn a_hook_sees_what_passes() {
    let watch = Arc::new(Watch::default());
    let setup = watched(&watch).await;
    assert_eq!(setup.chat(hello()).await.status.as_u16(), 200);
    let seen = watch.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[0].starts_with("Some(\"test\") demo/echo openai-chat false {"), "{seen:?}");
    assert!(seen[1].starts_with("Some(\"test\") demo/echo openai-chat 200 OK {") && seen[1].contains("echo: hello"));
    let answer = setup.chat(hello_stream()).await;
    let pieces = watch.seen().split_off(3).concat();
    assert_eq!(pieces.as_bytes(), answer.body, "all that the client saw");
}

#[tokio::test]
async fn a_refused_request_is_not_sent() {
    let watch = Watch::refusing("\"hello\"");
    let setup = watched(&watch).await;
    let answer = setup.chat(hello()).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-error")), (403, "refused"), "{answer:?}");
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("may not pass"));
    assert_eq!((setup.billed().await, answer.header("x-peerway-attempts")), (0, "0"));
}

#[tokio::test]
async fn what_is_not_sent_is_not_shown() {
    let watch = Arc::new(Watch::default());
    let setup = watched(&watch).await;
    setup.fault(json!({"match": {"key": "sk-up-demo"}, "do": {"status": 401}})).await;
    assert_eq!(setup.chat(hello()).await.header("x-peerway-attempts"), "1");
    assert_eq!(watch.seen().len(), 1);
    // The key is out: the gateway does not ask with it again for a while.
    assert_eq!(setup.chat(hello()).await.header("x-peerway-attempts"), "0");
    assert_eq!(watch.seen().len(), 1, "{:?}", watch.seen());
}

#[tokio::test]
async fn a_refused_answer_is_not_handed_on_and_is_paid_for() {
    let watch = Watch::refusing("echo: hello");
    let setup = watched(&watch).await;
    let answer = setup.chat(hello()).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-peerway-error")), (403, "refused"), "{answer:?}");
    assert!(!String::from_utf8_lossy(&answer.body).contains("echo: hello"));
    assert_eq!(setup.next_log_line()["cost_nano_usd"], json!(setup.bill().await));
}

#[tokio::test]
async fn a_refused_piece_ends_the_stream() {
    let watch = Watch::refusing(" hello");
    let setup = watched(&watch).await;
    let events = setup.chat(hello_stream()).await.events();
    let last = events.last().unwrap();
    assert!(last.contains("may not pass") && last.contains("\"refused\""), "{events:?}");
    assert!(!events[..events.len() - 1].concat().contains(" hello"), "{events:?}");
    assert_eq!(setup.next_log_line()["outcome"], "cut");
}
