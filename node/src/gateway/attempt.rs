//! One attempt at an upstream: what is sent, what comes back, how it failed, and what it cost.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use peerway_dialect::Dialect;
use serde::de::IgnoredAny;

use crate::dialect::openai::{Answer, Usage, count_answer};
use crate::governance::{Account, Reason, Written};
use crate::http::request_id::X_REQUEST_ID;
use crate::operation::Operation;
use crate::provider::{Body, RequestError, UpstreamCall, UpstreamKey};
use crate::routing::Target;

/// Largest plain answer that is read into memory.
const MAX_ANSWER: usize = 64 << 20;
/// Largest error answer; providers explain themselves in less.
const MAX_ERROR: usize = 64 << 10;

/// Client headers that providers understand. Everything else stays here: what is not listed cannot smuggle.
const FORWARDED: [&str; 6] =
    ["openai-organization", "openai-project", "openai-beta", "traceparent", "tracestate", "idempotency-key"];
/// Headers of the upstream's answer that are its client's business.
const RETURNED: [&str; 2] = ["openai-processing-ms", "openai-version"];

/// An answer to hand on.
#[derive(Debug)]
pub(super) enum Sent {
    Stream { target: Target, response: Response<Body> },
    Plain { target: Target, status: StatusCode, headers: HeaderMap, body: Bytes, answer: Option<Answer> },
}

/// How one attempt failed.
pub(super) struct Failure {
    pub(super) class: &'static str,
    pub(super) status: Option<StatusCode>,
    pub(super) detail: String,
    pub(super) retry_after: Option<Duration>,
    pub(super) next: Next,
    spent: Spent,
}

/// What a failed attempt cost.
enum Spent {
    Nothing,
    /// The error says so.
    Stated(Usage),
    /// The provider may have begun, for all that is known.
    Prompt(Reason),
    /// The provider had the whole answer, of which this much arrived.
    Answer(Written, Reason),
}

/// What can still help after a failure.
#[derive(PartialEq, Eq)]
pub(super) enum Next {
    /// The same key again: the fault was the way or the server.
    Retry,
    /// Another key or another target: this key is refused or full.
    OtherKey,
}

/// What goes to the provider, with the client's own headers that it understands.
pub(super) async fn request(
    target: &Target,
    key: Option<&UpstreamKey>,
    body: &Bytes,
    client: &HeaderMap,
    request_id: &HeaderValue,
    stream: bool,
) -> Result<Request<Full<Bytes>>, RequestError> {
    let call = UpstreamCall {
        operation: Operation::Chat,
        dialect: Dialect::OpenAiChat,
        model: &target.model,
        stream,
        content_type: None,
    };
    let mut request = target.upstream.request(&call, key, body.clone()).await?;
    let headers = request.headers_mut();
    headers.insert(&X_REQUEST_ID, request_id.clone());
    for name in FORWARDED {
        if let Some(value) = client.get(name) {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
    }
    Ok(request)
}

/// Charges an attempt that has ended; a stream has only begun.
pub(super) fn charge(account: &mut Account, result: &Result<Sent, Failure>) {
    match result {
        Ok(Sent::Stream { .. }) => account.answering(),
        Ok(Sent::Plain { status, body, answer, .. }) => match answer.as_ref().and_then(|answer| answer.usage) {
            Some(usage) => account.stated(&usage),
            None if !status.is_success() => account.nothing(),
            None => {
                // Whole JSON is a whole answer, though we may not understand it.
                if answer.is_some() || serde_json::from_slice::<IgnoredAny>(body).is_ok() {
                    account.counted(&written(body), None, Reason::NoUsage);
                } else {
                    account.worst_case(&written(body), Reason::Malformed);
                }
            }
        },
        Err(failure) => match &failure.spent {
            Spent::Nothing => account.nothing(),
            Spent::Stated(usage) => account.stated(usage),
            Spent::Prompt(reason) => account.prompt_only(*reason),
            Spent::Answer(written, reason) => account.worst_case(written, *reason),
        },
    }
}

pub(super) async fn attempt(worker: usize, target: &Target, request: Request<Full<Bytes>>) -> Result<Sent, Failure> {
    let upstream = &target.upstream;
    let client = upstream.client(worker);
    let response = match tokio::time::timeout(upstream.first_byte, client.request(request)).await {
        Err(_) => {
            let spent = Spent::Prompt(Reason::Deadline);
            return Err(Failure::deadline(format!("no answer within {:?}", upstream.first_byte), spent));
        }
        Ok(Err(error)) => {
            let spent = if error.was_sent() { Spent::Prompt(Reason::Transport) } else { Spent::Nothing };
            return Err(Failure::transport(chain(&error), spent));
        }
        Ok(Ok(response)) => response,
    };
    let status = response.status();
    if status.is_success() && is_event_stream(response.headers()) {
        return Ok(Sent::Stream { target: target.clone(), response });
    }
    let limit = if status.is_success() { MAX_ANSWER } else { MAX_ERROR };
    let (head, body) = response.into_parts();
    let (body, broken) = read(body, limit, upstream.total).await;
    if let Some(broken) = broken {
        // A provider that sends an answer in one piece has written all of it; an error costs nothing.
        let spent = |reason| {
            if status.is_success() { Spent::Answer(written(&body), reason) } else { Spent::Nothing }
        };
        return Err(match broken {
            Broken::Late => Failure::deadline(
                format!("the answer was not whole within {:?}", upstream.total),
                spent(Reason::Deadline),
            ),
            Broken::TooLong => {
                Failure::transport(format!("the answer is longer than {limit} bytes"), spent(Reason::Malformed))
            }
            Broken::Lost(why) => Failure::transport(format!("the answer broke off: {why}"), spent(Reason::Transport)),
        });
    }
    let answer = Answer::read(&body);
    let spent = answer.as_ref().and_then(|answer| answer.usage).map_or(Spent::Nothing, Spent::Stated);
    match status.as_u16() {
        // An error among these is the client's own fault: no other target would like the request better, and the
        // provider says why.
        200..=299 | 400 | 404 | 405 | 409 | 413 | 415 | 422 => {
            let headers = returned(&head.headers);
            Ok(Sent::Plain { target: target.clone(), status, headers, body, answer })
        }
        401..=403 => Err(Failure::refused("key", status, "the provider refuses this key", None, spent)),
        429 => {
            let after = retry_after(&head.headers);
            Err(Failure::refused("capacity", status, "rate limited by the provider", after, spent))
        }
        _ => Err(Failure {
            class: "provider",
            status: Some(status),
            detail: format!("status {}", status.as_u16()),
            retry_after: retry_after(&head.headers),
            next: Next::Retry,
            spent,
        }),
    }
}

/// Why a body is not whole.
enum Broken {
    Late,
    TooLong,
    Lost(String),
}

/// Reads a body, and tells what is wrong if it has no end; what came before is there either way.
async fn read(body: Body, limit: usize, within: Duration) -> (Bytes, Option<Broken>) {
    let mut body = body;
    let mut pieces: Vec<Bytes> = Vec::new();
    let reading = async {
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => return Some(Broken::Lost(chain(&error))),
            };
            if let Ok(piece) = frame.into_data() {
                length += piece.len();
                if length > limit {
                    return Some(Broken::TooLong);
                }
                pieces.push(piece);
            }
        }
        None
    };
    let broken = tokio::time::timeout(within, reading).await.unwrap_or(Some(Broken::Late));
    let whole = match pieces.as_mut_slice() {
        [] => Bytes::new(),
        [piece] => std::mem::take(piece),
        pieces => Bytes::from(pieces.concat()),
    };
    (whole, broken)
}

fn written(body: &[u8]) -> Written {
    let mut written = Written::default();
    count_answer(body, &mut written);
    written
}

impl Failure {
    /// Nothing was sent: the key has no credential to show, or there is no such call at the provider.
    pub(super) fn unsent(error: &RequestError) -> Self {
        let status = Some(StatusCode::BAD_GATEWAY);
        let (detail, spent) = (error.to_string(), Spent::Nothing);
        Self { class: "key", status, detail, retry_after: None, next: Next::OtherKey, spent }
    }

    fn deadline(detail: String, spent: Spent) -> Self {
        let status = Some(StatusCode::GATEWAY_TIMEOUT);
        Self { class: "deadline", status, detail, retry_after: None, next: Next::Retry, spent }
    }

    fn transport(detail: String, spent: Spent) -> Self {
        let status = Some(StatusCode::BAD_GATEWAY);
        Self { class: "transport", status, detail, retry_after: None, next: Next::Retry, spent }
    }

    fn refused(
        class: &'static str,
        status: StatusCode,
        why: &str,
        retry_after: Option<Duration>,
        spent: Spent,
    ) -> Self {
        let detail = format!("status {}, {why}", status.as_u16());
        Self { class, status: Some(status), detail, retry_after, next: Next::OtherKey, spent }
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// The headers of an answer that go on to the client.
pub(super) fn returned(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(16);
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        kept.insert(CONTENT_TYPE, kind.clone());
    }
    for name in RETURNED {
        if let Some(value) = headers.get(name) {
            kept.insert(HeaderName::from_static(name), value.clone());
        }
    }
    kept
}

/// Seconds or milliseconds; a date is rare enough to be left to the client's own backoff. Bounded, so that no
/// provider can park our clients for a day.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number(RETRY_AFTER.as_str()))?;
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(600.0)))
}

/// An error with its causes: the outermost alone says only "client error".
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
