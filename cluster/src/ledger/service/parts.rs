//! Who has what of a counter: as one node sees it, and put together from what all say.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::messages::{List, MAX_VIEWED, Part, Viewed, ViewedCounter};
use super::slices::Recall;
use super::slots::Slots;
use super::task::Task;
use crate::actor::Actor;
use crate::identity::NodeId;
use crate::ledger::allowance::{Allowance, CounterId};
use crate::ledger::counter::Counter;
use crate::ledger::event::Now;
use crate::ledger::row::Row;
use crate::ledger::statement::MAX_ACTORS;

/// One answer holds counters up to about so many bytes.
const VIEWED_BYTES: usize = 1024 * 1024;

/// An allowance in its current window, over all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterView {
    /// The allowance, with the limit in force at this node.
    pub allowance: Allowance,
    /// The first second of the window; `i64::MIN` for `forever`.
    pub window_start: i64,
    /// The first second after it; `i64::MAX` for `forever`.
    pub window_end: i64,
    /// What all nodes spent.
    pub spent: u64,
    /// What requests hold at all nodes.
    pub reserved: u64,
    /// Each node's part.
    pub nodes: BTreeMap<NodeId, NodePart>,
}

/// One node's part, all incarnations together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodePart {
    /// What it may still spend.
    pub rights: u64,
    /// What it spent.
    pub spent: u64,
    /// What its requests hold.
    pub reserved: u64,
}

/// What is known here of another actor's part in a counter of which `share` is its share.
pub(super) fn part_of(counter: &Counter, actor: &Actor, share: u64) -> Part {
    let nothing = Row::default();
    let row = counter.others().get(actor).unwrap_or(&nothing);
    let from_others = counter.others().iter().filter(|(giver, _)| *giver != actor).map(|(_, row)| row.given_to(actor));
    let received = from_others.fold(counter.own().given_to(actor), u64::saturating_add);
    let rights = share.saturating_add(received).saturating_sub(row.given_away()).saturating_sub(row.spent);
    Part { rights, spent: row.spent, reserved: 0 }
}

impl Task {
    /// All allowances in their current windows, as this node sees them, from one on.
    pub(super) fn viewed(&mut self, after: Option<CounterId>) -> Viewed {
        let now = self.clock.now();
        self.take_changes();
        let mut viewed = Vec::new();
        let mut bytes = 0;
        let mut next = None;
        for slot in self.slots.all() {
            let id = slot.allowance().counter(now.unix);
            if after.is_some_and(|after| id.allowance <= after.allowance) {
                continue;
            }
            if viewed.len() >= MAX_VIEWED || bytes > VIEWED_BYTES {
                next = viewed.last().map(|viewed: &ViewedCounter| viewed.counter);
                break;
            }
            let counter = self.view_one(now, id, slot.limit());
            bytes += 64 + 100 * counter.others.0.len();
            viewed.push(counter);
        }
        Viewed { actor: self.me.clone(), counters: List(viewed), next }
    }

    fn view_one(&mut self, now: Now, id: CounterId, limit: u64) -> ViewedCounter {
        self.take_back(now, id, Recall::Nothing);
        let free = self.free_in_slice(&id);
        let counting = self.ledger.shares();
        let Some(counter) = self.ledger.counters().get(&id) else {
            let own = Part { rights: counting.share(&id, limit), spent: 0, reserved: 0 };
            let shares = counting.shares(&id, limit).into_iter().filter(|(actor, _)| *actor != self.me);
            let others = shares.map(|(actor, rights)| (actor, Part { rights, spent: 0, reserved: 0 }));
            return ViewedCounter { counter: id, own, others: List(others.take(MAX_ACTORS).collect()) };
        };
        // What lies free in the slice is open to any request: it is a right, and held by nobody.
        let rights = counter.rights().saturating_add(i128::from(free)).max(0);
        let own = Part {
            rights: u64::try_from(rights).unwrap_or(u64::MAX),
            spent: counter.own().spent,
            reserved: counter.reserved().saturating_sub(free),
        };
        let shares = counting.shares(&id, counter.limit());
        let mut actors: BTreeSet<&Actor> = counter.others().keys().collect();
        actors.extend(shares.keys());
        actors.remove(&self.me);
        let part = |actor: &Actor| part_of(counter, actor, shares.get(actor).copied().unwrap_or(0));
        let others = actors.into_iter().take(MAX_ACTORS).map(|actor| (actor.clone(), part(actor))).collect();
        ViewedCounter { counter: id, own, others: List(others) }
    }
}

/// Puts together what nodes said: of itself each actor is believed, of one that said nothing whoever knows most.
pub(super) fn together(slots: &Slots, now: i64, answers: &[Viewed]) -> Vec<CounterView> {
    let mut told: BTreeMap<CounterId, BTreeMap<&Actor, (bool, Part)>> = BTreeMap::new();
    for answer in answers {
        for viewed in &answer.counters.0 {
            let parts = told.entry(viewed.counter).or_default();
            parts.insert(&answer.actor, (true, viewed.own));
            for (actor, part) in &viewed.others.0 {
                let known = parts.entry(actor).or_insert((false, *part));
                let is_later = (part.spent, Reverse(part.rights)) > (known.1.spent, Reverse(known.1.rights));
                if !known.0 && is_later {
                    known.1 = *part;
                }
            }
        }
    }
    let mut views = Vec::new();
    for slot in slots.all() {
        let allowance = slot.allowance();
        let id = allowance.counter(now);
        let mut view = CounterView {
            allowance,
            window_start: id.window_start,
            window_end: allowance.window.span(now).end,
            spent: 0,
            reserved: 0,
            nodes: BTreeMap::new(),
        };
        for (actor, (_, part)) in told.get(&id).into_iter().flatten() {
            view.spent = view.spent.saturating_add(part.spent);
            view.reserved = view.reserved.saturating_add(part.reserved);
            let node = view.nodes.entry(actor.node.clone()).or_default();
            node.rights = node.rights.saturating_add(part.rights);
            node.spent = node.spent.saturating_add(part.spent);
            node.reserved = node.reserved.saturating_add(part.reserved);
        }
        views.push(view);
    }
    views
}
