//! Why a node turns a request away that it could serve at another time.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Said in the message, in `x-peerway-shed` and in `peerway_shed_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shed {
    /// As many requests are in progress as may be, and as many wait.
    Concurrency,
    /// It has waited as long as it may.
    Queue,
    /// Bodies and answers take all the memory they may.
    Memory,
    /// The node is on its way out.
    Draining,
    /// The key has as many requests in progress as it may.
    Key,
    /// Too many requests wait for the ledger.
    Ledger,
    /// Connections or file descriptors.
    Connections,
}

impl Shed {
    pub const ALL: [Self; 7] =
        [Self::Concurrency, Self::Queue, Self::Memory, Self::Draining, Self::Key, Self::Ledger, Self::Connections];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Queue => "queue",
            Self::Memory => "memory",
            Self::Draining => "draining",
            Self::Key => "key",
            Self::Ledger => "ledger",
            Self::Connections => "connections",
        }
    }
}

impl fmt::Display for Shed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Concurrency => "as many requests are in progress as `http.max_concurrent` allows, and as many wait",
            Self::Queue => "the request waited for `http.max_queue_wait` and none in progress has ended",
            Self::Memory => "bodies and answers take all of `http.max_body_memory`",
            Self::Draining => "the node is about to stop",
            Self::Key => "the key has as many requests in progress as its `max_concurrent` allows",
            Self::Ledger => "too many requests wait for the ledger",
            Self::Connections => "there are as many connections as the node or this address may have",
        })
    }
}

/// How many were turned away, by reason.
#[derive(Debug, Default)]
pub struct ShedCounts([AtomicU64; Shed::ALL.len()]);

impl ShedCounts {
    pub fn count(&self, shed: Shed) {
        self.0[shed as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn of(&self, shed: Shed) -> u64 {
        self.0[shed as usize].load(Ordering::Relaxed)
    }
}
