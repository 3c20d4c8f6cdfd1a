#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests")]
//! A namespace that never hits is hardly asked for at the peers, and is asked for again as soon as it hits.

mod support;

use std::sync::Arc;
use std::time::Duration;

use peerway_cache::{Boarding, Entry, TenantScope};
use peerway_cluster::identity::NodeId;
use support::{Simulation, entry, node_id};

/// Questions without a hit before they become rare.
const PATIENCE: u64 = 4096;

fn three() -> Arc<Simulation> {
    // Young nodes ask one another for what they may have lost, which is bounded by itself.
    Simulation::start_with(&["a", "b", "c"], |config| config.look_back = Duration::ZERO)
}

/// Whether the look-up ended with an entry; a request that is to lead does nothing.
async fn hits(simulation: &Simulation, at: &NodeId, entry: &Entry) -> bool {
    match simulation.cache(at).board(&entry.id, &entry.namespace).await {
        Boarding::Hit(_) | Boarding::Behind(_) => true,
        Boarding::Lead(_) => false,
        other => panic!("{other:?}"),
    }
}

/// Has `at` ask for what nobody has until it does not ask any more.
async fn tire(simulation: &Simulation, at: &NodeId) {
    for number in 0..9_000 {
        assert!(!hits(simulation, at, &entry(&simulation.cache(at), number, 1)).await);
    }
    assert_eq!(simulation.cache(at).stats().remote_gets, PATIENCE);
}

/// Entries that others hold, so that `at` must ask for them.
async fn elsewhere(simulation: &Simulation, at: &NodeId, count: usize) -> Vec<Entry> {
    let others = simulation.names().into_iter().find(|name| name != at).unwrap();
    let entries = (100_000..).map(|number| entry(&simulation.cache(&others), number, 10));
    let entries: Vec<Entry> = entries.filter(|entry| simulation.roles(&entry.id).2 == *at).take(count).collect();
    for entry in &entries {
        let holder = simulation.roles(&entry.id).0;
        simulation.cache(&holder).put(entry.clone()).await;
    }
    entries
}

#[tokio::test]
async fn what_never_hits_costs_hardly_a_question() {
    let (simulation, asker) = (three(), node_id("a"));
    tire(&simulation, &asker).await;
    let stats = simulation.cache(&asker).stats();
    assert!(stats.unasked > 1_000, "{stats:?}");
    assert_eq!(stats.misses, 9_000, "each of them is a miss all the same");
    simulation.pass_time(Duration::from_secs(10));
    for number in 10_000..12_000 {
        hits(&simulation, &asker, &entry(&simulation.cache(&asker), number, 1)).await;
    }
    let more = simulation.cache(&asker).stats().remote_gets - PATIENCE;
    assert!((100..=200).contains(&more), "{more} questions in ten seconds");
}

#[tokio::test]
async fn what_begins_to_hit_is_asked_for_again() {
    let (simulation, asker) = (three(), node_id("a"));
    tire(&simulation, &asker).await;
    let entries = elsewhere(&simulation, &asker, 300).await;
    assert!(!hits(&simulation, &asker, &entries[0]).await, "nobody is asked");
    simulation.pass_time(Duration::from_secs(1));
    for entry in &entries {
        assert!(hits(&simulation, &asker, entry).await);
    }
}

#[tokio::test]
async fn a_hit_at_the_node_itself_counts_too() {
    let (simulation, asker) = (three(), node_id("a"));
    tire(&simulation, &asker).await;
    let entries = elsewhere(&simulation, &asker, 60).await;
    let own = support::owned_by(&simulation, &asker, 200_000);
    let own = entry(&simulation.cache(&asker), own, 10);
    simulation.cache(&asker).put(own.clone()).await;
    assert!(!hits(&simulation, &asker, &entries[0]).await);
    assert!(hits(&simulation, &asker, &own).await);
    for entry in &entries {
        assert!(hits(&simulation, &asker, entry).await);
    }
}

#[tokio::test]
async fn another_namespace_is_asked_for_as_ever() {
    let (simulation, asker) = (three(), node_id("a"));
    tire(&simulation, &asker).await;
    let cache = simulation.cache(&asker);
    for number in 0..200 {
        let body = format!(r#"{{"question":{number}}}"#);
        let (id, namespace) =
            cache.identify(&TenantScope::key("other"), "faq", "chat/completions", body.as_bytes()).unwrap();
        cache.get(&id, &namespace).await;
    }
    assert!(cache.stats().remote_gets > PATIENCE + 100);
}
