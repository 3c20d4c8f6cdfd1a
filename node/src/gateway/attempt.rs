//! One attempt at an upstream: what is sent, what comes back in whichever words, how it failed, and what it cost.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use peerway_dialect::Dialect;
use peerway_dialect::canonical::replay;
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::{Read, read_answer};
use super::headers::{forward, is_events, is_of_type, returned};
use super::operations::{Asks, Done, Raw, Work};
use super::outbound::Outbound;
use super::verdict::{Failure, Spent, judge};
use crate::dialect::codec;
use crate::dialect::openai::Answer;
use crate::governance::{Account, Reason, Written};
use crate::health::{Call, Fault, retry_after};
use crate::http::memory::Memory;
use crate::http::request_id::X_REQUEST_ID;
use crate::provider::Body;
use crate::relay::{Feed, Naming, Reader};
use crate::routing::Target;
use crate::routing::context::is_exceeded;

/// Largest plain answer that is read into memory.
const MAX_ANSWER: usize = 64 << 20;
/// Largest error answer; providers explain themselves in less.
const MAX_ERROR: usize = 64 << 10;

/// An answer to hand on.
#[expect(clippy::large_enum_variant, reason = "one a request, moved twice: a box would cost more")]
#[derive(Debug)]
pub(super) enum Sent {
    /// A stream that has begun to answer.
    Stream { target: Target, headers: HeaderMap, feed: Box<Feed> },
    /// An answer that goes on as it comes, but is not a chat.
    Raw(Box<Raw>),
    /// A whole answer, or an error that is the client's own fault, in the client's words.
    Plain {
        target: Target,
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
        answer: Option<Answer>,
        spent: Spent,
        /// The provider says that the request is longer than its model's context window.
        is_too_long: bool,
    },
}

impl Sent {
    pub(super) fn target(&self) -> &Target {
        match self {
            Self::Stream { target, .. } | Self::Plain { target, .. } => target,
            Self::Raw(raw) => &raw.target,
        }
    }
}

/// Puts into a request what the gateway adds to it.
pub(super) fn dress(request: &mut Request<Full<Bytes>>, dialect: Dialect, client: &Client<'_>) {
    let headers = request.headers_mut();
    headers.insert(&X_REQUEST_ID, client.request_id.clone());
    forward(client.headers, client.dialect, dialect, headers);
}

/// What of the client goes on to the upstream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client<'a> {
    pub(super) dialect: Dialect,
    pub(super) headers: &'a HeaderMap,
    pub(super) request_id: &'a HeaderValue,
}

/// Charges an attempt that has ended; a stream has only begun.
pub(super) fn charge(account: &mut Account, result: &Result<Sent, Failure>) {
    match result {
        Ok(Sent::Stream { .. }) => account.answering(),
        Ok(Sent::Raw(raw)) if raw.is_events() => account.answering(),
        Ok(Sent::Raw(_)) => account.counted(&Written::default(), None, Reason::NoUsage),
        Ok(Sent::Plain { spent, .. }) | Err(Failure { spent, .. }) => match spent {
            Spent::Nothing => account.nothing(),
            Spent::Stated(usage) => account.stated(usage),
            Spent::Prompt(reason) => account.prompt_only(*reason),
            Spent::Counted(written, stated, reason) => account.counted(written, stated.as_ref(), *reason),
            Spent::Answer(written, reason) => account.worst_case(written, *reason),
        },
    }
}

/// How an attempt is made.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) worker: usize,
    pub(super) target: &'a Target,
    /// The same attempt as the target's health sees it.
    pub(super) call: &'a Call,
    /// What the target is spoken to in.
    pub(super) dialect: Dialect,
    /// What it is asked for, where it is not a chat.
    pub(super) asks: Option<&'a Asks>,
    pub(super) outbound: &'a Outbound<'a>,
    pub(super) request_id: &'a HeaderValue,
    /// When nobody waits for an answer any more.
    pub(super) deadline: Option<Instant>,
    pub(super) memory: &'a Memory,
}

#[expect(clippy::result_large_err, reason = "failures are rare, and moved once")]
impl Attempt<'_> {
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Sent, Failure> {
        let upstream = &self.target.upstream;
        let first_byte = self.within(upstream.first_byte);
        let response = match timeout_at(first_byte, upstream.client(self.worker).request(request)).await {
            Err(_) => {
                let spent = Spent::Prompt(Reason::Deadline);
                return Err(Failure::deadline(
                    format!("no answer within {:?}", self.patience(upstream.first_byte)),
                    spent,
                ));
            }
            Ok(Err(error)) => {
                let spent = if error.was_sent() { Spent::Prompt(Reason::Transport) } else { Spent::Nothing };
                return Err(Failure::transport(chain(&error), spent));
            }
            Ok(Ok(response)) => response,
        };
        self.call.has_head(response.headers());
        let is_success = response.status().is_success();
        if is_success && self.outbound.work.as_ref().is_some_and(|work| work.is_raw(response.headers())) {
            return Ok(self.raw(response));
        }
        if is_success && self.outbound.envelope.stream && is_stream(response.headers()) {
            return self.stream(response).await;
        }
        let (head, body) = response.into_parts();
        let limit = if is_success { MAX_ANSWER } else { MAX_ERROR };
        let (body, broken) = read(body, limit, self.within(upstream.total), upstream.idle, self.memory).await;
        match broken {
            Some(broken) => Err(self.broken(head.status, &body, &broken, limit)),
            None if is_success => match (&self.outbound.work, self.asks) {
                (Some(work), Some(asks)) => self.done(work, asks, head.status, &head.headers, body),
                _ => self.answer(head.status, &head.headers, body),
            },
            None => self.error(head.status, &head.headers, body),
        }
    }

    /// So long, but no longer than the client waits.
    fn within(&self, patience: Duration) -> Instant {
        let until = Instant::now() + patience;
        self.deadline.map_or(until, |deadline| until.min(deadline))
    }

    fn patience(&self, patience: Duration) -> Duration {
        self.deadline.map_or(patience, |deadline| patience.min(deadline.saturating_duration_since(Instant::now())))
    }

    fn reader(&self) -> Reader {
        if self.outbound.passes(self.dialect) {
            return Reader::passing(self.dialect, self.outbound.manner());
        }
        self.translator()
    }

    fn translator(&self) -> Reader {
        let (client, manner) = (self.outbound.call.dialect, self.outbound.manner());
        Reader::translating(self.dialect, client, manner, self.naming())
    }

    /// What an answer is called that has no name of its own. Bytes that pass through have one.
    fn naming(&self) -> Naming {
        Naming::new(self.outbound.call.dialect, self.request_id, &self.target.model)
    }

    async fn stream(&self, response: Response<Body>) -> Result<Sent, Failure> {
        let upstream = &self.target.upstream;
        let (head, body) = response.into_parts();
        let mut feed = Box::new(Feed::new(body, self.reader()));
        match feed.open(upstream.idle, upstream.first_byte, self.deadline).await {
            Ok(()) => Ok(Sent::Stream { target: self.target.clone(), headers: head.headers, feed }),
            Err(broken) => Err(Failure::before_output(&broken, feed.facts())),
        }
    }

    fn broken(&self, status: StatusCode, body: &[u8], broken: &Broken, limit: usize) -> Failure {
        // A provider that sends an answer in one piece has written all of it; an error costs nothing.
        let spent = |reason| match status.is_success() {
            // Vectors and images are no text.
            true if self.outbound.work.is_some() => Spent::Answer(Written::default(), reason),
            true => Spent::Answer(super::answer::written(self.dialect, body), reason),
            false => Spent::Nothing,
        };
        match broken {
            Broken::Late => Failure::deadline(
                format!("the answer was not whole within {:?}", self.target.upstream.total),
                spent(Reason::Deadline),
            ),
            Broken::Idle => Failure::deadline(
                format!("nothing came for {:?}, and the answer was not whole", self.target.upstream.idle),
                spent(Reason::Deadline),
            ),
            Broken::TooLong => {
                Failure::transport(format!("the answer is longer than {limit} bytes"), spent(Reason::Malformed))
            }
            Broken::Lost(why) => Failure::transport(format!("the answer broke off: {why}"), spent(Reason::Transport)),
            Broken::NoRoom => Failure::no_room(spent(Reason::Transport)),
        }
    }

    fn raw(&self, response: Response<Body>) -> Sent {
        let (head, body) = response.into_parts();
        Sent::Raw(Box::new(Raw::new(self.target, head.status, head.headers, body)))
    }

    /// A whole answer to what is not a chat.
    fn done(
        &self,
        work: &Work,
        asks: &Asks,
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Sent, Failure> {
        if let Some(said) = super::answer::error_in(self.dialect, &body) {
            return Err(Failure::answered(judge(status, &said), status, &said, retry_after(headers), Spent::Nothing));
        }
        let target = self.target.clone();
        match work.read(asks.wire, self.dialect, headers, body) {
            Ok(Done { body, is_translated, spent }) => {
                let kept = returned(headers);
                let headers = if is_translated { without_type(kept) } else { kept };
                Ok(Sent::Plain { target, status, headers, body, answer: None, spent, is_too_long: false })
            }
            Err(unreadable) => Err(Failure::malformed(
                format!("the answer cannot be read: {unreadable}"),
                Spent::Answer(Written::default(), Reason::Malformed),
            )),
        }
    }

    /// A whole answer, in the client's words.
    fn answer(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Result<Sent, Failure> {
        let Read { chat, answer, spent, failure } =
            match read_answer(self.dialect, &body, self.outbound.passes(self.dialect)) {
                Ok(read) => read,
                Err(unreadable) => {
                    let written = super::answer::written(self.dialect, &body);
                    return Err(Failure::malformed(
                        format!("the answer cannot be read: {unreadable}"),
                        Spent::Answer(written, Reason::Malformed),
                    ));
                }
            };
        if let Some(said) = failure {
            return Err(Failure::answered(judge(status, &said), status, &said, retry_after(headers), spent));
        }
        let (target, kept) = (self.target.clone(), returned(headers));
        let stream = self.outbound.envelope.stream;
        if let Some(mut chat) =
            chat.or_else(|| stream.then(|| codec::decode_answer(self.dialect, &body).ok()).flatten())
        {
            self.naming().fill_in(&mut chat.id, &mut chat.model, &mut chat.created);
            if stream {
                // Asked for a stream, it has answered in one piece.
                let feed = Box::new(Feed::whole(replay(&chat), self.translator()));
                return Ok(Sent::Stream { target, headers: HeaderMap::new(), feed });
            }
            let body = codec::encode_answer(self.outbound.call.dialect, &chat, &self.outbound.manner()).into();
            let headers = without_type(kept);
            return Ok(Sent::Plain { target, status, headers, body, answer, spent, is_too_long: false });
        }
        Ok(Sent::Plain { target, status, headers: kept, body, answer, spent, is_too_long: false })
    }

    /// An error answer: the client's own fault goes on to it in the provider's words, anything else is a failure.
    fn error(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Result<Sent, Failure> {
        let mut said = codec::decode_error(self.dialect, status.as_u16(), headers, &body);
        let stated = Answer::read(&body).and_then(|answer| answer.usage);
        let spent = stated.map_or(Spent::Nothing, Spent::Stated);
        let verdict = judge(status, &said);
        if verdict.fault != Fault::Client {
            return Err(Failure::answered(verdict, status, &said, retry_after(headers), spent));
        }
        let is_too_long = is_exceeded(status.as_u16(), said.code.as_deref(), &said.message);
        let (target, mut headers) = (self.target.clone(), returned(headers));
        let client = self.outbound.call.dialect;
        if self.dialect == client {
            return Ok(Sent::Plain { target, status, headers, body, answer: None, spent, is_too_long });
        }
        said.request_id = Some(self.naming().id);
        headers = without_type(headers);
        headers.remove("x-amzn-errortype");
        if client == Dialect::Bedrock {
            let name = peerway_dialect::bedrock::error_type(said.kind);
            headers.insert("x-amzn-errortype", HeaderValue::from_static(name));
        }
        let body = codec::encode_error(client, &said).into();
        Ok(Sent::Plain { target, status, headers, body, answer: None, spent, is_too_long })
    }
}

/// Why a body is not whole.
#[derive(Debug)]
enum Broken {
    Late,
    Idle,
    TooLong,
    Lost(String),
    /// This node may hold no more.
    NoRoom,
}

/// Reads a body, and tells what is wrong if it has no end; what came before is there either way.
async fn read(body: Body, limit: usize, until: Instant, idle: Duration, memory: &Memory) -> (Bytes, Option<Broken>) {
    let mut body = body;
    let mut held = memory.hold();
    let mut pieces: Vec<Bytes> = Vec::new();
    let reading = async {
        let mut length = 0;
        loop {
            let frame = match timeout(idle, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Some(Broken::Lost(chain(&error))),
                Ok(None) => return None,
                Err(_) => return Some(Broken::Idle),
            };
            if let Ok(piece) = frame.into_data() {
                length += piece.len();
                if length > limit {
                    return Some(Broken::TooLong);
                }
                if held.grow(piece.len()).is_err() {
                    return Some(Broken::NoRoom);
                }
                pieces.push(piece);
            }
        }
    };
    let broken = timeout_at(until, reading).await.unwrap_or(Some(Broken::Late));
    let whole = match pieces.as_mut_slice() {
        [] => Bytes::new(),
        [piece] => std::mem::take(piece),
        pieces => Bytes::from(pieces.concat()),
    };
    (held.bind(whole), broken)
}

fn is_stream(headers: &HeaderMap) -> bool {
    is_events(headers) || is_of_type(headers, "application/vnd.amazon.eventstream")
}

fn without_type(mut headers: HeaderMap) -> HeaderMap {
    headers.remove(CONTENT_TYPE);
    headers
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
