//! What is done with an upstream's stream: pieces go on, and in the end its cost is settled.
//!
//! A stream is paid for as far as it was read, whoever still reads it. So its cost is settled here: when the stream has
//! ended with a usage, and else when it is dropped, by what had come.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use peerway_cache::Recorder;
use tokio::time::Instant;

use super::Feed;
use super::outlet::{Piece, PieceKind};
use crate::dialect::openai::Usage;
use crate::gateway::hooks::Refusal;
use crate::gateway::{Exchange, Outcome, judge_broken};
use crate::governance::Reason;
use crate::health::Verdict;

/// A stream that came to its end as it should.
#[derive(Debug)]
pub struct Finished {
    pub recorder: Option<Recorder>,
    /// Every choice ended with `stop`.
    pub all_stopped: bool,
    pub has_tool_calls: bool,
    pub usage: Option<Usage>,
}

/// Told once, by a stream that ended whole.
pub type OnFinish = Box<dyn FnOnce(Finished) + Send>;

pub(super) struct Intake {
    feed: Feed,
    ready: VecDeque<Bytes>,
    /// The client did not ask for the usage chunk: it is read here and goes no further.
    strip_usage: bool,
    pub(super) exchange: Exchange,
    recorder: Option<Recorder>,
    began: Instant,
    on_finish: Option<OnFinish>,
    /// The client has been told that its stream broke off: nothing more is handed on.
    told: bool,
    finished: bool,
}

impl Intake {
    pub(super) fn new(
        feed: Feed,
        exchange: Exchange,
        strip_usage: bool,
        recorder: Option<Recorder>,
        on_finish: Option<OnFinish>,
    ) -> Self {
        let mut intake = Self {
            feed,
            ready: VecDeque::new(),
            strip_usage,
            exchange,
            recorder,
            began: Instant::now(),
            on_finish,
            told: false,
            finished: false,
        };
        intake.take();
        intake
    }

    pub(super) fn received(&self) -> u64 {
        self.feed.received()
    }

    /// How many tokens have come, as far as they can be counted.
    pub(super) fn tokens(&self) -> u64 {
        self.feed.facts().written.tokens()
    }

    /// The next piece for the client.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// Nothing more will come for the client.
    pub(super) fn is_over(&self) -> bool {
        !self.feed.is_open() || self.told
    }

    /// The client has been told that its stream broke.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// The upstream goes on although nobody reads it, and has not said yet what it cost.
    pub(super) fn is_under_way(&self) -> bool {
        self.feed.is_open() && !self.finished
    }

    /// Reads what the upstream sends next, if it is there.
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.feed.poll_more(context));
        self.take();
        Poll::Ready(())
    }

    /// Reads to the end for nobody.
    pub(super) async fn read_out(mut self: Box<Self>) {
        while self.is_under_way() {
            std::future::poll_fn(|context| self.poll_more(context)).await;
            self.ready.clear();
        }
    }

    /// The stream broke off: tells the client, and hears no more of the upstream.
    pub(super) fn lost(&mut self, why: &str, reason: Reason) {
        self.feed.lost(why, reason);
        self.take();
    }

    /// Takes what the feed has got.
    fn take(&mut self) {
        if self.told {
            self.feed.forget_pieces();
        }
        while let Some(piece) = self.feed.next_piece() {
            self.piece(piece);
        }
        if let Some(usage) = self.feed.facts().usage {
            self.exchange.usage = Some(usage);
        }
        if let Some(broken) = self.feed.broken().cloned()
            && !std::mem::replace(&mut self.told, true)
        {
            self.recorder = None;
            self.on_finish = None;
            self.exchange.outcome = Outcome::Cut;
            self.exchange.judge(judge_broken(&broken));
            let event = self.feed.tell(&broken);
            self.ready.push_back(event);
        }
        if self.feed.facts().done || !self.feed.is_open() {
            self.finish();
        }
    }

    fn piece(&mut self, piece: Piece) {
        if piece.kind != PieceKind::Comment {
            self.exchange.first_event_seen();
            if let Some(recorder) = &mut self.recorder {
                recorder.push(self.began.elapsed().as_micros() as u64, &piece.bytes);
            }
        }
        if piece.kind == PieceKind::Usage && self.strip_usage {
            return;
        }
        let gateway = &self.exchange.worker().gateway;
        match gateway.hooks.event(&piece.bytes) {
            Ok(()) => self.ready.push_back(piece.bytes),
            Err(Refusal(why)) => {
                self.exchange.judge(Verdict::CLIENT);
                self.feed.refuse(why);
            }
        }
    }

    /// The stream has come to its end, whichever.
    fn finish(&mut self) {
        self.settle();
        if std::mem::replace(&mut self.finished, true) || self.told {
            return;
        }
        self.exchange.outcome = Outcome::Ok;
        let facts = self.feed.facts();
        if let Some(on_finish) = self.on_finish.take().filter(|_| facts.done) {
            on_finish(Finished {
                recorder: self.recorder.take(),
                all_stopped: facts.all_stopped(),
                has_tool_calls: facts.has_tool_calls,
                usage: facts.usage,
            });
        }
    }

    /// Charges the stream by what is known of it. The first time counts.
    fn settle(&mut self) {
        let Some(account) = &mut self.exchange.account else { return };
        let (facts, broken) = (self.feed.facts(), self.feed.broken());
        let is_whole = facts.done || (facts.is_finished() && broken.is_none());
        match &facts.usage {
            Some(usage) if is_whole && facts.usage_is_final => account.stated(usage),
            usage => {
                let reason = broken.map_or(Reason::ClientGone, |broken| broken.reason);
                let reason = if is_whole { Reason::NoUsage } else { reason };
                account.counted(&facts.written, usage.as_ref(), reason);
            }
        }
        self.exchange.settle();
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.settle();
        // Too late for a header: the log says it.
        if let Some(unread) = self.feed.unread() {
            self.exchange.dropped.absorb(unread);
        }
    }
}
