//! How fast a counter is being spent, so that rights are asked for before they are missed and kept where they are used.

const BUCKET_MS: u64 = 1_000;

/// Recent spend per second, halved with every second that passes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    bucket: u64,
    current: u64,
    per_second: u64,
}

impl Rate {
    /// Notes that `amount` was asked for.
    pub(super) fn add(&mut self, now_ms: u64, amount: u64) {
        self.roll(now_ms);
        self.current = self.current.saturating_add(amount);
    }

    /// Units per second of late.
    pub(super) fn per_second(&mut self, now_ms: u64) -> u64 {
        self.roll(now_ms);
        self.per_second.max(self.current)
    }

    fn roll(&mut self, now_ms: u64) {
        let bucket = now_ms / BUCKET_MS;
        let passed = bucket.saturating_sub(self.bucket);
        if passed > 0 {
            let aged = self.per_second.checked_shr(u32::try_from(passed).unwrap_or(u32::MAX)).unwrap_or(0);
            let sample = self.current.checked_shr(u32::try_from(passed - 1).unwrap_or(u32::MAX)).unwrap_or(0);
            self.per_second = aged.saturating_add(sample / 2 + sample % 2);
            self.current = 0;
            self.bucket = bucket;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn a_steady_spend_is_its_rate_and_an_idle_counter_comes_to_rest() {
        let mut rate = Rate::default();
        for second in 0..20 {
            for _ in 0..10 {
                rate.add(second * 1_000, 10);
            }
        }
        assert!((95..=105).contains(&rate.per_second(20_000)), "{rate:?}");
        assert_eq!(rate.per_second(60_000), 0);
    }
}
