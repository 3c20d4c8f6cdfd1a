//! What a registry has seen: a version vector, of each actor the time up to which nothing is missing.

use std::collections::BTreeMap;

use super::clock::{Actor, Stamp, Time};

/// Of how many actors a vector tells. Beyond that the ones that were silent longest are forgotten, which costs traffic
/// (their records are offered again) and nothing else.
pub const MAX_ACTORS: usize = 1024;

/// For each actor: every write up to this time is held here, or a later write in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions(BTreeMap<Actor, Time>);

impl Versions {
    /// Up to when all writes of an actor are held.
    pub fn of(&self, actor: &Actor) -> Time {
        self.0.get(actor).copied().unwrap_or_default()
    }

    /// Whether a write is held, or a later one in its place.
    pub fn covers(&self, stamp: &Stamp) -> bool {
        self.0.get(&stamp.actor).is_some_and(|time| *time >= stamp.time)
    }

    /// Whether everything is held here that is held there.
    pub fn covers_all(&self, other: &Versions) -> bool {
        other.0.iter().all(|(actor, time)| self.of(actor) >= *time)
    }

    /// The actors and times.
    pub fn iter(&self) -> impl Iterator<Item = (&Actor, Time)> {
        self.0.iter().map(|(actor, time)| (actor, *time))
    }

    /// Of how many actors it tells.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when nothing was seen yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Moves an actor's time forward, never back. True when it moved.
    pub(super) fn advance(&mut self, actor: &Actor, time: Time) -> bool {
        if time <= self.of(actor) {
            return false;
        }
        self.0.insert(actor.clone(), time);
        if self.0.len() > MAX_ACTORS
            && let Some(silent) = self.0.iter().min_by_key(|(_, time)| **time).map(|(actor, _)| actor.clone())
        {
            self.0.remove(&silent);
        }
        true
    }
}

impl FromIterator<(Actor, Time)> for Versions {
    fn from_iter<I: IntoIterator<Item = (Actor, Time)>>(pairs: I) -> Versions {
        let mut versions = Versions::default();
        for (actor, time) in pairs {
            versions.advance(&actor, time);
        }
        versions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Incarnation;

    fn actor(number: u64) -> Actor {
        Actor { node: "n".parse().unwrap(), incarnation: Incarnation(number) }
    }

    fn at(ms: u64) -> Time {
        Time { ms, counter: 0 }
    }

    #[test]
    fn coverage_is_by_actor() {
        let versions: Versions = [(actor(1), at(10)), (actor(2), at(20))].into_iter().collect();
        let covers = |number, ms| versions.covers(&Stamp { time: at(ms), actor: actor(number) });
        assert_eq!((covers(1, 10), covers(1, 11), covers(2, 11), covers(3, 0)), (true, false, true, false));
        let more: Versions = [(actor(1), at(10)), (actor(2), at(21))].into_iter().collect();
        assert_eq!((more.covers_all(&versions), versions.covers_all(&more)), (true, false));
    }

    #[test]
    fn the_actor_that_was_silent_longest_is_forgotten_first() {
        let versions: Versions = (0..MAX_ACTORS as u64 + 3).map(|n| (actor(n), at(n + 1))).collect();
        assert_eq!(versions.len(), MAX_ACTORS);
        assert!(!versions.covers(&Stamp { time: at(3), actor: actor(2) }));
        assert!(versions.covers(&Stamp { time: at(4), actor: actor(3) }));
    }
}
