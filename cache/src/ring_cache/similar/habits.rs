//! What this node remembers of namespaces and spaces when it asks: how often that still makes sense, and of whom.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::identity::{EntryId, NamespaceId};
use crate::ring_cache::worth::{Worth, first_eight};

/// Spaces whose split is remembered. One that is not is asked as if it were whole, and the answer tells.
const SPACES: usize = 1024;
/// Fixed tables of atomics: nothing here waits, and nothing grows.
#[derive(Debug)]
pub(super) struct Habits {
    /// Of requests, each with its look-up and its lesson.
    worth: Worth,
    spaces: Box<[AtomicU64]>,
}

impl Habits {
    pub(super) fn new() -> Habits {
        Habits { worth: Worth::new(), spaces: (0..SPACES).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether a namespace that may hardly ever hit is worth comparing another request.
    pub(super) fn take(&self, namespace: &NamespaceId, now_ms: u64) -> bool {
        self.worth.take(namespace, now_ms)
    }

    /// It was.
    pub(super) fn reward(&self, namespace: &NamespaceId) {
        self.worth.reward(namespace);
    }

    /// Into how many shards a space was said to be split.
    pub(super) fn shards(&self, place: &EntryId) -> u32 {
        let (slot, tag) = self.split(place);
        let known = slot.load(Ordering::Relaxed);
        if known & !0xff == tag { (known & 0xff) as u32 } else { 1 }
    }

    pub(super) fn set_shards(&self, place: &EntryId, shards: u32) {
        let (slot, tag) = self.split(place);
        let known = slot.load(Ordering::Relaxed);
        // Most spaces are whole, and need no slot to say so.
        if shards > 1 || known & !0xff == tag {
            slot.store(tag | u64::from(shards.min(0xff)), Ordering::Relaxed);
        }
    }

    fn split(&self, place: &EntryId) -> (&AtomicU64, u64) {
        let hash = first_eight(place.as_bytes());
        (&self.spaces[(hash % SPACES as u64) as usize], hash & !0xff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_remembered_until_the_space_is_whole_again() {
        let (habits, one) = (Habits::new(), EntryId::from([9; 32]));
        let mut bytes = [9; 32];
        bytes[0] = 8;
        let other = EntryId::from(bytes);
        habits.set_shards(&one, 8);
        assert_eq!((habits.shards(&one), habits.shards(&other)), (8, 1));
        habits.set_shards(&other, 1);
        assert_eq!(habits.shards(&one), 8, "a whole space takes no slot");
        habits.set_shards(&one, 1);
        assert_eq!(habits.shards(&one), 1);
    }
}
