//! One cache over all nodes.
//!
//! An entry lies with its owner and its replica by the ring ([`put`]); every other node finds it there ([`get`]) and
//! keeps a copy for a short while. Whatever is wrong with a peer, a look-up is a miss and never an error.

mod behind;
mod board;
mod counters;
mod credit;
mod get;
mod insight;
mod latency;
mod leave;
mod mirror;
mod purge;
mod put;
mod service;
mod similar;
mod worth;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

pub use board::Boarding;
pub use counters::CacheStats;
pub use get::Place;
pub use insight::NamespaceUse;
pub use leave::HandedOver;
pub use purge::{Purge, PurgeError, PurgeReport};
pub use put::Stored;
pub use service::CacheService;
pub use similar::{Comparison, Heard, Measure, Question, Refused, SIMILARITY_BOUNDS, SemanticStats, Similar};

use crate::backend::Backend;
use crate::config::{CacheConfig, MAX_ENTRY};
use crate::entry::Entry;
use crate::flight::Flights;
use crate::generations::Generations;
use crate::identity::{EntryId, IdentityError, NamespaceId, TenantScope, entry_id};
use crate::peers::{Peers, Placement};
use crate::store::{HotEntry, NamespaceSize, Store};
use behind::Behind;
use counters::Counters;
use credit::Credit;
use latency::Percentile;
use similar::Semantic;
use worth::Worth;

/// Copies of what others own get this share of the memory.
const NEAR_SHARE: u64 = 8;
/// Entries that are brought back to their owner at once.
const MAX_REPAIRS: usize = 64;
/// Entries that are compressed at once.
const MAX_COMPRESSIONS: usize = 2;

/// The cache of the cluster at this node; clones are the same cache.
#[derive(Clone, Debug)]
pub struct RingCache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: CacheConfig,
    peers: Arc<dyn Peers>,
    store: Store,
    near: Store,
    behind: Option<Behind>,
    semantic: Option<Semantic>,
    flights: Arc<Flights>,
    generations: Generations,
    counters: Counters,
    p95: Percentile,
    credit: Credit,
    worth: Worth,
    repairs: Arc<Semaphore>,
    compressions: Arc<Semaphore>,
    started: Instant,
    ring: AtomicU64,
    /// Milliseconds after `started`.
    ring_changed: AtomicU64,
}

impl RingCache {
    /// An empty cache.
    pub fn new(config: CacheConfig, peers: Arc<dyn Peers>) -> RingCache {
        RingCache::with_backend(config, peers, None)
    }

    /// An empty cache with a backend behind it, which [`RingCache::keep_backend`] makes use of.
    pub fn with_backend(
        mut config: CacheConfig,
        peers: Arc<dyn Peers>,
        backend: Option<Arc<dyn Backend>>,
    ) -> RingCache {
        config.max_entry = config.max_entry.min(MAX_ENTRY);
        let near = config.max_memory / NEAR_SHARE;
        let mut vectors = 0;
        if let Some(semantic) = &mut config.semantic {
            semantic.max_bytes = semantic.max_bytes.min(config.max_memory / 2);
            vectors = if semantic.vectors.is_none() { semantic.max_bytes } else { 0 };
        }
        let semantic = config.semantic.clone();
        let inner = Inner {
            store: Store::new(config.max_memory - near - vectors, config.max_entry, None, config.clock.clone()),
            near: Store::new(near, config.max_entry, Some(config.near_ttl), config.clock.clone()),
            behind: backend.map(Behind::new),
            semantic: semantic.map(|semantic| Semantic::new(semantic, config.first_hedge, config.clock.clone())),
            flights: Arc::new(Flights::new(config.max_entry)),
            generations: Generations::default(),
            counters: Counters::default(),
            p95: Percentile::new(config.first_hedge, config.get_deadline / 2),
            credit: Credit::new(),
            worth: Worth::new(),
            repairs: Arc::new(Semaphore::new(MAX_REPAIRS)),
            compressions: Arc::new(Semaphore::new(MAX_COMPRESSIONS)),
            started: Instant::now(),
            ring: AtomicU64::new(0),
            ring_changed: AtomicU64::new(0),
            peers,
            config,
        };
        RingCache { inner: Arc::new(inner) }
    }

    /// The id of a request's answer and the namespace that it lies in.
    pub fn identify(
        &self,
        scope: &TenantScope,
        namespace: &str,
        operation: &str,
        body: &[u8],
    ) -> Result<(EntryId, NamespaceId), IdentityError> {
        let key = &self.inner.config.cluster_key;
        Ok((entry_id(key, scope, namespace, operation, body)?, NamespaceId::new(key, scope, namespace)))
    }

    /// What an entry is to be stamped with; take it before the request goes to its upstream.
    pub fn generation(&self, namespace: &NamespaceId) -> u64 {
        self.inner.generations.current(namespace)
    }

    /// The largest entry that is kept.
    pub fn max_entry(&self) -> usize {
        self.inner.config.max_entry
    }

    /// What happened so far, and what is there now.
    pub fn stats(&self) -> CacheStats {
        let (entries, bytes) = self.inner.store.size();
        let (near_entries, near_bytes) = self.inner.near.size();
        let hedge_after_us = self.inner.p95.get().as_micros() as u64;
        CacheStats { entries, bytes, near_entries, near_bytes, hedge_after_us, ..self.inner.counters.snapshot() }
    }

    /// The entries that this node read most, copies of what others own among them; at most so many, the most read first.
    /// A pass over all entries.
    pub fn hottest(&self, limit: usize) -> Vec<HotEntry> {
        let inner = &self.inner;
        let mut hottest = inner.store.hottest(limit, |entry| !inner.is_dead(entry));
        hottest.extend(inner.near.hottest(limit, |entry| !inner.is_dead(entry)));
        hottest.sort_unstable_by(|one, other| other.cmp(one));
        hottest.truncate(limit);
        hottest
    }

    /// What this node holds for the cluster (so without copies of what others own) by namespace; at most so many, those
    /// of the most bytes first. A pass over all entries.
    pub fn namespaces(&self, limit: usize) -> Vec<NamespaceSize> {
        self.inner.store.namespaces(limit, |entry| !self.inner.is_dead(entry))
    }

    /// Answers the peers' caches.
    pub fn service(&self) -> CacheService {
        CacheService::new(self.clone())
    }
}

impl Inner {
    /// What this node has, if the asker may have it. Checked at each reading, wherever the entry came from.
    fn held(&self, store: &Store, id: &EntryId, namespace: &NamespaceId) -> Option<Arc<Entry>> {
        let entry = store.get(id)?;
        if self.may_serve(&entry, id, namespace) {
            return Some(entry);
        }
        if self.is_dead(&entry) {
            store.remove(id);
        }
        None
    }

    fn may_serve(&self, entry: &Entry, id: &EntryId, namespace: &NamespaceId) -> bool {
        if entry.id != *id || entry.namespace != *namespace {
            self.counters.rejected.add();
            return false;
        }
        !self.is_dead(entry)
    }

    /// Expired or purged, and so of no use to anybody.
    fn is_dead(&self, entry: &Entry) -> bool {
        !entry.is_live(self.config.clock.now_ms()) || entry.generation < self.generations.current(&entry.namespace)
    }

    /// Keeps a copy: for the cluster if this node is to hold the entry, else for a while, as who asked once is likely to
    /// ask again.
    fn keep_copy(&self, placement: &Placement, entry: &Arc<Entry>) {
        self.store_for(placement).put(entry.clone());
    }

    fn store_for(&self, placement: &Placement) -> &Store {
        if placement.holds(self.peers.me()) { &self.store } else { &self.near }
    }

    fn may_keep(&self, entry: &Entry) -> bool {
        entry.weight() <= self.config.max_entry && !self.is_dead(entry)
    }

    /// Whether this node may be missing what it should hold, because it has not been there for long.
    fn young(&self) -> bool {
        self.started.elapsed() < self.config.look_back
    }

    fn notice_ring(&self, ring: u64) {
        if self.ring.load(Ordering::Relaxed) != ring && self.ring.swap(ring, Ordering::Relaxed) != ring {
            self.ring_changed.store(self.started.elapsed().as_millis() as u64, Ordering::Relaxed);
            self.credit.refill();
        }
    }

    fn ring_changed_lately(&self) -> bool {
        let changed = Duration::from_millis(self.ring_changed.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(changed) < self.config.look_back
    }
}
