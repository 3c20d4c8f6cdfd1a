//! What must hold, seen by somebody who sees everything: the provider's bill and the true rows of all actors that ever
//! were.

use std::collections::BTreeMap;

use super::provider::Dispatched;
use super::world::{Node, World};
use crate::actor::Actor;
use crate::ledger::allowance::CounterId;
use crate::ledger::counter::Counter;
use crate::ledger::row::Row;

/// One actor in one counter.
#[derive(Debug, Default)]
struct Truth {
    row: Row,
    share: u64,
    /// Spent and reserved, and up to where the journal lets it spend, when last seen.
    used: u64,
    opened: u64,
    billed: u64,
    /// What was billed above reservations, in all, and of requests that their node did not live to settle.
    excess: u64,
    lost_excess: u64,
    /// By how much the record may be above the bill: slices open at crashes, and aborted requests.
    phantom: u64,
}

#[derive(Debug, Default)]
struct Book {
    /// The largest limit that any node had in force.
    limit: u64,
    actors: BTreeMap<Actor, Truth>,
}

#[derive(Debug, Default)]
pub(super) struct Oracle {
    books: BTreeMap<CounterId, Book>,
}

type Checked = Result<(), String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

impl Oracle {
    fn truth(&mut self, actor: &Actor, counter: CounterId) -> &mut Truth {
        self.books.entry(counter).or_default().actors.entry(actor.clone()).or_default()
    }

    pub(super) fn bill(&mut self, actor: &Actor, counter: CounterId, reserved: u64, actual: u64) {
        let truth = self.truth(actor, counter);
        truth.billed += actual;
        truth.excess += actual.saturating_sub(reserved);
    }

    /// The guard will charge what was reserved.
    pub(super) fn aborted(&mut self, actor: &Actor, dispatched: &Dispatched) {
        for (counter, reserved, actual) in &dispatched.costs {
            let truth = self.truth(actor, *counter);
            truth.phantom += reserved.saturating_sub(*actual);
            truth.lost_excess += actual.saturating_sub(*reserved);
        }
    }

    /// The node is gone with its reservations.
    pub(super) fn died(&mut self, actor: &Actor, dispatched: &Dispatched) {
        for (counter, reserved, actual) in &dispatched.costs {
            self.truth(actor, *counter).lost_excess += actual.saturating_sub(*reserved);
        }
    }

    /// The limits under which a node that dies in the middle of something has acted.
    pub(super) fn note_limits(&mut self, node: &Node) {
        for (id, counter) in node.ledger.iter().flat_map(|ledger| ledger.counters()) {
            let book = self.books.entry(*id).or_default();
            book.limit = book.limit.max(counter.limit());
        }
    }

    /// What came back from the journal covers what was promised and what was spent; what it has too much is phantom.
    pub(super) fn recovered(&mut self, node: &Node) -> Checked {
        let Some(ledger) = &node.ledger else { return Ok(()) };
        for id in ledger.counters().keys() {
            // It may have died between the journal and anything that could be seen.
            self.truth(&node.actor, *id);
        }
        for (id, book) in &mut self.books {
            let Some(truth) = book.actors.get_mut(&node.actor) else { continue };
            let (who, none) = (&node.actor, Row::default());
            let closed = ledger.is_closed(id);
            let row = ledger.counters().get(id).map_or(&none, Counter::own);
            if closed && row == &none {
                continue;
            }
            ensure(row.covers(&truth.row), || format!("I5: {who} forgot in {id:?}: {row:?} after {:?}", truth.row))?;
            truth.phantom += row.spent.saturating_sub(truth.row.spent);
        }
        self.check(node)
    }

    /// All that can have changed when this node did something.
    pub(super) fn check(&mut self, node: &Node) -> Checked {
        let Some(ledger) = &node.ledger else { return Ok(()) };
        for (id, counter) in ledger.counters() {
            self.note(&node.actor, *id, counter)?;
            let book = self.books.get(id).ok_or("no book")?;
            let sum = |part: fn(&Truth) -> u64| book.actors.values().map(part).sum::<u64>();
            let (limit, excess) = (book.limit, sum(|truth| truth.excess));
            ensure(sum(|t| t.share) <= limit, || format!("I1: shares {} > limit {limit}", sum(|t| t.share)))?;
            for (what, total) in [
                ("bill", sum(|truth| truth.billed)),
                ("spent", sum(|truth| truth.row.spent)),
                ("spent and reserved", sum(|truth| truth.used)),
                ("opened", sum(|truth| truth.opened)),
            ] {
                ensure(total <= limit + excess, || format!("I2: {what} {total} > limit {limit} + {excess} in {id:?}"))?;
            }
            for (owner, row) in counter.others() {
                let known = book.actors.get(owner).is_some_and(|truth| truth.row.covers(row));
                ensure(known, || format!("I5: {} knows more of {owner} than was true: {row:?}", node.actor))?;
            }
        }
        Ok(())
    }

    fn note(&mut self, actor: &Actor, id: CounterId, counter: &Counter) -> Checked {
        let book = self.books.entry(id).or_default();
        book.limit = book.limit.max(counter.limit());
        let truth = book.actors.entry(actor.clone()).or_default();
        let own = counter.own();
        ensure(own.covers(&truth.row), || format!("I3: a row of {actor} shrank: {own:?} after {:?}", truth.row))?;
        truth.row.clone_from(own);
        truth.share = counter.share();
        truth.used = own.spent + counter.reserved();
        truth.opened = counter.opened();
        ensure(truth.used <= truth.opened, || format!("{actor} used {} of {} opened", truth.used, truth.opened))?;
        let (billed, excess, phantom) = (truth.billed, truth.excess, truth.phantom);
        ensure(truth.used + excess >= billed, || {
            format!("I7: {actor} has {} of a bill of {billed} in {id:?}", truth.used)
        })?;
        ensure(own.spent <= billed + phantom, || {
            format!("I7: {actor} has {} for a bill of {billed}, phantom at most {phantom}, in {id:?}", own.spent)
        })
    }
}

/// What must hold when all is quiet: I4 and I7.
pub(super) fn check_quiet(world: &World) -> Checked {
    for (id, book) in &world.oracle.books {
        for (actor, truth) in &book.actors {
            let (spent, billed) = (truth.row.spent, truth.billed);
            let live = world.nodes.iter().any(|node| node.actor == *actor);
            ensure(!live || spent + truth.lost_excess >= billed, || {
                format!("I7: {actor} recorded {spent} of a bill of {billed} in {id:?}")
            })?;
        }
        let ledgers = || world.nodes.iter().filter_map(|node| node.ledger.as_ref());
        let counters: Vec<(&Actor, &Counter)> =
            ledgers().filter_map(|ledger| Some((ledger.actor(), ledger.counters().get(id)?))).collect();
        // A window that some have forgotten and others not yet is nobody's any more.
        if ledgers().any(|ledger| ledger.is_closed(id)) {
            continue;
        }
        for (giver, counter) in &counters {
            for (receiver, total) in &counter.own().given {
                if let Some(ledger) = ledgers().find(|ledger| ledger.actor() == receiver) {
                    let known = ledger.counters().get(id).map_or(0, |counter| counter.received_from(receiver, giver));
                    ensure(known == *total, || {
                        format!("I4: {receiver} has {known} of {total} from {giver} in {id:?}")
                    })?;
                }
            }
        }
        if world.lost_disks == 0 {
            let Some((_, any)) = counters.first() else { continue };
            let limit = i128::from(any.limit());
            let mut sum: i128 = limit;
            for (_, counter) in &counters {
                sum -= i128::from(counter.share());
                sum += counter.rights() + i128::from(counter.reserved()) + i128::from(counter.own().spent);
            }
            ensure(sum == limit, || {
                format!("I4: rights, reserved, spent and unassigned are {sum} of {limit} in {id:?}")
            })?;
        }
    }
    Ok(())
}

impl Oracle {
    /// What is left of a counter by the truth.
    pub(super) fn left(&self, id: &CounterId, limit: u64) -> u64 {
        let spent = self.books.get(id).map_or(0, |book| book.actors.values().map(|truth| truth.row.spent).sum());
        limit.saturating_sub(spent)
    }
}
