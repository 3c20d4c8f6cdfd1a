//! Slices go out to the data plane and come back. What is out counts as reserved.

use super::allowance::CounterId;
use super::event::{Action, Now};
use super::ledger::{Ledger, Shares};
use super::mutation::{Mutation, mutated};
use super::record::{Durability, Record};

impl<S: Shares> Ledger<S> {
    /// Hands out about a slice, unless somebody waits for just these rights.
    pub(super) fn on_open(&mut self, now: Now, id: CounterId, want: u64) {
        let amount = if self.fenced || self.gathers.contains_key(&id) { 0 } else { self.hand_out(now, id, want) };
        self.out.push(Action::Opened { counter: id, amount });
    }

    fn hand_out(&mut self, now: Now, id: CounterId, want: u64) -> u64 {
        let Ok(counter) = self.ensure(now, id) else { return 0 };
        let amount = counter.slice_for(want, now.mono_ms);
        if amount == 0 {
            return 0;
        }
        if let Some(up_to) = counter.open_exactly(amount) {
            let record = Record::SliceOpened { counter: id, up_to };
            self.out.push(Action::Persist { record, durability: Durability::Durable });
        }
        if let Some(counter) = self.counters.get_mut(&id) {
            counter.reserve(amount);
        }
        amount
    }

    /// Takes back what a slice was used for, and what it was not.
    pub(super) fn on_return(&mut self, now: Now, id: CounterId, spent: u64, above: u64, unused: u64) {
        // A counter lives as long as anything of it is reserved, so it is there.
        let Some(counter) = self.counters.get_mut(&id) else { return };
        let used = spent.saturating_add(above);
        if used > 0 {
            counter.rate.add(now.mono_ms, used);
            self.active.insert(id);
            self.dirty.insert(id);
        }
        let unused = if mutated(Mutation::RecalledTwice) { unused.saturating_mul(2) } else { unused };
        if let Some(durability) = counter.take_back(spent, above, unused, now.mono_ms) {
            let record = Record::Settled { counter: id, up_to: counter.opened() };
            self.out.push(Action::Persist { record, durability });
        }
        if unused > 0 {
            // What the journal has open for it is closed once the counter is at rest.
            self.active.insert(id);
            self.retry(now);
        }
    }
}
