//! What every backend must do.

use std::sync::Arc;
use std::time::Duration;

use peerway_cache::backend::{Backend, PARTS};
use peerway_cache::{Alone, CacheConfig, Clock, EntryId, Purge, RingCache};

use crate::shelf::Shelf;
use crate::support::{KEY, NOW, entry, node_id};

/// So many entries lie in many parts.
const ENTRIES: usize = 60;
const LONG: Duration = Duration::from_secs(300);

#[tokio::test]
async fn a_shelf() {
    conforms(Arc::new(Shelf::default())).await;
}

/// A fresh node before the backend.
pub(crate) fn node(backend: Arc<dyn Backend>) -> RingCache {
    let config = CacheConfig {
        clock: Clock::new(|| NOW),
        // A loaded machine must not decide; that a deadline is kept, others test.
        backend_deadline: Duration::from_secs(5),
        ..CacheConfig::new(KEY)
    };
    let cache = RingCache::with_backend(config, Arc::new(Alone::new(node_id("a"))), Some(backend));
    tokio::spawn(cache.clone().keep_backend());
    cache
}

/// Until it holds; a test that waits for what never comes is ended here.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Until the backend does what it is asked for: it connects beside the requests.
pub(crate) async fn ready(backend: &dyn Backend) {
    let nobody = EntryId::from([1; 32]);
    until("the backend answers", async || backend.get(&nobody).await.is_ok()).await;
}

pub(crate) async fn conforms(backend: Arc<dyn Backend>) {
    ready(&*backend).await;
    keeps_entries(&*backend).await;
    keeps_purges(&*backend).await;
    serves_nodes(backend).await;
}

async fn keeps_entries(backend: &dyn Backend) {
    let names = RingCache::new(CacheConfig::new(KEY), Arc::new(Alone::new(node_id("names"))));
    for number in 0..ENTRIES {
        let entry = entry(&names, number, if number == 0 { 1_000_000 } else { 100 });
        assert!(backend.part(&entry.id) < PARTS);
        assert_eq!(backend.get(&entry.id).await.unwrap(), None);
        assert!(!backend.remove(&entry.id).await.unwrap());
        backend.put(&entry, LONG).await.unwrap();
        assert_eq!(backend.get(&entry.id).await.unwrap().as_ref(), Some(&entry));
    }
    let mut entry = entry(&names, 1, 200);
    backend.put(&entry, LONG).await.unwrap();
    assert_eq!(backend.get(&entry.id).await.unwrap().as_ref(), Some(&entry), "the later one");
    entry.created_ms += 1;
    assert!(backend.remove(&entry.id).await.unwrap());
    assert_eq!(backend.get(&entry.id).await.unwrap(), None);
}

async fn keeps_purges(backend: &dyn Backend) {
    assert!(backend.purges().await.unwrap().is_empty());
    for (node, text) in [("a.0", "one"), ("b.0", "two"), ("a.0", "three")] {
        backend.put_purges(node, text).await.unwrap();
    }
    let mut purges = backend.purges().await.unwrap();
    purges.sort();
    assert_eq!(purges, ["three", "two"]);
    // What follows is not to be purged by what this made up.
    for node in ["a.0", "b.0"] {
        backend.put_purges(node, "").await.unwrap();
    }
}

async fn serves_nodes(backend: Arc<dyn Backend>) {
    let before = node(backend.clone());
    let kept = entry(&before, 1_000, 100);
    until("a node gives it an entry", async || {
        before.put(kept.clone()).await;
        backend.get(&kept.id).await.unwrap().is_some()
    })
    .await;
    let after = node(backend.clone());
    until("another node has it from there", async || after.get(&kept.id, &kept.namespace).await.is_some()).await;
    assert_eq!(after.stats().hits_backend, 1);

    let told = backend.purges().await.unwrap();
    before.purge(Purge::All).await.unwrap();
    until("the backend knows of the purge", async || backend.purges().await.unwrap() != told).await;
    assert!(backend.get(&kept.id).await.unwrap().is_some(), "it has the entry still");
    let late = node(backend.clone());
    let other = entry(&before, 1_001, 100);
    backend.put(&other, LONG).await.unwrap();
    until("a node asks there", async || late.get(&other.id, &other.namespace).await.is_some()).await;
    assert!(late.get(&kept.id, &kept.namespace).await.is_none(), "a node that never heard of the purge");
}
