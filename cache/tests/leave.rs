#![allow(clippy::unwrap_used, reason = "for tests")]
//! A node that leaves gives what it holds to those who hold it from then on.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use peerway_cache::{CacheConfig, Entry, HandedOver};
use support::{Simulation, Way, entry, has, node_id};

const LONG: Duration = Duration::from_secs(60);

/// Three nodes with entries, of which `a` is leaving; with those that it held.
async fn leaving(entries: usize) -> (Arc<Simulation>, Vec<Entry>) {
    leaving_with(entries, |_| ()).await
}

async fn leaving_with(entries: usize, change: impl Fn(&mut CacheConfig)) -> (Arc<Simulation>, Vec<Entry>) {
    let simulation = Simulation::start_with(&["a", "b", "c"], |config| {
        config.near_ttl = Duration::ZERO;
        change(config);
    });
    let mut held = Vec::new();
    for number in 0..entries {
        let entry = entry(&simulation.cache(&node_id("b")), number, 100);
        simulation.cache(&node_id("b")).put(entry.clone()).await;
        if simulation.cache(&node_id("a")).get_local(&entry.id, &entry.namespace).is_some() {
            held.push(entry);
        }
    }
    simulation.change_ring(&["b", "c"]);
    assert!(held.len() > entries / 2);
    (simulation, held)
}

fn bytes(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.weight() as u64).sum()
}

#[tokio::test]
async fn after_a_leave_and_a_death_all_is_still_there() {
    let (simulation, held) = leaving(300).await;
    let given = simulation.cache(&node_id("a")).hand_over(u64::MAX, LONG).await;
    assert_eq!(given, HandedOver { entries: held.len() as u64, bytes: bytes(&held) });
    simulation.set(&node_id("a"), Way::Dead);
    for (dead, left) in [("b", "c"), ("c", "b")] {
        simulation.set(&node_id(dead), Way::Dead);
        for entry in &held {
            assert!(has(&simulation, &node_id(left), &entry.id, &entry.namespace).await, "at {left}");
        }
        simulation.set(&node_id(dead), Way::Up);
    }
}

#[tokio::test]
async fn within_its_bound_the_hottest_go_and_nothing_that_was_purged() {
    let (simulation, held) = leaving(300).await;
    let leaver = simulation.cache(&node_id("a"));
    let hot = &held[20..30];
    for _ in 0..5 {
        for entry in hot {
            leaver.get_local(&entry.id, &entry.namespace).unwrap();
        }
    }
    let given = leaver.hand_over(bytes(hot), LONG).await;
    assert_eq!(given, HandedOver { entries: 10, bytes: bytes(hot) });
    for entry in hot {
        for name in ["b", "c"] {
            assert!(simulation.cache(&node_id(name)).get_local(&entry.id, &entry.namespace).is_some());
        }
    }
    leaver.purge(peerway_cache::Purge::Scope(support::scope())).await.unwrap();
    let calls = simulation.calls.load(Ordering::SeqCst);
    assert_eq!(leaver.hand_over(u64::MAX, LONG).await, HandedOver::default());
    assert_eq!(simulation.calls.load(Ordering::SeqCst), calls, "nobody is given what would be refused");
}

#[tokio::test]
async fn nobody_waits_for_a_peer_that_is_silent() {
    // One entry alone would take longer than all are to.
    let (simulation, _) = leaving_with(300, |config| config.put_deadline = LONG).await;
    simulation.set(&node_id("b"), Way::Hung);
    simulation.set(&node_id("c"), Way::Hung);
    let leaver = simulation.cache(&node_id("a"));
    let leaving = leaver.hand_over(u64::MAX, Duration::from_millis(50));
    let given = tokio::time::timeout(LONG / 2, leaving).await.unwrap();
    assert_eq!(given, HandedOver::default());
}

#[tokio::test]
async fn what_it_is_still_to_hold_it_keeps() {
    let (simulation, _) = leaving(50).await;
    simulation.change_ring(&["a", "b", "c"]);
    let only_others = simulation.cache(&node_id("a")).hand_over(u64::MAX, LONG).await;
    assert_eq!(only_others, HandedOver::default());
}
