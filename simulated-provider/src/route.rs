//! Which door a request goes through.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming as Arriving;

use crate::body::Body;
use crate::call::{Incoming, Reset, refusal};
use crate::door::{self, Door};
use crate::error::ApiError;
use crate::server::Worker;
use crate::{anthropic, authenticate, bedrock, cohere, control, gemini, models, openai};

const LARGEST_BODY: usize = 64 << 20;

pub(crate) async fn route(worker: Arc<Worker>, request: Request<Arriving>) -> Result<Response<Body>, Reset> {
    let arrived = Instant::now();
    let (parts, incoming) = request.into_parts();
    let path = parts.uri.path();
    let (dialect, door) = door::of(path, parts.uri.query(), &parts.headers);
    let body = match read(incoming).await {
        Ok(body) => body,
        Err(error) => return Ok(refusal(&worker, dialect, &error)),
    };
    if let Some(answer) = control::answer(&worker, &parts, &body) {
        return Ok(answer);
    }
    if worker.shared.options.record {
        worker.recorder.record(arrived, &parts, &body);
    }
    let key = match authenticate::key(&worker.shared.options, dialect, &parts, &body) {
        Ok(key) => key,
        Err(error) => return Ok(refusal(&worker, dialect, &error)),
    };
    let Some(door) = door else {
        return Ok(refusal(&worker, dialect, &ApiError::no_such_route(&parts.method, path)));
    };
    let method = if matches!(door, Door::Models(_)) { Method::GET } else { Method::POST };
    if parts.method != method {
        return Ok(refusal(&worker, dialect, &ApiError::no_such_method(&parts.method, path)));
    }
    let incoming = Incoming { worker: &worker, dialect, path, headers: &parts.headers, key, body: &body, arrived };
    enter(&incoming, door).await
}

async fn enter(incoming: &Incoming<'_>, door: Door) -> Result<Response<Body>, Reset> {
    match door {
        Door::Models(id) => models::answer(incoming, id.as_deref()).await,
        Door::OpenAi(operation, deployment) => openai::answer(incoming, operation, deployment.as_deref()).await,
        Door::Anthropic(operation) => anthropic::answer(incoming, operation).await,
        Door::Gemini(operation, model) => gemini::answer(incoming, operation, model).await,
        Door::Bedrock(operation, model) => bedrock::answer(incoming, operation, model).await,
        Door::Cohere(operation) => cohere::answer(incoming, operation).await,
    }
}

async fn read(mut incoming: Arriving) -> Result<Bytes, ApiError> {
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
