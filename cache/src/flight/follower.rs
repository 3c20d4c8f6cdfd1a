//! A request that waits for another one's answer.

use std::sync::Arc;

use super::{Ending, Flight, Origin};
use crate::entry::RecordedEvent;

/// The most bytes of events that are taken from a tape at once.
const PART: usize = 256 * 1024;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// More of the stream.
    Events(Vec<RecordedEvent>),
    /// The end. In an entry a stream goes on after the events that were seen; of one that is over all was seen.
    Ended(Ending),
}

/// Follows a flight; dropping it ends that.
#[derive(Debug)]
pub struct Follower {
    flight: Arc<Flight>,
    seen: usize,
}

impl Follower {
    pub(crate) fn new(flight: Arc<Flight>, seen: usize) -> Follower {
        flight.course().followers += 1;
        Follower { flight, seen }
    }

    /// How many events were seen.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Who answers. Known, and not empty, whenever there are events.
    pub fn origin(&self) -> Origin {
        self.flight.course().origin.clone().unwrap_or_default()
    }

    /// Waits for what comes next. Cancelled without loss.
    pub async fn next(&mut self) -> Next {
        let flight = self.flight.clone();
        loop {
            let mut changed = std::pin::pin!(flight.changed.notified());
            // What changes from here on is noticed, also before it is waited for.
            changed.as_mut().enable();
            if let Some(next) = self.at_once() {
                return next;
            }
            changed.await;
        }
    }

    /// How the flight ends, whatever goes before it.
    pub async fn ending(&mut self) -> Ending {
        loop {
            if let Next::Ended(ending) = self.next().await {
                return ending;
            }
        }
    }

    fn at_once(&mut self) -> Option<Next> {
        let course = self.flight.course();
        // An entry holds what is left of the tape, too.
        if !matches!(course.ending, Some(Ending::Kept(_))) {
            let events = course.tape.since(self.seen, PART);
            if !events.is_empty() {
                self.seen += events.len();
                return Some(Next::Events(events));
            }
        }
        course.ending.clone().map(Next::Ended)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.flight.course().followers -= 1;
    }
}
