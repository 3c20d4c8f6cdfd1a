//! A stream of events: which event comes next, when, and where a rule breaks it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep};

use crate::bill::Account;
use crate::body::Cut;
use crate::latency::Latency;
use crate::random::Random;
use crate::script::Script;

/// Endless answers produce at most this fast, so that one forgotten client does not take a core.
pub(crate) const ENDLESS_GAP: Duration = Duration::from_millis(1);
const MALFORMED_EVENT: u64 = 2;

/// Lets tokens go at their times. Times are absolute, so a slow reader does not slow the production down.
#[derive(Debug)]
pub(crate) struct Pacer {
    gap: Latency,
    least: Duration,
    random: Arc<Random>,
    due: Instant,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Pacer {
    pub(crate) fn new(gap: Latency, least: Duration, random: Arc<Random>) -> Self {
        Self { gap, least, random, due: Instant::now(), waiting: None }
    }

    fn poll_token(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_none() {
            let gap = self.gap.sample(&self.random).max(self.least);
            self.due += gap;
            if gap.is_zero() || self.due <= Instant::now() {
                return Poll::Ready(());
            }
        }
        let due = self.due;
        let sleep = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        ready!(sleep.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(())
    }
}

/// Where a rule breaks a stream; counts are of events sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Breaks {
    pub(crate) cut_after: Option<u64>,
    pub(crate) error_after: Option<u64>,
    pub(crate) malformed: bool,
    pub(crate) endless: bool,
}

#[derive(Debug)]
pub(crate) struct EventStream {
    script: Script,
    breaks: Breaks,
    account: Account,
    pacer: Pacer,
    sent: u64,
    flushing: bool,
    over: bool,
}

impl EventStream {
    pub(crate) fn new(script: Script, breaks: Breaks, account: Account, pacer: Pacer) -> Self {
        Self { script, breaks, account, pacer, sent: 0, flushing: false, over: false }
    }

    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if self.breaks.cut_after == Some(self.sent) {
            if !std::mem::replace(&mut self.flushing, true) {
                // Hyper drops what it has not written when a body fails; a pause lets it write first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.over = true;
            return Poll::Ready(Some(Err(Cut)));
        }
        if self.breaks.error_after == Some(self.sent) {
            self.over = true;
            return Poll::Ready(Some(Ok(self.script.error_event())));
        }
        let Some(step) = self.script.step(self.sent, self.breaks.endless) else {
            self.over = true;
            return Poll::Ready(None);
        };
        if step.paced {
            ready!(self.pacer.poll_token(cx));
        }
        self.account.produced(step.tokens);
        let broken = self.breaks.malformed && self.sent == MALFORMED_EVENT;
        let event = if broken { self.script.malformed_event() } else { self.script.bytes(&step) };
        self.sent += 1;
        Poll::Ready(Some(Ok(event)))
    }
}

/// A plain answer whose text never ends.
#[derive(Debug)]
pub(crate) struct EndlessText {
    pub(crate) head: Option<Bytes>,
    pub(crate) account: Account,
    pub(crate) pacer: Pacer,
}

impl EndlessText {
    pub(crate) fn poll_text(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(head)));
        }
        ready!(self.pacer.poll_token(cx));
        self.account.produced(1);
        Poll::Ready(Some(Ok(Bytes::from_static(b" again"))))
    }
}
