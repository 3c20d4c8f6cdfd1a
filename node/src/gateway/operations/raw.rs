//! Answers that go on as they come: sound, and events of operations that are not chats. Events say at their end what
//! they took. Of sound nobody says it, so its bytes are counted as they go on.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::tally::Tally;
use crate::gateway::{Exchange, Outcome};
use crate::governance::Reason;
use crate::health::{self, Verdict};
use crate::operation::Operation;
use crate::provider;
use crate::routing::Target;

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

    pub(super) fn relay(self, exchange: Exchange, operation: Operation) -> RawRelay {
        let now = Instant::now();
        let (idle, total) = (self.target.upstream.idle, self.target.upstream.total);
        RawRelay {
            tally: Some(Tally::of(operation, &self.headers)),
            body: self.body,
            exchange,
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
    /// Until it is charged.
    tally: Option<Tally>,
    idle: Duration,
    deadline: Instant,
    last_piece: Instant,
    /// Moved only when it fires, not with each piece.
    alarm: Pin<Box<Sleep>>,
    over: bool,
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
        let Some(mut tally) = self.tally.take() else { return };
        tally.end();
        self.exchange.usage = tally.usage();
        self.exchange.answered(|account| tally.charge(account, reason));
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
                        tally.take(piece.clone());
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
