//! Records a stream while it is relayed, within the size of an entry.

use std::sync::Arc;

use crate::entry::Recorded;
use crate::flight::{Flight, Tape};

/// Collects the events of one stream, for an entry and, where it leads a flight, for those who follow.
#[derive(Debug)]
pub struct Recorder {
    to: To,
}

#[derive(Debug)]
enum To {
    Tape(Tape),
    Flight(Arc<Flight>),
}

impl Recorder {
    /// A recorder that keeps at most `limit` bytes, its own bookkeeping included. Nobody follows.
    pub fn new(limit: usize) -> Recorder {
        Recorder { to: To::Tape(Tape::new(limit)) }
    }

    pub(crate) fn of(flight: Arc<Flight>) -> Recorder {
        Recorder { to: To::Flight(flight) }
    }

    /// One whole event, blank line included, that came `at_us` microseconds after the request was sent.
    pub fn push(&mut self, at_us: u64, event: &[u8]) {
        match &mut self.to {
            To::Tape(tape) => tape.push(at_us, event),
            To::Flight(flight) => flight.push(at_us, event),
        }
    }

    /// The stream, if all of it was kept. Whether it had come to its end is the caller's to know.
    pub fn finish(self) -> Option<Recorded> {
        match self.to {
            To::Tape(tape) => tape.finish(),
            To::Flight(flight) => flight.take_tape().finish(),
        }
    }
}
