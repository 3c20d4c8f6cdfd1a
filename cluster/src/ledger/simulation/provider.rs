//! A request under way: what it costs is known to the provider before the node hears of it.

use std::cell::Cell;
use std::rc::Rc;

use crate::ledger::allowance::CounterId;
use crate::ledger::reservation::{Outcome, ReservationId, Settler};

/// A request that was granted.
#[derive(Debug)]
pub(super) struct Dispatched {
    /// False when it never reached the provider.
    pub(super) reached: bool,
    /// When, on the monotonic clock.
    pub(super) since: u64,
    /// Counter, reserved, billed.
    pub(super) costs: Vec<(CounterId, u64, u64)>,
}

/// Where guards bring their outcomes.
#[derive(Default)]
pub(super) struct Ended(Cell<Option<(ReservationId, Outcome)>>);

impl Ended {
    pub(super) fn take(&self) -> Option<(ReservationId, Outcome)> {
        self.0.take()
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ended")
    }
}

impl Settler for Rc<Ended> {
    fn end(&self, id: ReservationId, outcome: Outcome) {
        self.0.set(Some((id, outcome)));
    }
}
