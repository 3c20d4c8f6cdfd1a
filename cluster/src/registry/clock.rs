//! The hybrid logical clock (Kulkarni et al. 2014): times near the wall clock that never run against causality.
//!
//! A write on a record that this node has seen is later than that record, also where the two wall clocks disagree. The
//! price is trust in the clocks of others, so it is bounded: a time further ahead than [`MAX_AHEAD_MS`] is refused, else
//! one wrong clock would win every conflict for as long as it is ahead.

use std::fmt;

use bincode::{Decode, Encode};

pub use crate::actor::Actor;

/// How far ahead of this node's wall clock a time may be.
pub const MAX_AHEAD_MS: u64 = 5 * 60 * 1000;

/// A moment of the hybrid clock. One actor never gives the same moment to two writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Time {
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
    /// Counts within the millisecond, and on while the wall clock is behind.
    pub counter: u32,
}

impl Time {
    fn next(self) -> Time {
        match self.counter.checked_add(1) {
            Some(counter) => Time { ms: self.ms, counter },
            None => Time { ms: self.ms.saturating_add(1), counter: 0 },
        }
    }

    /// Whether this is within [`MAX_AHEAD_MS`] of a wall clock.
    pub fn check(self, wall_ms: u64) -> Result<(), Ahead> {
        let by_ms = self.ms.saturating_sub(wall_ms);
        if by_ms > MAX_AHEAD_MS { Err(Ahead { by_ms }) } else { Ok(()) }
    }
}

/// When and by whom something was written: unique, and the same order on all nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Stamp {
    /// When; decides first.
    pub time: Time,
    /// By whom; decides between equal times.
    pub actor: Actor,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.time.ms, self.time.counter, self.actor)
    }
}

/// A time too far ahead of this node's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{by_ms} ms ahead of this node's clock, {MAX_AHEAD_MS} ms are allowed")]
pub struct Ahead {
    /// How far.
    pub by_ms: u64,
}

/// The clock of one node.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    last: Time,
}

impl Clock {
    /// A time for a new write: later than all that were given or observed.
    ///
    /// Refused while the clock is too far ahead of the wall clock, which happens when the wall clock was ahead itself
    /// and was put right: peers would refuse the write.
    pub fn tick(&mut self, wall_ms: u64) -> Result<Time, Ahead> {
        let time = self.last.next().max(Time { ms: wall_ms, counter: 0 });
        time.check(wall_ms)?;
        self.last = time;
        Ok(time)
    }

    /// Takes note of a time from elsewhere, so that what is written next is later.
    pub fn observe(&mut self, wall_ms: u64, time: Time) -> Result<(), Ahead> {
        time.check(wall_ms)?;
        self.last = self.last.max(time);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_grow_when_the_wall_clock_stands_or_steps_back() {
        let mut clock = Clock::default();
        let times: Vec<Time> = [5_000, 5_000, 4_000, 5_001].map(|wall| clock.tick(wall).unwrap()).into();
        assert_eq!(times, [(5_000, 0), (5_000, 1), (5_000, 2), (5_001, 0)].map(|(ms, counter)| Time { ms, counter }));
        clock.observe(5_001, Time { ms: 9_000, counter: u32::MAX }).unwrap();
        assert_eq!(clock.tick(5_002), Ok(Time { ms: 9_001, counter: 0 }));
    }

    #[test]
    fn a_time_far_ahead_leaves_no_trace() {
        let mut clock = Clock::default();
        let edge = Time { ms: 1_000 + MAX_AHEAD_MS, counter: 7 };
        let over = Time { ms: 1_001 + MAX_AHEAD_MS, counter: 0 };
        assert_eq!(clock.observe(1_000, over), Err(Ahead { by_ms: MAX_AHEAD_MS + 1 }));
        assert_eq!(clock.tick(1_000), Ok(Time { ms: 1_000, counter: 0 }));
        assert_eq!(clock.observe(1_000, edge), Ok(()));
        assert_eq!(clock.tick(1_000), Ok(Time { ms: edge.ms, counter: 8 }));
    }

    #[test]
    fn a_clock_that_was_ahead_and_was_put_right_does_not_write() {
        let mut clock = Clock::default();
        let hour = 3_600_000;
        clock.tick(10 * hour).unwrap();
        assert_eq!(clock.tick(9 * hour), Err(Ahead { by_ms: hour }));
        assert!(clock.tick(10 * hour - MAX_AHEAD_MS).is_ok());
    }
}
