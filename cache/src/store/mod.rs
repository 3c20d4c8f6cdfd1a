//! Entries in memory, bounded by bytes and by time.

mod listing;

use std::cmp::Reverse;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, DefaultLifecycle, EntryAction};
use quick_cache::{OptionsBuilder, Weighter};

pub use listing::{HotEntry, NamespaceSize};

use crate::clock::Clock;
use crate::entry::Entry;
use crate::identity::EntryId;

/// What entries that were read since they came may fill; the others have the rest to be read a first time in. Measured:
/// a smaller rest would lose those that are asked for in bursts, a larger one those that are asked for all the time.
const READ_SHARE: f64 = 0.8;
/// For so many bytes of capacity one id is remembered of those that were pushed out unread: come back, they are read ones.
const BYTES_PER_GHOST: u64 = 4096;
/// What remembering one takes, counted against the capacity.
const GHOST_BYTES: u64 = 128;
/// A part of the table, with a lock of its own, holds at least so many of the largest entries.
const PART_ENTRIES: u64 = 8;
const MAX_PARTS: u64 = 64;
/// What has expired is given back at least so often, ...
const SWEEP_EVERY_MS: u64 = 1_000;
/// ... but with many entries the pass over them is made after so long for each: about a thousandth of one core's time.
const SWEEP_US_PER_ENTRY: u64 = 20;

/// A bounded table of entries.
///
/// Who is asked for once pushes out others of that kind only, and who is asked for again finds what came a moment ago.
/// [`quick_cache`] does that by two queues and the ids of what it pushed out (as S3-FIFO does); time is ours: an entry
/// that expired is not served, and sweeps give back its memory.
pub struct Store {
    table: Cache<EntryId, Held, Bytes, BuildHasherDefault<IdHasher>>,
    capacity: u64,
    longest: Option<Duration>,
    clock: Clock,
    began: Instant,
    /// Milliseconds after `began`.
    next_sweep: AtomicU64,
}

/// An entry in the table.
#[derive(Clone, Debug)]
struct Held {
    read: Arc<Read>,
    weight: u64,
    /// Milliseconds after the store began.
    until: u64,
}

/// An entry, and how often it was read here.
#[derive(Debug)]
struct Read {
    entry: Arc<Entry>,
    reads: AtomicU64,
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<EntryId, Held> for Bytes {
    fn weight(&self, _: &EntryId, held: &Held) -> u64 {
        held.weight
    }
}

impl Store {
    /// A store of `capacity` bytes for entries of up to `largest`, that keeps an entry to its expiry, and at most
    /// `longest`.
    pub fn new(capacity: u64, largest: usize, longest: Option<Duration>, clock: Clock) -> Store {
        let ghosts = capacity / BYTES_PER_GHOST;
        let for_entries = capacity - ghosts * GHOST_BYTES;
        let parts = (for_entries / PART_ENTRIES / (largest as u64).max(1)).clamp(1, MAX_PARTS);
        let parts = 1 << parts.ilog2();
        let options = OptionsBuilder::new()
            .shards(parts)
            // The table takes this for the ids to remember; that each part has many, or there are fewer parts.
            .estimated_items_capacity(usize::try_from(ghosts).unwrap_or(usize::MAX))
            .ghost_allocation(1.0)
            .hot_allocation(READ_SHARE)
            // Rounded down: the parts round up.
            .weight_capacity(for_entries / parts as u64 * parts as u64)
            .build();
        let table = match options {
            Ok(options) => {
                Cache::with_options(options, Bytes, BuildHasherDefault::default(), DefaultLifecycle::default())
            }
            // Not with both capacities set.
            Err(_) => Cache::with(0, for_entries, Bytes, BuildHasherDefault::default(), DefaultLifecycle::default()),
        };
        Store { table, capacity, longest, clock, began: Instant::now(), next_sweep: AtomicU64::new(SWEEP_EVERY_MS) }
    }

    /// The entry, unchecked but for the time that it may be here.
    pub fn get(&self, id: &EntryId) -> Option<Arc<Entry>> {
        let held = self.table.get(id)?;
        if held.until <= self.now() {
            return None;
        }
        held.read.reads.fetch_add(1, Ordering::Relaxed);
        Some(held.read.entry.clone())
    }

    /// Keeps the entry, if need be in place of others.
    pub fn put(&self, entry: Arc<Entry>) {
        let now = self.now();
        self.sweep_if_due(now);
        let left = entry.time_left(self.clock.now_ms());
        let left = self.longest.map_or(left, |longest| longest.min(left));
        let (id, weight) = (entry.id, entry.weight() as u64);
        let until = now.saturating_add(left.as_millis() as u64);
        self.table.insert(id, Held { read: Arc::new(Read { entry, reads: AtomicU64::new(0) }), weight, until });
    }

    /// Keeps `other`, which is the same entry in another form, in place of this one, if this one is still here.
    pub fn swap(&self, entry: &Arc<Entry>, other: &Arc<Entry>) {
        if self.table.peek(&entry.id).is_none_or(|held| !Arc::ptr_eq(&held.read.entry, entry)) {
            return;
        }
        // Within the table's lock: purged or put anew meanwhile, it must not come back.
        let _ = self.table.entry(&entry.id, Some(Duration::ZERO), |_, held| {
            if Arc::ptr_eq(&held.read.entry, entry) {
                let reads = AtomicU64::new(held.read.reads.load(Ordering::Relaxed));
                held.read = Arc::new(Read { entry: other.clone(), reads });
                held.weight = other.weight() as u64;
            }
            EntryAction::Retain(())
        });
    }

    /// Drops the entry; tells whether there was one.
    pub fn remove(&self, id: &EntryId) -> bool {
        self.table.remove(id).is_some()
    }

    /// Drops all.
    pub fn clear(&self) {
        self.table.clear();
    }

    /// The entries that were read most, at most so many bytes of them.
    pub fn most_read(&self, most_bytes: u64) -> Vec<Arc<Entry>> {
        let mut all: Vec<(u64, Held)> =
            self.table.iter().map(|(_, held)| (held.read.reads.load(Ordering::Relaxed), held)).collect();
        all.sort_unstable_by_key(|(reads, _)| Reverse(*reads));
        let mut left = most_bytes;
        let fits = |held: &Held| {
            let fits = held.weight <= left;
            left -= if fits { held.weight } else { 0 };
            fits
        };
        all.into_iter().map(|(_, held)| held).filter(fits).map(|held| held.read.entry.clone()).collect()
    }

    /// How many entries of how many bytes there are.
    pub fn size(&self) -> (u64, u64) {
        self.sweep_if_due(self.now());
        (self.table.len() as u64, self.table.weight())
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Gives back the memory of what has expired. Reads and writes of a part of the table wait while it is passed over.
    fn sweep_if_due(&self, now: u64) {
        let due = self.next_sweep.load(Ordering::Relaxed);
        if now < due {
            return;
        }
        let pause = (self.table.len() as u64 * SWEEP_US_PER_ENTRY / 1_000).max(SWEEP_EVERY_MS);
        // One of those who come here at once.
        if self.next_sweep.compare_exchange(due, now + pause, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.table.retain(|_, held| held.until > now);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Content, Recorded};
    use crate::identity::NamespaceId;

    const NOW: u64 = 1_000_000;
    /// No test takes as long, however slow the machine.
    pub(super) const LONG: u64 = 24 * 3_600_000;

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
                recorded: Recorded::Plain { body: vec![0; size].into() },
            },
        })
    }

    pub(super) fn of_namespace(number: u64, size: usize, name: u8) -> Arc<Entry> {
        let namespace = NamespaceId { scope: [0; 16], name: [name; 16] };
        Arc::new(Entry { namespace, ..Entry::clone(&entry(number, size, LONG)) })
    }

    pub(super) fn store(capacity: u64, longest: Option<Duration>) -> Store {
        Store::new(capacity, 1024 * 1024, longest, Clock::new(|| NOW))
    }

    #[test]
    fn the_byte_bound_holds_at_every_moment() {
        let capacity = 8 * 1024 * 1024;
        let store = store(capacity, None);
        for number in 0..400 {
            store.put(entry(number, 1024 * 1024, LONG));
            assert!(store.size().1 <= capacity, "{:?} at {number}", store.size());
        }
        for number in 0..50_000 {
            store.put(entry(number, 700, LONG));
            if number % 64 == 0 {
                assert!(store.size().1 <= capacity, "{:?} at {number}", store.size());
            }
        }
        let (entries, bytes) = store.size();
        assert!(bytes <= capacity && bytes > capacity * 9 / 10, "{bytes}");
        assert!(entries > 1_000);
        store.clear();
        assert_eq!(store.size(), (0, 0));
    }

    #[test]
    fn many_threads_keep_the_bound_and_read_what_they_put() {
        let capacity = 4 * 1024 * 1024;
        let store = store(capacity, None);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..3_000 {
                        let entry = entry(thread << 32 | number, 1_500, LONG);
                        store.put(entry.clone());
                        // Another's entry never comes by this id, whatever else happens.
                        assert!(store.get(&entry.id).is_none_or(|found| found.id == entry.id));
                        if number % 3 == 0 {
                            store.remove(&entry.id);
                        }
                        assert!(store.size().1 <= capacity);
                    }
                });
            }
        });
        assert_eq!(store.size().1, store.size().0 * entry(0, 1_500, 0).weight() as u64);
    }

    #[test]
    fn another_form_takes_the_place_of_its_entry_and_of_no_other() {
        let store = store(1_000_000, None);
        let (large, small) = (entry(1, 50_000, LONG), entry(1, 100, LONG));
        store.put(large.clone());
        store.get(&large.id);
        store.swap(&large, &small);
        assert_eq!(store.size(), (1, small.weight() as u64));
        assert_eq!((store.get(&large.id).unwrap(), store.hottest(1, |_| true)[0].hits), (small.clone(), 2));
        store.remove(&large.id);
        store.swap(&small, &large);
        assert_eq!((store.size(), store.get(&large.id)), ((0, 0), None));
        let another = entry(1, 200, LONG);
        store.put(another.clone());
        store.swap(&small, &large);
        assert_eq!(store.get(&large.id), Some(another));
    }

    #[test]
    fn the_newest_is_always_kept() {
        let store = store(100_000, None);
        for number in 0..1_000 {
            store.put(entry(number, 5_000, LONG));
            assert!(store.get(&entry(number, 0, 0).id).is_some(), "{number}");
        }
    }

    #[test]
    fn the_newest_is_kept_for_a_while_also_in_a_store_of_entries_that_all_are_asked_for() {
        let store = store(1_000_000, None);
        let weight = entry(0, 488, 0).weight() as u64;
        let hot = 2_000_000 / weight;
        for _ in 0..3 {
            for number in 0..hot {
                if store.get(&entry(number, 0, 0).id).is_none() {
                    store.put(entry(number, 488, LONG));
                    store.get(&entry(number, 0, 0).id);
                }
            }
        }
        // A tenth of the memory comes after it before it is asked for again.
        let apart = 100_000 / weight;
        for number in hot..hot * 3 {
            store.put(entry(number, 488, LONG));
            if number >= hot + apart {
                assert!(store.get(&entry(number - apart, 0, 0).id).is_some(), "{}", number - apart);
            }
        }
    }

    #[test]
    fn what_is_asked_for_often_outlives_a_scan_of_what_is_not() {
        let store = store(1_000_000, None);
        let is_kept = |number: u64| store.get(&entry(number, 0, 0).id).is_some();
        for _ in 0..5 {
            for number in 0..200 {
                if !is_kept(number) {
                    store.put(entry(number, 488, LONG));
                }
            }
        }
        for number in 1_000..50_000 {
            store.put(entry(number, 488, LONG));
        }
        assert_eq!((0..200).filter(|number| is_kept(*number)).count(), 200);
    }

    #[test]
    fn the_hottest_come_first_and_within_their_bound() {
        let store = store(1_000_000, None);
        for number in 0..50 {
            store.put(entry(number, 488, LONG));
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
        let store = store(100_000, Some(Duration::from_secs(2)));
        store.put(entry(1, 10, 0));
        assert!(store.get(&entry(1, 0, 0).id).is_none());
        store.put(entry(2, 10, LONG));
        assert!(store.get(&entry(2, 0, 0).id).is_some());
        let started = Instant::now();
        while store.get(&entry(2, 0, 0).id).is_some() {
            assert!(started.elapsed() < Duration::from_secs(60), "still there");
            std::thread::yield_now();
        }
        store.put(entry(1, 10, LONG));
        assert!(store.get(&entry(1, 0, 0).id).is_some());
        assert!(store.remove(&entry(1, 0, 0).id) && !store.remove(&entry(1, 0, 0).id));
        // What has expired is swept within about a second.
        while store.size() != (0, 0) {
            assert!(started.elapsed() < Duration::from_secs(60), "still counted");
            std::thread::yield_now();
        }
    }
}
