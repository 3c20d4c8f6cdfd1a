#![allow(clippy::unwrap_used, reason = "for tests")]
//! An entry that many ask for expires: the provider is asked once, not by all who come in that moment.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use peerway_cache::policy::expires_ms;
use peerway_cache::{Boarding, Ending, Entry, RingCache};
use support::{NOW, Simulation, entry};

const REQUESTS: usize = 10_000;
const TTL: Duration = Duration::from_secs(60);

/// What a request does; a call to the provider takes some turns of the runtime.
async fn ask(cache: RingCache, answer: Entry, calls: Arc<AtomicUsize>) {
    for _ in 0..8 {
        match cache.board(&answer.id, &answer.namespace).await {
            Boarding::Hit(_) | Boarding::Behind(_) => return,
            Boarding::Follow(mut follower) => {
                if let Ending::Kept(_) = follower.ending().await {
                    return;
                }
            }
            Boarding::Lead(_lead) => {
                calls.fetch_add(1, Ordering::SeqCst);
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                cache.put(answer).await;
                return;
            }
            Boarding::Alone => break,
        }
    }
    calls.fetch_add(1, Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_requests_at_the_edge_of_a_life_are_at_most_three_calls() {
    let simulation = Simulation::start(&["a", "b", "c"]);
    let names = simulation.names();
    let first = entry(&simulation.cache(&names[0]), 1, 500);
    let end = expires_ms(&first.id, NOW, TTL);
    simulation.cache(&names[1]).put(Entry { expires_ms: end, ..first.clone() }).await;
    simulation.pass_time(Duration::from_millis(end - NOW - 1));

    let calls = Arc::new(AtomicUsize::new(0));
    let next = Entry { created_ms: end, expires_ms: expires_ms(&first.id, end, TTL), ..first };
    let mut requests = Vec::with_capacity(REQUESTS);
    for number in 0..REQUESTS {
        if number == REQUESTS / 2 {
            assert_eq!(calls.load(Ordering::SeqCst), 0, "it lives to its last millisecond");
            simulation.pass_time(Duration::from_millis(1));
        }
        requests.push(tokio::spawn(ask(simulation.cache(&names[number % 3]), next.clone(), calls.clone())));
    }
    for request in requests {
        tokio::time::timeout(Duration::from_secs(120), request).await.unwrap().unwrap();
    }
    let calls = calls.load(Ordering::SeqCst);
    assert!((1..=3).contains(&calls), "{calls} calls");
}
