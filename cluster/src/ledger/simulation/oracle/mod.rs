//! What must hold, seen by somebody who sees everything: the provider's bill, the true rows and the shares of all who
//! ever were.
//!
//! - I1, shares within the limit: [`parts`] in all windows, [`book`] for what ledgers go by.
//! - I2, spent, reserved and opened within the limit: [`book`].
//! - I3, rows only grow: [`Truth::note`]. How they merge is held by property tests.
//! - I4, nothing made and nothing lost: what ledgers take for reserved is held or out, after every step; at rest what was
//!   given has arrived, and rights, reserved and spent are what was handed out; the living hold all of what is to come.
//! - I5, whatever comes twice, late or never, and after a restart: nobody knows more than was true, a journal covers what
//!   was promised and spent, with no more than was open, and one that was put back is noticed.
//! - I6, what is left can be spent anywhere: [`super::rest`].
//! - I7, settled is billed: [`Truth::note`], and at rest.

mod at_rest;
mod book;
mod lives;
mod parts;

use std::collections::BTreeMap;

pub(super) use self::at_rest::{check_quiet, check_the_living_hold_all, knows_more};
use self::book::{Book, Truth};
pub(super) use self::lives::Lives;
pub(super) use self::parts::Parts;
use super::node::Node;
use super::provider::Dispatched;
use crate::actor::Actor;
use crate::ledger::allowance::CounterId;
use crate::ledger::counter::Counter;
use crate::ledger::counting::Counting;
use crate::ledger::ledger::Ledger;
use crate::ledger::row::Row;

pub(super) type Checked = Result<(), String>;

pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

#[derive(Debug)]
pub(super) struct Oracle {
    books: BTreeMap<CounterId, Book>,
    pub(super) lives: Lives,
    pub(super) parts: Parts,
}

impl Oracle {
    pub(super) fn new(limit: u64) -> Oracle {
        Oracle { books: BTreeMap::new(), lives: Lives::default(), parts: Parts::new(limit) }
    }

    pub(super) fn begin(&mut self, actor: &Actor, astray: bool) -> usize {
        self.parts.begin();
        self.lives.begin(actor, astray)
    }

    fn truth(&mut self, who: usize, counter: CounterId) -> &mut Truth {
        self.books.entry(counter).or_default().truths.entry(who).or_default()
    }

    pub(super) fn bill(&mut self, who: usize, counter: CounterId, reserved: u64, actual: u64) {
        let truth = self.truth(who, counter);
        truth.billed += actual;
        truth.excess += actual.saturating_sub(reserved);
    }

    /// What was reserved is charged, whatever it cost.
    pub(super) fn aborted(&mut self, who: usize, dispatched: &Dispatched) {
        for (counter, reserved, actual) in &dispatched.costs {
            let truth = self.truth(who, *counter);
            truth.phantom += reserved.saturating_sub(*actual);
            truth.lost_excess += actual.saturating_sub(*reserved);
        }
    }

    /// The same at a time at which the counter may be pruned in one step with it.
    pub(super) fn charged_in_full(&mut self, who: usize, dispatched: &Dispatched) {
        self.aborted(who, dispatched);
        for (counter, reserved, _) in &dispatched.costs {
            self.truth(who, *counter).row.spent += reserved;
        }
    }

    /// The node is gone with its reservations.
    pub(super) fn died(&mut self, who: usize, dispatched: &Dispatched) {
        for (counter, reserved, actual) in &dispatched.costs {
            self.truth(who, *counter).lost_excess += actual.saturating_sub(*reserved);
        }
    }

    /// So much above what was held was settled into a slice that is lost.
    pub(super) fn lost_above(&mut self, who: usize, counter: CounterId, above: u64) {
        self.truth(who, counter).lost_excess += above;
    }

    /// The limits under which a node that dies in the middle of something has acted.
    pub(super) fn note_limits(&mut self, node: &Node) {
        for (id, counter) in node.ledger().iter().flat_map(|ledger| ledger.counters()) {
            let book = self.books.entry(*id).or_default();
            book.limit = book.limit.max(counter.limit());
        }
    }

    /// A life that goes on from an older copy begins with what the copy tells, and that is all it has open.
    pub(super) fn went_astray(&mut self, who: usize, copied: &Ledger<Counting>) -> BTreeMap<CounterId, u64> {
        for (id, counter) in copied.counters() {
            self.truth(who, *id).begin_with(counter.own());
        }
        copied.counters().iter().map(|(id, counter)| (*id, counter.opened())).collect()
    }

    /// What came back from the journal covers what was promised and what was spent; what it has too much is phantom,
    /// and that is no more than what the journal had open at the crash.
    pub(super) fn recovered(&mut self, node: &Node, open_at_crash: &BTreeMap<CounterId, u64>) -> Checked {
        let Some(ledger) = node.ledger() else { return Ok(()) };
        let (actor, none) = (&node.actor, Row::default());
        for (id, counter) in ledger.counters() {
            // It may have died between the journal and anything that could be seen.
            self.truth(node.who, *id);
            let (spent, said) = (counter.own().spent, node.disk.spent_up_to(id));
            ensure(spent == said, || format!("I5: {actor} came back with {spent} of {said} in {id:?}"))?;
            let open = open_at_crash.get(id).copied().unwrap_or(0);
            ensure(spent <= open, || format!("I5: {actor} came back with {spent}, open were {open} in {id:?}"))?;
        }
        for (id, book) in &mut self.books {
            let Some(truth) = book.truths.get_mut(&node.who) else { continue };
            let row = ledger.counters().get(id).map_or(&none, Counter::own);
            if ledger.is_closed(id) && row == &none {
                continue;
            }
            ensure(row.covers(&truth.row), || format!("I5: {actor} forgot in {id:?}: {row:?} after {:?}", truth.row))?;
            truth.phantom += row.spent.saturating_sub(truth.row.spent);
        }
        self.check(node)
    }

    /// A node that has closed in good order comes back with exactly what it spent, and what a request got at the last
    /// moment.
    pub(super) fn closed(&self, node: &Node) -> Checked {
        for (id, counter) in node.ledger().iter().flat_map(|ledger| ledger.counters()) {
            let (used, said) = (counter.own().spent + counter.reserved(), node.disk.spent_up_to(id));
            ensure(used == said, || format!("I5: {} closed with {used} but wrote {said} in {id:?}", node.actor))?;
        }
        Ok(())
    }

    /// All that can have changed when this node did something.
    pub(super) fn check(&mut self, node: &Node) -> Checked {
        let Some(ledger) = node.ledger() else { return Ok(()) };
        for (id, counter) in ledger.counters() {
            let book = self.books.entry(*id).or_default();
            book.limit = book.limit.max(counter.limit());
            let truth = book.truths.entry(node.who).or_default();
            truth.note(counter).map_err(|what| format!("{what} at {} in {id:?}", node.actor))?;
            book.check(id, &self.lives)?;
            let held = node.held(id);
            ensure(counter.reserved() == held, || {
                format!("I4: {} has {} reserved but {held} held and out in {id:?}", node.actor, counter.reserved())
            })?;
            for (owner, row) in counter.others() {
                ensure(book.covers(self.lives.of(owner), row), || {
                    format!("I5: {} knows more of {owner} than was true: {row:?}", node.actor)
                })?;
            }
        }
        Ok(())
    }

    /// What the counting rules came to, in all windows.
    pub(super) fn check_parts(&mut self, nodes: &[Node]) -> Checked {
        if !self.parts.is_due() {
            return Ok(());
        }
        let up: BTreeMap<usize, &Counting> =
            nodes.iter().filter_map(|node| Some((node.who, &node.ledger()?.shares))).collect();
        self.parts.check(&self.lives, &up)
    }

    /// What is left of a counter by the truth. A life from an old copy takes what its journal had open for spent, though
    /// the life before it may have used less: peers go by the larger.
    pub(super) fn left(&self, id: &CounterId, limit: u64) -> u64 {
        let mut spent: BTreeMap<&Actor, (i128, u64)> = BTreeMap::new();
        for (who, truth) in self.books.get(id).into_iter().flat_map(|book| &book.truths) {
            let (sum, most) = spent.entry(&self.lives.get(*who).actor).or_default();
            *sum += truth.spent();
            *most = truth.row.spent.max(*most);
        }
        let spent: i128 = spent.into_values().map(|(sum, most)| sum.max(i128::from(most))).sum();
        u64::try_from((i128::from(limit) - spent).max(0)).unwrap_or(u64::MAX)
    }
}
