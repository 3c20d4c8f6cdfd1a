//! The append-only journal: what must not be forgotten is on disk before anybody hears of it.
//!
//! The one room that touches the disk for money. It keeps small records of whatever its owner writes (bytes in, bytes
//! out) in the order in which they came, and gives them back after a crash:
//!
//! - [`Journal`]: append, sync, snapshot, for one owner on one thread.
//! - [`GroupCommit`]: a thread around it, for many callers; one sync serves all that asked meanwhile.
//! - [`Recovered`]: what was found when it was opened: the newest snapshot and the records after it.
//! - [`repair`]: the way out after damage, which keeps what is whole and tells what it dropped.
//! - [`Storage`]: the directory it lives in: [`Disk`], or [`Memory`] for simulations of crashes and failing disks.
//!
//! On disk a journal is one directory:
//!
//! ```text
//! segment-<first sequence>   header | record*      record = len u32 | sequence u64 | crc32c u32 | payload
//! snapshot-<sequence>        header | len u64 | crc32c u32 | payload; holds what all records up to <sequence> said
//! header = magic 8 | version u16 | kind u16 | tag 16 | sequence u64 | crc32c u32; all numbers big endian
//! ```
//!
//! Three rules carry the rest. A file gets its name only when its first content is synced (write aside, sync, rename,
//! sync the directory). A segment is read up to the first sequence of the next one: what lies behind that, say after a
//! failed sync, is superseded. And no file is written again after a write or a sync on it failed: what it held unsynced
//! goes to a new segment, because the system may have dropped those pages and call the next sync a success.
//!
//! A torn tail (a record that was being written when the power went) is truncated: opening writes the whole records of
//! the last segment anew, which also settles those that a killed process had written but not synced. A bad record with
//! good ones behind it is damage, not a crash: opening refuses and names the place.
//!
//! When no segment can be written at all (disk full, broken), the journal is [`Durability::Degraded`]: it numbers
//! records, holds a bounded number of bytes of them, and tries again. If it could hold them all, it becomes durable by
//! itself; if not, it asks its owner for a snapshot of all that happened.

mod error;
mod group_commit;
mod header;
mod memory;
mod recovery;
mod repair;
mod status;
mod storage;
mod v1;
mod writer;

pub use error::{JournalError, WriteError};
pub use group_commit::{GroupCommit, Pace};
pub use header::Tag;
pub use memory::{Crash, Faults, Memory};
pub use recovery::{Recovered, Snapshot};
pub use repair::{Dropped, Repaired, repair, repair_on};
pub use status::{Counters, Durability, Sequence, Status, Wanted};
pub use storage::{Disk, Storage, StorageFile};
pub use v1::MAX_RECORD;
pub use writer::{Journal, Options};
