//! The bounds of the breakers.

use super::Verdict;
use crate::config::model::Config;

pub(super) fn verify(config: &Config, verdict: &mut Verdict) {
    let health = &config.health;
    if health.failures == 0 {
        verdict.error("health.failures", "at least one failure must come before a breaker opens");
    }
    if !(health.ratio > 0.0 && health.ratio <= 1.0) {
        verdict.error_with("health.ratio", "must be above 0 and at most 1", "1 switches the rule off".to_owned());
    }
    if health.min_calls == 0 {
        verdict.error("health.min_calls", "at least one call must come before a breaker opens");
    }
    for (path, period) in [("health.window", health.window), ("health.probe_interval", health.probe_interval)] {
        if period.get().is_zero() {
            verdict.error(path, "must be above zero");
        }
    }
}
