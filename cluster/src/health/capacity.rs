//! Full targets and refused keys: how long they are left alone, and how much a target is believed to bear.

use std::time::Duration;

/// A provider may ask for no longer pause.
pub const MAX_COOL: Duration = Duration::from_secs(600);
/// On a peer's word alone nothing is left alone for longer.
pub const MAX_COOL_HEARSAY: Duration = Duration::from_secs(60);
/// After a refusal that does not say how long: doubled with each that follows.
const FULL: Duration = Duration::from_secs(1);
const MAX_FULL: Duration = Duration::from_secs(30);
const REFUSED: Duration = Duration::from_secs(30);

/// A belief is given up when nothing was refused for so long.
const BELIEVED_FOR: Duration = Duration::from_secs(600);
/// What is left of the rate at which a target said that it was full.
const LOWER: f64 = 0.7;
/// By how much a belief grows in a second without a refusal.
const RAISE: f64 = 1.03;
/// Calls a second; below, a belief would never be tried.
const LEAST: f64 = 0.2;
/// The least that is believed on a peer's word.
const LEAST_HEARSAY: f64 = 1.0;

/// A pause that grows while it does not help.
#[derive(Debug, Default)]
pub(super) struct Cooldown {
    until: Duration,
    /// By the word of peers. Kept apart: told on, it would come back a little longer each time.
    heard: Duration,
    struck: Option<Duration>,
    strikes: u32,
}

/// What the pause is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    Full { retry_after: Option<Duration> },
    Refused,
}

impl Cooldown {
    /// A call that began at `began` was turned away.
    pub(super) fn strike(&mut self, now: Duration, began: Duration, strike: Strike) {
        // Those that were under way together were turned away together.
        if self.struck.is_none_or(|struck| began >= struck) {
            self.strikes = self.strikes.saturating_add(1);
            self.struck = Some(now);
        }
        let doubled = |first: Duration| first.saturating_mul(1 << (self.strikes - 1).min(16));
        let pause = match strike {
            Strike::Full { retry_after: Some(asked) } => asked.min(MAX_COOL),
            Strike::Full { retry_after: None } => doubled(FULL).min(MAX_FULL),
            Strike::Refused => doubled(REFUSED).min(MAX_COOL),
        };
        self.until = self.until.max(now + pause);
    }

    pub(super) fn succeeded(&mut self, began: Duration) {
        if self.struck.is_some_and(|struck| began >= struck) {
            (self.until, self.struck, self.strikes) = (Duration::ZERO, None, 0);
        }
    }

    pub(super) fn hear(&mut self, now: Duration, left: Duration) {
        self.heard = self.heard.max(now + left.min(MAX_COOL_HEARSAY));
    }

    pub(super) fn left(&self, now: Duration) -> Option<Duration> {
        self.until().checked_sub(now).filter(|left| !left.is_zero())
    }

    pub(super) fn until(&self) -> Duration {
        self.until.max(self.heard)
    }

    /// Until when by what this node saw itself.
    pub(super) fn own(&self) -> Duration {
        self.until
    }

    pub(super) fn has_struck(&self) -> bool {
        self.strikes > 0
    }
}

/// The rate of calls that a target is believed to bear from the whole cluster, in calls a second.
#[derive(Debug, Default)]
pub(super) struct Believed {
    learned: Option<f64>,
    /// What the provider says itself.
    stated: Option<f64>,
    lowered: Duration,
}

impl Believed {
    /// A call that began at `began` was turned away while the cluster sent so many a second.
    pub(super) fn full(&mut self, now: Duration, began: Duration, cluster: f64) {
        // What began before the belief was lowered does not speak against it.
        if self.learned.is_some() && began < self.lowered {
            return;
        }
        let at_most = self.learned.unwrap_or(f64::MAX).min(cluster.max(LEAST));
        self.learned = Some((at_most * LOWER).max(LEAST));
        self.lowered = now;
    }

    pub(super) fn hear(&mut self, now: Duration, rate: f64) {
        let rate = rate.max(LEAST_HEARSAY);
        if self.learned.is_none_or(|learned| rate < learned) {
            self.learned = Some(rate);
            self.lowered = now;
        }
    }

    pub(super) fn state(&mut self, rate: f64) {
        self.stated = Some(rate).filter(|rate| rate.is_finite() && *rate > 0.0);
    }

    /// A second has passed in which the cluster sent so many.
    pub(super) fn rise(&mut self, now: Duration, seconds: f64, cluster: f64) {
        let Some(learned) = self.learned else { return };
        if now.saturating_sub(self.lowered) > BELIEVED_FOR {
            self.learned = None;
        } else if cluster > learned * 0.5 {
            // Only what is tried may rise.
            let risen = learned * RAISE.powf(seconds.min(10.0));
            self.learned = Some(self.stated.map_or(risen, |stated| risen.min(stated.max(LEAST))));
        }
    }

    /// What was learned from being turned away.
    pub(super) fn learned(&self) -> Option<f64> {
        self.learned
    }

    /// The lower of what was learned and what the provider states.
    pub(super) fn rate(&self) -> Option<f64> {
        match (self.learned, self.stated) {
            (Some(learned), Some(stated)) => Some(learned.min(stated)),
            (learned, stated) => learned.or(stated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_are_what_the_provider_asks_within_bounds_and_grow_when_it_does_not() {
        let mut cool = Cooldown::default();
        cool.strike(at(1), at(0), Strike::Full { retry_after: Some(at(7)) });
        assert_eq!(cool.left(at(1)), Some(at(7)));
        cool.strike(at(8), at(8), Strike::Full { retry_after: Some(at(86_400)) });
        assert_eq!(cool.left(at(8)), Some(MAX_COOL));

        let mut cool = Cooldown::default();
        let mut now = at(10);
        let pauses: Vec<u64> = (0..7)
            .map(|_| {
                cool.strike(now, now, Strike::Full { retry_after: None });
                // One that was under way at the same time.
                cool.strike(now, now - at(1), Strike::Full { retry_after: None });
                let left = cool.left(now).unwrap();
                now += left;
                left.as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        cool.succeeded(now);
        assert!(!cool.has_struck() && cool.left(now).is_none());
    }

    #[test]
    fn a_peers_word_is_worth_a_minute() {
        let mut cool = Cooldown::default();
        cool.hear(at(1), at(86_400));
        assert_eq!(cool.left(at(1)), Some(MAX_COOL_HEARSAY));
    }

    #[test]
    fn a_belief_falls_at_once_and_rises_slowly() {
        let mut believed = Believed::default();
        believed.full(at(10), at(9), 100.0);
        assert_eq!(believed.rate(), Some(70.0));
        believed.full(at(10), at(9), 100.0);
        assert_eq!(believed.rate(), Some(70.0), "calls that were under way do not lower it again");
        believed.rise(at(11), 1.0, 10.0);
        assert_eq!(believed.rate(), Some(70.0), "nobody has tried more");
        for second in 11..21 {
            believed.rise(at(second), 1.0, 70.0);
        }
        let risen = believed.rate().unwrap();
        assert!((90.0..95.0).contains(&risen), "{risen}");
        believed.state(80.0);
        assert_eq!(believed.rate(), Some(80.0));
        believed.rise(at(1_000), 1.0, 70.0);
        assert_eq!(believed.learned(), None);
        believed.hear(at(1_001), 0.000_1);
        assert_eq!(believed.learned(), Some(LEAST_HEARSAY));
    }
}
