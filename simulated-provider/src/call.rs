//! One call of a model: from the request that was understood to the answer, through whatever a rule does to it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::bill::Shape;
use crate::body::Body;
use crate::dialect::Dialect;
use crate::error::ApiError;
use crate::latency::Latency;
use crate::rule::Effect;
use crate::script::Script;
use crate::server::Worker;
use crate::stream::{Breaks, ENDLESS_GAP, EndlessText, EventStream, Pacer};

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
/// A request that hangs is reset after this, so that forgotten ones do not pile up.
const LONGEST_HANG: Duration = Duration::from_secs(3_600);
const SLOW_FIRST: Duration = Duration::from_millis(200);
const SLOW_WHOLE: Duration = Duration::from_secs(1);
const SLOW_TOKENS: u32 = 17;

/// The connection is to be reset instead of answered.
#[derive(Debug, thiserror::Error)]
#[error("reset by a fault rule")]
pub(crate) struct Reset;

/// A request to a dialect route, as it arrived.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) dialect: Dialect,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) key: &'a str,
    pub(crate) body: &'a Bytes,
    pub(crate) arrived: Instant,
}

/// What of a request bill, rules and latencies go by.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) model: String,
    pub(crate) shape: Shape,
    pub(crate) prompt_tokens: u64,
}

/// What the answer says of its usage; the bill is always the true one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    True,
    Zero,
    Absent,
}

impl Usage {
    /// What is told of a true count.
    pub(crate) fn told(self, tokens: u64) -> u64 {
        if self == Self::True { tokens } else { 0 }
    }
}

/// What an answer is written with.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    worker: &'a Worker,
    pub(crate) usage: Usage,
    /// Seconds since 1970.
    pub(crate) created: u64,
    /// How many tokens a text answer has, where it is not just the echo.
    pub(crate) length: Option<u32>,
    /// What a text answer says, where it is not the echo.
    pub(crate) text: Option<String>,
    /// Whether the events of a chat say when they were sent.
    pub(crate) stamp: bool,
}

impl Context<'_> {
    pub(crate) fn id(&self, prefix: &str) -> String {
        id(self.worker, prefix)
    }
}

/// An answer, written.
#[derive(Debug)]
pub(crate) struct Written {
    content_type: HeaderValue,
    /// Completion tokens of all choices.
    tokens: u64,
    choices: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Whole(Vec<u8>),
    Stream(Box<Script>),
}

impl Written {
    pub(crate) fn plain(content_type: HeaderValue, tokens: u64, whole: Vec<u8>) -> Self {
        Self { content_type, tokens, choices: 1, content: Content::Whole(whole) }
    }

    pub(crate) fn json(tokens: u64, value: &serde_json::Value) -> Self {
        Self::plain(JSON, tokens, value.to_string().into_bytes())
    }

    pub(crate) fn stream(content_type: HeaderValue, tokens: u64, script: Script) -> Self {
        Self { content_type, tokens, choices: 1, content: Content::Stream(Box::new(script)) }
    }

    /// So many choices, of which the tokens are those of all.
    pub(crate) fn with_choices(self, choices: u64) -> Self {
        Self { choices, ..self }
    }
}

pub(crate) async fn serve(
    incoming: &Incoming<'_>,
    head: Head,
    write: impl FnOnce(&Context<'_>) -> Written,
) -> Result<Response<Body>, Reset> {
    let Incoming { worker, dialect, key, .. } = *incoming;
    let effect = worker.shared.faults.pick(incoming.path, key, Some(&head.model)).unwrap_or_default();
    if let Some(refused) = refuse(worker, dialect, &effect).await? {
        return Ok(refused);
    }
    let models = &worker.shared.options.models;
    if !models.is_empty() && !models.contains(&head.model) {
        return Ok(refusal(worker, dialect, &ApiError::no_such_model(&head.model)));
    }

    let account = worker.bill.accept(&head.model, key, head.prompt_tokens, head.shape);
    let written = write(&context(worker, &head, &effect));
    let (first, gap) = times(worker, &head, &written, &effect);
    if !first.is_zero() {
        tokio::time::sleep(first).await;
    }

    let least = if effect.endless { ENDLESS_GAP } else { Duration::ZERO };
    let pacer = Pacer::new(gap, least, Arc::clone(&worker.random));
    let mut headers = headers(worker, dialect, incoming.arrived.elapsed());
    headers.insert(CONTENT_TYPE, written.content_type);
    let body = match written.content {
        Content::Stream(script) => {
            let breaks = Breaks {
                cut_after: effect.cut_after_events,
                error_after: effect.error_event_after,
                malformed: effect.malformed,
                endless: effect.endless,
            };
            Body::Stream(Box::new(EventStream::new(*script, breaks, account, pacer)))
        }
        Content::Whole(mut whole) if effect.endless => {
            whole.truncate(inside_content(&whole));
            Body::Endless(Box::new(EndlessText { head: Some(whole.into()), account, pacer }))
        }
        Content::Whole(mut whole) => {
            account.produced(written.tokens);
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

fn context<'a>(worker: &'a Worker, head: &Head, effect: &Effect) -> Context<'a> {
    let length = match head.model.as_str() {
        "echo" => None,
        "slow" => Some(SLOW_TOKENS),
        _ => worker.shared.options.answer_tokens,
    };
    let usage = match effect {
        Effect { no_usage: true, .. } => Usage::Absent,
        Effect { usage_zero: true, .. } => Usage::Zero,
        _ => Usage::True,
    };
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Context { worker, usage, stamp: effect.stamp, created, length, text: effect.text.clone() }
}

/// Where an answer that never ends goes on for ever: inside its text, where it has one.
fn inside_content(whole: &[u8]) -> usize {
    const BEGINNING: &[u8] = b"echo:";
    let text = whole.windows(BEGINNING.len()).position(|bytes| bytes == BEGINNING);
    text.map_or(whole.len() / 2, |at| at + BEGINNING.len())
}

/// Carries out what keeps a request from being accepted: an error status, a hang, a reset.
pub(crate) async fn refuse(
    worker: &Worker,
    dialect: Dialect,
    effect: &Effect,
) -> Result<Option<Response<Body>>, Reset> {
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
            Ok(Some(refusal(worker, dialect, &ApiError::from_fault(status, effect.retry_after_ms))))
        }
        _ => Err(Reset),
    }
}

pub(crate) fn refusal(worker: &Worker, dialect: Dialect, error: &ApiError) -> Response<Body> {
    let id = id(worker, "req_");
    let (status, body, kind) = dialect.error(error, &id);
    let mut response = answer(status, body, dialect.headers(&id, 0));
    let headers = response.headers_mut();
    if let Some(kind) = kind {
        headers.insert(HeaderName::from_static("x-amzn-errortype"), kind);
    }
    if let Some(milliseconds) = error.retry_after_ms {
        headers.insert(http::header::RETRY_AFTER, HeaderValue::from(milliseconds.div_ceil(1_000)));
        headers.insert(HeaderName::from_static("retry-after-ms"), HeaderValue::from(milliseconds));
    }
    response
}

pub(crate) fn json(worker: &Worker, dialect: Dialect, body: Bytes) -> Response<Body> {
    answer(200, body, headers(worker, dialect, Duration::ZERO))
}

fn answer(status: u16, body: Bytes, headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::Whole(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// The time to the answer or first token, and the gap between tokens.
fn times(worker: &Worker, head: &Head, written: &Written, effect: &Effect) -> (Duration, Latency) {
    let options = &worker.shared.options;
    let (first, gap) = match head.model.as_str() {
        "echo" => (Duration::ZERO, Latency::default()),
        "slow" => {
            let tokens = written.tokens / written.choices.max(1);
            let gaps = u32::try_from(tokens.saturating_sub(1)).unwrap_or(u32::MAX).max(1);
            let first = if head.shape == Shape::Stream { SLOW_FIRST } else { SLOW_WHOLE };
            (first, Latency::Fixed((SLOW_WHOLE - SLOW_FIRST) / gaps))
        }
        _ => (options.latency.sample(&worker.random), options.token_latency),
    };
    let milliseconds = |value: Option<u64>| value.map(Duration::from_millis);
    (milliseconds(effect.latency_ms).unwrap_or(first), milliseconds(effect.token_ms).map_or(gap, Latency::Fixed))
}

fn headers(worker: &Worker, dialect: Dialect, processing: Duration) -> HeaderMap {
    dialect.headers(&id(worker, "req_"), u64::try_from(processing.as_millis()).unwrap_or(u64::MAX))
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
