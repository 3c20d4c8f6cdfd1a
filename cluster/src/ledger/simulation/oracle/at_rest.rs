//! What must hold when all is quiet: I4, I7, that nobody goes on from an old copy unnoticed, and that the living hold all
//! of what is to come.

use super::super::node::Node;
use super::super::world::World;
use super::{Checked, ensure};
use crate::actor::Actor;
use crate::ledger::allowance::{AllowanceId, CounterId};
use crate::ledger::counter::Counter;
use crate::ledger::counting::Counting;
use crate::ledger::ledger::Ledger;
use crate::ledger::row::Row;
use crate::ledger::window::WindowKind;

pub(in super::super) fn check_quiet(world: &World) -> Checked {
    let ledgers = || world.nodes.iter().filter_map(|node| node.ledger());
    for (id, book) in &world.oracle.books {
        // What is pruned was checked as long as it was there.
        let open = |node: &&Node| node.ledger().is_some_and(|ledger| !ledger.is_closed(id));
        for node in world.nodes.iter().filter(open) {
            let Some(truth) = book.truths.get(&node.who) else { continue };
            let (spent, billed) = (truth.spent(), i128::from(truth.billed));
            ensure(spent + i128::from(truth.lost_excess) >= billed, || {
                format!("I7: {} recorded {spent} of a bill of {billed} in {id:?}", node.actor)
            })?;
        }
        // A window that some have forgotten and others not yet is nobody's any more; nor are rows accepted of one that
        // only a clock far ahead has seen.
        if !is_open(world, id) || ledgers().any(|ledger| ledger.is_closed(id)) {
            continue;
        }
        let counters: Vec<(&Actor, &Counter)> =
            ledgers().filter_map(|ledger| Some((ledger.actor(), ledger.counters().get(id)?))).collect();
        let mut sum = 0;
        for (actor, counter) in &counters {
            for (receiver, total) in &counter.own().given {
                if let Some(ledger) = ledgers().find(|ledger| ledger.actor() == receiver) {
                    let known = ledger.counters().get(id).map_or(0, |counter| counter.received_from(receiver, actor));
                    ensure(known == *total, || {
                        format!("I4: {receiver} has {known} of {total} from {actor} in {id:?}")
                    })?;
                }
            }
            sum += counter.rights() + i128::from(counter.reserved()) + i128::from(counter.own().spent);
        }
        // What the living hold and used is what they were given by the rules and by the dead, less what the dead got.
        let alive = |actor: &Actor| ledgers().any(|ledger| ledger.actor() == actor);
        let shares: i128 = counters.iter().map(|(_, counter)| i128::from(counter.share())).sum();
        let of_the_dead: i128 = (counters.iter())
            .flat_map(|(actor, counter)| counter.others().iter().map(|(giver, row)| (giver, row.given_to(actor))))
            .filter(|(giver, _)| !alive(giver))
            .map(|(_, total)| i128::from(total))
            .sum();
        let to_the_dead: i128 = (counters.iter())
            .flat_map(|(_, counter)| counter.own().given.iter())
            .filter(|(receiver, _)| !alive(receiver))
            .map(|(_, total)| i128::from(*total))
            .sum();
        ensure(sum == shares + of_the_dead - to_the_dead, || {
            format!("I4: {sum} held and used of {shares} + {of_the_dead} - {to_the_dead} in {id:?}")
        })?;
    }
    Ok(())
}

/// Everybody may open it now.
fn is_open(world: &World, id: &CounterId) -> bool {
    let allowance = world.allowances.iter().find(|allowance| allowance.id == id.allowance);
    let lately = |end: i64| end >= world.unix - 600;
    allowance
        .is_some_and(|allowance| id.window_start <= world.unix && lately(allowance.window.span(id.window_start).end))
}

/// Who that lives knows more of this node than its own journal does: in a row, or of what it stated.
pub(in super::super) fn knows_more(world: &World, at: usize) -> Option<Actor> {
    let ledger = world.nodes[at].ledger()?;
    let nothing = Row::default();
    let stated = ledger.shares.public.size();
    let more = |(speaks, other): &(bool, &Ledger<Counting>)| {
        let heard = other.shares.gossip().words.get(ledger.actor()).map_or(0, |word| word.size());
        let mut rows =
            other.counters().iter().filter_map(|(id, counter)| Some((id, counter.others().get(ledger.actor())?)));
        // What a node says that itself goes on from an old copy is lost here until it is noticed.
        (*speaks && heard > stated)
            || rows.any(|(id, row)| {
                let own = ledger.counters().get(id).map_or(&nothing, Counter::own);
                !own.covers(row) && !ledger.is_closed(id)
            })
    };
    let others = world.nodes.iter().filter_map(|node| {
        let speaks = !world.oracle.lives.get(node.who).astray;
        Some((speaks, node.ledger().filter(|other| other.actor() != ledger.actor())?))
    });
    others.into_iter().find(more).map(|(_, other)| other.actor().clone())
}

/// I4 for what is to come: the parts of the living are the whole limit.
pub(in super::super) fn check_the_living_hold_all(world: &World) -> Checked {
    let limit = 1_003;
    for kind in [WindowKind::D1, WindowKind::W1, WindowKind::Month, WindowKind::Year] {
        let window_start = kind.span(kind.span(world.unix).end + 86_400).end;
        let next = CounterId { allowance: AllowanceId::from_bytes([5; 16]), window_start };
        let living = || world.nodes.iter().filter_map(|node| node.ledger());
        let sum: u64 = living().map(|ledger| ledger.shares.planned(&next, limit)).sum();
        ensure(sum == limit, || {
            let standings = living().map(|ledger| {
                let counting = &ledger.shares;
                let (part, by) = (counting.planned(&next, limit), counting.counted(window_start));
                let by: Vec<String> = by.iter().map(ToString::to_string).collect();
                format!("\n{} has {part} by {by:?} in {window_start}, {:?}", ledger.actor(), counting.public.statements)
            });
            format!("I4: the living hold {sum} of {limit} in the {kind} to come:{}", standings.collect::<String>())
        })?;
    }
    Ok(())
}
