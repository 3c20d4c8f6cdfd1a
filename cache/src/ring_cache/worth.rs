//! Whether it is worth asking others, by namespace: one that hardly ever hits is hardly asked for.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::identity::NamespaceId;

/// Namespaces that are told apart. Two that share a slot take it from each other, which refills it.
const NAMESPACES: usize = 8192;
/// Questions without a hit before they become rare.
pub(super) const FULL: i32 = 4096;
/// What a hit earns: from one look-up in 64 on they never become rare.
const REWARD: i32 = 64;
/// One comes back in so many milliseconds: some 16 a second are always free.
pub(super) const REFILL_MS: u64 = 64;

/// A fixed table of atomics: nothing here waits, and nothing grows.
#[derive(Debug)]
pub(super) struct Worth(Box<[Slot]>);

#[derive(Debug, Default)]
struct Slot {
    whose: AtomicU32,
    credit: AtomicI32,
    /// In units of [`REFILL_MS`].
    refilled: AtomicU32,
}

impl Worth {
    pub(super) fn new() -> Worth {
        Worth((0..NAMESPACES).map(|_| Slot::default()).collect())
    }

    /// Whether a namespace that may hardly ever hit is worth another question.
    pub(super) fn take(&self, namespace: &NamespaceId, now_ms: u64) -> bool {
        let (slot, whose) = self.slot(namespace);
        let now = (now_ms / REFILL_MS) as u32;
        if slot.whose.load(Ordering::Relaxed) != whose {
            slot.whose.store(whose, Ordering::Relaxed);
            slot.credit.store(FULL, Ordering::Relaxed);
            slot.refilled.store(now, Ordering::Relaxed);
        }
        slot.refill(now);
        slot.credit.load(Ordering::Relaxed) > 0 && slot.credit.fetch_sub(1, Ordering::Relaxed) > 0
    }

    /// It hits. Writes nothing where that is known, as every hit comes by here.
    pub(super) fn reward(&self, namespace: &NamespaceId) {
        let (slot, whose) = self.slot(namespace);
        if slot.whose.load(Ordering::Relaxed) == whose && slot.credit.load(Ordering::Relaxed) <= FULL - REWARD {
            slot.earn(REWARD);
        }
    }

    fn slot(&self, namespace: &NamespaceId) -> (&Slot, u32) {
        let hash = first_eight(&namespace.scope) ^ first_eight(&namespace.name).rotate_left(32);
        // Zero is nobody's.
        (&self.0[(hash % NAMESPACES as u64) as usize], (hash >> 32) as u32 | 1)
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

pub(super) fn first_eight(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 28_050_835_421 * REFILL_MS;

    fn namespace(number: u8) -> NamespaceId {
        NamespaceId { scope: [number; 16], name: [7; 16] }
    }

    fn granted(worth: &Worth, namespace: &NamespaceId, asked: usize, now_ms: u64) -> usize {
        (0..asked).filter(|_| worth.take(namespace, now_ms)).count()
    }

    #[test]
    fn what_never_hits_becomes_rare_and_what_hits_does_not() {
        let worth = Worth::new();
        assert_eq!(granted(&worth, &namespace(1), 10_000, NOW), FULL as usize);
        assert_eq!(granted(&worth, &namespace(1), 10_000, NOW + 10_000), (10_000 / REFILL_MS) as usize);
        assert_eq!(granted(&worth, &namespace(1), 10_000, NOW), 0, "a clock that steps back gives nothing");
        let hits = (0..20_000).filter(|number| {
            let taken = worth.take(&namespace(2), NOW);
            if taken && number % 64 == 0 {
                worth.reward(&namespace(2));
            }
            taken
        });
        assert_eq!(hits.count(), 20_000);
    }

    #[test]
    fn a_hit_counts_for_its_own_namespace_and_at_once() {
        let worth = Worth::new();
        granted(&worth, &namespace(1), 10_000, NOW);
        worth.reward(&namespace(2));
        assert_eq!(granted(&worth, &namespace(1), 10_000, NOW), 0);
        worth.reward(&namespace(1));
        assert_eq!(granted(&worth, &namespace(1), 10_000, NOW), REWARD as usize);
    }
}
