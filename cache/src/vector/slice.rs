//! Which entries leave together.
//!
//! A segment holds entries of one slice of time, so that expiry is dropping a segment. The width of a slice follows
//! the life of its entries (a quarter, up to a power of two): entries of one time to live spread over three to five
//! slices at any time, however short or long it is, and entries of a minute never wait for entries of a day.

/// Below this life, slices do not get narrower, in milliseconds.
const NARROWEST_MS: u64 = 1 << 10;
const WIDEST_MS: u64 = 1 << 32;

/// A span of time in which entries expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slice {
    width_ms: u64,
    number: u64,
}

impl Slice {
    /// The slice of an entry.
    pub(super) fn of(expires_ms: u64, now_ms: u64) -> Slice {
        let life = expires_ms.saturating_sub(now_ms).min(4 * WIDEST_MS);
        let width_ms = (life / 4).next_power_of_two().clamp(NARROWEST_MS, WIDEST_MS);
        Slice { width_ms, number: expires_ms / width_ms }
    }

    /// From when on nothing in it is alive.
    pub(super) fn ends_ms(&self) -> u64 {
        (self.number + 1).saturating_mul(self.width_ms)
    }

    /// About which share of its entries has not expired yet.
    pub(super) fn share_alive(&self, now_ms: u64) -> f32 {
        let left = self.ends_ms().saturating_sub(now_ms).min(self.width_ms);
        left as f32 / self.width_ms as f32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: u64 = 1_795_253_467_123;

    #[test]
    fn one_life_spreads_over_few_slices_and_none_outlives_its_entries_for_long() {
        for life in [1, 900, 5_000, 300_000, 3_600_000, 604_800_000] {
            let alive: BTreeSet<Slice> =
                (0..1_000).map(|n| Slice::of(NOW - life * n / 1_000 + life, NOW - life * n / 1_000)).collect();
            assert!(alive.len() <= 6, "{life}: {alive:?}");
            assert!(life < 5_000 || alive.len() >= 3, "{life}: {alive:?}");
            for slice in alive {
                assert!(slice.ends_ms() <= NOW + life + (life / 2).max(NARROWEST_MS), "{life}: {slice:?}");
            }
        }
    }

    #[test]
    fn a_slice_ends_after_its_entries_even_at_the_end_of_time() {
        for expires in [NOW, NOW + 1, NOW + 77_777, u64::MAX - 1, u64::MAX] {
            assert!(Slice::of(expires, NOW).ends_ms() > expires.min(u64::MAX - 1), "{expires}");
        }
        let slice = Slice::of(NOW + 300_000, NOW);
        assert_eq!(slice.share_alive(NOW), 1.0);
        assert_eq!(slice.share_alive(slice.ends_ms()), 0.0);
        assert!((slice.share_alive(slice.ends_ms() - slice.width_ms / 4) - 0.25).abs() < 0.01);
    }
}
