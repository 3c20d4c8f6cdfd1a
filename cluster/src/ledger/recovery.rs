//! From the journal and back: what a ledger is after a crash, the short form of all its records, and what it forgets.

use super::allowance::CounterId;
use super::counter::Counter;
use super::event::{Action, Now};
use super::ledger::{Ledger, LedgerConfig, Shares};
use super::record::{Durability, Record};
use super::row::Row;
use crate::actor::Actor;

impl<S: Shares> Ledger<S> {
    /// The ledger of an actor that comes back, from the records that made it to its disk.
    ///
    /// What was opened counts as spent, so no counter has spent less than the truth, and at most its open slice more.
    /// Allowances are no records: until [`super::event::Event::LimitChanged`] tells them again, nothing is granted.
    pub fn recover(me: Actor, config: LedgerConfig, shares: S, records: impl IntoIterator<Item = Record>) -> Ledger<S> {
        let mut ledger = Ledger::new(me, config, shares);
        for record in records {
            ledger.replay(record);
        }
        ledger.dirty.extend(ledger.counters.keys().copied());
        ledger
    }

    fn replay(&mut self, record: Record) {
        let me = self.me.clone();
        match record {
            Record::SliceOpened { counter, up_to } | Record::Settled { counter, up_to } => {
                self.replayed(counter).restore_spent(up_to);
            }
            Record::Given { counter, to, total, up_to } => {
                let counter = self.replayed(counter);
                counter.restore_given(&to, total);
                counter.restore_spent(up_to);
            }
            Record::Received { counter, from, total } => {
                let row = Row { spent: 0, given: [(me.clone(), total)].into() };
                self.replayed(counter).learn(&me, &from, &row);
            }
            Record::Pruned { allowance, until } => {
                self.closed.insert(allowance, until);
                self.counters.retain(|id, _| id.allowance != allowance || id.window_start >= until);
            }
        }
    }

    /// Limit, share and end follow when the allowance is known.
    fn replayed(&mut self, id: CounterId) -> &mut Counter {
        self.counters.entry(id).or_insert_with(|| Counter::new(id, i64::MAX, 0, 0))
    }

    /// The fewest records that lead to this state; they may take the place of all that were written so far.
    pub fn snapshot(&self) -> Vec<Record> {
        let closed =
            self.closed.iter().map(|(allowance, until)| Record::Pruned { allowance: *allowance, until: *until });
        let mut records: Vec<Record> = closed.collect();
        for (id, counter) in &self.counters {
            for (from, row) in counter.others() {
                let total = row.given_to(&self.me);
                if total > 0 {
                    records.push(Record::Received { counter: *id, from: from.clone(), total });
                }
            }
            for (to, total) in &counter.own().given {
                let (to, total, up_to) = (to.clone(), *total, counter.opened());
                records.push(Record::Given { counter: *id, to, total, up_to });
            }
            if counter.opened() > 0 {
                records.push(Record::Settled { counter: *id, up_to: counter.opened() });
            }
        }
        records
    }

    /// Forgets windows that ended long ago and in which nothing is held, for good: with their rows goes the knowledge
    /// of what was spent, so they must not begin anew when the clock steps back.
    pub(super) fn prune(&mut self, now: Now) {
        let mut held = None;
        let mut old = Vec::new();
        for (id, counter) in &self.counters {
            let over = counter.end().saturating_add(self.config.retention_s) <= now.unix && counter.reserved() == 0;
            // What closes a window closes all before it, so none goes before an older one of its allowance.
            if !over || held == Some(id.allowance) {
                held = Some(id.allowance);
            } else {
                old.push((*id, counter.end()));
            }
        }
        for (id, end) in old {
            self.gathers.remove(&id);
            self.active.remove(&id);
            // Of a counter that this actor never touched there is nothing to be forgotten.
            if self.counters.remove(&id).is_none_or(|counter| counter.is_untouched()) {
                continue;
            }
            let until = self.closed.entry(id.allowance).or_insert(end);
            *until = end.max(*until);
            let record = Record::Pruned { allowance: id.allowance, until: *until };
            self.out.push(Action::Persist { record, durability: Durability::Buffered });
        }
    }

    /// True when this window was forgotten and stays closed.
    pub(super) fn is_closed(&self, id: &CounterId) -> bool {
        self.closed.get(&id.allowance).is_some_and(|until| id.window_start < *until)
    }

    /// Closes every slice to what is really used, before the node ends, and asks nobody for more.
    pub(super) fn close_all(&mut self) {
        self.active.clear();
        for (id, counter) in &mut self.counters {
            if counter.close() {
                let record = Record::Settled { counter: *id, up_to: counter.opened() };
                self.out.push(Action::Persist { record, durability: Durability::Durable });
            }
        }
    }
}
