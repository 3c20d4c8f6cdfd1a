//! The data plane's routes. Each OpenAI route answers under every prefix that people's base URLs already have.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{Method, StatusCode, Uri};

use super::attended::Attended;
use super::authenticate::authenticate;
use super::{Exchange, Outcome, Worker, chat, models, reserve};
use crate::http::body;
use crate::http::drain::Phase;
use crate::http::error::ApiError;
use crate::http::error_form::ErrorForm;

const OPENAI_PREFIXES: [&str; 6] = ["/v1", "/openai/v1", "/openai", "/litellm", "/langchain", ""];
const READY: [&str; 5] = ["/readyz", "/health", "/healthz", "/health/readiness", "/status"];
const LIVE: [&str; 3] = ["/livez", "/health/liveliness", "/health/liveness"];

/// The routes of one data-plane thread.
pub fn router(worker: Worker) -> Router {
    let mut router = Router::new();
    for prefix in OPENAI_PREFIXES {
        router = router
            .route(&format!("{prefix}/chat/completions"), post(chat_completions))
            .route(&format!("{prefix}/models"), get(list_models))
            .route(&format!("{prefix}/models/{{*id}}"), get(show_model));
    }
    for path in READY {
        router = router.route(path, get(ready));
    }
    for path in LIVE {
        router = router.route(path, get(|| async { "ok\n" }));
    }
    router.fallback(no_route).method_not_allowed_fallback(wrong_method).with_state(Arc::new(worker))
}

async fn chat_completions(State(worker): State<Arc<Worker>>, request: Request) -> Response {
    let request_id = worker.gateway.request_ids.of(request.headers());
    let path = request.uri().path().to_owned();
    let exchange = Exchange::begin(Worker::clone(&worker), request_id, request.method().clone(), path);
    let (waits, unattended) = (Arc::clone(exchange.waits()), worker.gateway.unattended.clone());
    Attended::new(chat::complete(exchange, request), waits, unattended).await
}

/// Runs a step that ends at once, with the same headers and records as the long ones.
async fn at_once(worker: &Worker, request: Request, answer: Result<Response, ApiError>) -> Response {
    let (head, body) = request.into_parts();
    let request_id = worker.gateway.request_ids.of(&head.headers);
    let path = head.uri.path().to_owned();
    let mut exchange = Exchange::begin(worker.clone(), request_id, head.method, path);
    // Unread, it would cost the client its connection.
    body::discard(body).await;
    let mut response = match answer {
        Ok(response) => {
            exchange.outcome = Outcome::Ok;
            response
        }
        Err(error) => {
            exchange.outcome = Outcome::Failed(error.code());
            exchange.error(&error)
        }
    };
    exchange.stamp(&mut response);
    response
}

async fn list_models(State(worker): State<Arc<Worker>>, request: Request) -> Response {
    let answer = models::list(&worker.gateway.plan.load(), &worker.gateway.access.load(), request.headers());
    at_once(&worker, request, answer).await
}

async fn show_model(State(worker): State<Arc<Worker>>, Path(id): Path<String>, request: Request) -> Response {
    let answer = models::show(&worker.gateway.plan.load(), &worker.gateway.access.load(), request.headers(), &id);
    at_once(&worker, request, answer).await
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
