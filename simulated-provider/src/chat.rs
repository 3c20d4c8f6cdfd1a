//! One chat completion: from the bytes that arrived to the answer, through whatever a rule does to it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::answer::Answer;
use crate::bill::Shape;
use crate::body::Body;
use crate::error::ApiError;
use crate::latency::Latency;
use crate::request::{Asked, ChatRequest};
use crate::rule::Effect;
use crate::server::Worker;
use crate::stream::{Breaks, ENDLESS_GAP, EndlessText, EventStream, Pacer};
use crate::wire::{Chunks, Reply, Usage};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
/// A request that hangs is reset after this, so that forgotten ones do not pile up.
const LONGEST_HANG: Duration = Duration::from_secs(3_600);
const SLOW_FIRST: Duration = Duration::from_millis(200);
const SLOW_WHOLE: Duration = Duration::from_secs(1);
const SLOW_TOKENS: u32 = 17;

/// The connection is to be reset instead of answered.
#[derive(Debug, thiserror::Error)]
#[error("reset by a fault rule")]
pub(crate) struct Reset;

pub(crate) async fn complete(
    worker: &Worker,
    path: &str,
    key: &str,
    body: &Bytes,
    arrived: Instant,
) -> Result<Response<Body>, Reset> {
    let asked = match ChatRequest::parse(body).and_then(ChatRequest::check) {
        Ok(asked) => asked,
        Err(error) => return Ok(refusal(worker, &error)),
    };
    let effect = worker.shared.faults.pick(path, key, Some(&asked.model)).unwrap_or_default();
    if let Some(refused) = refuse(worker, &effect).await? {
        return Ok(refused);
    }
    let models = &worker.shared.options.models;
    if !models.is_empty() && !models.contains(&asked.model) {
        return Ok(refusal(worker, &ApiError::no_such_model(&asked.model)));
    }

    let stream = asked.stream;
    let shape = if stream { Shape::Stream } else { Shape::Plain };
    let account = worker.bill.accept(&asked.model, key, asked.prompt_tokens, shape);
    let reply = reply(worker, asked, &effect);
    let (first, gap) = times(worker, &reply, shape, &effect);
    if !first.is_zero() {
        tokio::time::sleep(first).await;
    }

    let least = if effect.endless { ENDLESS_GAP } else { Duration::ZERO };
    let pacer = Pacer::new(gap, least, Arc::clone(&worker.random));
    let mut headers = headers(worker, arrived.elapsed());
    headers.insert(CONTENT_TYPE, if stream { EVENTS } else { JSON });
    let body = if stream {
        let breaks = Breaks {
            cut_after: effect.cut_after_events,
            error_after: effect.error_event_after,
            malformed: effect.malformed,
            endless: effect.endless,
        };
        Body::Stream(Box::new(EventStream::new(Chunks::new(reply), breaks, account, pacer)))
    } else if effect.endless {
        Body::Endless(Box::new(EndlessText { head: Some(reply.plain_open().into()), account, pacer }))
    } else {
        account.produced(reply.completion_tokens());
        let mut whole = reply.plain();
        if effect.malformed {
            whole.truncate(whole.len() / 2);
        }
        if effect.cut_after_events.is_some() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
            whole.truncate(whole.len() / 2);
            Body::broken(whole.into())
        } else {
            Body::Whole(whole.into())
        }
    };
    let body = match effect.slow_bytes {
        Some(milliseconds) => Body::slow(body, Duration::from_millis(milliseconds)),
        None => body,
    };
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    Ok(response)
}

/// Carries out what keeps a request from being accepted: an error status, a hang, a reset.
pub(crate) async fn refuse(worker: &Worker, effect: &Effect) -> Result<Option<Response<Body>>, Reset> {
    if !effect.hang && !effect.reset && effect.status.is_none() {
        return Ok(None);
    }
    if let Some(milliseconds) = effect.latency_ms {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    if effect.hang {
        tokio::time::sleep(LONGEST_HANG).await;
        return Err(Reset);
    }
    match effect.status {
        Some(status) if !effect.reset => {
            Ok(Some(refusal(worker, &ApiError::from_fault(status, effect.retry_after_ms))))
        }
        _ => Err(Reset),
    }
}

pub(crate) fn refusal(worker: &Worker, error: &ApiError) -> Response<Body> {
    let mut response = json(worker, error.status, error.json());
    if let Some(milliseconds) = error.retry_after_ms {
        let headers = response.headers_mut();
        headers.insert(http::header::RETRY_AFTER, HeaderValue::from(milliseconds.div_ceil(1_000)));
        headers.insert(HeaderName::from_static("retry-after-ms"), HeaderValue::from(milliseconds));
    }
    response
}

pub(crate) fn json(worker: &Worker, status: u16, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::Whole(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers(worker, Duration::ZERO);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn reply(worker: &Worker, asked: Asked<'_>, effect: &Effect) -> Reply {
    let length = match asked.model.as_str() {
        "echo" => None,
        "slow" => Some(SLOW_TOKENS),
        _ => worker.shared.options.answer_tokens,
    };
    let answer = Answer::to(&asked, length);
    let usage = match effect {
        Effect { no_usage: true, .. } => Usage::Absent,
        Effect { usage_zero: true, .. } => Usage::Zero,
        _ => Usage::True,
    };
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Reply {
        id: id(worker, "chatcmpl-"),
        created,
        model: asked.model,
        answer,
        choices: asked.choices,
        prompt_tokens: asked.prompt_tokens,
        include_usage: asked.include_usage,
        logprobs: asked.logprobs,
        usage,
        stamp: effect.stamp,
    }
}

/// The time to the answer or first token, and the gap between tokens.
fn times(worker: &Worker, reply: &Reply, shape: Shape, effect: &Effect) -> (Duration, Latency) {
    let options = &worker.shared.options;
    let (first, gap) = match reply.model.as_str() {
        "echo" => (Duration::ZERO, Latency::default()),
        "slow" => {
            let gaps = u32::try_from(reply.answer.tokens().saturating_sub(1)).unwrap_or(u32::MAX).max(1);
            let first = if shape == Shape::Stream { SLOW_FIRST } else { SLOW_WHOLE };
            (first, Latency::Fixed((SLOW_WHOLE - SLOW_FIRST) / gaps))
        }
        _ => (options.latency.sample(&worker.random), options.token_latency),
    };
    let milliseconds = |value: Option<u64>| value.map(Duration::from_millis);
    (milliseconds(effect.latency_ms).unwrap_or(first), milliseconds(effect.token_ms).map_or(gap, Latency::Fixed))
}

fn headers(worker: &Worker, processing: Duration) -> HeaderMap {
    const FIXED: [(&str, &str); 7] = [
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "10000000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "9999900"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "0s"),
    ];
    let mut headers = HeaderMap::with_capacity(12);
    for (name, value) in FIXED {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let milliseconds = u64::try_from(processing.as_millis()).unwrap_or(u64::MAX);
    headers.insert(HeaderName::from_static("openai-processing-ms"), HeaderValue::from(milliseconds));
    if let Ok(id) = HeaderValue::from_str(&id(worker, "req_")) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    headers
}

/// The prefix and 24 letters and digits.
fn id(worker: &Worker, prefix: &str) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut id = String::with_capacity(prefix.len() + 24);
    id.push_str(prefix);
    for _ in 0..2 {
        let mut bits = worker.random.next();
        for _ in 0..12 {
            id.push(char::from(LETTERS[(bits & 31) as usize]));
            bits >>= 5;
        }
    }
    id
}
