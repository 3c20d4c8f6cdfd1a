//! What the ledger wants on disk, and how durable it must be before it goes on.
//!
//! Records are totals, not steps, and the last one of a kind wins. So a journal that lost its buffered tail leads to a
//! state in which more is taken for spent, never less; and a snapshot is a short list of the same records.

use super::allowance::{AllowanceId, CounterId};
use crate::actor::Actor;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// In this counter may be spent up to `up_to` in total.
    SliceOpened {
        /// The counter.
        counter: CounterId,
        /// The new upper bound of what was spent.
        up_to: u64,
    },
    /// Reservations were settled: what was spent lies within `up_to`, which may be lower than what was opened before.
    Settled {
        /// The counter.
        counter: CounterId,
        /// The new upper bound of what was spent.
        up_to: u64,
    },
    /// Rights were given away.
    Given {
        /// The counter.
        counter: CounterId,
        /// To whom.
        to: Actor,
        /// All that this receiver was ever given in this counter.
        total: u64,
        /// The new upper bound of what was spent: what was open and is given is closed.
        up_to: u64,
    },
    /// Rights were received.
    Received {
        /// The counter.
        counter: CounterId,
        /// From whom.
        from: Actor,
        /// All that this giver ever gave to us in this counter.
        total: u64,
    },
    /// The counters of this allowance whose windows ended at or before `until` were forgotten and must not begin anew.
    Pruned {
        /// The allowance.
        allowance: AllowanceId,
        /// The end of the last window that was forgotten.
        until: i64,
    },
}

/// When a record must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before any later action that is not a record itself; all records before it are on disk then too.
    Durable,
    /// Some time. When it is lost, a little more than the truth is taken for spent.
    Buffered,
}

/// The latest start of a window of which anything may have been used or given away, by these records; `i64::MIN` when
/// there is none. The counting rules begin with it after a restart: see [`Counting::restore`].
///
/// [`Counting::restore`]: super::counting::Counting::restore
pub fn used_through<'a>(records: impl IntoIterator<Item = &'a Record>) -> i64 {
    let start = |record: &Record| match record {
        Record::SliceOpened { counter, .. } | Record::Settled { counter, .. } | Record::Given { counter, .. } => {
            counter.window_start
        }
        // What came from a peer is not of the own share.
        Record::Received { .. } => i64::MIN,
        // All that is left to tell of windows that started before.
        Record::Pruned { until, .. } => until.saturating_sub(1),
    };
    records.into_iter().map(start).max().unwrap_or(i64::MIN)
}
