//! Why a journal cannot be opened, and why a record is not on disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::status::Sequence;
use super::v1::MAX_RECORD;

/// Why a journal cannot be opened or repaired.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Something that was whole is not whole any more; a crash alone does not do this.
    #[error(
        "the journal file {} is damaged at byte {offset}, where record {sequence} should be: {reason}. Records from \
         {sequence} on are in doubt. Start with --repair to keep what is whole before it and be told what is dropped; \
         what is dropped stays in the directory under the name damaged-*", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Bytes from its begin.
        offset: u64,
        /// The first record that is in doubt.
        sequence: Sequence,
        /// What is wrong there.
        reason: String,
    },
    /// The file is whole, but of another actor.
    #[error(
        "the journal file {} belongs to another cluster, node or incarnation: point this node at its own data \
         directory, or move the journal away", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is whole, but of a format that this version does not read.
    #[error("the journal file {} has format {found}, which this version does not read: use a newer peerway", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The format in its header.
        found: u16,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

/// Why what was to be written is not on disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A record beyond the limit; nothing was written.
    #[error("a journal record of {0} bytes is too long: the limit is {MAX_RECORD}")]
    TooLong(usize),
    /// The journal counts the record but has no disk to put it on.
    #[error("not on disk, the journal is degraded: {0}")]
    Degraded(Arc<str>),
    /// The snapshot was not written; the journal is as it was.
    #[error("the snapshot was not written: {0}")]
    Snapshot(Arc<str>),
    /// The writer is so far behind that its queue is full; nothing was written.
    #[error("the journal's queue is full: the disk does not keep up")]
    QueueFull,
    /// The journal was closed; nothing was written.
    #[error("the journal is closed")]
    Closed,
}
