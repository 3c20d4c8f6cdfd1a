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
use crate::wire::{self, Chunks, Usage};

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
    chunks: Chunks,
    breaks: Breaks,
    account: Account,
    pacer: Pacer,
    sent: u64,
    flushing: bool,
    over: bool,
}

/// What the n-th event of a stream is.
enum Step {
    Role(u64),
    Token { choice: u64, token: u64 },
    Finish(u64),
    Usage,
    Done,
    End,
}

impl EventStream {
    pub(crate) fn new(chunks: Chunks, breaks: Breaks, account: Account, pacer: Pacer) -> Self {
        Self { chunks, breaks, account, pacer, sent: 0, flushing: false, over: false }
    }

    fn step(&self) -> Step {
        let reply = &self.chunks.reply;
        let choices = reply.choices;
        let Some(position) = self.sent.checked_sub(choices) else { return Step::Role(self.sent) };
        let tokens = reply.completion_tokens();
        let Some(position) = position.checked_sub(tokens).filter(|_| !self.breaks.endless) else {
            return Step::Token { choice: position % choices, token: position / choices };
        };
        if position < choices {
            return Step::Finish(position);
        }
        let usage = u64::from(reply.include_usage && reply.usage != Usage::Absent);
        match position - choices {
            0 if usage == 1 => Step::Usage,
            position if position == usage => Step::Done,
            _ => Step::End,
        }
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
            return Poll::Ready(Some(Ok(Bytes::from_static(wire::ERROR_EVENT))));
        }
        let event = match self.step() {
            Step::Role(choice) => self.chunks.role(choice),
            Step::Token { choice, token } => {
                // The first token came with the first-token latency; a token goes to all choices at once.
                if token > 0 && choice == 0 {
                    ready!(self.pacer.poll_token(cx));
                }
                let deltas = &self.chunks.reply.answer.deltas;
                let delta = deltas.get(usize::try_from(token).unwrap_or(usize::MAX)).or(deltas.last()).copied();
                self.account.produced(1);
                match delta {
                    Some(delta) => self.chunks.delta(choice, delta),
                    None => self.chunks.finish(choice),
                }
            }
            Step::Finish(choice) => self.chunks.finish(choice),
            Step::Usage => self.chunks.usage(),
            Step::Done => Bytes::from_static(wire::DONE),
            Step::End => {
                self.over = true;
                return Poll::Ready(None);
            }
        };
        let event = if self.breaks.malformed && self.sent == MALFORMED_EVENT {
            Bytes::from_static(wire::MALFORMED_EVENT)
        } else {
            event
        };
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
