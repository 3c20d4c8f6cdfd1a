//! One call to a target, from the question whether it may go to what it came to.

use std::time::Instant;

use http::HeaderMap;

use super::{Admission, Closed, InFlight, Observation, Outcome, Probe, TargetHealth};

/// A call under way. Dropped without an end it says nothing of its target.
#[derive(Debug)]
pub struct Call {
    target: TargetHealth,
    began: Instant,
    /// Let go of after the end was told, so that the next probe is none too many.
    _probe: Option<Probe>,
    _in_flight: InFlight,
}

impl TargetHealth {
    /// Begins a call, if one may go.
    pub fn begin(&self, now: Instant) -> Result<Call, Closed> {
        match self.admit(now) {
            Admission::Go => Ok(self.under_way(now, None)),
            Admission::Probe(probe) => Ok(self.under_way(now, Some(probe))),
            Admission::Closed(closed) => Err(closed),
        }
    }

    /// Begins a call although none should go: there is nobody else to ask.
    pub fn begin_regardless(&self, now: Instant) -> Call {
        self.under_way(now, None)
    }

    fn under_way(&self, began: Instant, probe: Option<Probe>) -> Call {
        Call { target: self.clone(), began, _probe: probe, _in_flight: self.enter() }
    }
}

impl Call {
    /// The first output of a stream is there.
    pub fn has_output(&self) {
        self.target.observe(&Observation::begun(self.began.elapsed()));
    }

    /// Tells what it came to, and what the provider said of its limits, if it said anything.
    pub fn end(self, outcome: &Outcome<'_>, headers: Option<&HeaderMap>) {
        let ended = Observation::ended(outcome, self.began.elapsed());
        self.target.observe(&headers.map_or(ended, |headers| ended.with_headers(headers)));
    }
}
