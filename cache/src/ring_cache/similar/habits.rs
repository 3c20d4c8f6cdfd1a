//! What this node remembers of namespaces and spaces when it asks: how often that still makes sense, and of whom.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use crate::identity::{EntryId, NamespaceId};

/// Namespaces that are told apart. Two that share a slot take it from each other, which refills it.
const NAMESPACES: usize = 8192;
/// Spaces whose split is remembered. One that is not is asked as if it were whole, and the answer tells.
const SPACES: usize = 1024;
/// Look-ups without a hit, and lessons, before they become rare.
const FULL: i32 = 4096;
/// What a hit earns: from one look-up in 64 on they never become rare.
const REWARD: i32 = 64;
/// One comes back in so many milliseconds: some 16 a second are always free.
const REFILL_MS: u64 = 64;

/// Fixed tables of atomics: nothing here waits, and nothing grows.
#[derive(Debug)]
pub(super) struct Habits {
    namespaces: Box<[Slot]>,
    spaces: Box<[AtomicU64]>,
}

#[derive(Debug, Default)]
struct Slot {
    whose: AtomicU32,
    credit: AtomicI32,
    /// In units of [`REFILL_MS`].
    refilled: AtomicU32,
}

impl Habits {
    pub(super) fn new() -> Habits {
        Habits {
            namespaces: (0..NAMESPACES).map(|_| Slot::default()).collect(),
            spaces: (0..SPACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Whether a namespace that may hardly ever hit is worth another look-up or another lesson.
    pub(super) fn take(&self, namespace: &NamespaceId, now_ms: u64) -> bool {
        let credit = &self.slot(namespace, now_ms).credit;
        credit.load(Ordering::Relaxed) > 0 && credit.fetch_sub(1, Ordering::Relaxed) > 0
    }

    /// It was.
    pub(super) fn reward(&self, namespace: &NamespaceId, now_ms: u64) {
        self.slot(namespace, now_ms).earn(REWARD);
    }

    fn slot(&self, namespace: &NamespaceId, now_ms: u64) -> &Slot {
        let hash = first_eight(&namespace.scope) ^ first_eight(&namespace.name).rotate_left(32);
        let slot = &self.namespaces[(hash % NAMESPACES as u64) as usize];
        // Zero is nobody's.
        let (whose, now) = ((hash >> 32) as u32 | 1, (now_ms / REFILL_MS) as u32);
        if slot.whose.load(Ordering::Relaxed) != whose {
            slot.whose.store(whose, Ordering::Relaxed);
            slot.credit.store(FULL, Ordering::Relaxed);
            slot.refilled.store(now, Ordering::Relaxed);
        }
        slot.refill(now);
        slot
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

impl Slot {
    fn refill(&self, now: u32) {
        let refilled = self.refilled.load(Ordering::Relaxed);
        let passed = now.wrapping_sub(refilled) as i32;
        if passed != 0 && self.refilled.compare_exchange(refilled, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            // A clock that steps back gives nothing.
            self.earn(passed.clamp(0, FULL));
        }
    }

    fn earn(&self, credit: i32) {
        self.credit.fetch_add(credit, Ordering::Relaxed);
        self.credit.fetch_min(FULL, Ordering::Relaxed);
    }
}

fn first_eight(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 28_050_835_422 * REFILL_MS;

    fn namespace(number: u8) -> NamespaceId {
        NamespaceId { scope: [number; 16], name: [7; 16] }
    }

    fn granted(habits: &Habits, namespace: &NamespaceId, asked: usize, now_ms: u64) -> usize {
        (0..asked).filter(|_| habits.take(namespace, now_ms)).count()
    }

    #[test]
    fn what_never_hits_becomes_rare_and_what_hits_does_not() {
        let habits = Habits::new();
        assert_eq!(granted(&habits, &namespace(1), 10_000, NOW), FULL as usize);
        assert_eq!(granted(&habits, &namespace(1), 10_000, NOW + 10_000), (10_000 / REFILL_MS) as usize);
        assert_eq!(granted(&habits, &namespace(1), 10_000, NOW), 0, "a clock that steps back gives nothing");
        let hits = (0..20_000).filter(|number| {
            let taken = habits.take(&namespace(2), NOW);
            if taken && number % 64 == 0 {
                habits.reward(&namespace(2), NOW);
            }
            taken
        });
        assert_eq!(hits.count(), 20_000);
    }

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
