//! The ring in force and the one before it.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::membership::{State, View};
use crate::ring::{Ring, RingMember};

#[derive(Debug, Default)]
struct Pair {
    current: Arc<Ring>,
    previous: Option<Arc<Ring>>,
}

/// Read on every request without a lock, written when a member comes, goes or changes its state.
#[derive(Debug, Default)]
pub(super) struct Rings {
    pair: ArcSwap<Pair>,
    writing: Mutex<()>,
}

impl Rings {
    pub(super) fn current(&self) -> Arc<Ring> {
        Arc::clone(&self.pair.load().current)
    }

    pub(super) fn previous(&self) -> Option<Arc<Ring>> {
        self.pair.load().previous.clone()
    }

    /// Brings the ring in step with the newest view; true when it changed.
    pub(super) fn update(&self, newest: impl FnOnce() -> Arc<View>) -> bool {
        // The view is read under the lock, so that an older one never follows a newer one.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let members: Vec<RingMember> = newest()
            .members
            .iter()
            .filter(|member| member.state == State::Ready)
            .map(|member| RingMember { id: member.id.clone(), weight: member.weight, zone: member.zone.clone() })
            .collect();
        let current = self.current();
        if current.members() == members {
            return false;
        }
        let previous = (!current.members().is_empty()).then_some(current);
        self.pair.store(Arc::new(Pair { current: Arc::new(Ring::build(members)), previous }));
        true
    }
}
