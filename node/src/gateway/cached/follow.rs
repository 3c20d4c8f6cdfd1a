//! The answer of a request that is the same and under way, given to this one's client as it comes.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use peerway_cache::{Ending, Entry, Follower, Next, Origin, Recorded, RecordedEvent};
use peerway_dialect::Dialect;
use peerway_dialect::canonical::StreamEvent;
use tokio::time::timeout;

use super::replay::{is_wanted, streamed};
use super::saving::{Counting, Saving};
use super::{Hit, Participation, used};
use crate::dialect::openai::{Event, Replay, Usage};
use crate::dialect::{Encoder, Manner};
use crate::governance::Reason;
use crate::relay::Broken;
use crate::telemetry::savings::HitKind;

/// So long a request waits for the beginning of another one's answer. Then it asks the provider itself: an answer
/// twice is better than none.
const PATIENCE: Duration = Duration::from_secs(60);

/// The answer of the one who is followed; none of it has been given to the client yet if it is lost.
pub(super) async fn follow(
    participation: &Participation,
    mut follower: Follower,
    replay: Replay,
    counting: Counting<'_>,
) -> Result<Hit, Ending> {
    match replay {
        Replay::Plain => {
            let ending = timeout(PATIENCE, follower.ending()).await.unwrap_or(Ending::Over);
            whole(participation, ending, replay)
        }
        Replay::Stream { include_usage } => match timeout(PATIENCE, follower.next()).await {
            Ok(Next::Events(events)) => Ok(live(follower, events, include_usage, counting)),
            Ok(Next::Ended(ending)) => whole(participation, ending, replay),
            Err(_) => Err(Ending::Over),
        },
    }
}

/// The entry that a flight ended with, in the form asked for.
fn whole(participation: &Participation, ending: Ending, replay: Replay) -> Result<Hit, Ending> {
    match ending {
        Ending::Kept(entry) => participation.hit(&entry, replay).ok_or(Ending::Over),
        ending => Err(ending),
    }
}

/// A stream that goes on as the one that is followed does.
fn live(follower: Follower, events: Vec<RecordedEvent>, include_usage: bool, counting: Counting<'_>) -> Hit {
    let Origin { provider, model } = follower.origin();
    let saving = Some(counting.of(HitKind::Coalesced, &provider, &model));
    let mut live =
        Live { follower: Some(follower), ready: VecDeque::new(), include_usage, last: Default::default(), saving };
    live.take(events);
    let events = stream::unfold(live, |mut live| async move { Some((live.next().await?, live)) });
    Hit { response: streamed(events), provider: provider.into(), model: model.into(), usage: None }
}

/// The event that tells a client that there is no more, though more was to come.
fn given_up() -> Bytes {
    let why = "the request whose answer it shares was given up; send it again";
    let mut bytes = Vec::new();
    let event = StreamEvent::Error(Broken::off(why, Reason::Cut).failure);
    Encoder::new(Dialect::OpenAiChat, Manner::default()).push(&event, &mut bytes);
    bytes.into()
}

fn usage_in(event: &[u8]) -> Option<Usage> {
    match Event::read(event) {
        Event::Chunk(facts) => facts.usage,
        _ => None,
    }
}

struct Live {
    /// Until it has come to an end.
    follower: Option<Follower>,
    ready: VecDeque<Bytes>,
    include_usage: bool,
    /// The last two events: what the answer used is told before the one that ends it.
    last: [Bytes; 2],
    /// Until it is counted.
    saving: Option<Saving>,
}

impl Live {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let follower = self.follower.as_mut()?;
            match follower.next().await {
                Next::Events(events) => self.take(events),
                Next::Ended(Ending::Kept(entry)) => {
                    let seen = follower.seen();
                    self.follower = None;
                    self.rest(&entry, seen);
                    self.has_used(used(&entry));
                }
                Next::Ended(Ending::Over) => self.follower = None,
                Next::Ended(Ending::Lost) => {
                    self.follower = None;
                    self.ready.push_back(given_up());
                }
            }
        }
    }

    /// What of the entry was not followed.
    fn rest(&mut self, entry: &Entry, seen: usize) {
        if let Recorded::Stream { events } = &entry.content.recorded {
            self.take(events.get(seen..).unwrap_or_default().to_vec());
        }
    }

    fn has_used(&mut self, usage: Option<Usage>) {
        if let (Some(saving), Some(usage)) = (self.saving.take(), usage) {
            saving.is(&usage);
        }
    }

    fn take(&mut self, events: Vec<RecordedEvent>) {
        for event in events.iter().rev().take(2).rev() {
            let [_, before] = std::mem::take(&mut self.last);
            self.last = [before, event.bytes.clone()];
        }
        let include_usage = self.include_usage;
        self.ready.extend(events.into_iter().map(|event| event.bytes).filter(|event| is_wanted(event, include_usage)));
    }
}

// Of a stream that is not kept, and of one whose client leaves at the last event, the events tell.
impl Drop for Live {
    fn drop(&mut self) {
        if matches!(Event::read(&self.last[1]), Event::Done) {
            self.has_used(usage_in(&self.last[0]));
        }
    }
}
