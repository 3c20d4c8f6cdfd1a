//! A slice: the part of one counter that the data plane may spend from.

use std::sync::atomic::{AtomicU64, Ordering};

use super::amounts::Amounts;
use crate::ledger::allowance::CounterId;

/// An open slice of one counter. It outlives its window for as long as a request holds a part of it.
#[derive(Debug)]
pub struct Slice {
    counter: CounterId,
    end: i64,
    amounts: Amounts,
    /// What all actors spent, as the ledger knew it last.
    known_spent: AtomicU64,
}

impl Slice {
    /// The slice of a counter whose window ends before unix second `end`; nothing is in it yet.
    pub fn new(counter: CounterId, end: i64) -> Slice {
        Slice { counter, end, amounts: Amounts::new(), known_spent: AtomicU64::new(0) }
    }

    /// Whose slice it is.
    pub fn counter(&self) -> CounterId {
        self.counter
    }

    /// The first second after its window.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// True while this is the window to reserve in.
    pub fn holds(&self, unix_seconds: i64) -> bool {
        // A clock that stepped back must not charge a window before it has begun: the ledger decides then.
        self.counter.window_start <= unix_seconds && unix_seconds < self.end
    }

    /// What may be taken from it, and what was spent.
    pub fn amounts(&self) -> &Amounts {
        &self.amounts
    }

    /// What all actors spent in this window, as far as this node knew when it last looked.
    pub fn known_spent(&self) -> u64 {
        self.known_spent.load(Ordering::Relaxed)
    }

    /// The ledger has looked.
    pub fn tell_known_spent(&self, spent: u64) {
        self.known_spent.store(spent, Ordering::Relaxed);
    }
}
