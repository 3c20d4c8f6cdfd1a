//! One call to a target, from the question whether it may go to what it came to.

use std::time::{Duration, Instant};

use http::HeaderMap;

use super::{Admission, Closed, InFlight, Observation, Probe, TargetHealth, Verdict};

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

    /// The head of an answer is there: the provider may say something of its limits.
    pub fn has_head(&self, headers: &HeaderMap) {
        self.target.limits(headers);
    }

    /// Tells what it came to, and the pause that the provider asks for.
    pub fn end(self, verdict: Verdict, retry_after: Option<Duration>) {
        self.target.observe(&Observation::ended(verdict, self.began.elapsed()).with_retry_after(retry_after));
    }
}
