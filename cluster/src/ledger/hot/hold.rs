//! A hold: what one request has taken of each of its allowances. It ends once; forgotten, it charges all.

use std::sync::Arc;

use super::slice::Slice;
use super::slot::Slot;

/// So much of one allowance.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The allowance.
    pub slot: &'a Arc<Slot>,
    /// How much, in its unit.
    pub amount: u64,
}

/// What a request has taken. Settle it, or release it; dropped, it charges all that it holds.
#[must_use = "a hold that is dropped is charged in full: settle or release it"]
#[derive(Debug, Default)]
pub struct Hold {
    taken: Vec<(Arc<Slice>, u64)>,
}

/// Takes all parts or nothing, from what is open on this node. `None`: somewhere there is not enough open.
pub fn try_hold(parts: &[Part<'_>], unix_seconds: i64) -> Option<Hold> {
    let mut hold = Hold { taken: Vec::with_capacity(parts.len()) };
    for part in parts {
        match part.slot.slice(unix_seconds) {
            Some(slice) if slice.amounts().take(part.amount) => hold.taken.push((slice, part.amount)),
            _ => {
                hold.release();
                return None;
            }
        }
    }
    Some(hold)
}

impl Hold {
    /// Takes charge of what the ledger has granted: the amounts are taken for held in these slices.
    pub fn granted(taken: Vec<(Arc<Slice>, u64)>) -> Hold {
        Hold { taken }
    }

    /// True when it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// What it holds, in the order of its parts.
    pub fn amounts(&self) -> impl Iterator<Item = u64> + '_ {
        self.taken.iter().map(|(_, amount)| *amount)
    }

    /// Charges what it really cost, in the order of its parts, into the windows from which it was taken, and gives the
    /// rest back. A part for which nothing is said is charged in full.
    pub fn settle(mut self, actual: &[u64]) {
        for (index, (slice, taken)) in std::mem::take(&mut self.taken).into_iter().enumerate() {
            slice.amounts().settle(taken, actual.get(index).copied().unwrap_or(taken));
        }
    }

    /// Gives everything back: nothing reached a provider.
    pub fn release(mut self) {
        for (slice, taken) in std::mem::take(&mut self.taken) {
            slice.amounts().settle(taken, 0);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for (slice, taken) in &self.taken {
            slice.amounts().settle(*taken, *taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::allowance::{Allowance, AllowanceId, Unit};
    use crate::ledger::hot::{Collected, SlotView};
    use crate::ledger::window::WindowKind;

    const NOW: i64 = 1_795_253_467;

    fn slot(number: u8, free: u64) -> (Arc<Slot>, Arc<Slice>) {
        let id = AllowanceId::from_bytes([number; 16]);
        let allowance = Allowance { id, unit: Unit::NanoUsd, limit: 1_000, window: WindowKind::M1 };
        let slot = Arc::new(Slot::new(allowance));
        let slice = Arc::new(Slice::new(allowance.counter(NOW), WindowKind::M1.span(NOW).end));
        slice.amounts().fill(free);
        slot.set_slice(Some(Arc::clone(&slice)));
        (slot, slice)
    }

    fn state(slice: &Slice) -> (u64, Collected) {
        (slice.amounts().free(), slice.amounts().collect())
    }

    #[test]
    fn all_parts_are_taken_or_none() {
        let ((a, in_a), (b, in_b)) = (slot(1, 10), slot(2, 5));
        assert!(try_hold(&[Part { slot: &a, amount: 10 }, Part { slot: &b, amount: 6 }], NOW).is_none());
        assert_eq!((state(&in_a), state(&in_b)), ((10, Collected::default()), (5, Collected::default())));
        let hold = try_hold(&[Part { slot: &a, amount: 10 }, Part { slot: &b, amount: 5 }], NOW).unwrap();
        assert_eq!(hold.amounts().collect::<Vec<_>>(), [10, 5]);
        assert_eq!((in_a.amounts().free(), in_b.amounts().free()), (0, 0));
        hold.settle(&[3, 7]);
        assert_eq!(state(&in_a), (7, Collected { spent: 3, above: 0 }));
        assert_eq!(state(&in_b), (0, Collected { spent: 5, above: 2 }));
    }

    #[test]
    fn a_hold_that_is_dropped_is_charged_and_a_released_one_is_not() {
        let (a, in_a) = slot(1, 10);
        drop(try_hold(&[Part { slot: &a, amount: 4 }], NOW).unwrap());
        assert_eq!(state(&in_a), (6, Collected { spent: 4, above: 0 }));
        try_hold(&[Part { slot: &a, amount: 6 }], NOW).unwrap().release();
        assert_eq!(state(&in_a), (6, Collected::default()));
        try_hold(&[Part { slot: &a, amount: 6 }], NOW).unwrap().settle(&[]);
        assert_eq!(state(&in_a), (0, Collected { spent: 6, above: 0 }));
    }

    #[test]
    fn a_request_settles_into_the_window_that_it_reserved_in() {
        let (a, before) = slot(1, 10);
        let hold = try_hold(&[Part { slot: &a, amount: 4 }], NOW).unwrap();
        assert!(try_hold(&[Part { slot: &a, amount: 1 }], NOW + 60).is_none(), "the next window is another counter");
        assert!(try_hold(&[Part { slot: &a, amount: 1 }], NOW - 60).is_none(), "and so is the one before");
        a.set_slice(None);
        hold.settle(&[1]);
        assert_eq!(state(&before), (9, Collected { spent: 1, above: 0 }));
    }

    #[test]
    fn what_is_beyond_the_limit_is_known_without_asking() {
        let (a, slice) = slot(1, 0);
        slice.tell_known_spent(900);
        assert!(!a.is_beyond(100, NOW) && a.is_beyond(101, NOW) && !a.is_beyond(1_000, NOW + 60));
        a.set_limit(950);
        assert!(a.is_beyond(51, NOW));
        assert_eq!(a.view(NOW), SlotView { limit: 950, spent: 900, window_end: NOW - NOW % 60 + 60 });
    }
}
