//! Entries in memory, bounded by bytes and by time.

mod listing;

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

pub use listing::{HotEntry, NamespaceSize};

use crate::clock::Clock;
use crate::entry::Entry;
use crate::identity::EntryId;

/// After how much of the capacity in new entries the bound is enforced, as a divisor of the capacity.
const SETTLE_SHARE: u64 = 32;

/// A bounded table of entries. The least recently used goes first: an admission filter would do better under scans,
/// but would also refuse a new entry for which a user waits to see a hit.
pub struct Store {
    table: Cache<EntryId, Held, BuildHasherDefault<IdHasher>>,
    capacity: u64,
    /// Bytes put since the table last enforced its bound. It does so by itself after 64 writes only, which with large
    /// entries is far too late.
    unsettled: AtomicU64,
}

/// An entry, and how often it was read here.
#[derive(Clone, Debug)]
struct Held {
    entry: Arc<Entry>,
    reads: Arc<AtomicU64>,
}

impl Store {
    /// A store of `capacity` bytes that keeps an entry to its expiry, and at most `longest`.
    pub fn new(capacity: u64, longest: Option<Duration>, clock: Clock) -> Store {
        let table = Cache::builder()
            .max_capacity(capacity)
            .weigher(|_, held: &Held| u32::try_from(held.entry.weight()).unwrap_or(u32::MAX))
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Lifetime { longest, clock })
            .build_with_hasher(BuildHasherDefault::default());
        Store { table, capacity, unsettled: AtomicU64::new(0) }
    }

    /// The entry, unchecked.
    pub fn get(&self, id: &EntryId) -> Option<Arc<Entry>> {
        let held = self.table.get(id)?;
        held.reads.fetch_add(1, Ordering::Relaxed);
        Some(held.entry)
    }

    /// Keeps the entry, if need be in place of others.
    pub fn put(&self, entry: Arc<Entry>) {
        let weight = entry.weight() as u64;
        self.table.insert(entry.id, Held { entry, reads: Arc::default() });
        let unsettled = self.unsettled.fetch_add(weight, Ordering::Relaxed) + weight;
        if unsettled > self.capacity / SETTLE_SHARE {
            self.unsettled.store(0, Ordering::Relaxed);
            self.table.run_pending_tasks();
        }
    }

    /// Drops the entry; tells whether there was one.
    pub fn remove(&self, id: &EntryId) -> bool {
        self.table.remove(id).is_some()
    }

    /// Drops all.
    pub fn clear(&self) {
        self.table.invalidate_all();
        self.table.run_pending_tasks();
    }

    /// The entries that were read most, at most so many bytes of them.
    pub fn most_read(&self, most_bytes: u64) -> Vec<Arc<Entry>> {
        let mut all: Vec<(u64, Arc<Entry>)> =
            self.table.iter().map(|(_, held)| (held.reads.load(Ordering::Relaxed), held.entry)).collect();
        all.sort_unstable_by_key(|(reads, _)| std::cmp::Reverse(*reads));
        let mut left = most_bytes;
        let fits = |entry: &Arc<Entry>| {
            let weight = entry.weight() as u64;
            let fits = weight <= left;
            left -= if fits { weight } else { 0 };
            fits
        };
        all.into_iter().map(|(_, entry)| entry).filter(fits).collect()
    }

    /// How many entries of how many bytes there are.
    pub fn size(&self) -> (u64, u64) {
        self.table.run_pending_tasks();
        (self.table.entry_count(), self.table.weighted_size())
    }
}

/// An entry's id is a keyed hash: it needs no other.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, part: u64) {
        self.0 = part;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

struct Lifetime {
    longest: Option<Duration>,
    clock: Clock,
}

impl Lifetime {
    fn of(&self, entry: &Entry) -> Option<Duration> {
        let left = entry.time_left(self.clock.now_ms());
        Some(self.longest.map_or(left, |longest| longest.min(left)))
    }
}

impl Expiry<EntryId, Held> for Lifetime {
    fn expire_after_create(&self, _: &EntryId, held: &Held, _: Instant) -> Option<Duration> {
        self.of(&held.entry)
    }

    // An entry put again has a time of its own; the default would keep the old one's.
    fn expire_after_update(&self, _: &EntryId, held: &Held, _: Instant, _: Option<Duration>) -> Option<Duration> {
        self.of(&held.entry)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::entry::{Content, Recorded};
    use crate::identity::NamespaceId;

    const NOW: u64 = 1_000_000;

    pub(super) fn entry(number: u64, size: usize, life_ms: u64) -> Arc<Entry> {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        Arc::new(Entry {
            id: id.into(),
            namespace: NamespaceId { scope: [0; 16], name: [0; 16] },
            generation: 0,
            created_ms: NOW,
            expires_ms: NOW + life_ms,
            content: Content {
                provider: String::new(),
                model: String::new(),
                usage: None,
                recorded: Recorded::Plain { body: Bytes::from(vec![0; size]) },
            },
        })
    }

    pub(super) fn of_namespace(number: u64, size: usize, name: u8) -> Arc<Entry> {
        let namespace = NamespaceId { scope: [0; 16], name: [name; 16] };
        Arc::new(Entry { namespace, ..Entry::clone(&entry(number, size, 60_000)) })
    }

    pub(super) fn store(capacity: u64, longest: Option<Duration>) -> Store {
        Store::new(capacity, longest, Clock::new(|| NOW))
    }

    #[test]
    fn the_byte_bound_holds_under_churn_without_waiting_for_anything() {
        let capacity = 8 * 1024 * 1024;
        let store = store(capacity, None);
        for number in 0..400 {
            store.put(entry(number, 1024 * 1024, 60_000));
            let held = (0..=number).filter(|number| store.table.contains_key(&entry(*number, 0, 0).id)).count();
            assert!(held as u64 * 1024 * 1024 <= capacity + capacity / 4, "{held} entries of 1 MiB at {number}");
        }
        for number in 0..50_000 {
            store.put(entry(number, 700, 60_000));
        }
        let (entries, bytes) = store.size();
        assert!(bytes <= capacity && bytes > capacity / 2, "{bytes}");
        assert!(entries > 1_000);
    }

    #[test]
    fn the_newest_is_always_kept() {
        let store = store(100_000, None);
        for number in 0..1_000 {
            store.put(entry(number, 5_000, 60_000));
            assert!(store.get(&entry(number, 0, 0).id).is_some(), "{number}");
        }
    }

    #[test]
    fn the_hottest_come_first_and_within_their_bound() {
        let store = store(1_000_000, None);
        for number in 0..50 {
            store.put(entry(number, 488, 60_000));
            for _ in 0..(number * 7 % 50) {
                store.get(&entry(number, 0, 0).id);
            }
        }
        let hottest = store.most_read(10_500);
        let reads = |entry: &Arc<Entry>| entry.id.as_bytes()[0] as u64 * 7 % 50;
        assert_eq!(hottest.iter().map(reads).collect::<Vec<_>>(), (40..50).rev().collect::<Vec<_>>());
        assert_eq!(store.most_read(u64::MAX).len(), 50);
    }

    #[test]
    fn an_entry_leaves_at_its_expiry_or_at_the_limit_and_a_new_one_has_its_own() {
        let store = store(100_000, Some(Duration::from_millis(40)));
        store.put(entry(1, 10, 0));
        assert!(store.get(&entry(1, 0, 0).id).is_none());
        store.put(entry(2, 10, 60_000));
        assert!(store.get(&entry(2, 0, 0).id).is_some());
        let started = Instant::now();
        while store.get(&entry(2, 0, 0).id).is_some() {
            assert!(started.elapsed() < Duration::from_secs(5), "still there");
            std::thread::yield_now();
        }
        store.put(entry(1, 10, 60_000));
        assert!(store.get(&entry(1, 0, 0).id).is_some());
        assert!(store.remove(&entry(1, 0, 0).id) && !store.remove(&entry(1, 0, 0).id));
        // The table sweeps what has expired within about a second.
        while store.size() != (0, 0) {
            assert!(started.elapsed() < Duration::from_secs(10), "still counted");
            std::thread::yield_now();
        }
    }
}
