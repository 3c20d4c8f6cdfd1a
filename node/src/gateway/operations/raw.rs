//! Answers that go on as they come: sound, and events of operations that are not chats. Speech is charged when it begins,
//! for its provider has the whole text by then; events say at their end what they took.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::usage;
use crate::dialect::openai::{Usage, event_data};
use crate::gateway::headers::is_events;
use crate::gateway::{Exchange, Outcome};
use crate::governance::{Account, Reason, Written};
use crate::health::{self, Verdict};
use crate::operation::Operation;
use crate::provider;
use crate::relay::EventCutter;
use crate::routing::Target;

/// Longer events are not kept to be read. The last event of an image holds all of it, and its usage.
const LONGEST_EVENT: usize = 16 << 20;

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

    /// Whether it will say what it took.
    pub(in crate::gateway) fn is_events(&self) -> bool {
        is_events(&self.headers)
    }

    pub(super) fn relay(self, exchange: Exchange, operation: Operation) -> RawRelay {
        let now = Instant::now();
        let (idle, total) = (self.target.upstream.idle, self.target.upstream.total);
        RawRelay {
            tally: self.is_events().then(|| Tally::of(operation)),
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
    tally: Option<Tally>,
    idle: Duration,
    deadline: Instant,
    last_piece: Instant,
    /// Moved only when it fires, not with each piece.
    alarm: Pin<Box<Sleep>>,
    over: bool,
}

/// What the events have said so far.
#[derive(Debug)]
struct Tally {
    /// Gone from the event on that is longer than is held: nobody knows what it said.
    cutter: Option<EventCutter>,
    /// What an image is made of is not text.
    is_text: bool,
    usage: Option<Usage>,
    written: Written,
}

impl Tally {
    fn of(operation: Operation) -> Self {
        let is_text = !matches!(operation, Operation::ImageGenerations | Operation::ImageEdits);
        let cutter = Some(EventCutter::new(LONGEST_EVENT));
        Self { cutter, is_text, usage: None, written: Written::default() }
    }

    fn take(&mut self, piece: Bytes) {
        let Some(mut cutter) = self.cutter.take() else { return };
        cutter.push(piece);
        loop {
            match cutter.next_event() {
                Ok(Some(event)) => self.event(&event),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        self.cutter = Some(cutter);
    }

    /// No more will come. Some servers leave out the blank line behind the last event; and of one that was cut short,
    /// what has come was written.
    fn end(&mut self) {
        if let Some(cutter) = self.cutter.take() {
            self.event(cutter.rest());
            self.cutter = Some(cutter);
        }
    }

    fn event(&mut self, event: &[u8]) {
        let Some(data) = event_data(event) else { return };
        self.usage = usage::stated(data).or(self.usage);
        if self.is_text {
            self.written.text(&String::from_utf8_lossy(data));
        }
    }

    /// Charges what the events have said.
    fn charge(&self, account: &mut Account, reason: Reason) {
        match &self.usage {
            Some(usage) => account.stated(usage),
            None if self.is_text && self.cutter.is_some() => account.counted(&self.written, None, reason),
            None => account.worst_case(&self.written, reason),
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

    /// Charges what the events have said, if they are the ones to say it.
    fn charge(&mut self, reason: Reason) {
        let Some(mut tally) = self.tally.take() else { return };
        tally.end();
        self.exchange.usage = tally.usage;
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

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"some words\"}\r\n\r\n\
        data: {\"type\":\"transcript.text.done\",\"usage\":{\"input_tokens\":7,\"output_tokens\":2}}";

    fn tally(operation: Operation, pieces: &[&str]) -> Tally {
        let mut tally = Tally::of(operation);
        for piece in pieces {
            tally.take(Bytes::copy_from_slice(piece.as_bytes()));
        }
        tally.end();
        tally
    }

    #[test]
    fn the_last_event_counts_however_it_ends_and_wherever_it_is_cut() {
        for ending in ["\n\n", "\r\r", "\n", ""] {
            let whole = format!("{EVENTS}{ending}");
            for at in 0..=whole.len() {
                let tally = tally(Operation::Transcriptions, &[&whole[..at], &whole[at..]]);
                let usage = tally.usage.map(|usage| (usage.prompt_tokens, usage.completion_tokens));
                assert_eq!(usage, Some((7, 2)), "cut at {at} before {ending:?}");
            }
        }
    }

    #[test]
    fn what_broke_off_was_written() {
        let event = "data: {\"delta\":\"a long word";
        let tally = tally(Operation::Transcriptions, &[event]);
        assert!(tally.usage.is_none() && tally.written.tokens() > 0);
    }

    #[test]
    fn an_image_is_not_text() {
        let event = "data: {\"b64_json\":\"aaaa\",\"usage\":{\"input_tokens\":7,\"output_tokens\":2}}\n\n";
        let tally = tally(Operation::ImageEdits, &[event]);
        assert_eq!((tally.written.tokens(), tally.usage.unwrap().completion_tokens), (0, 2));
    }
}
