//! The relay of one stream. Whole events go on as they arrive; the facts of the stream are gathered on the way. When
//! the upstream breaks off, the client gets an error event instead of an end that looks like success. When the client
//! goes away, the upstream is left at once; only where a budget pays for the answer it is read on for a while, in the
//! background, for what it says of its cost.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body, Frame};
use peerway_cache::Recorder;
use tokio::time::{Instant, Sleep};

use super::Feed;
use super::intake::{Intake, OnFinish};
use super::pace::{self, Pace};
use crate::gateway::Exchange;
use crate::governance::Reason;
use crate::provider::{Late, Timeout};

/// A response body that relays an upstream's stream.
pub struct StreamRelay {
    /// There until the relay is dropped.
    intake: Option<Box<Intake>>,
    limits: Limits,
    last_piece: Instant,
    /// Wakes the relay to look at the clock; moved only when it fires, not with each event.
    alarm: Pin<Box<Sleep>>,
    deadline: Instant,
    pace: Option<Pace>,
}

impl std::fmt::Debug for StreamRelay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let received = self.intake.as_ref().map(|intake| intake.received());
        f.debug_struct("StreamRelay").field("received", &received).finish_non_exhaustive()
    }
}

/// What a relay needs to know of its stream.
#[derive(Debug, Clone)]
pub struct Limits {
    pub provider: Arc<str>,
    pub idle: Duration,
    pub total: Duration,
    /// Tokens a second below which a stream crawls; zero: however slow.
    pub least_pace: f64,
}

impl Limits {
    fn late(&self, timeout: Timeout, after: Duration) -> String {
        Late { timeout, after, provider: Arc::clone(&self.provider) }.to_string()
    }
}

impl StreamRelay {
    /// `on_finish` is called once, for a stream that ended whole.
    pub fn new(
        feed: Feed,
        exchange: Exchange,
        strip_usage: bool,
        limits: Limits,
        recorder: Option<Recorder>,
        on_finish: Option<OnFinish>,
    ) -> Self {
        let now = Instant::now();
        let pace = (limits.least_pace > 0.0).then(|| Pace::new(limits.least_pace));
        // A pace is looked at more often than silence.
        let look = if pace.is_some() { pace::LOOK } else { limits.idle };
        let first = look.min(limits.idle).min(limits.total);
        Self {
            intake: Some(Box::new(Intake::new(feed, exchange, strip_usage, recorder, on_finish))),
            last_piece: now,
            alarm: Box::pin(tokio::time::sleep_until(now + first)),
            deadline: now + limits.total,
            pace,
            limits,
        }
    }

    /// Why the stream has taken too long, if it has.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Option<String> {
        while self.alarm.poll_unpin(context).is_ready() {
            let now = Instant::now();
            if now >= self.deadline {
                return Some(self.limits.late(Timeout::Total, self.limits.total));
            }
            let quiet_until = self.last_piece + self.limits.idle;
            if now >= quiet_until {
                return Some(self.limits.late(Timeout::Idle, self.limits.idle));
            }
            let mut next = quiet_until.min(self.deadline);
            if let (Some(pace), Some(intake)) = (&mut self.pace, &self.intake) {
                if pace.crawls(now, intake.tokens()) {
                    let Limits { provider, least_pace, .. } = &self.limits;
                    return Some(format!(
                        "it wrote less than {least_pace} tokens a second, the `min_tokens_per_s` of provider `{provider}`"
                    ));
                }
                next = next.min(now + pace::LOOK);
            }
            self.alarm.as_mut().reset(next);
        }
        None
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
            let Some(intake) = &mut relay.intake else { return Poll::Ready(None) };
            if let Some(event) = intake.next() {
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
            if intake.is_over() {
                return Poll::Ready(None);
            }
            if intake.poll_more(context).is_ready() {
                relay.last_piece = Instant::now();
                if let Some(pace) = &mut relay.pace {
                    pace.came(relay.last_piece);
                }
                continue;
            }
            if let Some(pace) = &mut relay.pace {
                pace.waits();
            }
            let Some(why) = relay.poll_late(context) else { return Poll::Pending };
            if let Some(intake) = &mut relay.intake {
                intake.lost(&why, Reason::Deadline);
            }
        }
    }
}

impl Drop for StreamRelay {
    fn drop(&mut self) {
        let Some(mut intake) = self.intake.take() else { return };
        if intake.is_under_way() {
            if !intake.is_over() {
                intake.exchange.client_gone();
            }
            // What a broken stream still says of its cost is not waited for long either.
            if intake.is_told() || intake.exchange.is_charged() {
                let unattended = intake.exchange.worker().gateway.unattended.clone();
                unattended.carry_on(intake.read_out());
            }
        }
    }
}
