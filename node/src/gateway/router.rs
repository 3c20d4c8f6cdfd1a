//! The data plane's routes. Each OpenAI route answers under every prefix that people's base URLs already have.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use http::{Method, StatusCode, Uri};
use peerway_dialect::Dialect;

use super::attended::Attended;
use super::authenticate::authenticate;
use super::{Exchange, Worker, chat, models, operations, reserve};
use crate::http::body;
use crate::http::drain::Phase;
use crate::http::error::ApiError;
use crate::http::error_form::ErrorForm;
use crate::operation::Operation;
use crate::surface::{BadPath, Call};

const OPENAI_PREFIXES: [&str; 6] = ["/v1", "/openai/v1", "/openai", "/litellm", "/langchain", ""];
const OPENAI_CALLS: [(&str, Dialect, Operation); 11] = [
    ("chat/completions", Dialect::OpenAiChat, Operation::Chat),
    ("completions", Dialect::OpenAiCompletions, Operation::Completions),
    ("responses", Dialect::OpenAiResponses, Operation::Responses),
    ("embeddings", Dialect::OpenAiChat, Operation::Embeddings),
    ("rerank", Dialect::OpenAiChat, Operation::Rerank),
    ("moderations", Dialect::OpenAiChat, Operation::Moderations),
    ("images/generations", Dialect::OpenAiChat, Operation::ImageGenerations),
    ("images/edits", Dialect::OpenAiChat, Operation::ImageEdits),
    ("audio/speech", Dialect::OpenAiChat, Operation::Speech),
    ("audio/transcriptions", Dialect::OpenAiChat, Operation::Transcriptions),
    ("audio/translations", Dialect::OpenAiChat, Operation::Translations),
];
const READY: [&str; 5] = ["/readyz", "/health", "/healthz", "/health/readiness", "/status"];
const LIVE: [&str; 3] = ["/livez", "/health/liveliness", "/health/liveness"];

/// The routes of one data-plane thread.
pub fn router(worker: Worker) -> Router {
    let mut router = Router::new();
    for prefix in OPENAI_PREFIXES {
        for (path, dialect, operation) in OPENAI_CALLS {
            router = router.route(&format!("{prefix}/{path}"), calling(dialect, operation));
        }
        router = models(router, prefix, Dialect::OpenAiChat);
    }
    for prefix in ["/anthropic/v1", "/v1"] {
        let (dialect, path) = (Dialect::Anthropic, format!("{prefix}/messages"));
        router = router
            .route(&path, calling(dialect, Operation::Chat))
            .route(&format!("{path}/count_tokens"), calling(dialect, Operation::CountTokens));
    }
    router = models(router, "/anthropic/v1", Dialect::Anthropic);
    for version in ["/v1", "/v1beta", ""] {
        let prefix = format!("/genai{version}");
        router = router
            .route(&format!("{prefix}/models"), listing(Dialect::Gemini))
            .route(&format!("{prefix}/models/{{*call}}"), showing(Dialect::Gemini).post(gemini_call));
    }
    router = router
        .route("/bedrock/model/{*call}", post(bedrock_call))
        .route("/cohere/v2/chat", calling(Dialect::Cohere, Operation::Chat))
        .route("/cohere/v2/embed", calling(Dialect::Cohere, Operation::Embeddings))
        .route("/cohere/v2/rerank", calling(Dialect::Cohere, Operation::Rerank));
    router = models(router, "/cohere/v1", Dialect::Cohere);
    for path in READY {
        router = router.route(path, get(ready));
    }
    for path in LIVE {
        router = router.route(path, get(|| async { "ok\n" }));
    }
    router.fallback(no_route).method_not_allowed_fallback(wrong_method).with_state(Arc::new(worker))
}

/// The lists of models below this prefix.
fn models(router: Router<Arc<Worker>>, prefix: &str, dialect: Dialect) -> Router<Arc<Worker>> {
    router
        .route(&format!("{prefix}/models"), listing(dialect))
        .route(&format!("{prefix}/models/{{*id}}"), showing(dialect))
}

/// A route whose path tells no more than the dialect and the operation.
fn calling(dialect: Dialect, operation: Operation) -> MethodRouter<Arc<Worker>> {
    post(move |State(worker): State<Arc<Worker>>, request: Request| {
        serve(worker, Call::new(dialect, operation), request)
    })
}

async fn gemini_call(State(worker): State<Arc<Worker>>, request: Request) -> Response {
    let uri = request.uri();
    let path = uri.path().strip_prefix("/genai").unwrap_or_default();
    match Call::gemini(path, uri.query()) {
        Ok(call) => serve(worker, call, request).await,
        Err(error) => bad_path(&worker, request, &error).await,
    }
}

async fn bedrock_call(State(worker): State<Arc<Worker>>, request: Request) -> Response {
    let path = request.uri().path().strip_prefix("/bedrock/model/").unwrap_or_default();
    match Call::bedrock(path) {
        Ok(call) => serve(worker, call, request).await,
        Err(error) => bad_path(&worker, request, &error).await,
    }
}

async fn bad_path(worker: &Worker, request: Request, error: &BadPath) -> Response {
    let path = request.uri().path().to_owned();
    let error = match error {
        BadPath::Unknown => not_served(worker, &request, path),
        BadPath::Model(why) => ApiError::BadPath { path, why: why.to_string() },
    };
    at_once(worker, request, Err(error)).await
}

async fn serve(worker: Arc<Worker>, call: Call, request: Request) -> Response {
    let request_id = worker.gateway.request_ids.of(request.headers());
    let path = request.uri().path().to_owned();
    let exchange = Exchange::begin(Worker::clone(&worker), request_id, request.method().clone(), path);
    let (waits, unattended) = (Arc::clone(exchange.waits()), worker.gateway.unattended.clone());
    match call.operation {
        Operation::Chat | Operation::Completions | Operation::Responses => {
            Attended::new(chat::complete(exchange, call, request), waits, unattended).await
        }
        _ => Attended::new(operations::perform(exchange, call, request), waits, unattended).await,
    }
}

/// Runs a step that ends at once, with the same headers and records as the long ones.
async fn at_once(worker: &Worker, request: Request, answer: Result<Response, ApiError>) -> Response {
    let (head, body) = request.into_parts();
    let request_id = worker.gateway.request_ids.of(&head.headers);
    let path = head.uri.path().to_owned();
    let exchange = Exchange::begin(worker.clone(), request_id, head.method, path);
    // Unread, it would cost the client its connection.
    body::discard(body).await;
    match answer {
        Ok(response) => exchange.whole(response).await,
        Err(error) => exchange.failed(&error).await,
    }
}

fn listing(dialect: Dialect) -> MethodRouter<Arc<Worker>> {
    get(async move |State(worker): State<Arc<Worker>>, request: Request| {
        let gateway = &worker.gateway;
        let answer = models::list(dialect, &gateway.plan.load(), &gateway.access.load(), request.headers());
        at_once(&worker, request, answer).await
    })
}

fn showing(dialect: Dialect) -> MethodRouter<Arc<Worker>> {
    get(async move |State(worker): State<Arc<Worker>>, Path(id): Path<String>, request: Request| {
        let gateway = &worker.gateway;
        let answer = models::show(dialect, &gateway.plan.load(), &gateway.access.load(), request.headers(), &id);
        at_once(&worker, request, answer).await
    })
}

async fn ready(State(worker): State<Arc<Worker>>) -> (StatusCode, &'static str) {
    match worker.gateway.drain.phase() {
        Phase::Serving => (StatusCode::OK, "ready\n"),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Phase::Noticing | Phase::Closing => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

async fn no_route(State(worker): State<Arc<Worker>>, method: Method, uri: Uri, request: Request) -> Response {
    let path = uri.path().to_owned();
    let error = match ErrorForm::of_path(&path) {
        ErrorForm::OpenAi => ApiError::NoRoute { method: method.to_string(), path },
        // Other dialects' clients learn first what holds whatever they ask for.
        _ => not_served(&worker, &request, path),
    };
    at_once(&worker, request, Err(error)).await
}

fn not_served(worker: &Worker, request: &Request, path: String) -> ApiError {
    match authenticate(&worker.gateway.plan.load(), &worker.gateway.access.load(), request.headers()) {
        Err(error) => error,
        Ok(key) => {
            let used_up = key.as_deref().and_then(|key| key.charges()).and_then(reserve::used_up);
            used_up.unwrap_or(ApiError::NotServed { path })
        }
    }
}

async fn wrong_method(State(worker): State<Arc<Worker>>, method: Method, uri: Uri, request: Request) -> Response {
    let error = ApiError::WrongMethod { method: method.to_string(), path: uri.path().to_owned() };
    at_once(&worker, request, Err(error)).await
}
