//! The share of calls that a target deserves: health x speed x headroom.

use std::fmt;
use std::time::Duration;

/// A target that takes this long to its first output deserves half of what one that takes no time does.
const HALF_SPEED: Duration = Duration::from_secs(1);
/// No usable target deserves less: what gets no calls could never show that it has become better.
pub const LEAST: f64 = 0.01;

/// What a weight is made of; each part is above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts {
    /// The part of the calls that did not fail by the provider's fault, lately.
    pub success: f64,
    /// To the first output, or to the end where nothing else is known.
    pub latency: Option<Duration>,
    /// What is left of the rate that it bears.
    pub headroom: f64,
}

impl Parts {
    /// Squared: a target that fails half of its calls deserves less than half of them.
    pub fn health(&self) -> f64 {
        let success = self.success.clamp(0.0, 1.0);
        (success * success).max(LEAST)
    }

    /// 1 when nothing is known, so that a new target is tried.
    pub fn speed(&self) -> f64 {
        let half = HALF_SPEED.as_secs_f64();
        self.latency.map_or(1.0, |latency| half / (half + latency.as_secs_f64()))
    }

    /// The product.
    pub fn weight(&self) -> f64 {
        let weight = self.health() * self.speed() * self.headroom.clamp(0.05, 1.0);
        weight.clamp(LEAST, 1.0)
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} % succeed", self.success * 100.0)?;
        match self.latency {
            Some(latency) => write!(f, ", {:.2} s to the first output", latency.as_secs_f64())?,
            None => f.write_str(", speed not known yet")?,
        }
        write!(f, ", {:.0} % headroom", self.headroom * 100.0)
    }
}

/// One step of a second towards what is deserved now, so that calls do not swing from target to target.
pub fn smooth(before: f64, deserved: f64) -> f64 {
    (before + (deserved - before) * 0.3).clamp(LEAST, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_weight_falls_with_failures_slowness_and_fullness() {
        let fine = Parts { success: 1.0, latency: Some(Duration::from_millis(200)), headroom: 1.0 };
        let weight = |parts: Parts| (parts.weight() * 100.0).round() / 100.0;
        assert_eq!(weight(fine), 0.83);
        assert_eq!(weight(Parts { success: 0.5, ..fine }), 0.21);
        assert_eq!(weight(Parts { latency: Some(Duration::from_secs(4)), ..fine }), 0.2);
        assert_eq!(weight(Parts { headroom: 0.1, ..fine }), 0.08);
        assert_eq!(weight(Parts { latency: None, ..fine }), 1.0);
        assert_eq!(fine.to_string(), "100.0 % succeed, 0.20 s to the first output, 100 % headroom");
    }

    proptest! {
        #[test]
        fn a_weight_is_never_nothing_and_never_more_than_one(
            success in -1.0f64..2.0, latency in prop::option::of(0u64..10_000_000), headroom in -1.0f64..2.0, before in 0.0f64..1.0,
        ) {
            let parts = Parts { success, latency: latency.map(Duration::from_millis), headroom };
            for weight in [parts.weight(), smooth(before, parts.weight())] {
                prop_assert!((LEAST..=1.0).contains(&weight), "{weight}");
            }
        }
    }
}
