//! An average that forgets.

use std::time::Duration;

/// An exponentially weighted moving average over time: what is `half_life` old counts half as much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ewma {
    half_life: Duration,
    /// The weighted sum and the sum of the weights.
    sums: Option<(f64, f64)>,
    at: Duration,
}

impl Ewma {
    pub(super) const fn new(half_life: Duration) -> Ewma {
        Ewma { half_life, sums: None, at: Duration::ZERO }
    }

    /// Adds `count` values whose mean is `mean`.
    pub(super) fn add(&mut self, now: Duration, mean: f64, count: f64) {
        if count <= 0.0 || !mean.is_finite() {
            return;
        }
        let (sum, weight) = self.sums.unwrap_or_default();
        let age = now.saturating_sub(self.at).as_secs_f64();
        let keep = 0.5f64.powf(age / self.half_life.as_secs_f64());
        self.sums = Some((sum * keep + mean * count, weight * keep + count));
        self.at = self.at.max(now);
    }

    pub(super) fn get(&self) -> Option<f64> {
        self.sums.filter(|(_, weight)| *weight > 0.0).map(|(sum, weight)| sum / weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_half_life_old_counts_half() {
        let mut ewma = Ewma::new(Duration::from_secs(10));
        assert_eq!(ewma.get(), None);
        ewma.add(Duration::ZERO, 1.0, 1.0);
        ewma.add(Duration::from_secs(10), 4.0, 1.0);
        assert!((ewma.get().unwrap() - 3.0).abs() < 1e-9);
        ewma.add(Duration::from_secs(1_000_000), 7.0, 2.0);
        assert!((ewma.get().unwrap() - 7.0).abs() < 1e-9);
    }
}
