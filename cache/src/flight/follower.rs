//! A request that waits for another one's answer.

use std::sync::Arc;

use super::{Ending, Flight, Origin};
use crate::entry::{Entry, RecordedEvent};

/// The most bytes of events that are taken from a tape at once.
const PART: usize = 256 * 1024;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// More of the stream.
    Events(Vec<RecordedEvent>),
    /// The entry that the flight came to; a stream goes on in it after the events that were seen.
    Kept(Arc<Entry>),
    /// The answer has ended and is not kept; if it was a stream, all of it was seen.
    Over,
    /// Whoever led is gone.
    Lost,
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

    /// Who answers, as far as that is known: whenever there are events.
    pub fn origin(&self) -> Option<Origin> {
        self.flight.course().origin.clone()
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

    /// The entry that the flight comes to, whatever goes before it; none if it comes to none.
    pub async fn entry(&mut self) -> Result<Arc<Entry>, Ending> {
        loop {
            match self.next().await {
                Next::Events(_) => {}
                Next::Kept(entry) => return Ok(entry),
                Next::Over => return Err(Ending::Over),
                Next::Lost => return Err(Ending::Lost),
            }
        }
    }

    fn at_once(&mut self) -> Option<Next> {
        let course = self.flight.course();
        if let Some(Ending::Kept(entry)) = &course.ending {
            return Some(Next::Kept(entry.clone()));
        }
        let events = course.tape.since(self.seen, PART);
        if !events.is_empty() {
            self.seen += events.len();
            return Some(Next::Events(events));
        }
        match &course.ending {
            Some(Ending::Kept(entry)) => Some(Next::Kept(entry.clone())),
            Some(Ending::Over) => Some(Next::Over),
            Some(Ending::Lost) => Some(Next::Lost),
            None => None,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.flight.course().followers -= 1;
    }
}
