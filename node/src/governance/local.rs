//! A ledger of this process alone, which forgets: for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use peerway_cluster::ledger::allowance::{Allowance, AllowanceId, CounterId};
use peerway_cluster::ledger::hot::{Hold, Part, Slice, Slot, try_hold};
use peerway_cluster::ledger::reservation::Denial;

use super::charges::{Granting, Reserve};

/// Grants from the whole limit of each window.
#[derive(Debug, Default)]
pub struct LocalLedger {
    slots: Mutex<BTreeMap<AllowanceId, Arc<Slot>>>,
    spent: Mutex<BTreeMap<CounterId, u64>>,
}

impl LocalLedger {
    /// What was spent in the running window of an allowance, and what is held of it.
    pub fn spent(&self, allowance: &Allowance) -> (u64, u64) {
        let slot = self.slot(*allowance);
        let slice = self.slice(&slot, unix_now());
        let spent = self.collect(&slice);
        (spent, slot.limit().saturating_sub(spent).saturating_sub(slice.amounts().free()))
    }

    fn slice(&self, slot: &Slot, now: i64) -> Arc<Slice> {
        slot.slice(now).unwrap_or_else(|| {
            let allowance = slot.allowance();
            let slice = Arc::new(Slice::new(allowance.counter(now), allowance.window.span(now).end));
            slice.amounts().fill(slot.limit());
            slot.set_slice(Some(Arc::clone(&slice)));
            slice
        })
    }

    fn collect(&self, slice: &Slice) -> u64 {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = spent.entry(slice.counter()).or_default();
        let collected = slice.amounts().collect();
        *sum += collected.spent + collected.above;
        slice.tell_known_spent(*sum);
        *sum
    }

    fn grant(&self, parts: &[Part<'_>]) -> Result<Hold, Denial> {
        let now = unix_now();
        let slices: Vec<_> = parts.iter().map(|part| self.slice(part.slot, now)).collect();
        slices.iter().for_each(|slice| {
            self.collect(slice);
        });
        try_hold(parts, now).ok_or_else(|| {
            let short = parts.iter().zip(&slices).find(|(part, slice)| slice.amounts().free() < part.amount);
            let (part, slice) = short.unwrap_or((&parts[0], &slices[0]));
            Denial::Exhausted { allowance: part.slot.allowance().id, window_end: slice.end() }
        })
    }
}

impl Reserve for LocalLedger {
    fn slot(&self, allowance: Allowance) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(allowance.id).or_insert_with(|| Arc::new(Slot::new(allowance))))
    }

    fn hold<'a>(&'a self, parts: &'a [Part<'a>]) -> Granting<'a> {
        Box::pin(std::future::ready(self.grant(parts)))
    }

    fn not_ready(&self) -> Option<String> {
        None
    }
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64)
}
