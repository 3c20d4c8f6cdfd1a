//! The request that asks the provider on behalf of all that are the same.

use std::sync::Arc;

use super::{Ending, Flight, Flights, Origin};
use crate::record::Recorder;

/// Told when a flight that this node leads ends without an entry.
pub(crate) type OnEnd = Box<dyn FnOnce(Ending) + Send + Sync>;

/// Leads a flight. Dropped without more it gives the flight up, and another request may lead.
///
/// An answer that is kept ends the flight by being put into the cache.
pub struct Lead {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    on_end: Option<OnEnd>,
    steps_down: bool,
}

impl Lead {
    pub(crate) fn new(flights: Arc<Flights>, flight: Arc<Flight>, on_end: Option<OnEnd>) -> Lead {
        Lead { flights, flight, on_end, steps_down: false }
    }

    /// The answer is a stream of this provider's, which the recorder is given, for those who follow and for the entry.
    pub fn recorder(&self, origin: Origin) -> Recorder {
        self.flight.set_origin(origin);
        Recorder::of(self.flight.clone())
    }

    /// Another node leads: this request follows, and with it all that followed it.
    pub(crate) fn step_down(mut self) {
        self.steps_down = true;
    }

    /// The owner was not asked who leads, and is not told how it ends.
    pub(crate) fn tell_nobody(&mut self) {
        self.on_end = None;
    }

    /// The answer has ended and is not kept: those who wait ask for themselves.
    pub fn over(mut self) {
        self.end(Ending::Over);
    }

    fn end(&mut self, ending: Ending) {
        if self.steps_down {
            return;
        }
        self.flights.remove(&self.flight);
        if self.flight.has_ended() {
            return;
        }
        self.flight.end(ending.clone());
        if let Some(on_end) = self.on_end.take() {
            on_end(ending);
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.end(Ending::Lost);
    }
}

impl std::fmt::Debug for Lead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lead").field("flight", &self.flight.id).finish_non_exhaustive()
    }
}
