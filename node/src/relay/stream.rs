//! The relay of one stream. Whole events go on as they arrive; the facts of the stream are gathered on the way. When
//! the upstream breaks off, the client gets an error event instead of an end that looks like success.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use peerway_cache::Recorder;
use tokio::time::{Instant, Sleep};

use super::EventCutter;
use crate::dialect::openai::{Event, Usage, error_event};
use crate::gateway::{Exchange, Outcome};

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

/// A response body that relays an upstream's stream.
pub struct StreamRelay {
    upstream: Option<Incoming>,
    cutter: EventCutter,
    ready: VecDeque<Bytes>,
    /// The client did not ask for the usage chunk: it is read here and goes no further.
    strip_usage: bool,
    exchange: Exchange,
    recorder: Option<Recorder>,
    began: Instant,
    on_finish: Option<OnFinish>,
    stopped: u32,
    ended_otherwise: u32,
    has_tool_calls: bool,
    done: bool,
    received: u64,
    idle: Duration,
    last_piece: Instant,
    /// Wakes the relay to look at the clock; moved only when it fires, not with each event.
    alarm: Pin<Box<Sleep>>,
    deadline: Instant,
}

impl std::fmt::Debug for StreamRelay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamRelay")
            .field("received", &self.received)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

/// What a relay needs to know of its stream.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub idle: Duration,
    pub total: Duration,
}

impl StreamRelay {
    /// `on_finish` is called once, for a stream that ended whole.
    pub fn new(
        upstream: Incoming,
        exchange: Exchange,
        strip_usage: bool,
        limits: Limits,
        recorder: Option<Recorder>,
        on_finish: Option<OnFinish>,
    ) -> Self {
        let now = Instant::now();
        Self {
            upstream: Some(upstream),
            cutter: EventCutter::new(MAX_EVENT),
            ready: VecDeque::new(),
            strip_usage,
            exchange,
            recorder,
            began: now,
            on_finish,
            stopped: 0,
            ended_otherwise: 0,
            has_tool_calls: false,
            done: false,
            received: 0,
            idle: limits.idle,
            last_piece: now,
            alarm: Box::pin(tokio::time::sleep_until(now + limits.idle)),
            deadline: now + limits.total,
        }
    }

    /// Takes a piece of the upstream's body apart.
    fn take(&mut self, piece: Bytes) {
        self.received += piece.len() as u64;
        if self.received > MAX_STREAM {
            return self.broken("the stream is longer than the gateway relays");
        }
        self.cutter.push(piece);
        while self.upstream.is_some() {
            match self.cutter.next_event() {
                Ok(Some(event)) => self.event(event),
                Ok(None) => return,
                Err(error) => return self.broken(&error.to_string()),
            }
        }
    }

    fn event(&mut self, event: Bytes) {
        if self.done {
            return;
        }
        let facts = match Event::read(&event) {
            Event::Comment => return self.ready.push_back(event),
            Event::Malformed => return self.broken("the upstream sent an event that is not JSON"),
            Event::Error(_) => {
                // The provider's own words reach the client; the stream is over either way.
                self.ready.push_back(event);
                self.exchange.outcome = Outcome::Cut;
                self.upstream = None;
                return;
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
        if let Some(facts) = facts {
            self.stopped += facts.stopped;
            self.ended_otherwise += facts.ended_otherwise;
            self.has_tool_calls |= facts.has_tool_calls;
            if facts.usage.is_some() {
                self.exchange.usage = facts.usage;
            }
            if facts.only_usage && self.strip_usage {
                return;
            }
        }
        self.ready.push_back(event);
        if self.done {
            self.finish();
        }
    }

    /// The upstream's body has ended without an error of the transport.
    fn ended(&mut self) {
        self.upstream = None;
        if self.done {
            return;
        }
        // Some servers leave `[DONE]` out; a finish reason says as well that the answer is whole.
        if self.stopped + self.ended_otherwise > 0 && !self.cutter.has_rest() {
            self.exchange.outcome = Outcome::Ok;
            return;
        }
        self.broken("the upstream ended the stream before it was finished");
    }

    fn finish(&mut self) {
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

    /// Ends the stream with an error event, and without `[DONE]`.
    fn broken(&mut self, reason: &str) {
        self.upstream = None;
        if self.done {
            return;
        }
        self.exchange.outcome = Outcome::Cut;
        let message = format!("the stream broke off: {reason}; what was received is incomplete");
        self.ready.push_back(Bytes::from(error_event(&message, "upstream_error")));
    }

    fn check_clock(&mut self, context: &mut Context<'_>) {
        while self.alarm.poll_unpin(context).is_ready() {
            let now = Instant::now();
            if now >= self.deadline {
                return self.broken("it took longer than the provider's total timeout");
            }
            let quiet_until = self.last_piece + self.idle;
            if now >= quiet_until {
                return self.broken("nothing came for the provider's idle timeout");
            }
            self.alarm.as_mut().reset(quiet_until.min(self.deadline));
        }
    }
}

impl Body for StreamRelay {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let relay = &mut *self;
        loop {
            if let Some(event) = relay.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
            let Some(upstream) = &mut relay.upstream else { return Poll::Ready(None) };
            match Pin::new(upstream).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        relay.last_piece = Instant::now();
                        relay.take(piece);
                    }
                }
                Poll::Ready(Some(Err(_))) => relay.broken("the connection to the upstream was lost"),
                Poll::Ready(None) => relay.ended(),
                Poll::Pending => {
                    relay.check_clock(context);
                    if relay.upstream.is_some() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}
