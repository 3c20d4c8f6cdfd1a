//! One attempt at an upstream: what is sent, what comes back in whichever words, how it failed, and what it cost.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use peerway_dialect::canonical::{self, FailureKind, replay};
use peerway_dialect::{Dialect, Dropped};
use tokio::time::{Instant, timeout_at};

use super::answer::{Read, read_answer, stated_beside};
use super::headers::{forward, is_events, is_of_type, returned};
use super::operations::{Asks, Done, Raw, Work};
use super::outbound::Outbound;
use super::verdict::{Failure, Spent, judge, judge_broken};
use super::whole::{Broken, chain, read};
use crate::dialect::codec;
use crate::dialect::openai::Answer;
use crate::governance::{Account, Reason, Written};
use crate::health::{Call, Fault, retry_after};
use crate::http::error_form::ErrorForm;
use crate::http::memory::Memory;
use crate::http::request_id::X_REQUEST_ID;
use crate::provider::{Body, Timeout};
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
    Stream { target: Target, headers: HeaderMap, feed: Box<Feed>, unread: Dropped },
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
        /// What of the answer the client's dialect has no words for.
        unread: Dropped,
    },
}

impl Sent {
    pub(super) fn target(&self) -> &Target {
        match self {
            Self::Stream { target, .. } | Self::Plain { target, .. } => target,
            Self::Raw(raw) => &raw.target,
        }
    }

    /// What of the answer did not go on, as far as that is known before it begins.
    pub(super) fn unread(&self) -> &Dropped {
        const NOTHING: &Dropped = &Dropped::new();
        match self {
            Self::Stream { unread, .. } | Self::Plain { unread, .. } => unread,
            Self::Raw(_) => NOTHING,
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

/// Charges an attempt that has ended; what goes on as it comes has only begun.
pub(super) fn charge(account: &mut Account, result: &Result<Sent, Failure>) {
    match result {
        Ok(Sent::Stream { .. } | Sent::Raw(_)) => account.answering(),
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
        let (until, timeout) = self.within(upstream.first_byte, Timeout::FirstByte);
        let response = match timeout_at(until, upstream.client(self.worker).request(request)).await {
            Err(_) => return Err(Failure::deadline(self.late(timeout), Spent::Prompt(Reason::Deadline))),
            Ok(Err(error)) => {
                let spent = if error.was_sent() { Spent::Prompt(Reason::Transport) } else { Spent::Nothing };
                let why = if error.is_late() { self.late(Some(Timeout::Connect)) } else { chain(&error) };
                return Err(Failure::transport(why, spent));
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
        let until = self.within(upstream.total, Timeout::Total);
        let (body, broken) = read(body, limit, until, upstream.idle, self.memory).await;
        match broken {
            // Its status tells whose fault an error is, however little of its explanation has come.
            Some(broken) if is_success || matches!(broken, Broken::NoRoom) => {
                Err(self.broken(head.status, &body, &broken))
            }
            broken if !is_success => self.error(head.status, &head.headers, body, broken.as_ref()),
            _ => match (&self.outbound.work, self.asks) {
                (Some(work), Some(asks)) => self.done(work, asks, head.status, &head.headers, body),
                _ => self.answer(head.status, &head.headers, body),
            },
        }
    }

    /// So long, but no longer than the client waits: then no timeout of the provider's has struck.
    fn within(&self, patience: Duration, timeout: Timeout) -> (Instant, Option<Timeout>) {
        let until = Instant::now() + patience;
        match self.deadline {
            Some(deadline) if deadline < until => (deadline, None),
            _ => (until, Some(timeout)),
        }
    }

    /// What is told of a timeout that has struck; `None`: the client's own.
    fn late(&self, timeout: Option<Timeout>) -> String {
        match timeout {
            Some(timeout) => self.target.upstream.late(timeout).to_string(),
            None => "there was no answer, or no end of it, when the client's own timeout passed".to_owned(),
        }
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
        let (head, body) = response.into_parts();
        let mut feed = Box::new(Feed::new(body, self.reader()));
        match feed.open(&self.target.upstream, self.deadline).await {
            Ok(()) => {
                let unread = Dropped::new();
                Ok(Sent::Stream { target: self.target.clone(), headers: head.headers, feed, unread })
            }
            Err(broken) if judge_broken(&broken).fault == Fault::Client => {
                let spent = feed.facts().usage.map_or(Spent::Nothing, Spent::Stated);
                Ok(self.refused(head.status, &head.headers, broken.failure, None, spent))
            }
            Err(broken) => Err(Failure::before_output(&broken, feed.facts())),
        }
    }

    fn broken(&self, status: StatusCode, body: &[u8], broken: &Broken) -> Failure {
        // A provider that sends an answer in one piece has written all of it; an error costs nothing.
        let spent = |reason| match status.is_success() {
            // Vectors and images are no text.
            true if self.outbound.work.is_some() => Spent::Answer(Written::default(), reason),
            true => Spent::Answer(super::answer::written(self.dialect, body), reason),
            false => Spent::Nothing,
        };
        match broken {
            Broken::Late(_) => Failure::deadline(self.not_whole(broken), spent(Reason::Deadline)),
            Broken::TooLong(_) => Failure::transport(self.not_whole(broken), spent(Reason::Malformed)),
            Broken::Lost(_) => Failure::transport(self.not_whole(broken), spent(Reason::Transport)),
            Broken::NoRoom => Failure::no_room(spent(Reason::Transport)),
        }
    }

    /// Why an answer is not whole, in words.
    fn not_whole(&self, broken: &Broken) -> String {
        match broken {
            Broken::Late(timeout) => format!("the answer was not whole: {}", self.late(*timeout)),
            Broken::TooLong(limit) => format!("the answer is longer than {limit} bytes"),
            Broken::Lost(why) => format!("the answer broke off: {why}"),
            Broken::NoRoom => "there was no room for the answer".to_owned(),
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
            let spent = stated_beside(self.dialect, &body);
            return self.told(status, headers, said, Some(body), spent);
        }
        let target = self.target.clone();
        match work.read(asks.wire, self.dialect, headers, body) {
            Ok(Done { body, is_translated, spent }) => {
                let kept = returned(headers);
                let headers = if is_translated { without_type(kept) } else { kept };
                let unread = Dropped::new();
                Ok(Sent::Plain { target, status, headers, body, answer: None, spent, is_too_long: false, unread })
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
            return self.told(status, headers, said, Some(body), spent);
        }
        let (target, kept) = (self.target.clone(), returned(headers));
        let stream = self.outbound.envelope.stream;
        if let Some(mut chat) =
            chat.or_else(|| stream.then(|| codec::decode_answer(self.dialect, &body).ok()).flatten())
        {
            self.naming().fill_in(&mut chat.id, &mut chat.model, &mut chat.created);
            let unread = std::mem::take(&mut chat.unread);
            if stream {
                // Asked for a stream, it has answered in one piece.
                let feed = Box::new(Feed::whole(replay(&chat), self.translator()));
                return Ok(Sent::Stream { target, headers: HeaderMap::new(), feed, unread });
            }
            let body = codec::encode_answer(self.outbound.call.dialect, &chat, &self.outbound.manner()).into();
            let headers = without_type(kept);
            return Ok(Sent::Plain { target, status, headers, body, answer, spent, is_too_long: false, unread });
        }
        let unread = Dropped::new();
        Ok(Sent::Plain { target, status, headers: kept, body, answer, spent, is_too_long: false, unread })
    }

    /// An error answer; `broken`: of which not all has come.
    fn error(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
        broken: Option<&Broken>,
    ) -> Result<Sent, Failure> {
        let mut said = codec::decode_error(self.dialect, status.as_u16(), headers, &body);
        let spent = stated_beside(self.dialect, &body);
        let body = match broken {
            None => Some(body),
            Some(broken) => {
                let why = self.not_whole(broken);
                said.message =
                    format!("{} (the provider answered with status {}; {why})", said.message, status.as_u16());
                None
            }
        };
        self.told(status, headers, said, body, spent)
    }

    /// What the provider says in place of an answer: the client's own fault goes on to it, anything else is a failure.
    fn told(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        said: canonical::Failure,
        body: Option<Bytes>,
        spent: Spent,
    ) -> Result<Sent, Failure> {
        let verdict = judge(status, &said);
        if verdict.fault == Fault::Client {
            return Ok(self.refused(status, headers, said, body, spent));
        }
        Err(Failure::answered(verdict, status, &said, retry_after(headers), spent))
    }

    /// What is the client's own fault, in its words: the provider's own `body`, where they speak alike and it is whole.
    fn refused(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        mut said: canonical::Failure,
        body: Option<Bytes>,
        spent: Spent,
    ) -> Sent {
        let (target, mut headers) = (self.target.clone(), returned(headers));
        let (client, unread) = (self.outbound.call.dialect, Dropped::new());
        // A client would take a 200 for an answer.
        let is_disguised = status.is_success();
        let status = if is_disguised { StatusCode::BAD_REQUEST } else { status };
        let is_too_long = is_exceeded(status.as_u16(), said.code.as_deref(), &said.message);
        if let Some(body) = body.filter(|_| self.dialect == client) {
            return Sent::Plain { target, status, headers, body, answer: None, spent, is_too_long, unread };
        }
        if is_disguised && said.kind.status() >= 500 {
            said.kind = FailureKind::InvalidRequest;
        }
        said.request_id = Some(self.naming().id);
        headers.remove(CONTENT_TYPE);
        headers.remove("x-amzn-errortype");
        if let Some((name, kind)) = ErrorForm::of_dialect(client).header(&said) {
            headers.insert(name, HeaderValue::from_static(kind));
        }
        let body = codec::encode_error(client, &said).into();
        Sent::Plain { target, status, headers, body, answer: None, spent, is_too_long, unread }
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    is_events(headers) || is_of_type(headers, "application/vnd.amazon.eventstream")
}

fn without_type(mut headers: HeaderMap) -> HeaderMap {
    headers.remove(CONTENT_TYPE);
    headers
}
