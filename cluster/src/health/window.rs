//! How many calls succeeded and failed lately.

use std::time::Duration;

const SLOTS: usize = 10;

/// A sliding window in ten slots; the oldest one is dropped whole.
#[derive(Clone, Debug)]
pub(super) struct Window {
    slots: [(u64, u64); SLOTS],
    /// Which slot of all time the window ends with.
    latest: u64,
}

impl Default for Window {
    fn default() -> Self {
        Window { slots: [(0, 0); SLOTS], latest: 0 }
    }
}

impl Window {
    pub(super) fn add(&mut self, now: Duration, length: Duration, succeeded: u64, failed: u64) {
        let slot = self.advance(now, length);
        let (successes, failures) = &mut self.slots[slot];
        *successes += succeeded;
        *failures += failed;
    }

    /// How many failed, of how many.
    pub(super) fn failed(&mut self, now: Duration, length: Duration) -> (u64, u64) {
        self.advance(now, length);
        self.slots.iter().fold((0, 0), |(failed, all), (good, bad)| (failed + bad, all + good + bad))
    }

    pub(super) fn clear(&mut self) {
        self.slots = [(0, 0); SLOTS];
    }

    fn advance(&mut self, now: Duration, length: Duration) -> usize {
        let width = (length.as_micros() / SLOTS as u128).max(1);
        let current = u64::try_from(now.as_micros() / width).unwrap_or(u64::MAX);
        let passed = current.saturating_sub(self.latest);
        for step in 1..=passed.min(SLOTS as u64) {
            self.slots[((self.latest + step) % SLOTS as u64) as usize] = (0, 0);
        }
        self.latest = self.latest.max(current);
        (self.latest % SLOTS as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let (mut window, length) = (Window::default(), Duration::from_secs(10));
        let at = Duration::from_secs;
        window.add(at(0), length, 3, 1);
        window.add(at(5), length, 0, 2);
        assert_eq!(window.failed(at(9), length), (3, 6));
        assert_eq!(window.failed(at(10), length), (2, 2));
        assert_eq!(window.failed(at(14), length), (2, 2));
        assert_eq!(window.failed(at(15), length), (0, 0));
        window.add(at(1_000_000), length, 1, 0);
        assert_eq!(window.failed(at(1_000_000), length), (0, 1));
    }
}
