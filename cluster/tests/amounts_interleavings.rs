//! A slice's numbers under every interleaving of the threads that use them, as a model checker runs it (loom): the same
//! source as in the library, with its atomics in place of the real ones.

#![allow(clippy::unwrap_used, unreachable_pub, dead_code, reason = "a test, and a part of the library compiled as one")]

use std::sync::Mutex;

use loom::sync::Arc;
use loom::thread;

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
}

#[path = "../src/ledger/hot/amounts.rs"]
mod amounts;

use amounts::Amounts;

/// What came back so far, in all.
#[derive(Debug, Default, PartialEq, Eq)]
struct Back {
    spent: u64,
    above: u64,
    unused: u64,
}

impl Back {
    fn sweep(&mut self, amounts: &Amounts, recall: bool) {
        if recall {
            self.unused += amounts.recall();
        }
        let collected = amounts.collect();
        self.spent += collected.spent;
        self.above += collected.above;
    }
}

/// Two requests that want more together than there is, and the ledger that takes back meanwhile.
#[test]
fn nothing_is_taken_twice_and_nothing_gets_lost() {
    let outcomes = std::sync::Arc::new(Mutex::new(std::collections::BTreeSet::new()));
    let seen = std::sync::Arc::clone(&outcomes);
    loom::model(move || {
        let amounts = Arc::new(Amounts::new());
        amounts.fill(5);
        let request = |taken: u64, actual: u64| {
            let amounts = Arc::clone(&amounts);
            thread::spawn(move || {
                let granted = amounts.take(taken);
                if granted {
                    amounts.settle(taken, actual);
                }
                granted
            })
        };
        let (first, second) = (request(3, 1), request(4, 6));
        let mut back = Back::default();
        back.sweep(&amounts, true);
        let (first, second) = (first.join().unwrap(), second.join().unwrap());
        back.sweep(&amounts, true);
        let spent = u64::from(first) + 4 * u64::from(second);
        assert_eq!(back, Back { spent, above: 2 * u64::from(second), unused: 5 - spent });
        seen.lock().unwrap().insert((first, second));
    });
    // The checker saw both go ahead one after the other, each alone, and neither: the test tests something.
    assert_eq!(outcomes.lock().unwrap().len(), 4);
}

/// Whoever sees that all has come back stops looking, so it must have seen what was spent above it too.
#[test]
fn what_was_spent_above_is_seen_no_later_than_that_all_is_back() {
    loom::model(|| {
        let amounts = Arc::new(Amounts::new());
        amounts.fill(2);
        assert!(amounts.take(2));
        let settling = {
            let amounts = Arc::clone(&amounts);
            thread::spawn(move || amounts.settle(2, 7))
        };
        let collected = amounts.collect();
        if collected.spent == 2 {
            assert_eq!(collected.above, 5);
        }
        settling.join().unwrap();
    });
}
