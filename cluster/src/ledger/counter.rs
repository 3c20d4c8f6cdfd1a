//! One counter: the rows of all actors that this node knows of, and what of it this node may spend.
//!
//! ```text
//! rights(i) = share(i) + sum_j row[j].given[i] - sum_j row[i].given[j] - row[i].spent - reserved(i)
//! ```
//!
//! Three amounts stand over one another, each durable before the next may rise to it: what is spent and reserved is
//! never above what is *opened*, which is in the journal, and that is never above what the share and the gifts allow.
//! A node that comes back after a crash takes all that was opened for spent.

use std::collections::BTreeMap;

use super::allowance::CounterId;
use super::mutation::{Mutation, mutated};
use super::rate::Rate;
use super::record::Durability;
use super::row::{MAX_VALUE, Row};
use crate::actor::Actor;

/// At least so many requests fit into a slice, where there is plenty.
const A_FEW: u64 = 8;

/// One counter as one actor sees it.
#[derive(Clone, Debug)]
pub struct Counter {
    id: CounterId,
    end: i64,
    limit: u64,
    share: u64,
    own: Row,
    others: BTreeMap<Actor, Row>,
    received: u64,
    reserved: u64,
    opened: u64,
    pub(super) rate: Rate,
    /// What the latest request took.
    usual: u64,
    /// What peers last said that they could spare.
    pub(super) hints: BTreeMap<Actor, u64>,
    /// No background ask before this time.
    pub(super) ask_after: u64,
}

impl Counter {
    /// A counter in which nothing happened yet.
    pub fn new(id: CounterId, end: i64, limit: u64, share: u64) -> Counter {
        Counter {
            id,
            end,
            limit,
            share,
            own: Row::default(),
            others: BTreeMap::new(),
            received: 0,
            reserved: 0,
            opened: 0,
            rate: Rate::default(),
            usual: 0,
            hints: BTreeMap::new(),
            ask_after: 0,
        }
    }

    /// Which counter it is.
    pub fn id(&self) -> CounterId {
        self.id
    }

    /// When its window ends, in unix seconds.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// The limit in force here.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// This actor's share of the limit.
    pub fn share(&self) -> u64 {
        self.share
    }

    /// This actor's row.
    pub fn own(&self) -> &Row {
        &self.own
    }

    /// The rows of the others, as far as they are known here.
    pub fn others(&self) -> &BTreeMap<Actor, Row> {
        &self.others
    }

    /// What peers gave to this actor.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// What outstanding reservations hold.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Up to where the journal lets this actor spend.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// True when the journal knows nothing of it.
    pub(super) fn is_untouched(&self) -> bool {
        self.own == Row::default() && self.opened == 0 && self.received == 0
    }

    /// What all actors spent, as far as it is known here.
    pub fn known_spent(&self) -> u64 {
        self.others.values().fold(self.own.spent, |sum, row| sum.saturating_add(row.spent))
    }

    /// The ceiling of everything that this actor may spend in this counter, whenever.
    fn ceiling(&self) -> i128 {
        i128::from(self.share) + i128::from(self.received) - i128::from(self.own.given_away())
    }

    /// What this actor holds and has not used. Negative when the limit was lowered or an actual was above its
    /// reservation.
    pub fn rights(&self) -> i128 {
        self.ceiling() - i128::from(self.own.spent) - i128::from(self.reserved)
    }

    /// What may be reserved or given now: the rights, but never more than what is left of the limit by all that is
    /// known. So a lowered limit denies at once, and a peer that lies about its gifts cannot make this node overspend
    /// the limit by itself.
    pub fn available(&self) -> u64 {
        let left = i128::from(self.limit) - i128::from(self.known_spent()) - i128::from(self.reserved);
        u64::try_from(self.rights().min(left)).unwrap_or(0)
    }

    /// By how much the rights fall short of `wanted`; what was overdrawn must be made good first.
    pub(super) fn missing(&self, wanted: u64) -> u64 {
        u64::try_from((i128::from(wanted) - self.rights()).max(0)).unwrap_or(u64::MAX)
    }

    /// True when `amount` cannot be had of this limit any more, wherever rights are.
    pub(super) fn is_beyond(&self, amount: u64) -> bool {
        amount > self.limit.saturating_sub(self.known_spent())
    }

    /// Takes over a limit and the share of it.
    pub(super) fn set_limit(&mut self, limit: u64, share: u64) {
        self.limit = limit;
        self.share = share;
    }

    pub(super) fn set_end(&mut self, end: i64) {
        self.end = end;
    }

    /// True when `amount` fits below what the journal has opened.
    pub(super) fn is_open_for(&self, amount: u64) -> bool {
        self.own.spent.saturating_add(self.reserved).saturating_add(amount) <= self.opened
    }

    /// Opens enough for `amount` and about one slice; `None` when it is open already. The caller checked
    /// [`Counter::available`], and journals the answer before it goes on.
    pub(super) fn open_for(&mut self, amount: u64, now_ms: u64) -> Option<u64> {
        self.usual = amount;
        if self.is_open_for(amount) {
            return None;
        }
        let slice = self.slice(now_ms).max(amount).min(self.available());
        self.opened = self.own.spent.saturating_add(self.reserved).saturating_add(slice);
        Some(self.opened)
    }

    /// How much of it the data plane should have at hand: about one slice, or `want` when that is no more than an eighth
    /// of what is left.
    pub(super) fn slice_for(&mut self, want: u64, now_ms: u64) -> u64 {
        let available = self.available();
        self.slice(now_ms).max(want.min(available / 8)).min(available)
    }

    /// Opens just enough for `amount`; `None` when it is open already.
    pub(super) fn open_exactly(&mut self, amount: u64) -> Option<u64> {
        if self.is_open_for(amount) {
            return None;
        }
        self.opened = self.own.spent.saturating_add(self.reserved).saturating_add(amount);
        Some(self.opened)
    }

    /// Takes back a part of what was reserved: `spent` of it and `above` more was used, `unused` was not. Answers with
    /// how surely the journal must know of it, if it must at all.
    pub(super) fn take_back(&mut self, spent: u64, above: u64, unused: u64, now_ms: u64) -> Option<Durability> {
        let before = self.opened;
        let raised = self.settle(spent.saturating_add(unused), spent.saturating_add(above), now_ms);
        match (raised, self.opened == before) {
            (true, _) => Some(Durability::Durable),
            (false, false) => Some(Durability::Buffered),
            (false, true) => None,
        }
    }

    /// A second of recent use or a few requests, so that the disk is not asked for each of them, and a small part of what
    /// is left, so that peers find some here. A crash costs that much: it has nothing to do with how large the limit is.
    fn slice(&mut self, now_ms: u64) -> u64 {
        self.rate.per_second(now_ms).max(self.usual.saturating_mul(A_FEW)).min(self.available() / 8)
    }

    pub(super) fn reserve(&mut self, amount: u64) {
        self.reserved = self.reserved.saturating_add(amount);
    }

    /// Ends a reservation of `amount` with what it really cost. True when that is above what the journal has opened,
    /// which an actual above its reservation can bring about.
    pub(super) fn settle(&mut self, amount: u64, actual: u64, now_ms: u64) -> bool {
        self.reserved = self.reserved.saturating_sub(amount);
        // The bound keeps a broken price or usage from making a row that peers must refuse for ever.
        self.own.spent = self.own.spent.saturating_add(actual).min(MAX_VALUE);
        let used = self.own.spent.saturating_add(self.reserved);
        if used > self.opened {
            self.opened = used;
            return true;
        }
        self.opened = self.opened.min(used.saturating_add(self.slice(now_ms)));
        false
    }

    /// Closes what is open beyond what is used; true when there was anything.
    pub(super) fn close(&mut self) -> bool {
        let used = self.own.spent.saturating_add(self.reserved);
        std::mem::replace(&mut self.opened, used) != used
    }

    /// Gives `amount`, which is at most [`Counter::available`], and answers with the new total for this receiver. What
    /// was open and is now given away is closed in the same step.
    pub(super) fn give(&mut self, to: &Actor, amount: u64) -> u64 {
        let total = self.own.given_to(to).saturating_add(amount).min(MAX_VALUE);
        if mutated(Mutation::DoubleCountedTransfer) {
            return total;
        }
        self.own.raise_given(to, total);
        self.opened = u64::try_from(self.ceiling().min(i128::from(self.opened))).unwrap_or(0);
        total
    }

    /// Merges what is known of another actor's row; true when that is news. The caller checked the row.
    pub(super) fn learn(&mut self, me: &Actor, owner: &Actor, row: &Row) -> bool {
        let nothing = Row::default();
        if self.others.get(owner).unwrap_or(&nothing).covers(row) && !mutated(Mutation::RowMergedBySum) {
            return false;
        }
        let known = self.others.entry(owner.clone()).or_default();
        let before = known.given_to(me);
        let changed = if mutated(Mutation::RowMergedBySum) {
            known.spent = known.spent.saturating_add(row.spent);
            for (actor, amount) in &row.given {
                *known.given.entry(actor.clone()).or_default() += amount;
            }
            true
        } else {
            known.merge(row)
        };
        self.received = self.received.saturating_add(known.given_to(me) - before);
        changed
    }

    /// What one peer gave to this actor, as far as it is known here.
    pub(super) fn received_from(&self, me: &Actor, peer: &Actor) -> u64 {
        self.others.get(peer).map_or(0, |row| row.given_to(me))
    }

    /// Takes back what the journal knew: up to `spent` may have been spent.
    pub(super) fn restore_spent(&mut self, up_to: u64) {
        self.own.spent = up_to;
        self.opened = up_to;
    }

    pub(super) fn restore_given(&mut self, to: &Actor, total: u64) {
        self.own.raise_given(to, total);
    }
}
