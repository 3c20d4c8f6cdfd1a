//! What routing wants to know of a target, told by its health.

use std::sync::Arc;
use std::time::Instant;

use super::Health;
use crate::routing::{Facts, Observed, Standing, Target};

impl Observed for Health {
    fn of_key(&self, target: &Target, key: Option<&Arc<str>>) -> Facts {
        let health = self.target(&target.upstream.name, key, &target.model);
        let weight = health.weight();
        let standing = match weight > 0.0 {
            true => Standing::Up,
            false if health.is_probe_due(Instant::now()) => Standing::ProbeDue,
            false => Standing::Down("it has failed, is full, or refuses the key".to_owned()),
        };
        Facts {
            standing,
            // What is down is asked last, by its own weight among others that are down.
            health: if weight > 0.0 { weight } else { 1.0 },
            latency: health.latency(),
            in_flight: u32::try_from(health.in_flight()).unwrap_or(u32::MAX),
        }
    }
}
