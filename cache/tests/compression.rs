#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]
//! Large answers on several nodes: little of them is kept and sent, and all of them is served.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::future::Either;
use peerway_cache::{Alone, Boarding, CacheConfig, Ending, Entry, Next, Origin, Recorded, RingCache, Stored};
use support::{KEY, Simulation, entry, node_id};

fn prose(words: usize) -> Recorded {
    let body: String = (0..words).map(|number| format!("word {} of the answer, ", number % 100)).collect();
    Recorded::Plain { body: body.into() }
}

fn opened(entry: &Arc<Entry>) -> Recorded {
    entry.opened().unwrap().content.recorded.clone()
}

/// An entry of about 100 KiB, and its nodes: owner, replica, other.
fn three() -> (Arc<Simulation>, Entry, [peerway_cluster::identity::NodeId; 3]) {
    let simulation = Simulation::start(&["a", "b", "c"]);
    let mut entry = entry(&simulation.cache(&node_id("a")), 1, 1);
    entry.content.recorded = prose(4_500);
    let (owner, replica, other) = simulation.roles(&entry.id);
    (simulation, entry, [owner, replica, other])
}

#[tokio::test]
async fn a_large_answer_takes_a_fraction_at_each_node_and_is_served_as_it_came() {
    let (simulation, entry, nodes) = three();
    let raw = entry.weight() as u64;
    for filler in 0..3 {
        let cache = simulation.cache(&nodes[filler]);
        assert_eq!(cache.put(entry.clone()).await, Stored::Acknowledged);
        for node in &nodes {
            let found = simulation.cache(node).get(&entry.id, &entry.namespace).await.unwrap();
            assert_eq!(opened(&found), entry.content.recorded);
            assert_eq!((found.id, found.namespace, found.created_ms), (entry.id, entry.namespace, entry.created_ms));
            let stats = simulation.cache(node).stats();
            assert_eq!(stats.entries + stats.near_entries, 1, "{stats:?}");
            assert!((stats.bytes + stats.near_bytes) * 4 < raw, "{stats:?} of {raw}");
        }
    }
    // Small enough now to travel with small ones: nobody asked in bulk.
    let puts = 2 + 1 + 1;
    assert!(simulation.calls.load(Ordering::SeqCst) <= puts + 2);
}

#[tokio::test]
async fn a_node_alone_compresses_too_and_is_done_at_once_with_what_is_small() {
    let cache = RingCache::new(CacheConfig::new(KEY), Arc::new(Alone::new(node_id("a"))));
    let mut entry = entry(&cache, 1, 100);
    let now = peerway_cache::Clock::system().now_ms();
    (entry.created_ms, entry.expires_ms) = (now, now + 3_600_000);
    assert!(matches!(cache.put(entry.clone()), Either::Left(_)));
    entry.content.recorded = prose(4_500);
    let raw = entry.weight() as u64;
    let compressed = cache.put(entry.clone());
    // It is there before.
    assert!(cache.get_local(&entry.id, &entry.namespace).is_some());
    assert_eq!(compressed.await, Stored::Acknowledged);
    assert!(cache.stats().bytes * 4 < raw, "{:?} of {raw}", cache.stats());
    assert_eq!(opened(&cache.get_local(&entry.id, &entry.namespace).unwrap()), entry.content.recorded);
}

#[tokio::test]
async fn who_follows_a_large_stream_goes_on_in_the_entry_where_it_was() {
    let (simulation, mut entry, nodes) = three();
    let lead = match simulation.cache(&nodes[2]).board(&entry.id, &entry.namespace).await {
        Boarding::Lead(lead) => lead,
        other => panic!("{other:?}"),
    };
    let mut recorder = lead.recorder(Origin { provider: "simulated".to_owned(), model: "echo".to_owned() });
    let mut followers = Vec::new();
    for node in &nodes {
        match simulation.cache(node).board(&entry.id, &entry.namespace).await {
            Boarding::Follow(follower) => followers.push((follower, Vec::new())),
            other => panic!("{other:?}"),
        }
    }
    let event = |number: usize| format!("data: {{\"delta\":\"{number}\"}}\n\n");
    recorder.push(1, event(0).as_bytes());
    for (follower, seen) in &mut followers {
        let Next::Events(events) = follower.next().await else { panic!("no events") };
        seen.extend(events.into_iter().map(|event| event.bytes));
    }
    (1..2_000).for_each(|number| recorder.push(1, event(number).as_bytes()));
    entry.content.recorded = recorder.finish().unwrap();
    assert_eq!(simulation.cache(&nodes[2]).put(entry.clone()).await, Stored::Acknowledged);
    let Recorded::Stream { events: whole } = &entry.content.recorded else { panic!("no stream") };
    for (mut follower, mut seen) in followers {
        loop {
            match follower.next().await {
                Next::Events(events) => seen.extend(events.into_iter().map(|event| event.bytes)),
                Next::Ended(Ending::Kept(kept)) => {
                    let Recorded::Stream { events } = &kept.content.recorded else { panic!("not as it came") };
                    seen.extend(events[follower.seen()..].iter().map(|event| event.bytes.clone()));
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, whole.iter().map(|event| event.bytes.clone()).collect::<Vec<Bytes>>());
    }
}
