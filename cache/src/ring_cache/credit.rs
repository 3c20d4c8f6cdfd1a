//! How often a node still asks after entries from before a change, when that hardly ever helps.

use std::sync::atomic::{AtomicI64, Ordering};

/// Fruitless questions allowed after each change.
const FULL: i64 = 1024;
/// What a fruitful one earns: from one in 32 on, the questions never end.
const REWARD: i64 = 32;

/// A change of the ring fills the credit; a question takes one of it.
#[derive(Debug)]
pub(super) struct Credit(AtomicI64);

impl Credit {
    pub(super) fn new() -> Credit {
        Credit(AtomicI64::new(FULL))
    }

    pub(super) fn refill(&self) {
        self.0.store(FULL, Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0 && self.0.fetch_sub(1, Ordering::Relaxed) > 0
    }

    pub(super) fn reward(&self) {
        self.0.fetch_add(REWARD, Ordering::Relaxed);
        self.0.fetch_min(FULL, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fruitless_questions_end_and_fruitful_ones_do_not() {
        let credit = Credit::new();
        assert_eq!((0..5_000).filter(|_| credit.take()).count(), FULL as usize);
        credit.refill();
        let taken = (0..5_000).filter(|number| {
            let taken = credit.take();
            if taken && number % 32 == 0 {
                credit.reward();
            }
            taken
        });
        assert_eq!(taken.count(), 5_000);
    }
}
