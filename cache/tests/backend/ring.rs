//! A store behind the ring, as the ring uses it: what only it has is found, what was purged is not, and without it all goes
//! on.

use std::sync::Arc;
use std::time::Duration;

use peerway_cache::{Alone, Boarding, CacheConfig, Clock, Purge, RingCache};

use crate::shelf::{Shelf, Way};
use crate::support::{self, KEY, NOW, entry, node_id};

/// A fresh node before the backend; its keeper has had time to do what it can.
async fn node(shelf: &Arc<Shelf>) -> RingCache {
    let config = CacheConfig { clock: Clock::new(|| NOW), ..CacheConfig::new(KEY) };
    let cache = RingCache::with_backend(config, Arc::new(Alone::new(node_id("a"))), Some(shelf.clone()));
    tokio::spawn(cache.clone().keep_backend());
    keep().await;
    cache
}

/// The clock is the test's: passes on by itself when nothing else is to be done.
async fn keep() {
    tokio::time::sleep(Duration::from_secs(3)).await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_outlives_the_nodes() {
    let shelf = Arc::new(Shelf::default());
    let before = node(&shelf).await;
    let entry = entry(&before, 1, 100);
    before.put(entry.clone()).await;
    let after = node(&shelf).await;
    assert!(after.get_local(&entry.id, &entry.namespace).is_none());
    assert!(matches!(after.board(&entry.id, &entry.namespace).await, Boarding::Behind(hit) if *hit == entry));
    assert!(after.get_local(&entry.id, &entry.namespace).is_some(), "the node has it again");
    assert_eq!(after.stats().hits_backend, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_purged_stays_away_from_nodes_that_never_heard_of_it() {
    let shelf = Arc::new(Shelf::default());
    let before = node(&shelf).await;
    let entry = entry(&before, 1, 100);
    before.put(entry.clone()).await;
    before.purge(Purge::All).await.unwrap();
    keep().await;
    assert!(node(&shelf).await.get(&entry.id, &entry.namespace).await.is_none());

    // Purged while the backend was away: told as soon as it is back.
    let other = support::entry(&before, 2, 100);
    before.put(other.clone()).await;
    shelf.set(Way::Down);
    before.purge(Purge::Name("faq".to_owned())).await.unwrap();
    keep().await;
    shelf.set(Way::Up);
    keep().await;
    assert!(node(&shelf).await.get(&other.id, &other.namespace).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_purge_by_id_removes_the_entry_there_or_says_that_it_could_not() {
    let shelf = Arc::new(Shelf::default());
    let cache = node(&shelf).await;
    let entry = entry(&cache, 1, 100);
    cache.put(entry.clone()).await;
    shelf.set(Way::Down);
    let error = cache.purge(Purge::Id(entry.id)).await.unwrap_err().to_string();
    assert!(error.contains("backend did not answer"), "{error}");
    shelf.set(Way::Up);
    keep().await;
    cache.purge(Purge::Id(entry.id)).await.unwrap();
    assert!(shelf.entries.lock().unwrap().is_empty());
    assert!(cache.get(&entry.id, &entry.namespace).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_fails_or_hangs_costs_one_deadline_a_second_and_comes_back() {
    let shelf = Arc::new(Shelf::default());
    let cache = node(&shelf).await;
    let kept = entry(&cache, 0, 100);
    cache.put(kept.clone()).await;
    for way in [Way::Down, Way::Hung] {
        shelf.set(way);
        let began = tokio::time::Instant::now();
        for number in 1..100 {
            let entry = entry(&cache, number, 100);
            assert!(cache.get(&entry.id, &entry.namespace).await.is_none());
        }
        assert!(began.elapsed() <= Duration::from_millis(21), "{:?}", began.elapsed());
        assert!(cache.get(&kept.id, &kept.namespace).await.is_some(), "what the ring has is served");
        shelf.set(Way::Up);
        keep().await;
    }
    let fresh = node(&shelf).await;
    assert!(fresh.get(&kept.id, &kept.namespace).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_learn_of_purges_asks_for_no_entries() {
    let shelf = Arc::new(Shelf::default());
    let before = node(&shelf).await;
    let entry = entry(&before, 1, 100);
    before.put(entry.clone()).await;
    shelf.set(Way::Down);
    let after = node(&shelf).await;
    assert!(after.get(&entry.id, &entry.namespace).await.is_none());
    assert_eq!(after.stats().backend_failures, 0, "it was not asked");
    shelf.set(Way::Up);
    keep().await;
    assert!(after.get(&entry.id, &entry.namespace).await.is_some());
}
