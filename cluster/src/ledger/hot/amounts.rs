//! The three numbers of a slice. What was filled in is always in one of them or in the hands of a request, and moves by
//! single atomic steps: no interleaving makes or loses a unit.
//!
//! Each number is right by itself, so most steps are `Relaxed`. One order matters: who sees that all has come back must
//! also see what was spent above it, or that would stay behind in a slice that is looked at no more.

use super::atomic::{AtomicU64, Ordering};

/// What can be taken, and what became of what was taken.
#[derive(Debug)]
pub struct Amounts {
    free: AtomicU64,
    spent: AtomicU64,
    above: AtomicU64,
}

/// What was spent since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "what was collected is in no other place any more"]
pub struct Collected {
    /// Out of what had been filled in.
    pub spent: u64,
    /// Beyond it: costs that were above what was held for them.
    pub above: u64,
}

impl Amounts {
    /// Nothing to take.
    #[allow(clippy::new_without_default, reason = "a model checker's atomics exist only within a run of it")]
    pub fn new() -> Amounts {
        Amounts { free: AtomicU64::new(0), spent: AtomicU64::new(0), above: AtomicU64::new(0) }
    }

    /// Takes all of `amount`, or nothing.
    pub fn take(&self, amount: u64) -> bool {
        let mut free = self.free.load(Ordering::Relaxed);
        while let Some(left) = free.checked_sub(amount) {
            match self.free.compare_exchange_weak(free, left, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(seen) => free = seen,
            }
        }
        false
    }

    /// Ends what was taken by `actual` spent, and the rest free again.
    pub fn settle(&self, taken: u64, actual: u64) {
        let within = actual.min(taken);
        if actual > taken {
            self.above.fetch_add(actual - taken, Ordering::Relaxed);
        }
        if within > 0 {
            self.spent.fetch_add(within, Ordering::Release);
        }
        if taken > within {
            self.free.fetch_add(taken - within, Ordering::Relaxed);
        }
    }

    /// Puts in more that may be taken.
    pub fn fill(&self, amount: u64) {
        self.free.fetch_add(amount, Ordering::Relaxed);
    }

    /// What may be taken at this moment.
    pub fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Takes out what was spent.
    pub fn collect(&self) -> Collected {
        let spent = self.spent.swap(0, Ordering::Acquire);
        Collected { spent, above: self.above.swap(0, Ordering::Relaxed) }
    }

    /// Takes out all that is free, so that nobody can take it here.
    #[must_use = "what was recalled is in no other place any more"]
    pub fn recall(&self) -> u64 {
        self.free.swap(0, Ordering::Relaxed)
    }
}
