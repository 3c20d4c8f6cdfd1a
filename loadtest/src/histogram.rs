//! Latency histograms: microseconds, 1 us to 10 min, three significant digits.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

const HIGHEST_US: u64 = 600_000_000;

/// A histogram of durations.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Histogram<u64>);

impl Latency {
    pub(crate) fn new() -> Latency {
        // The bounds are constants, and these are valid; a histogram without bounds would grow by itself.
        let histogram = Histogram::new_with_bounds(1, HIGHEST_US, 3).or_else(|_| Histogram::new(3));
        #[expect(clippy::expect_used, reason = "constant, valid arguments: 3 significant digits are within 0..=5")]
        Latency(histogram.expect("3 significant digits are valid"))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.max(1));
    }

    pub(crate) fn merge(&mut self, other: &Latency) {
        // Both have the same bounds, so adding cannot fail.
        let _ = self.0.add(&other.0);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value at `percentile` (0..=100), microseconds.
    pub(crate) fn at(&self, percentile: f64) -> u64 {
        self.0.value_at_percentile(percentile)
    }

    /// The figures for a report; `None` when nothing was recorded.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        (self.count() > 0).then(|| Percentiles {
            count: self.count(),
            min_us: self.0.min(),
            mean_us: self.0.mean(),
            p50_us: self.at(50.0),
            p90_us: self.at(90.0),
            p99_us: self.at(99.0),
            p999_us: self.at(99.9),
            p9999_us: self.at(99.99),
            max_us: self.0.max(),
        })
    }

    /// (percentile, microseconds) along a scale that is even in `log(1 - p)`, from 50 to 99.99.
    pub(crate) fn curve(&self) -> Vec<(f64, u64)> {
        if self.count() == 0 {
            return Vec::new();
        }
        (0..=CURVE_STEPS)
            .map(|step| {
                let nines = CURVE_FROM + (4.0 - CURVE_FROM) * f64::from(step) / f64::from(CURVE_STEPS);
                let percentile = 100.0 * (1.0 - 10f64.powf(-nines));
                ((percentile * 1e4).round() / 1e4, self.at(percentile))
            })
            .collect()
    }
}

const CURVE_STEPS: u32 = 60;
/// The 50th percentile on that scale.
const CURVE_FROM: f64 = std::f64::consts::LOG10_2;

/// Percentiles of a histogram, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) min_us: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: u64,
    pub(crate) p90_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
    pub(crate) p9999_us: u64,
    pub(crate) max_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_as_if_one_had_recorded_all() {
        let (mut one, mut two, mut all) = (Latency::new(), Latency::new(), Latency::new());
        for i in 1..=1000u64 {
            let latency = Duration::from_micros(i * 37);
            if i % 3 == 0 {
                one.record(latency)
            } else {
                two.record(latency)
            }
            all.record(latency);
        }
        one.merge(&two);
        assert_eq!(one.percentiles(), all.percentiles());
        assert_eq!(one.curve(), all.curve());
        assert_eq!(one.count(), 1000);
    }

    #[test]
    fn three_digits_hold_and_what_is_beyond_the_bounds_is_kept_at_the_bound() {
        let mut latency = Latency::new();
        latency.record(Duration::from_micros(123_456));
        assert!(latency.at(50.0).abs_diff(123_456) <= 124);
        latency.record(Duration::from_secs(10_000));
        assert_eq!(latency.count(), 2);
        assert!(latency.at(100.0) >= HIGHEST_US);
    }
}
