//! What comes in from an upstream's stream: events to hand on, the facts of the stream, and in the end its cost.
//!
//! A stream is paid for to its end, whoever still reads it. So its cost is settled here: when the stream has ended with
//! a usage, and else when it is dropped, by what had come.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;
use peerway_cache::Recorder;
use tokio::time::Instant;

use super::EventCutter;
use crate::dialect::openai::{Event, EventFacts, Usage, count_chunk, error_event};
use crate::gateway::{Exchange, Outcome};
use crate::governance::{Reason, Written};

const MAX_EVENT: usize = 1 << 20;
const MAX_STREAM: u64 = 256 << 20;

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
    upstream: Option<crate::provider::Body>,
    cutter: EventCutter,
    ready: VecDeque<Bytes>,
    /// The client did not ask for the usage chunk: it is read here and goes no further.
    strip_usage: bool,
    pub(super) exchange: Exchange,
    recorder: Option<Recorder>,
    began: Instant,
    on_finish: Option<OnFinish>,
    stopped: u32,
    ended_otherwise: u32,
    has_tool_calls: bool,
    written: Written,
    /// A usage came when the answer was finished. Some providers state one with every chunk: of what was used so far.
    usage_is_final: bool,
    done: bool,
    /// The client has been told that its stream broke off: nothing more is handed on.
    broken: bool,
    /// Why the cost of a stream without an end is an estimate.
    reason: Reason,
    received: u64,
}

impl Intake {
    pub(super) fn new(
        upstream: crate::provider::Body,
        exchange: Exchange,
        strip_usage: bool,
        recorder: Option<Recorder>,
        on_finish: Option<OnFinish>,
    ) -> Self {
        Self {
            upstream: Some(upstream),
            cutter: EventCutter::new(MAX_EVENT),
            ready: VecDeque::new(),
            strip_usage,
            exchange,
            recorder,
            began: Instant::now(),
            on_finish,
            stopped: 0,
            ended_otherwise: 0,
            has_tool_calls: false,
            written: Written::default(),
            usage_is_final: false,
            done: false,
            broken: false,
            reason: Reason::ClientGone,
            received: 0,
        }
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// The next event for the client.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// Nothing more will come for the client.
    pub(super) fn is_over(&self) -> bool {
        self.upstream.is_none() || self.broken
    }

    /// The upstream goes on although nobody reads it, and has not said yet what it cost.
    pub(super) fn is_under_way(&self) -> bool {
        self.upstream.is_some() && !self.done
    }

    /// Reads what the upstream sends next, if it is there.
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(upstream) = &mut self.upstream else { return Poll::Ready(()) };
        match ready!(std::pin::Pin::new(upstream).poll_frame(context)) {
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    self.take(piece);
                }
            }
            Some(Err(_)) => self.lost("the connection to the upstream was lost", Reason::Cut),
            None => self.ended(),
        }
        Poll::Ready(())
    }

    /// Reads to the end for nobody.
    pub(super) async fn read_out(mut self: Box<Self>) {
        while self.is_under_way() {
            std::future::poll_fn(|context| self.poll_more(context)).await;
            self.ready.clear();
        }
    }

    fn take(&mut self, piece: Bytes) {
        self.received += piece.len() as u64;
        if self.received > MAX_STREAM {
            return self.lost("the stream is longer than the gateway relays", Reason::Malformed);
        }
        self.cutter.push(piece);
        while self.upstream.is_some() {
            match self.cutter.next_event() {
                Ok(Some(event)) => self.event(event),
                Ok(None) => return,
                Err(error) => return self.lost(&error.to_string(), Reason::Malformed),
            }
        }
    }

    fn event(&mut self, event: Bytes) {
        if self.done {
            return;
        }
        let facts = match Event::read(&event) {
            Event::Comment => return self.hand_on(event),
            // What follows may still tell the cost.
            Event::Malformed => return self.tell("the upstream sent an event that is not JSON", Reason::Malformed),
            Event::Error(_) => {
                // The provider's own words reach the client; the stream is over either way.
                self.hand_on(event);
                self.exchange.outcome = Outcome::Cut;
                self.reason = Reason::Cut;
                return self.close();
            }
            Event::Done => {
                self.done = true;
                None
            }
            Event::Chunk(facts) => Some(facts),
        };
        self.exchange.first_event_seen();
        if let Some(recorder) = &mut self.recorder {
            recorder.push(self.began.elapsed().as_micros() as u64, &event);
        }
        let mut for_client = true;
        if let Some(facts) = facts {
            count_chunk(&event, &mut self.written);
            for_client = !(facts.only_usage && self.strip_usage);
            self.note(&facts);
        }
        if for_client {
            self.hand_on(event);
        }
        if self.done {
            self.finish();
        }
    }

    fn note(&mut self, facts: &EventFacts) {
        self.stopped += facts.stopped;
        self.ended_otherwise += facts.ended_otherwise;
        self.has_tool_calls |= facts.has_tool_calls;
        if facts.usage.is_some() {
            self.exchange.usage = facts.usage;
            self.usage_is_final = self.is_finished();
        }
    }

    /// A choice has told why it ended.
    fn is_finished(&self) -> bool {
        self.stopped + self.ended_otherwise > 0
    }

    fn hand_on(&mut self, event: Bytes) {
        if !self.broken {
            self.ready.push_back(event);
        }
    }

    fn finish(&mut self) {
        self.settle();
        if self.broken {
            return;
        }
        self.exchange.outcome = Outcome::Ok;
        if let Some(on_finish) = self.on_finish.take() {
            on_finish(Finished {
                recorder: self.recorder.take(),
                all_stopped: self.stopped > 0 && self.ended_otherwise == 0,
                has_tool_calls: self.has_tool_calls,
                usage: self.exchange.usage,
            });
        }
    }

    /// The upstream's body has ended without an error of the transport.
    fn ended(&mut self) {
        if self.done {
            return self.close();
        }
        // Some servers leave `[DONE]` out; a finish reason says as well that the answer is whole.
        if self.is_finished() && !self.cutter.has_rest() {
            if !self.broken {
                self.exchange.outcome = Outcome::Ok;
            }
            return self.close();
        }
        self.lost("the upstream ended the stream before it was finished", Reason::Cut);
    }

    /// The stream broke off: tells the client, and hears no more of the upstream.
    pub(super) fn lost(&mut self, why: &str, reason: Reason) {
        if !self.done {
            self.tell(why, reason);
        }
        self.close();
    }

    /// Ends the client's stream with an error event, and without `[DONE]`.
    fn tell(&mut self, why: &str, reason: Reason) {
        if std::mem::replace(&mut self.broken, true) {
            return;
        }
        self.reason = reason;
        self.recorder = None;
        self.on_finish = None;
        self.exchange.outcome = Outcome::Cut;
        let message = format!("the stream broke off: {why}; what was received is incomplete");
        self.ready.push_back(Bytes::from(error_event(&message, "upstream_error")));
    }

    fn close(&mut self) {
        self.upstream = None;
        self.settle();
    }

    /// Charges the stream by what is known of it. The first time counts.
    fn settle(&mut self) {
        let Some(account) = &mut self.exchange.account else { return };
        let is_whole = self.done || (self.stopped + self.ended_otherwise > 0 && !self.broken);
        match &self.exchange.usage {
            Some(usage) if is_whole && self.usage_is_final => account.stated(usage),
            usage => {
                let reason = if is_whole { Reason::NoUsage } else { self.reason };
                account.counted(&self.written, usage.as_ref(), reason);
            }
        }
        self.exchange.settle();
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.settle();
    }
}
