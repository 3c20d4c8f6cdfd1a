//! A model behind `/v1/embeddings` is asked seldom and together, and what it says is not believed unread.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]
#![allow(clippy::cast_precision_loss, reason = "lengths of short texts")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use peerway_cache::semantic::Embedder;
use peerway_cache::semantic::embed::{Batched, Bounds, OpenAi};
use peerway_cache::transport::{Transport, TransportError};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

const DEADLINE: Duration = Duration::from_secs(2);

type Answer = Result<Response<Bytes>, TransportError>;

/// A service that does what `answer` says; each call waits for a permit.
struct Service {
    answer: Box<dyn Fn(&Value) -> Answer + Send + Sync>,
    asked: Mutex<Vec<Value>>,
    permits: Semaphore,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Service")
    }
}

#[async_trait]
impl Transport for Service {
    async fn send(&self, request: Request<Bytes>) -> Answer {
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/embeddings"));
        let request: Value = serde_json::from_slice(request.body()).unwrap();
        self.asked.lock().unwrap().push(request.clone());
        self.permits.acquire().await.unwrap().forget();
        (self.answer)(&request)
    }
}

impl Service {
    fn new(answer: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        let permits = Semaphore::new(Semaphore::MAX_PERMITS);
        Arc::new(Self { answer: Box::new(answer), asked: Mutex::default(), permits })
    }

    /// Does not answer before it is told to.
    fn silent() -> Arc<Self> {
        let service = Self::new(ok);
        service.permits.forget_permits(Semaphore::MAX_PERMITS);
        service
    }

    fn embedder(self: &Arc<Self>, bounds: Bounds) -> Batched {
        let model = OpenAi::new(Arc::clone(self) as _, "here", "small", None, DEADLINE);
        Batched::new(Arc::new(model), bounds, Handle::current())
    }

    /// The texts of each call.
    fn asked(&self) -> Vec<Vec<String>> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| serde_json::from_value(request["input"].clone()).unwrap()).collect()
    }
}

fn answered(status: u16, body: &Value) -> Answer {
    Ok(Response::builder().status(status).body(body.to_string().into()).unwrap())
}

/// A vector that tells of its text, not of length 1, and the last text first.
fn ok(request: &Value) -> Answer {
    let texts = request["input"].as_array().unwrap().iter().enumerate().rev();
    let item =
        |(index, text): (usize, &Value)| json!({ "index": index, "embedding": [text.as_str().unwrap().len(), 1] });
    answered(200, &json!({ "object": "list", "data": texts.map(item).collect::<Vec<_>>(), "model": "small" }))
}

fn expected(text: &str) -> [f32; 2] {
    let length = text.len() as f32;
    let norm = length.hypot(1.0);
    [length / norm, 1.0 / norm]
}

#[tokio::test]
async fn texts_that_come_together_are_asked_together_and_equal_ones_once() {
    let service = Service::new(ok);
    let embedder = service.embedder(Bounds::default());
    let texts = ["one", "three", "one", "eleven", "three", "one"];
    for (text, vector) in texts.iter().zip(join_all(texts.iter().map(|text| embedder.embed(text))).await) {
        let vector = vector.unwrap();
        let wanted = expected(text);
        assert!((vector[0] - wanted[0]).abs() < 1e-6 && (vector[1] - wanted[1]).abs() < 1e-6, "{text}: {vector:?}");
    }
    assert_eq!(service.asked(), [["one", "three", "eleven"]]);
    assert_eq!(service.asked.lock().unwrap()[0], json!({ "model": "small", "input": ["one", "three", "eleven"] }));
    embedder.embed("eleven").await.unwrap();
    assert_eq!(service.asked().len(), 1, "a vector that is known is asked for again");
    assert_eq!(embedder.space(), "openai:here/small");
}

#[tokio::test]
async fn what_comes_during_the_calls_waits_for_the_next_and_no_call_is_too_large() {
    let service = Service::silent();
    let embedder = service.embedder(Bounds { batch: 3, calls: 1, ..Bounds::default() });
    let first = tokio::spawn({
        let embedder = embedder.clone();
        async move { embedder.embed("0").await }
    });
    while service.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let texts: Vec<String> = (1..=4).map(|n| n.to_string()).collect();
    let later = join_all(texts.iter().map(|text| embedder.embed(text)));
    service.permits.add_permits(3);
    assert!(later.await.into_iter().all(|vector| vector.is_ok()));
    first.await.unwrap().unwrap();
    assert_eq!(service.asked(), [vec!["0"], vec!["1", "2", "3"], vec!["4"]]);
}

#[tokio::test]
async fn a_full_queue_is_an_error_at_once_and_who_gave_up_makes_room() {
    let service = Service::silent();
    let embedder = service.embedder(Bounds { calls: 0, waiting: 2, ..Bounds::default() });
    let mut waiting = join_all(["a", "b"].map(|text| embedder.embed(text)));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let error = embedder.embed("c").await.unwrap_err();
    assert_eq!(error.to_string(), "embedder openai:here/small: 2 texts wait already");
    // Who asks for what waits already takes no place.
    assert!(futures_util::poll!(std::pin::pin!(embedder.embed("a"))).is_pending());
    drop(waiting);
    assert!(futures_util::poll!(std::pin::pin!(embedder.embed("c"))).is_pending());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_beyond_the_deadline() {
    let service = Service::silent();
    let embedder = service.embedder(Bounds::default());
    let began = tokio::time::Instant::now();
    let error = embedder.embed("a").await.unwrap_err();
    assert!(error.reason.contains("within 2s"), "{error}");
    assert_eq!(began.elapsed(), DEADLINE);
}

#[tokio::test]
async fn a_text_that_is_refused_fails_nobody_but_its_own() {
    let service = Service::new(|request| {
        let bad = request["input"].as_array().unwrap().iter().any(|text| text == "bad");
        if bad { answered(400, &json!({ "error": { "message": "too long" } })) } else { ok(request) }
    });
    let embedder = service.embedder(Bounds::default());
    let texts = ["a", "b", "bad", "d", "e"];
    let vectors = join_all(texts.iter().map(|text| embedder.embed(text))).await;
    for (text, vector) in texts.iter().zip(vectors) {
        match vector {
            Ok(vector) => assert!(*text != "bad" && (vector[0] - expected(text)[0]).abs() < 1e-6),
            Err(error) => assert!(*text == "bad" && error.reason.contains("400") && error.reason.contains("too long")),
        }
    }
    assert!(embedder.embed("f").await.is_ok(), "a refusal is no reason to leave the service alone");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_is_left_alone_for_a_while_and_longer_each_time() {
    let service = Service::new(|request| match request["input"][0].as_str() {
        Some("well") => ok(request),
        _ => answered(503, &json!("down")),
    });
    let embedder = service.embedder(Bounds::default());
    let asked = || service.asked().len();
    for (count, pause) in [(1, 1), (2, 2), (3, 4)] {
        let error = embedder.embed("a").await.unwrap_err();
        assert!(error.reason.contains("503") && !error.reason.contains("again"), "{error}");
        assert_eq!(asked(), count);
        tokio::time::advance(Duration::from_millis(pause * 1000 - 1)).await;
        let error = embedder.embed("well").await.unwrap_err();
        assert!(error.reason.contains("not asked again yet") && error.reason.contains("503"), "{error}");
        assert_eq!(asked(), count);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    embedder.embed("well").await.unwrap();
    embedder.embed("a").await.unwrap_err();
    tokio::time::advance(Duration::from_secs(1)).await;
    embedder.embed("well again").await.unwrap_err();
    assert_eq!(asked(), 6);
}

#[tokio::test]
async fn what_is_no_vector_is_an_error() {
    let cases = [
        (json!({ "data": [] }), "0 vectors for 1 texts"),
        (json!({ "data": [{ "embedding": [0.0, 0.0] }] }), "without a direction"),
        (json!({ "data": [{ "embedding": [] }] }), "0 numbers"),
        (json!({ "data": [{ "embedding": [1e38, 1e39] }] }), "without a direction"),
        (json!({ "data": [{ "index": 1, "embedding": [1.0] }] }), "no such text"),
        (json!({ "data": [{ "embedding": "AAAA" }] }), "not a list of vectors"),
        (json!({ "error": "no" }), "not a list of vectors"),
    ];
    for (body, reason) in cases {
        let service = Service::new(move |_| answered(200, &body));
        let error = service.embedder(Bounds::default()).embed("a").await.unwrap_err();
        assert!(error.reason.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn the_dimensions_that_were_asked_for_must_come() {
    let service = Service::new(ok);
    let model = OpenAi::new(Arc::clone(&service) as _, "here", "large", Some(256), DEADLINE);
    let embedder = Batched::new(Arc::new(model), Bounds::default(), Handle::current());
    let error = embedder.embed("a").await.unwrap_err();
    assert!(error.reason.contains("2 numbers where 256 are expected"), "{error}");
    assert_eq!(service.asked.lock().unwrap()[0]["dimensions"], 256);
    assert_eq!(embedder.space(), "openai:here/large/256");
}

#[tokio::test]
async fn who_goes_away_takes_the_vector_from_nobody_else() {
    let service = Service::silent();
    let embedder = service.embedder(Bounds::default());
    let mut first = Box::pin(embedder.embed("a"));
    assert!(futures_util::poll!(&mut first).is_pending());
    let mut second = Box::pin(embedder.embed("a"));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    service.permits.add_permits(1);
    assert!(second.await.is_ok());
    assert_eq!(service.asked(), [["a"]]);
}
