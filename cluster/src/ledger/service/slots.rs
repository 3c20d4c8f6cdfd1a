//! The slots by allowance: the one table that the data plane and the task share. Locked when a configuration is put
//! together, never for a request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::ledger::allowance::{Allowance, AllowanceId};
use crate::ledger::hot::Slot;

/// All slots of a node.
#[derive(Debug, Default)]
pub(super) struct Slots {
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    slots: BTreeMap<AllowanceId, Arc<Slot>>,
    /// What the ledger was not told yet.
    changes: BTreeMap<AllowanceId, Allowance>,
}

impl Slots {
    /// The slot of an allowance, with the limit that it has now.
    pub(super) fn slot(&self, allowance: Allowance) -> Arc<Slot> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { slots, changes } = &mut *table;
        let mut is_new = false;
        let slot = slots.entry(allowance.id).or_insert_with(|| {
            is_new = true;
            Arc::new(Slot::new(allowance))
        });
        if is_new || slot.limit() != allowance.limit {
            slot.set_limit(allowance.limit);
            changes.insert(allowance.id, allowance);
            self.changed.notify_one();
        }
        Arc::clone(slot)
    }

    pub(super) fn get(&self, id: &AllowanceId) -> Option<Arc<Slot>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).slots.get(id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Slot>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).slots.values().cloned().collect()
    }

    /// Lets go of slots that nobody else holds: their allowances are in no configuration any more.
    pub(super) fn let_go(&self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.slots.retain(|_, slot| Arc::strong_count(slot) > 1);
    }

    /// Takes what the ledger was not told yet.
    pub(super) fn changes(&self) -> Vec<Allowance> {
        std::mem::take(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner).changes).into_values().collect()
    }

    /// Waits for something that the ledger was not told.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}
