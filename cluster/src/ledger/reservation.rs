//! A reservation: what a request may cost at worst, taken from all of its allowances at once before it is sent.
//!
//! It settles exactly once, into the windows in which it reserved, however late. The guard makes forgetting it
//! impossible: dropped, it charges what was reserved.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::allowance::{AllowanceId, CounterId};
use super::mutation::{Mutation, mutated};

/// Four tiers with three allowances each.
pub const MAX_CHARGES: usize = 12;

/// Names a reservation: the life of the process and a number in it, so that no id is ever used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId {
    /// The process's life; see [`crate::identity::Generation`].
    pub generation: u64,
    /// Counted up within it.
    pub number: u64,
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.generation, self.number)
    }
}

/// Hands out the ids of one process life.
#[derive(Debug)]
pub struct ReservationIds {
    next: ReservationId,
}

impl ReservationIds {
    /// The ids of this generation.
    pub fn new(generation: u64) -> ReservationIds {
        ReservationIds { next: ReservationId { generation, number: 0 } }
    }

    /// An id that was never given before.
    pub fn fresh(&mut self) -> ReservationId {
        let id = self.next;
        self.next.number += 1;
        id
    }
}

/// Why a request may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// An allowance has not enough left, here or anywhere that can be reached.
    #[error("allowance {allowance} has not enough left until {window_end}")]
    Exhausted {
        /// Which one.
        allowance: AllowanceId,
        /// When there is more again, in unix seconds; `i64::MAX` for never.
        window_end: i64,
    },
    /// There may be enough, but those who hold it did not give it in time.
    #[error("what is left of allowance {0} is held by other nodes, which have not given it in time")]
    Late(AllowanceId),
    /// Nobody told this node of the allowance.
    #[error("allowance {0} is not known here")]
    Unknown(AllowanceId),
    /// Too many charges, or two on the same allowance.
    #[error("a reservation takes 1 to {MAX_CHARGES} charges, each on another allowance")]
    Malformed,
    /// This id is in use.
    #[error("the reservation id is in use")]
    Duplicate,
    /// The clock stands in a window that this node has closed for good.
    #[error("the window of allowance {0} is closed: the clock has stepped back too far")]
    Closed(AllowanceId),
    /// Too many requests wait for rights, or too many counters are open.
    #[error("too many requests wait for rights")]
    Busy,
    /// The journal was rolled back; see [`super::event::Alarm::RolledBack`].
    #[error("this node's journal is older than what its peers know: it must start as a new actor")]
    Fenced,
}

/// One counter's part of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) counter: CounterId,
    pub(super) amount: u64,
}

/// What a reservation ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This is what it cost, in the order of its charges.
    Actual(Vec<u64>),
    /// It cost nothing, because it reached nobody.
    Released,
    /// What it cost is not known: all that was reserved.
    Full,
}

impl Outcome {
    /// The amount to charge for the part at `index`, of which `reserved` was reserved.
    pub(super) fn charged(&self, index: usize, reserved: u64) -> u64 {
        match self {
            Outcome::Actual(actual) => actual.get(index).copied().unwrap_or(reserved),
            Outcome::Released => 0,
            Outcome::Full if mutated(Mutation::LostReserveOnAbort) => 0,
            Outcome::Full => reserved,
        }
    }
}

/// The reservations that were granted and not settled yet.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    held: BTreeMap<ReservationId, Vec<Hold>>,
    /// In the order of their grants, with the time of each, to find those that nobody settles.
    by_age: VecDeque<(u64, ReservationId)>,
}

impl Reservations {
    pub(super) fn contains(&self, id: &ReservationId) -> bool {
        self.held.contains_key(id)
    }

    pub(super) fn insert(&mut self, id: ReservationId, holds: Vec<Hold>, now_ms: u64) {
        self.held.insert(id, holds);
        self.by_age.push_back((now_ms, id));
    }

    /// Takes a reservation out, once.
    pub(super) fn take(&mut self, id: &ReservationId) -> Option<Vec<Hold>> {
        let holds = self.held.remove(id);
        // The queue keeps ids of settled ones until they come to its front, so it is swept before it outgrows the map.
        while self.by_age.front().is_some_and(|(_, id)| !self.held.contains_key(id)) {
            self.by_age.pop_front();
        }
        if self.by_age.len() > 64 + 2 * self.held.len() {
            self.by_age.retain(|(_, id)| self.held.contains_key(id));
        }
        holds
    }

    /// The oldest one that was granted before `time`.
    pub(super) fn granted_before(&self, time: u64) -> Option<ReservationId> {
        let (granted, id) = self.by_age.front()?;
        (*granted < time).then_some(*id)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }
}

/// Where a guard brings its outcome: a queue of a simulation, or a shared ledger. Must not block.
pub trait Settler {
    /// Ends the reservation.
    fn end(&self, id: ReservationId, outcome: Outcome);
}

/// A granted reservation. Settle it, or release it; dropped, it charges all that was reserved.
#[must_use = "a reservation that is dropped is charged in full: settle or release it"]
#[derive(Debug)]
pub struct Reservation<S: Settler> {
    id: ReservationId,
    settler: S,
    ended: bool,
}

impl<S: Settler> Reservation<S> {
    /// Takes charge of a reservation that was granted.
    pub fn new(id: ReservationId, settler: S) -> Reservation<S> {
        Reservation { id, settler, ended: false }
    }

    /// Its id.
    pub fn id(&self) -> ReservationId {
        self.id
    }

    /// Charges what it really cost, in the order of its charges, and gives the rest back.
    pub fn settle(mut self, actual: Vec<u64>) {
        self.end(Outcome::Actual(actual));
    }

    /// Gives everything back: nothing reached a provider.
    pub fn release(mut self) {
        self.end(Outcome::Released);
    }

    fn end(&mut self, outcome: Outcome) {
        self.ended = true;
        self.settler.end(self.id, outcome);
    }
}

impl<S: Settler> Drop for Reservation<S> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Outcome::Full);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default)]
    struct Seen(RefCell<Vec<(ReservationId, Outcome)>>);

    impl Settler for &Seen {
        fn end(&self, id: ReservationId, outcome: Outcome) {
            self.0.borrow_mut().push((id, outcome));
        }
    }

    #[test]
    fn a_guard_ends_its_reservation_once_however_it_goes() {
        let seen = Seen::default();
        let mut ids = ReservationIds::new(7);
        let all = [ids.fresh(), ids.fresh(), ids.fresh()];
        Reservation::new(all[0], &seen).settle(vec![3]);
        Reservation::new(all[1], &seen).release();
        drop(Reservation::new(all[2], &seen));
        let expected = vec![(all[0], Outcome::Actual(vec![3])), (all[1], Outcome::Released), (all[2], Outcome::Full)];
        assert_eq!(*seen.0.borrow(), expected);
    }

    #[test]
    fn the_queue_of_ages_does_not_outgrow_what_is_held() {
        let mut reservations = Reservations::default();
        let mut ids = ReservationIds::new(1);
        let first = ids.fresh();
        reservations.insert(first, Vec::new(), 0);
        for time in 1..10_000 {
            let id = ids.fresh();
            reservations.insert(id, Vec::new(), time);
            assert!(reservations.take(&id).is_some());
            assert!(reservations.take(&id).is_none());
        }
        assert!(reservations.by_age.len() < 100);
        assert_eq!(reservations.granted_before(1), Some(first));
    }
}
