//! Answers that go on as they come: sound, and events of operations that are not chats. Events say at their end what
//! they took. Of sound nobody says it, so its bytes are counted as they go on.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::asked::SOUND_BYTES;
use super::usage;
use crate::gateway::{Exchange, Outcome};
use crate::governance::{Reason, Written};
use crate::health::{self, Verdict};
use crate::operation::Operation;
use crate::provider;
use crate::routing::Target;

/// Longer lines of events are not kept to be read. The last event of an image holds all of it, and its usage.
const LONGEST_LINE: usize = 16 << 20;

/// Bytes of samples, which no codec has made fewer, for a token: at 8 kHz in 16 bits, at twenty tokens a second.
const SAMPLE_BYTES: u64 = 800;

/// An answer that has begun.
#[derive(Debug)]
pub(in crate::gateway) struct Raw {
    pub(in crate::gateway) target: Target,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: provider::Body,
}

impl Raw {
    pub(in crate::gateway) fn new(
        target: &Target,
        status: StatusCode,
        headers: HeaderMap,
        body: provider::Body,
    ) -> Self {
        Self { target: target.clone(), status, headers, body }
    }

    fn tally(&self) -> Tally {
        const SAMPLES: [&[u8]; 4] = [b"audio/pcm", b"audio/wav", b"audio/x-wav", b"audio/l16"];
        let kind = self.headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase()).unwrap_or_default();
        if kind.starts_with(b"text/event-stream") {
            return Tally::Events(Events::default());
        }
        let is_samples = SAMPLES.iter().any(|samples| kind.starts_with(samples));
        Tally::Sound { bytes: 0, a_token: if is_samples { SAMPLE_BYTES } else { SOUND_BYTES } }
    }

    pub(super) fn relay(self, exchange: Exchange, operation: Operation) -> RawRelay {
        let now = Instant::now();
        let (idle, total) = (self.target.upstream.idle, self.target.upstream.total);
        RawRelay {
            tally: Some(self.tally()),
            body: self.body,
            exchange,
            operation,
            idle,
            deadline: now + total,
            last_piece: now,
            alarm: Box::pin(tokio::time::sleep_until(now + idle.min(total))),
            over: false,
        }
    }
}

/// Why a body has no end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("the provider broke its answer off: {0}")]
    Lost(provider::BodyError),
    #[error("the provider's answer took longer than its timeouts")]
    Late,
}

/// The body of such an answer. One that breaks off breaks off for the client too, and never looks whole.
#[derive(Debug)]
pub(super) struct RawRelay {
    body: provider::Body,
    exchange: Exchange,
    operation: Operation,
    /// Until it is charged.
    tally: Option<Tally>,
    idle: Duration,
    deadline: Instant,
    last_piece: Instant,
    /// Moved only when it fires, not with each piece.
    alarm: Pin<Box<Sleep>>,
    over: bool,
}

/// What has come so far.
#[derive(Debug)]
enum Tally {
    Events(Events),
    /// Sound, of which so many bytes are a token or less.
    Sound {
        bytes: u64,
        a_token: u64,
    },
}

impl Tally {
    fn take(&mut self, piece: &[u8]) {
        match self {
            Self::Events(events) => events.take(piece),
            Self::Sound { bytes, .. } => *bytes = bytes.saturating_add(piece.len() as u64),
        }
    }
}

/// What the events have said so far.
#[derive(Debug, Default)]
struct Events {
    line: Vec<u8>,
    usage: Option<crate::dialect::openai::Usage>,
    written: Written,
}

impl Events {
    fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() <= LONGEST_LINE {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                if let Some(data) = self.line.strip_prefix(b"data:") {
                    self.usage = usage::stated(data).or(self.usage);
                    self.written.text(&String::from_utf8_lossy(data));
                }
                self.line.clear();
            }
        }
    }
}

impl RawRelay {
    fn poll_late(&mut self, context: &mut Context<'_>) -> bool {
        while self.alarm.poll_unpin(context).is_ready() {
            let now = Instant::now();
            let until = (self.last_piece + self.idle).min(self.deadline);
            if now >= until {
                return true;
            }
            self.alarm.as_mut().reset(until);
        }
        false
    }

    fn end(&mut self, outcome: Outcome, reason: Reason) {
        self.over = true;
        self.exchange.judge(Verdict::of(match (outcome, reason) {
            (Outcome::Ok, _) => &health::Outcome::Ok,
            (_, Reason::Deadline) => &health::Outcome::Deadline,
            _ => &health::Outcome::Cut,
        }));
        self.exchange.outcome = outcome;
        self.charge(reason);
        self.exchange.settle();
    }

    /// Charges what has come. The first time counts.
    fn charge(&mut self, reason: Reason) {
        let Events { usage, written, .. } = match self.tally.take() {
            None => return,
            Some(Tally::Sound { bytes, a_token }) => {
                return self.exchange.answered(|account| account.sounded(bytes.div_ceil(a_token), reason));
            }
            Some(Tally::Events(events)) => events,
        };
        self.exchange.usage = usage;
        let operation = self.operation;
        self.exchange.answered(|account| match usage {
            Some(usage) => account.stated(&usage),
            // What an image is made of is not text.
            None if matches!(operation, Operation::ImageGenerations | Operation::ImageEdits) => {
                account.worst_case(&Written::default(), reason);
            }
            None => account.counted(&written, None, reason),
        });
    }
}

impl Body for RawRelay {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let relay = &mut *self;
        if relay.over {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut relay.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    relay.last_piece = Instant::now();
                    let Ok(piece) = frame.into_data() else { continue };
                    relay.exchange.first_event_seen();
                    if let Some(tally) = &mut relay.tally {
                        tally.take(&piece);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Poll::Ready(Some(Err(error))) => {
                    relay.end(Outcome::Cut, Reason::Cut);
                    return Poll::Ready(Some(Err(Cut::Lost(error))));
                }
                Poll::Ready(None) => {
                    relay.end(Outcome::Ok, Reason::NoUsage);
                    return Poll::Ready(None);
                }
                Poll::Pending if relay.poll_late(context) => {
                    relay.end(Outcome::Cut, Reason::Deadline);
                    return Poll::Ready(Some(Err(Cut::Late)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for RawRelay {
    fn drop(&mut self) {
        if !self.over {
            self.exchange.client_gone();
            self.charge(Reason::ClientGone);
        }
    }
}
