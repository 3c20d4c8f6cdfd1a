//! What routing asks of a target before it chooses.

use std::sync::Arc;
use std::time::Instant;

use super::{Health, TargetHealth};
use crate::routing::{Facts, Observed, Standing, Target};

impl Observed for Health {
    fn of_key(&self, target: &Target, key: Option<&Arc<str>>) -> Facts {
        self.target(&target.upstream.name, key, &target.model).facts(Instant::now())
    }
}

impl TargetHealth {
    fn facts(&self, now: Instant) -> Facts {
        let standing = match self.barred(now) {
            Some(reason) => Standing::Down(reason.as_str().to_owned()),
            None if self.is_probe_due(now) => Standing::ProbeDue,
            None => Standing::Up,
        };
        Facts {
            standing,
            // One that cannot be used has no weight; its standing says so.
            health: self.weight().max(f64::MIN_POSITIVE),
            latency: self.latency(),
            in_flight: u32::try_from(self.in_flight()).unwrap_or(u32::MAX),
        }
    }
}
