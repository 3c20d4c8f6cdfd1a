//! What rows and ledgers promise, whatever numbers and orders they meet. The simulation of whole clusters stands beside
//! the ledger itself.

#![allow(clippy::unwrap_used, reason = "what the helpers make of constants cannot fail")]

use std::collections::BTreeMap;

use peerway_cluster::actor::Actor;
use peerway_cluster::identity::Incarnation;
use peerway_cluster::ledger::allowance::{Allowance, AllowanceId, CounterId, Tier, Unit};
use peerway_cluster::ledger::counter::Counter;
use peerway_cluster::ledger::event::{Action, Charge, Event, Message, Now, PlacedRow, RowsRole};
use peerway_cluster::ledger::ledger::{Ledger, LedgerConfig, Shares};
use peerway_cluster::ledger::record::Record;
use peerway_cluster::ledger::reservation::{Outcome, ReservationId};
use peerway_cluster::ledger::row::{MAX_VALUE, Row};
use peerway_cluster::ledger::window::WindowKind;
use proptest::prelude::*;

const NOW: Now = Now { unix: 1_795_219_200, mono_ms: 1_000 };

fn actor(number: u64) -> Actor {
    Actor { node: format!("node-{number}").parse().unwrap(), incarnation: Incarnation(1) }
}

fn rows() -> impl Strategy<Value = Row> {
    let given = prop::collection::btree_map((0_u64..5).prop_map(actor), 0_u64..1_000, 0..5);
    (prop_oneof![0_u64..1_000, 0..=MAX_VALUE], given).prop_map(|(spent, given)| Row { spent, given })
}

fn merged(mut a: Row, b: &Row) -> Row {
    a.merge(b);
    a
}

/// Gives of nothing say nothing: two rows that differ in them alone are the same.
fn plain(mut row: Row) -> Row {
    row.given.retain(|_, amount| *amount > 0);
    row
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merge_is_commutative(a in rows(), b in rows()) {
        prop_assert_eq!(plain(merged(a.clone(), &b)), plain(merged(b, &a)));
    }

    #[test]
    fn merge_is_associative(a in rows(), b in rows(), c in rows()) {
        prop_assert_eq!(plain(merged(merged(a.clone(), &b), &c)), plain(merged(a, &merged(b, &c))));
    }

    #[test]
    fn merge_is_idempotent(a in rows(), b in rows()) {
        prop_assert_eq!(merged(a.clone(), &a), a.clone());
        let once = merged(a, &b);
        let mut twice = once.clone();
        prop_assert!(!twice.merge(&b), "a row that is known already is no news");
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn merge_is_monotone(a in rows(), b in rows()) {
        let both = merged(a.clone(), &b);
        prop_assert!(both.covers(&a) && both.covers(&b));
        prop_assert!(both.check(&actor(9)).is_ok(), "sound rows make a sound row");
    }
}

/// Nodes 0 to n-1 hold even parts; the rest of the division is nobody's.
#[derive(Debug)]
struct Even(u64);

impl Shares for Even {
    fn share(&self, _: &CounterId, limit: u64) -> u64 {
        limit / self.0
    }
}

fn allowance(limit: u64) -> Allowance {
    let id = AllowanceId::of(Tier::Key, "k", Unit::NanoUsd, WindowKind::D1, 0);
    Allowance { id, unit: Unit::NanoUsd, limit, window: WindowKind::D1 }
}

fn id(number: u64) -> ReservationId {
    ReservationId { generation: 1, number }
}

fn started(number: u64, of: u64, limit: u64) -> Ledger<Even> {
    let mut ledger = Ledger::new(actor(number), LedgerConfig::default(), Even(of));
    ledger.step(NOW, Event::LimitChanged(allowance(limit)));
    for other in (0..of).filter(|other| *other != number) {
        ledger.step(NOW, Event::PeerSeen(actor(other)));
    }
    ledger
}

/// Three ledgers whose messages all arrive at once.
struct Trio {
    ledgers: Vec<Ledger<Even>>,
    granted: Vec<(u64, u64, u64)>,
}

impl Trio {
    fn tell(&mut self, at: u64, now: Now, event: Event) {
        let mut todo = vec![(at, event)];
        while let Some((at, event)) = todo.pop() {
            for action in self.ledgers[at as usize].step(now, event) {
                match action {
                    Action::Send { to, message } => {
                        let receiver = (0..3).find(|number| actor(*number) == to).unwrap();
                        todo.push((receiver, Event::Peer { from: actor(at), to, message }));
                    }
                    Action::Granted(id) => self.granted.push((at, id.number, 0)),
                    Action::Alarm(alarm) => panic!("{alarm:?}"),
                    Action::Persist { .. } | Action::Denied { .. } | Action::Opened { .. } => {}
                }
            }
        }
    }

    fn sum(&self) -> i128 {
        let counter = allowance(0).counter(NOW.unix);
        let held =
            |counter: &Counter| counter.rights() + i128::from(counter.reserved()) + i128::from(counter.own().spent);
        self.ledgers.iter().map(|ledger| ledger.counters().get(&counter).map_or(0, held)).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is reserved, moved, settled and given back: together it stays the limit.
    #[test]
    fn rights_are_conserved(
        limit in 3_u64..10_000,
        requests in prop::collection::vec((0_u64..3, 1_u64..5_000, 0_u64..200, any::<bool>()), 1..12),
    ) {
        let ledgers = (0..3).map(|number| started(number, 3, limit)).collect();
        let mut trio = Trio { ledgers, granted: Vec::new() };
        let mut now = NOW;
        for number in 0..3 {
            // Opens the counter everywhere, so that all shares are counted.
            let ask = Message::Ask {
                counter: allowance(limit).counter(NOW.unix),
                want: 0,
                seen: 0,
                urgency: peerway_cluster::ledger::event::Urgency::Waiting,
            };
            trio.tell(number, now, Event::Peer { from: actor((number + 1) % 3), to: actor(number), message: ask });
        }
        let whole = i128::from(limit / 3 * 3);
        prop_assert_eq!(trio.sum(), whole);
        for (number, (at, amount, percent, settles)) in requests.into_iter().enumerate() {
            let number = number as u64;
            let amount = amount % limit + 1;
            let charges = vec![Charge { allowance: allowance(limit).id, amount }];
            trio.tell(at, now, Event::Reserve { id: id(number), charges });
            prop_assert_eq!(trio.sum(), whole);
            if settles {
                let outcome = Outcome::Actual(vec![amount * percent.min(100) / 100]);
                trio.tell(at, now, Event::End { id: id(number), outcome });
            }
            now.mono_ms += 60;
            for at in 0..3 {
                trio.tell(at, now, Event::Tick);
            }
            prop_assert_eq!(trio.sum(), whole);
        }
        let counter = allowance(limit).counter(NOW.unix);
        let spent: u64 = trio.ledgers.iter().map(|ledger| ledger.counters()[&counter].own().spent).sum();
        prop_assert!(spent <= limit);
        prop_assert_eq!(trio.ledgers.iter().map(Ledger::outstanding).max() > Some(0), trio.ledgers.iter().any(|l| l.counters()[&counter].reserved() > 0));
    }

    /// However often and in whatever way a reservation is ended, the first end alone counts, and a restart charges
    /// what was under way.
    #[test]
    fn a_reservation_settles_exactly_once(
        amounts in prop::collection::vec(1_u64..1_000, 1..10),
        ends in prop::collection::vec((0_usize..10, 0_u64..1_000, 0_u8..3), 0..30),
    ) {
        let mut ledger = started(0, 1, 100_000);
        let counter = allowance(0).counter(NOW.unix);
        let mut journal: Vec<Record> = Vec::new();
        let mut tell = |ledger: &mut Ledger<Even>, event| {
            let actions = ledger.step(NOW, event);
            journal.extend(actions.iter().filter_map(|action| match action {
                Action::Persist { record, .. } => Some(record.clone()),
                _ => None,
            }));
            actions
        };
        for (number, amount) in amounts.iter().enumerate() {
            let charges = vec![Charge { allowance: allowance(0).id, amount: *amount }];
            let actions = tell(&mut ledger, Event::Reserve { id: id(number as u64), charges });
            prop_assert!(actions.contains(&Action::Granted(id(number as u64))));
        }
        let mut charged: BTreeMap<usize, u64> = BTreeMap::new();
        for (number, actual, how) in ends {
            let Some(amount) = amounts.get(number) else { continue };
            let actual = actual.min(*amount);
            let (outcome, cost) = match how {
                0 => (Outcome::Actual(vec![actual]), actual),
                1 => (Outcome::Released, 0),
                _ => (Outcome::Full, *amount),
            };
            charged.entry(number).or_insert(cost);
            tell(&mut ledger, Event::End { id: id(number as u64), outcome });
            let book = &ledger.counters()[&counter];
            prop_assert_eq!(book.own().spent, charged.values().sum::<u64>());
            let open: u64 = amounts.iter().enumerate().filter(|(n, _)| !charged.contains_key(n)).map(|(_, a)| a).sum();
            prop_assert_eq!(book.reserved(), open);
        }
        let before = ledger.counters()[&counter].clone();
        let mut again = Ledger::recover(actor(0), LedgerConfig::default(), Even(1), journal);
        let recovered = again.counters()[&counter].own().spent;
        prop_assert!(recovered >= before.own().spent + before.reserved());
        prop_assert_eq!(recovered, before.opened());
        let late = Event::End { id: id(0), outcome: Outcome::Full };
        again.step(NOW, late);
        prop_assert_eq!(again.counters()[&counter].own().spent, recovered, "an earlier life has charged it");
        let copy = Ledger::recover(actor(0), LedgerConfig::default(), Even(1), again.snapshot());
        prop_assert_eq!(copy.counters()[&counter].own(), again.counters()[&counter].own());
    }
}

fn alarms(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Alarm(_))).count()
}

fn told(ledger: &mut Ledger<Even>, from: u64, owner: u64, row: Row, role: RowsRole) -> usize {
    let counter = allowance(0).counter(NOW.unix);
    let message = Message::Rows { rows: vec![PlacedRow { counter, owner: actor(owner), row }], role };
    alarms(&ledger.step(NOW, Event::Peer { from: actor(from), to: actor(0), message }))
}

#[test]
fn a_bad_peer_is_contained() {
    let mut ledger = started(0, 3, 900);
    let counter = allowance(0).counter(NOW.unix);
    let spent = |spent| Row { spent, given: BTreeMap::new() };
    assert_eq!(told(&mut ledger, 1, 2, spent(900), RowsRole::Owner), 1, "a row of somebody else");
    assert_eq!(told(&mut ledger, 1, 2, spent(900), RowsRole::Replica), 0, "one who is there tells it itself");
    assert_eq!(told(&mut ledger, 1, 1, spent(u64::MAX), RowsRole::Owner), 1, "a number beyond the bound");
    let itself = Row { spent: 0, given: BTreeMap::from([(actor(1), 5)]) };
    assert_eq!(told(&mut ledger, 1, 1, itself, RowsRole::Owner), 1, "a gift to itself");
    assert!(ledger.counters().get(&counter).is_none_or(|counter| counter.known_spent() == 0), "nothing was merged");

    let gift = Row { spent: 0, given: BTreeMap::from([(actor(0), MAX_VALUE)]) };
    assert_eq!(told(&mut ledger, 1, 1, gift, RowsRole::Owner), 0);
    assert_eq!(ledger.counters()[&counter].available(), 900, "no gift lifts a node above the limit");
    assert_eq!(told(&mut ledger, 1, 7, spent(400), RowsRole::Replica), 0, "an actor that is gone");
    assert_eq!(ledger.counters()[&counter].available(), 500);
}

#[test]
fn windows_are_open_up_to_one_ahead_of_any_honest_clock() {
    let mut ledger = started(0, 3, 900);
    let day = 86_400;
    let today = allowance(0).counter(NOW.unix).window_start;
    for (start, opens) in [
        (today, true),
        (today + day, true),
        (today + 2 * day, false),
        (today + 1, false),
        (today - day, true),
        (i64::MIN, false),
        (i64::MAX, false),
    ] {
        let counter = CounterId { window_start: start, ..allowance(0).counter(NOW.unix) };
        let message = Message::Give { counter, total: 1, left: 0 };
        ledger.step(NOW, Event::Peer { from: actor(1), to: actor(0), message });
        assert_eq!(ledger.counters().contains_key(&counter), opens, "{start}");
    }
}

#[test]
fn a_journal_that_was_rolled_back_is_noticed() {
    let mut ledger = started(0, 3, 900);
    let charges = vec![Charge { allowance: allowance(0).id, amount: 10 }];
    ledger.step(NOW, Event::Reserve { id: id(0), charges: charges.clone() });
    ledger.step(NOW, Event::End { id: id(0), outcome: Outcome::Full });
    let row = |spent| Row { spent, given: BTreeMap::new() };
    assert_eq!(told(&mut ledger, 1, 0, row(10), RowsRole::Mirror), 0);
    assert!(!ledger.is_fenced());
    assert_eq!(told(&mut ledger, 1, 0, row(11), RowsRole::Mirror), 1);
    assert!(ledger.is_fenced());
    let denied = ledger.step(NOW, Event::Reserve { id: id(1), charges });
    assert!(matches!(denied[..], [Action::Denied { .. }]), "{denied:?}");
}

#[test]
fn what_is_meant_for_an_earlier_actor_of_the_node_is_ignored() {
    let mut ledger = started(0, 3, 900);
    let earlier = Actor { incarnation: Incarnation(0), ..actor(0) };
    let counter = allowance(0).counter(NOW.unix);
    let message = Message::Give { counter, total: 100, left: 0 };
    ledger.step(NOW, Event::Peer { from: actor(1), to: earlier, message });
    assert!(ledger.counters().is_empty());
}

#[test]
fn a_repeated_ask_is_given_once() {
    let mut ledger = started(0, 3, 900);
    let counter = allowance(0).counter(NOW.unix);
    let ask = Message::Ask { counter, want: 100, seen: 0, urgency: peerway_cluster::ledger::event::Urgency::Waiting };
    for _ in 0..3 {
        let actions = ledger.step(NOW, Event::Peer { from: actor(1), to: actor(0), message: ask.clone() });
        let given = Message::Give { counter, total: 100, left: 200 };
        assert_eq!(actions.last(), Some(&Action::Send { to: actor(1), message: given }));
    }
    assert_eq!(ledger.counters()[&counter].available(), 200);
}

#[test]
fn a_gift_is_on_disk_before_it_leaves() {
    let mut ledger = started(0, 3, 900);
    let counter = allowance(0).counter(NOW.unix);
    let ask = Message::Ask { counter, want: 100, seen: 0, urgency: peerway_cluster::ledger::event::Urgency::Waiting };
    let actions = ledger.step(NOW, Event::Peer { from: actor(1), to: actor(0), message: ask });
    assert!(
        matches!(&actions[..], [Action::Persist { record: Record::Given { .. }, .. }, Action::Send { .. }]),
        "{actions:?}"
    );
}

#[test]
fn windows_that_were_forgotten_never_begin_anew() {
    let mut ledger = started(0, 1, 900);
    let charges = vec![Charge { allowance: allowance(0).id, amount: 900 }];
    ledger.step(NOW, Event::Reserve { id: id(0), charges: charges.clone() });
    ledger.step(NOW, Event::End { id: id(0), outcome: Outcome::Full });
    let later = Now { unix: NOW.unix + 2 * 86_400, mono_ms: 2 * 86_400_000 };
    ledger.step(later, Event::Tick);
    assert!(ledger.counters().is_empty());
    let again = ledger.step(NOW, Event::Reserve { id: id(1), charges });
    assert!(matches!(again[..], [Action::Denied { .. }]), "the clock stepped back: {again:?}");
}
