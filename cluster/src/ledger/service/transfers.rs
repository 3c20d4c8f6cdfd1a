//! How often rights were asked for and given, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ledger::event::Message;

/// Counted since the start.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    asked: AtomicU64,
    received: AtomicU64,
    given: AtomicU64,
    refused: AtomicU64,
}

/// How often rights were asked for and given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferCounts {
    /// This node asked a peer.
    pub asked: u64,
    /// A peer gave.
    pub received: u64,
    /// This node gave to a peer.
    pub given: u64,
    /// This node had nothing to give to a peer that asked.
    pub refused: u64,
}

impl Transfers {
    pub(super) fn sends(&self, message: &Message) {
        match message {
            Message::Ask { .. } => count(&self.asked),
            Message::Give { total: 0, .. } => count(&self.refused),
            Message::Give { .. } => count(&self.given),
            _ => {}
        }
    }

    pub(super) fn hears(&self, message: &Message) {
        if let Message::Give { total: 1.., .. } = message {
            count(&self.received);
        }
    }

    pub(super) fn counts(&self) -> TransferCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TransferCounts {
            asked: read(&self.asked),
            received: read(&self.received),
            given: read(&self.given),
            refused: read(&self.refused),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
