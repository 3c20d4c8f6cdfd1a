//! The ledger at work when things go wrong: nodes crash and come back from their journals with no less than they spent,
//! the rest goes on without them, a journal that was rolled back is noticed, and the dead are forgotten with a bound.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod ledger_support;

use std::path::Path;
use std::time::Duration;

use ledger_support::{FOREVER, Node, dir, image, micros, spent, three, unix};
use peerway_cluster::ledger::counting::WaitsFor;
use peerway_cluster::ledger::hot::{Part, try_hold};
use peerway_cluster::ledger::reservation::Denial;
use peerway_cluster::ledger::service::{Parting, set_aside};
use peerway_cluster::ledger::window::WindowKind;

#[test]
fn what_was_given_stays_given_when_its_giver_crashes() {
    let dir = dir();
    let [a, b, c] = three(dir.path());
    let slots = [&a, &b, &c].map(|node| node.slot(1_000, FOREVER));
    let all = b.hold(&slots[1], 1_000).unwrap();
    let crashed = dir.path().join("a-crashed");
    image(&a.data_dir, &crashed);
    drop(a);
    b.until("a is gone", |status| status.live.len() == 1);
    let a = Node::start("a", &crashed, &[b.address()]);
    let slot = a.slot(1_000, FOREVER);
    a.until("back among the others", |status| status.is_active() && status.live.len() == 2);
    assert_eq!(a.spend_all(&slot, 1), 0);
    all.settle(&[900]);
    assert_eq!(a.spend_all(&slot, 1), 100, "and what comes back can be had");
}

#[test]
fn the_rest_goes_on_without_one_and_it_comes_back_with_no_less() {
    let dir = dir();
    let [a, b, c] = three(dir.path());
    let slots = [&a, &b, &c].map(|node| node.slot(900, FOREVER));
    c.hold(&slots[2], 100).unwrap().settle(&[100]);
    let held = c.hold(&slots[2], 50).unwrap();
    // Both have c's row, so that they can tell of it when it is gone.
    for (node, slot) in [(&a, &slots[0]), (&b, &slots[1])] {
        node.until_known(slot, 100);
    }
    let crashed = dir.path().join("c-crashed");
    image(&c.data_dir, &crashed);
    drop(c);
    for node in [&a, &b] {
        node.until("c is gone, and its rights are locked", |status| {
            status.live.len() == 1 && status.locked.iter().any(|locked| locked.actor.node.as_str() == "c")
        });
    }
    // What is c's is out of reach, its third and what the others gave it ahead of need; all else can be had.
    let locked = a.ledger.status().locked.iter().map(|locked| locked.amount).sum::<u64>();
    let had = a.spend_all(&slots[0], 1) + b.spend_all(&slots[1], 1);
    assert_eq!(had + locked + 100, 900);
    assert_eq!((spent(&a), spent(&b)), (had + 100, had + 100), "a and b know of all that was spent");

    let c = Node::start("c", &crashed, &[a.address()]);
    let slot = c.slot(900, FOREVER);
    c.until("back among the others", |status| status.is_active() && status.live.len() == 2);
    // What it had been given and not written down it is told again; nothing of the limit is lost or made.
    c.until_counters("all rights are somewhere", |counters| {
        counters[0].nodes.values().map(|part| part.spent + part.rights + part.reserved).sum::<u64>() == 900
    });
    let after = c.counters()[0].nodes[&c.identity.node_id];
    assert!(after.spent >= 150, "what was spent and what was held is charged: {after:?}");
    assert!(!c.ledger.status().fenced);
    let rest = c.spend_all(&slot, 1) + a.spend_all(&slots[0], 1) + b.spend_all(&slots[1], 1);
    assert_eq!(had + after.spent + rest, 900);
    drop(held);
}

#[test]
fn a_crash_takes_at_least_what_was_spent_for_spent() {
    let dir = dir();
    let node = Node::alone("a", &dir.path().join("a"));
    let slot = node.slot(100_000, FOREVER);
    node.until("active", |status| status.is_active());
    let mut hot = 0;
    let mut total = 0;
    for round in 0..500 {
        let hold = match try_hold(&[Part { slot: &slot, amount: 10 }], unix()) {
            Some(hold) => {
                hot += 1;
                hold
            }
            None => node.hold(&slot, 10).unwrap(),
        };
        hold.settle(&[10]);
        total += 10;
        if round % 100 == 99 {
            let crashed = dir.path().join(format!("crash-{round}"));
            image(&node.data_dir, &crashed);
            let back = Node::alone("a", &crashed);
            let slot = back.slot(100_000, FOREVER);
            back.until("active", |status| status.is_active());
            let known = spent(&back);
            assert!(known >= total && known <= total + 100_000 / 8, "{known} for {total}");
            drop(slot);
        }
    }
    assert!(hot > 400, "only {hot} of 500 took the hot path");
}

#[test]
fn nothing_is_open_when_nothing_happens() {
    let dir = dir();
    let node = Node::alone("a", &dir.path().join("a"));
    let slot = node.slot(1_000_000, FOREVER);
    node.until("active", |status| status.is_active());
    node.hold(&slot, 100).unwrap().settle(&[60]);
    node.until_counters("all free again", |counters| {
        let part = counters[0].nodes.values().next().copied().unwrap_or_default();
        (part.spent, part.reserved, part.rights) == (60, 0, 999_940)
    });
    // The slot is empty when its slice is closed.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while slot.slice(unix()).is_some() {
        assert!(std::time::Instant::now() < deadline, "the slice stays open");
        std::thread::sleep(Duration::from_millis(50));
    }
    let crashed = dir.path().join("crashed");
    loop {
        image(&dir.path().join("a"), &crashed);
        let back = Node::alone("a", &crashed);
        let _slot = back.slot(1_000_000, FOREVER);
        back.until("active", |status| status.is_active());
        // What is open is closed when the counter has come to rest: seconds after its last use.
        if spent(&back) == 60 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "a crash at rest costs {}", spent(&back));
        drop(back);
        std::fs::remove_dir_all(&crashed).unwrap();
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn rolled_back(dir: &Path) -> ([Node; 2], Node) {
    let [a, b, c] = three(dir);
    let slots = [&a, &b, &c].map(|node| node.slot(900, FOREVER));
    c.hold(&slots[2], 1).unwrap().settle(&[1]);
    let copy = dir.join("c-copy");
    image(&c.data_dir, &copy);
    // Enough that it does not fit what was open in the copy.
    for _ in 0..4 {
        c.hold(&slots[2], 100).unwrap().settle(&[100]);
    }
    // Who keeps copies of its rows knows of it.
    a.until_known(&slots[0], 401);
    b.until_known(&slots[1], 401);
    drop(c);
    for node in [&a, &b] {
        node.until("c is gone", |status| status.live.len() == 1);
    }
    let c = Node::start("c", &copy, &[a.address()]);
    ([a, b], c)
}

#[test]
fn a_data_directory_that_was_rolled_back_is_noticed_and_begins_anew() {
    let dir = dir();
    let ([a, b], c) = rolled_back(dir.path());
    let slot = c.slot(900, FOREVER);
    c.until("fenced", |status| status.fenced);
    assert_eq!(c.hold(&slot, 1).unwrap_err(), Denial::Fenced);

    // As the node does: close, set aside, another incarnation, start.
    c.run(c.ledger.close(Parting::Restart));
    let set_aside = set_aside(&c.data_dir).unwrap().unwrap();
    assert!(set_aside.is_dir());
    let (data_dir, identity) = (c.data_dir.clone(), c.identity.clone());
    identity.renew(&data_dir, c.lock.as_ref().unwrap(), micros()).unwrap();
    c.run(c.cluster.as_ref().unwrap().leave());
    drop(c);
    let c = Node::start("c", &data_dir, &[a.address()]);
    assert_ne!(c.identity.incarnation, identity.incarnation);
    let slot = c.slot(900, FOREVER);
    c.until("among the others", |status| status.live.len() == 2 && !status.fenced);
    for node in [&a, &b] {
        node.until("the new one is there", |status| status.live.len() == 2);
    }
    // It has no share in a window that has begun, and lives on what the others give it.
    c.hold(&slot, 1).unwrap().settle(&[1]);
}

#[test]
fn a_dead_node_is_forgotten_with_its_bound() {
    let dir = dir();
    let [a, b, c] = three(dir.path());
    let _slots = [&a, &b, &c].map(|node| node.slot(900, WindowKind::M1));
    assert!(a.run(a.ledger.forget(&"c".parse().unwrap())).is_err(), "it is live");
    assert!(a.run(a.ledger.forget(&"x".parse().unwrap())).is_err(), "nobody knows it");
    drop(c);
    for node in [&a, &b] {
        node.until("c is gone", |status| status.live.len() == 1);
    }
    let forgotten = a.run(a.ledger.forget(&"c".parse().unwrap())).unwrap();
    assert_eq!(forgotten.bound.values().sum::<u64>(), 300);
    assert!(forgotten.actors[0].1 > unix());
}

#[test]
fn the_cliff_is_seen_before_it_comes() {
    let dir = dir();
    let [a, b, c] = three(dir.path());
    drop(c);
    a.until("c is gone", |status| status.live.len() == 1);
    // It must count c, which never said that it counts it.
    let d = Node::start("d", &dir.path().join("d"), &[a.address()]);
    let _slots = [&a, &b, &d].map(|node| node.slot(900, WindowKind::Month));
    d.until("it waits for c", |status| status.live.len() == 2 && matches!(status.waits_for, Some(WaitsFor::Words(_))));
    assert!(d.ledger.status().cliffs.is_empty(), "a and b have shares next month");
    drop(a);
    d.until("b has", |status| status.live.len() == 1 && status.cliffs.is_empty());
    drop(b);
    d.until("nobody has", |status| {
        status.live.is_empty() && status.cliffs.iter().any(|cliff| cliff.unless_forgotten.len() == 3)
    });
    let cliff = d.ledger.status().cliffs[0].clone();
    assert_eq!(cliff.from, WindowKind::Month.span(unix()).end);
    assert!(cliff.to_string().ends_with("unless a, b, c is back or forgotten"), "{cliff}");
}
