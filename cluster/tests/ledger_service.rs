//! The promises of the ledger at work: three nodes over the real link share a limit to the last unit, anywhere; limits
//! change, nodes close in good order and leave for good.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod ledger_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ledger_support::{FOREVER, Node, allowance, dir, spent, three, unix};
use peerway_cluster::ledger::hot::Part;
use peerway_cluster::ledger::reservation::Denial;
use peerway_cluster::ledger::service::Parting;
use peerway_cluster::ledger::window::WindowKind;

#[test]
fn three_nodes_share_a_limit_to_the_last_unit() {
    let dir = dir();
    let nodes = three(dir.path());
    // Held to the end: what nobody holds is in no configuration any more, and no counter is told of it.
    let slots = nodes.each_ref().map(|node| node.slot(1_000, FOREVER));
    let granted = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        for (node, slot) in nodes.iter().zip(&slots) {
            let granted = Arc::clone(&granted);
            scope.spawn(move || {
                node.run(async {
                    let tasks = (0..8).map(|_| {
                        let (ledger, slot, granted) = (node.ledger.clone(), Arc::clone(slot), Arc::clone(&granted));
                        tokio::spawn(async move {
                            let mut denied = 0;
                            while denied < 8 {
                                match ledger.hold(&[Part { slot: &slot, amount: 1 }]).await {
                                    Ok(hold) => {
                                        tokio::task::yield_now().await;
                                        hold.settle(&[1]);
                                        granted.fetch_add(1, Ordering::Relaxed);
                                        denied = 0;
                                    }
                                    Err(_) => denied += 1,
                                }
                            }
                        })
                    });
                    for task in tasks.collect::<Vec<_>>() {
                        task.await.unwrap();
                    }
                });
            });
        }
    });
    // What was on its way when the last were denied can be had anywhere.
    let rest: u64 = nodes.iter().zip(&slots).map(|(node, slot)| node.spend_all(slot, 1)).sum();
    let first = granted.load(Ordering::Relaxed);
    assert_eq!(first + rest, 1_000, "{first} at first; {:#?}", nodes.each_ref().map(Node::counters));
    for (node, slot) in nodes.iter().zip(&slots) {
        node.until_counters("all say the same", |counters| {
            let [counter] = counters else { return false };
            (counter.spent, counter.reserved) == (1_000, 0) && counter.nodes.values().all(|part| part.rights == 0)
        });
        assert!(matches!(node.hold(slot, 1), Err(Denial::Exhausted { .. })));
    }
}

/// Several tiers at once: a request that one of them refuses leaves nothing behind in the others.
#[test]
fn all_tiers_are_held_or_none() {
    let dir = dir();
    let node = Node::alone("a", dir.path());
    let (team, key) = (node.slot(1_000, FOREVER), node.slot(100, WindowKind::Year));
    node.until("active", |status| status.is_active());
    let both = |amount| {
        let (team, key) = (Part { slot: &team, amount }, Part { slot: &key, amount });
        node.run(node.ledger.hold(&[team, key]))
    };
    let mut spent = 0;
    while let Ok(hold) = both(8) {
        hold.settle(&[8, 8]);
        spent += 8;
    }
    assert_eq!(spent, 96);
    assert!(matches!(both(5), Err(Denial::Exhausted { allowance, .. }) if allowance == key.allowance().id));
    both(4).unwrap().settle(&[4, 4]);
    node.until_counters("nothing is held", |counters| counters.iter().all(|c| (c.spent, c.reserved) == (100, 0)));
    assert_eq!(node.spend_all(&team, 9), 900, "nothing of the team's was lost");
}

#[test]
fn one_node_alone_can_have_all_of_it() {
    let dir = dir();
    let nodes = three(dir.path());
    let slots = nodes.each_ref().map(|node| node.slot(1_000, FOREVER));
    // In one piece, though each has but a third of it.
    let hold = nodes[1].hold(&slots[1], 1_000).unwrap();
    assert!(nodes[0].hold(&slots[0], 1).is_err());
    hold.settle(&[400]);
    let more = nodes[2].hold(&slots[2], 600).unwrap();
    assert!(matches!(nodes[0].hold(&slots[0], 1), Err(Denial::Exhausted { window_end: i64::MAX, .. })));
    more.release();
    assert_eq!(nodes[0].spend_all(&slots[0], 7), 595);
}

#[test]
fn who_closes_in_good_order_comes_back_exact() {
    let dir = dir();
    let node = Node::alone("a", dir.path());
    let slot = node.slot(1_000, WindowKind::Year);
    node.until("active", |status| status.is_active());
    for _ in 0..10 {
        node.hold(&slot, 20).unwrap().settle(&[3]);
    }
    assert_eq!(spent(&node), 30);
    node.run(node.ledger.close(Parting::Restart));
    assert!(node.hold(&slot, 1).is_err());
    drop(node);
    let node = Node::alone("a", dir.path());
    let slot = node.slot(1_000, WindowKind::Year);
    node.until("active", |status| status.is_active());
    assert_eq!(spent(&node), 30);
    assert_eq!(node.spend_all(&slot, 10), 970);
}

#[test]
fn a_limit_that_changes_holds_from_then_on() {
    let dir = dir();
    let node = Node::alone("a", dir.path());
    let slot = node.slot(100, FOREVER);
    node.until("active", |status| status.is_active());
    assert_eq!(node.spend_all(&slot, 10), 100);
    assert!(Arc::ptr_eq(&slot, &node.ledger.slot(allowance(150, FOREVER))));
    assert_eq!(node.spend_all(&slot, 10), 50);
    node.ledger.slot(allowance(20, FOREVER));
    assert!(node.hold(&slot, 1).is_err());
    // Raised again and used a little, so that some of it lies open: that is denied too once the limit is below.
    node.ledger.slot(allowance(10_000, FOREVER));
    while slot.slice(unix()).is_none_or(|slice| slice.amounts().free() == 0) {
        node.hold(&slot, 1).unwrap().settle(&[1]);
    }
    node.ledger.slot(allowance(20, FOREVER));
    assert!(node.hold(&slot, 1).is_err());
}

#[test]
fn who_leaves_for_good_leaves_its_rights() {
    let dir = dir();
    let [a, b, c] = three(dir.path());
    let slots = [&a, &b, &c].map(|node| node.slot(900, FOREVER));
    c.hold(&slots[2], 40).unwrap().settle(&[40]);
    c.run(c.ledger.close(Parting::ForGood));
    c.run(c.cluster.as_ref().unwrap().leave());
    for node in [&a, &b] {
        node.until("c left", |status| status.live.len() == 1);
    }
    let had = a.spend_all(&slots[0], 1) + b.spend_all(&slots[1], 1);
    assert_eq!(had, 860, "{:#?}", [&a, &b].map(|node| (node.counters(), node.ledger.status())));
}
