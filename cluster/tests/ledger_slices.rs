//! Slices out of a ledger and back: what is out stays within the rights, nothing is counted twice, and a crash at any
//! moment takes at least what was spent for spent, at most what was open in addition.

#![allow(clippy::unwrap_used, reason = "tests")]

use peerway_cluster::actor::Actor;
use peerway_cluster::identity::Incarnation;
use peerway_cluster::ledger::allowance::{Allowance, AllowanceId, CounterId, Tier, Unit};
use peerway_cluster::ledger::event::{Action, Charge, Event, Now};
use peerway_cluster::ledger::hot::{Hold, Slice};
use peerway_cluster::ledger::ledger::{Ledger, LedgerConfig, Shares};
use peerway_cluster::ledger::record::Record;
use peerway_cluster::ledger::reservation::ReservationId;
use peerway_cluster::ledger::window::WindowKind;
use proptest::prelude::*;
use std::sync::Arc;

const NOW: Now = Now { unix: 1_795_253_467, mono_ms: 1_000 };

#[derive(Debug)]
struct All;

impl Shares for All {
    fn share(&self, _: &CounterId, limit: u64) -> u64 {
        limit
    }
}

fn me() -> Actor {
    Actor { node: "node-1".parse().unwrap(), incarnation: Incarnation(1) }
}

fn allowance(limit: u64) -> Allowance {
    let id = AllowanceId::of(Tier::Key, "k", Unit::NanoUsd, WindowKind::D1, 0);
    Allowance { id, unit: Unit::NanoUsd, limit, window: WindowKind::D1 }
}

/// A ledger with its journal and one slice, as the service drives them.
struct Node {
    ledger: Ledger<All>,
    journal: Vec<Record>,
    slice: Arc<Slice>,
    now: Now,
    numbers: u64,
}

impl Node {
    fn new(limit: u64) -> Node {
        let mut ledger = Ledger::new(me(), LedgerConfig::default(), All);
        ledger.step(NOW, Event::LimitChanged(allowance(limit)));
        let counter = allowance(limit).counter(NOW.unix);
        let slice = Arc::new(Slice::new(counter, i64::MAX));
        Node { ledger, journal: Vec::new(), slice, now: NOW, numbers: 0 }
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let actions = self.ledger.step(self.now, event);
        self.journal.extend(actions.iter().filter_map(|action| match action {
            Action::Persist { record, .. } => Some(record.clone()),
            _ => None,
        }));
        actions
    }

    fn open(&mut self, want: u64) {
        let counter = self.slice.counter();
        match self.tell(Event::Open { counter, want }).last() {
            Some(Action::Opened { amount, .. }) => self.slice.amounts().fill(*amount),
            other => panic!("{other:?}"),
        }
    }

    fn sweep(&mut self, recall: bool) {
        let unused = if recall { self.slice.amounts().recall() } else { 0 };
        let collected = self.slice.amounts().collect();
        let (counter, spent, above) = (self.slice.counter(), collected.spent, collected.above);
        self.tell(Event::Return { counter, spent, above, unused });
    }

    /// As a request does: from the slice, else by asking the ledger.
    fn hold(&mut self, amount: u64) -> Option<Hold> {
        if self.slice.amounts().take(amount) {
            return Some(Hold::granted(vec![(Arc::clone(&self.slice), amount)]));
        }
        self.sweep(true);
        self.numbers += 1;
        let id = ReservationId { generation: 1, number: self.numbers };
        let charges = vec![Charge { allowance: allowance(0).id, amount }];
        if !self.tell(Event::Reserve { id, charges }).contains(&Action::Granted(id)) {
            return None;
        }
        self.tell(Event::Drawn { id });
        Some(Hold::granted(vec![(Arc::clone(&self.slice), amount)]))
    }

    fn spent_after_crash(&self) -> u64 {
        let ledger = Ledger::recover(me(), LedgerConfig::default(), All, self.journal.clone());
        ledger.counters().get(&self.slice.counter()).map_or(0, |counter| counter.own().spent)
    }

    fn opened(&self) -> u64 {
        self.ledger.counters().get(&self.slice.counter()).map_or(0, |counter| counter.opened())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Request { amount: u64 },
    End { which: usize, percent: u64 },
    Open { want: u64 },
    Sweep { recall: bool },
    Pass { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1_u64..400).prop_map(|amount| Step::Request { amount }),
        4 => (any::<usize>(), 0_u64..=100).prop_map(|(which, percent)| Step::End { which, percent }),
        2 => (0_u64..3_000).prop_map(|want| Step::Open { want }),
        2 => any::<bool>().prop_map(|recall| Step::Sweep { recall }),
        1 => (1_u64..3_000).prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slices_stay_within_the_limit_and_a_crash_forgets_nothing(limit in 1_u64..8_000, steps in steps()) {
        let mut node = Node::new(limit);
        let mut held: Vec<(Hold, u64)> = Vec::new();
        let mut spent = 0;
        for step in steps {
            match step {
                Step::Request { amount } => {
                    let granted = node.hold(amount);
                    let under_way: u64 = held.iter().map(|(_, amount)| amount).sum();
                    // Alone and with everything recalled, what is left can be had, to the last unit, and no more.
                    prop_assert_eq!(granted.is_some(), spent + under_way + amount <= limit);
                    held.extend(granted.map(|hold| (hold, amount)));
                }
                Step::End { which, percent } if !held.is_empty() => {
                    let (hold, amount) = held.swap_remove(which % held.len());
                    let actual = amount * percent / 100;
                    hold.settle(&[actual]);
                    spent += actual;
                }
                Step::End { .. } => {}
                Step::Open { want } => node.open(want),
                Step::Sweep { recall } => node.sweep(recall),
                Step::Pass { ms } => {
                    node.now.mono_ms += ms;
                    node.tell(Event::Tick);
                }
            }
            let under_way: u64 = held.iter().map(|(_, amount)| amount).sum();
            let recovered = node.spent_after_crash();
            prop_assert!(recovered >= spent + under_way, "{recovered} of {spent} + {under_way}");
            prop_assert!(recovered <= node.opened().max(spent + under_way), "more than what was open is lost");
            prop_assert!(node.opened() <= limit);
        }
        for (hold, amount) in held {
            drop(hold);
            spent += amount;
        }
        node.sweep(true);
        let counter = &node.ledger.counters().get(&node.slice.counter());
        let (recorded, reserved) = counter.map_or((0, 0), |counter| (counter.own().spent, counter.reserved()));
        prop_assert_eq!((recorded, reserved), (spent, 0));
        node.tell(Event::Close);
        prop_assert_eq!(node.spent_after_crash(), spent, "what was closed in good order is exact");
    }
}

/// Costs above what was held for them are charged all the same, and the next request is refused.
#[test]
fn what_was_spent_above_its_hold_counts() {
    let mut node = Node::new(1_000);
    node.hold(900).unwrap().settle(&[1_200]);
    node.sweep(true);
    let counter = &node.ledger.counters()[&node.slice.counter()];
    assert_eq!((counter.own().spent, counter.available(), counter.opened()), (1_200, 0, 1_200));
    assert!(node.hold(1).is_none());
    assert_eq!(node.spent_after_crash(), 1_200);
}
