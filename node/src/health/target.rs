//! A target as the request path uses it: ask, call, tell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use peerway_cluster::health::{self, Entry, HealthService, Stage};

use super::{Admission, Barred, InFlight, Outcome, Verdict, quota};

/// What is known of a target, and where it is told. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TargetHealth {
    entry: Arc<Entry>,
    service: HealthService,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    verdict: Verdict,
    stage: Stage,
    took: Duration,
    first_output: Option<Duration>,
    retry_after: Option<Duration>,
}

impl Observation {
    /// An attempt that has ended after this time: a whole answer, a failure, or a stream that is over.
    pub fn ended(verdict: Verdict, took: Duration) -> Self {
        Self { verdict, stage: Stage::Ended, took, first_output: None, retry_after: None }
    }

    /// A stream whose first output is there. Whether it is a success is told when it ends.
    pub fn begun(first_output: Duration) -> Self {
        let ended = Self::ended(Verdict::of(&Outcome::Ok), first_output);
        Self { stage: Stage::Begun, first_output: Some(first_output), ..ended }
    }

    /// With the pause that the provider asks for.
    pub fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }
}

impl TargetHealth {
    pub(super) fn new(entry: Arc<Entry>, service: HealthService) -> Self {
        Self { entry, service }
    }

    /// Whether a call may go. Takes no lock but for a probe.
    pub fn admit(&self, now: Instant) -> Admission {
        self.entry.admit(self.service.at(now))
    }

    /// Tells what an attempt came to; the next call anywhere in the process knows, and the peers a moment later.
    pub fn observe(&self, seen: &Observation) {
        let Observation { verdict: Verdict { fault, is_whole_key }, stage, took, first_output, retry_after } = *seen;
        let seen = health::Observation { fault, is_whole_key, stage, took, first_output, retry_after };
        self.entry.observe(self.service.now(), &seen);
    }

    /// Takes in what the headers of an answer say of the provider's limits.
    pub fn limits(&self, headers: &HeaderMap) {
        if let Some(quota) = quota(headers) {
            self.entry.quota(self.service.now(), &quota);
        }
    }

    /// Above 0 and at most 1 for a target that can be used, else 0.
    pub fn weight(&self) -> f64 {
        self.entry.weight()
    }

    /// Why a call would not go, if it would not.
    pub fn barred(&self, now: Instant) -> Option<Barred> {
        self.entry.barred(self.service.at(now))
    }

    /// Whether the next call would be a probe. Routing puts such a target first, else it is never tried.
    pub fn is_probe_due(&self, now: Instant) -> bool {
        self.entry.is_probe_due(self.service.at(now))
    }

    /// To the first output, or to the end where nothing else is known.
    pub fn latency(&self) -> Option<Duration> {
        self.entry.latency()
    }

    /// Calls of this node that have not ended.
    pub fn in_flight(&self) -> u64 {
        self.entry.in_flight()
    }

    /// Counts a call as under way until the guard is dropped.
    pub fn enter(&self) -> InFlight {
        self.entry.enter()
    }
}
