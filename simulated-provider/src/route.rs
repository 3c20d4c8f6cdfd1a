//! Which door a request goes through.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::body::Body;
use crate::chat::{self, Reset};
use crate::control;
use crate::error::ApiError;
use crate::server::Worker;

const LARGEST_BODY: usize = 64 << 20;

pub(crate) async fn route(worker: Arc<Worker>, request: Request<Incoming>) -> Result<Response<Body>, Reset> {
    let arrived = Instant::now();
    let (parts, incoming) = request.into_parts();
    let body = match read(incoming).await {
        Ok(body) => body,
        Err(error) => return Ok(chat::refusal(&worker, &error)),
    };
    let path = parts.uri.path();
    if let Some(answer) = control::answer(&worker, &parts, &body) {
        return Ok(answer);
    }
    if worker.shared.options.record {
        worker.recorder.record(arrived, &parts, &body);
    }
    let key = match authenticate(&worker, &parts.headers) {
        Ok(key) => key,
        Err(error) => return Ok(chat::refusal(&worker, &error)),
    };
    match path {
        "/v1/chat/completions" | "/chat/completions" => {
            if parts.method == Method::POST {
                return chat::complete(&worker, path, key, &body, arrived).await;
            }
        }
        "/v1/models" | "/models" => {
            if parts.method == Method::GET {
                return models(&worker, path, key).await;
            }
        }
        _ => return Ok(chat::refusal(&worker, &ApiError::no_such_route(&parts.method, path))),
    }
    Ok(chat::refusal(&worker, &ApiError::no_such_method(&parts.method, path)))
}

async fn models(worker: &Worker, path: &str, key: &str) -> Result<Response<Body>, Reset> {
    let effect = worker.shared.faults.pick(path, key, None).unwrap_or_default();
    if let Some(refused) = chat::refuse(worker, &effect).await? {
        return Ok(refused);
    }
    let known = &worker.shared.options.models;
    let ids: Vec<&str> =
        if known.is_empty() { vec!["echo", "slow"] } else { known.iter().map(String::as_str).collect() };
    let model = |id: &&str| serde_json::json!({ "id": id, "object": "model", "created": 1_700_000_000, "owned_by": "simulated" });
    let list = serde_json::json!({ "object": "list", "data": ids.iter().map(model).collect::<Vec<_>>() });
    Ok(chat::json(worker, 200, list.to_string().into()))
}

fn authenticate<'a>(worker: &Worker, headers: &'a http::HeaderMap) -> Result<&'a str, ApiError> {
    let header = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = header.and_then(|value| value.strip_prefix("Bearer ")).map_or("", str::trim);
    let keys = &worker.shared.options.keys;
    if keys.is_empty() || keys.iter().any(|known| known == key) {
        Ok(key)
    } else if key.is_empty() {
        Err(ApiError::no_key())
    } else {
        Err(ApiError::wrong_key(&crate::bill::key_label(key)))
    }
}

async fn read(mut incoming: Incoming) -> Result<Bytes, ApiError> {
    if incoming.is_end_stream() {
        return Ok(Bytes::new());
    }
    if incoming.size_hint().lower() > LARGEST_BODY as u64 {
        return Err(ApiError::too_large(LARGEST_BODY));
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame =
            frame.map_err(|error| ApiError::invalid(format!("Body could not be read: {error}."), None, None))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + joined.len() + data.len() > LARGEST_BODY {
            return Err(ApiError::too_large(LARGEST_BODY));
        }
        if joined.is_empty() && first.is_empty() {
            // The usual body is one frame and needs no copy.
            first = data;
            continue;
        }
        if joined.is_empty() {
            joined.reserve(
                usize::try_from(incoming.size_hint().lower()).unwrap_or(0).min(LARGEST_BODY) + first.len() + data.len(),
            );
            joined.extend_from_slice(&std::mem::take(&mut first));
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}
