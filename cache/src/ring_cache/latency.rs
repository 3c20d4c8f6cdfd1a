//! The running 95th percentile of remote look-ups, in one atomic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const QUANTILE: f64 = 0.95;
/// How far one sample moves the estimate, as a share of it.
const STEP: f64 = 1.0 / 32.0;
const LOWEST_US: f64 = 200.0;

/// A stochastic quantile: a sample above moves the estimate up by 95 parts, one below moves it down by 5 parts, so it
/// rests where 5 of 100 samples are above. Two threads that write at once lose a step, which does not matter.
#[derive(Debug)]
pub(super) struct Percentile {
    estimate_us: AtomicU64,
    highest_us: f64,
}

impl Percentile {
    pub(super) fn new(start: Duration, highest: Duration) -> Percentile {
        let highest_us = (highest.as_micros() as f64).max(LOWEST_US);
        Percentile { estimate_us: AtomicU64::new((start.as_micros() as f64).min(highest_us) as u64), highest_us }
    }

    pub(super) fn record(&self, sample: Duration) {
        let estimate = self.estimate_us.load(Ordering::Relaxed) as f64;
        let step = estimate * STEP;
        let above = sample.as_micros() as f64 > estimate;
        let moved = if above { estimate + step * QUANTILE } else { estimate - step * (1.0 - QUANTILE) };
        // Rounded away from the old value, or small estimates would never move down.
        let moved = if above { moved.ceil() } else { moved.floor() };
        self.estimate_us.store(moved.clamp(LOWEST_US, self.highest_us) as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_micros(self.estimate_us.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_to_rest_near_the_true_percentile_from_both_sides_and_stays_in_its_bounds() {
        for start in [300, 5_000] {
            let p95 = Percentile::new(Duration::from_micros(start), Duration::from_millis(5));
            for number in 0..20_000_u64 {
                // 500 to 1,499 microseconds, evenly, in a scattered order.
                p95.record(Duration::from_micros(500 + number * 7_919 % 1_000));
            }
            let estimate = p95.get().as_micros();
            assert!((1_380..=1_490).contains(&estimate), "from {start}: {estimate}");
        }
        let p95 = Percentile::new(Duration::from_millis(2), Duration::from_millis(5));
        (0..1_000).for_each(|_| p95.record(Duration::from_secs(1)));
        assert_eq!(p95.get(), Duration::from_millis(5));
        (0..10_000).for_each(|_| p95.record(Duration::ZERO));
        assert_eq!(p95.get(), Duration::from_micros(200));
    }
}
