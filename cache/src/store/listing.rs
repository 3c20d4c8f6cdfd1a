//! What a store holds, for people who look at it. A pass over all entries, made only when somebody asks; reads and
//! writes go on meanwhile.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::Ordering;

use super::Store;
use crate::entry::Entry;
use crate::identity::{EntryId, NamespaceId};

/// An entry, as a list of entries shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HotEntry {
    /// How often this node read it since it has it.
    pub hits: u64,
    /// The memory that it takes, in bytes.
    pub bytes: u64,
    /// When the answer was complete, unix milliseconds.
    pub created_ms: u64,
    /// From when on it is not served any more, unix milliseconds.
    pub expires_ms: u64,
    /// Which entry.
    pub id: EntryId,
    /// Whose.
    pub namespace: NamespaceId,
}

/// What a store holds of one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceSize {
    /// Which one, of which tenant.
    pub namespace: NamespaceId,
    /// How many entries.
    pub entries: u64,
    /// The memory that they take, in bytes.
    pub bytes: u64,
}

impl Store {
    /// The entries that were read most, of those for which `is_meant` holds; at most so many, the most read first.
    pub fn hottest(&self, limit: usize, is_meant: impl Fn(&Entry) -> bool) -> Vec<HotEntry> {
        // The least of those that are listed so far is on top.
        let mut hottest = BinaryHeap::new();
        for (_, held) in self.table.iter() {
            let entry = &held.read.entry;
            if limit == 0 || !is_meant(entry) {
                continue;
            }
            let hits = held.read.reads.load(Ordering::Relaxed);
            if hottest.len() == limit {
                if hottest.peek().is_some_and(|Reverse(least): &Reverse<HotEntry>| least.hits >= hits) {
                    continue;
                }
                hottest.pop();
            }
            hottest.push(Reverse(HotEntry {
                hits,
                bytes: held.weight,
                created_ms: entry.created_ms,
                expires_ms: entry.expires_ms,
                id: entry.id,
                namespace: entry.namespace,
            }));
        }
        hottest.into_sorted_vec().into_iter().map(|Reverse(entry)| entry).collect()
    }

    /// The namespaces of the entries for which `is_meant` holds; at most so many, those of the most bytes first.
    pub fn namespaces(&self, limit: usize, is_meant: impl Fn(&Entry) -> bool) -> Vec<NamespaceSize> {
        let mut sizes: HashMap<NamespaceId, (u64, u64)> = HashMap::new();
        for (_, held) in self.table.iter().filter(|(_, held)| is_meant(&held.read.entry)) {
            let (entries, bytes) = sizes.entry(held.read.entry.namespace).or_default();
            *entries += 1;
            *bytes += held.weight;
        }
        let size = |(namespace, (entries, bytes))| NamespaceSize { namespace, entries, bytes };
        let mut sizes: Vec<NamespaceSize> = sizes.into_iter().map(size).collect();
        sizes.sort_unstable_by_key(|size| (Reverse(size.bytes), Reverse(size.entries), size.namespace));
        sizes.truncate(limit);
        sizes
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::{LONG, entry, of_namespace, store};

    #[test]
    fn the_most_read_are_listed_first_and_no_more_than_asked_for() {
        let store = store(1_000_000, None);
        for number in 0..50 {
            store.put(entry(number, 488, LONG));
            for _ in 0..(number * 7 % 50) {
                store.get(&entry(number, 0, 0).id);
            }
        }
        let listed = store.hottest(10, |_| true);
        assert_eq!(listed.iter().map(|entry| entry.hits).collect::<Vec<_>>(), (40..50).rev().collect::<Vec<_>>());
        let first = entry(7, 488, LONG); // 7 * 7 % 50
        assert_eq!((listed[0].id, listed[0].bytes), (first.id, first.weight() as u64));
        assert_eq!((listed[0].created_ms, listed[0].expires_ms), (first.created_ms, first.expires_ms));
        assert_eq!(store.hottest(100, |_| true).len(), 50);
        assert_eq!(store.hottest(100, |entry| entry.id == first.id).len(), 1);
        assert!(store.hottest(0, |_| true).is_empty());
    }

    #[test]
    fn the_largest_namespaces_are_listed_first() {
        let store = store(1_000_000, None);
        for number in 0..10 {
            // The namespace 0 has 1 entry, 1 has 2, ...; the last one has the most, of fewer bytes than 1's.
            let namespace = (0..4).find(|n| number < (n + 1) * (n + 2) / 2).unwrap();
            let size = if namespace == 3 { 10 } else { 1_000 };
            store.put(of_namespace(number, size, namespace as u8));
        }
        let listed = store.namespaces(3, |_| true);
        let seen: Vec<_> = listed.iter().map(|size| (size.namespace.name[0], size.entries)).collect();
        assert_eq!(seen, [(2, 3), (1, 2), (3, 4)]);
        assert_eq!(listed[0].bytes, 3 * of_namespace(0, 1_000, 0).weight() as u64);
        assert_eq!(store.namespaces(100, |entry| entry.namespace.name[0] == 0).len(), 1);
    }
}
