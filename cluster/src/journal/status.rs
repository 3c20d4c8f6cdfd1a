//! What a journal says of itself.

use std::fmt;
use std::sync::Arc;

/// The number of a record; the first one of a journal is 1, and 0 means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether what is written is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A sync that succeeds means that the disk has it.
    Ok,
    /// Nothing reaches the disk, for this reason; the journal tries again.
    Degraded(Arc<str>),
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Degraded(_) => "degraded",
        })
    }
}

/// Why a journal would like a snapshot from its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Records were lost to a failing disk or a full queue, and the disk takes writes again: only a snapshot closes the gap.
    Gap,
    /// The log has grown long: a snapshot lets the old segments go.
    Grown,
}

/// What was done since the journal was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records that were numbered.
    pub records: u64,
    /// Their bytes, framing included.
    pub bytes: u64,
    /// Syncs of a segment that succeeded; records / syncs is what group commit saves.
    pub syncs: u64,
    /// The most records that one sync put on disk.
    pub largest_batch: u64,
    /// Files that were given up because a write or a sync on them failed.
    pub failures: u64,
    /// Records that were let go of, on no disk, because a degraded journal holds only so many; a snapshot stands in for them.
    pub discarded: u64,
    /// Snapshots on disk.
    pub snapshots: u64,
    /// Records refused because the queue was full; the owner's state has them, the log has not.
    pub refused: u64,
}

/// A journal's state at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether writes reach the disk.
    pub durability: Durability,
    /// Whether the owner should hand in a snapshot, and why.
    pub wanted: Option<Wanted>,
    /// The last record that was numbered.
    pub appended: Sequence,
    /// The last record that is on disk, by the log or by a snapshot.
    pub durable: Sequence,
    /// What was done.
    pub counters: Counters,
}

impl Status {
    /// How many records have a number but are not on disk.
    pub fn unwritten(&self) -> u64 {
        self.appended.0.saturating_sub(self.durable.0)
    }
}
