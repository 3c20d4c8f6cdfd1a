//! The true state of one counter: the provider's bill and the rows of all who ever were.

use std::collections::BTreeMap;

use super::lives::Lives;
use super::{Checked, ensure};
use crate::ledger::allowance::CounterId;
use crate::ledger::counter::Counter;
use crate::ledger::row::Row;

/// One life in one counter.
#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) row: Row,
    pub(super) share: u64,
    /// The most that its share ever was.
    share_most: u64,
    /// Spent and reserved, and up to where the journal lets it spend, when last seen.
    pub(super) used: u64,
    pub(super) opened: u64,
    pub(super) billed: u64,
    /// What was billed above reservations, in all, and of requests that their node did not live to settle.
    pub(super) excess: u64,
    pub(super) lost_excess: u64,
    /// By how much the record may be above the bill: slices open at crashes, and aborted requests.
    pub(super) phantom: u64,
    /// What it began with, when its data directory was put back from a copy: spent and given away by the life before.
    base: (u64, u64),
}

impl Truth {
    fn since_base(&self, spent: u64) -> i128 {
        i128::from(spent) - i128::from(self.base.0)
    }

    /// All that it let out of its hands.
    fn let_out(&self) -> i128 {
        self.since_base(self.opened).max(0) + i128::from(self.row.given_away()) - i128::from(self.base.1)
    }

    pub(super) fn spent(&self) -> i128 {
        self.since_base(self.row.spent)
    }

    pub(super) fn begin_with(&mut self, row: &Row) {
        self.row.clone_from(row);
        self.base = (row.spent, row.given_away());
    }

    /// Takes over what its ledger says now, and checks that nothing went back and that the bill is covered.
    pub(super) fn note(&mut self, counter: &Counter) -> Checked {
        let own = counter.own();
        ensure(own.covers(&self.row), || format!("I3: a row shrank: {own:?} after {:?}", self.row))?;
        self.row.clone_from(own);
        self.share = counter.share();
        self.share_most = self.share_most.max(self.share);
        self.used = own.spent + counter.reserved();
        self.opened = counter.opened();
        ensure(self.used <= self.opened, || format!("I5: used {} of {} opened", self.used, self.opened))?;
        let (billed, phantom) = (i128::from(self.billed), i128::from(self.phantom));
        ensure(self.since_base(self.used) + i128::from(self.excess) >= billed, || {
            format!("I7: {} of a bill of {billed}", self.since_base(self.used))
        })?;
        ensure(self.spent() <= billed + phantom, || {
            format!("I7: {} for a bill of {billed}, phantom at most {phantom}", self.spent())
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Book {
    /// The largest limit that any node had in force.
    pub(super) limit: u64,
    /// By life.
    pub(super) truths: BTreeMap<usize, Truth>,
}

impl Book {
    /// I1 and I2, with the bounds for what no guarantee covers: an actor that was forgotten and lived on adds at most its
    /// unspent share, a life from an old copy at most what it lets out before it is noticed.
    pub(super) fn check(&self, id: &CounterId, lives: &Lives) -> Checked {
        let (mut shares, mut excess, mut beyond) = (0, 0, 0);
        let (mut billed, mut spent, mut used, mut opened) = (0, 0, 0, 0);
        for (who, truth) in &self.truths {
            match lives.forgotten_in(*who, id.window_start) {
                _ if lives.get(*who).astray => beyond += truth.let_out(),
                Some(lived_on) => beyond += i128::from(lived_on) * truth.let_out().min(i128::from(truth.share_most)),
                None => shares += truth.share,
            }
            excess += i128::from(truth.excess);
            billed += i128::from(truth.billed);
            spent += truth.spent();
            used += truth.since_base(truth.used);
            opened += truth.since_base(truth.opened);
        }
        let limit = self.limit;
        ensure(shares <= limit, || format!("I1: shares {shares} > limit {limit} in {id:?}"))?;
        let most = i128::from(limit) + excess + beyond;
        for (what, total) in [("bill", billed), ("spent", spent), ("spent and reserved", used), ("opened", opened)] {
            ensure(total <= most, || format!("I2: {what} {total} > limit {limit} + {excess} + {beyond} in {id:?}"))?;
        }
        Ok(())
    }

    /// True when no number in a row is larger than one that was true.
    pub(super) fn covers(&self, whos: &[usize], row: &Row) -> bool {
        let mut truths = whos.iter().filter_map(|who| self.truths.get(who));
        match whos {
            [_] => truths.next().is_some_and(|truth| truth.row.covers(row)),
            _ => {
                let mut best = Row::default();
                for truth in truths {
                    best.merge(&truth.row);
                }
                best.covers(row)
            }
        }
    }
}
