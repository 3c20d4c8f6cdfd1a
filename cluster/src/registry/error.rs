//! Why something is not written, or not taken from a peer.

use super::clock::{Actor, Ahead};
use super::record::{MAX_VALUE, NotAnId, RecordKey};
use crate::identity::NodeId;

/// Why something is not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The name is not one.
    #[error(transparent)]
    Id(#[from] NotAnId),
    /// The value is over the limit.
    #[error("{key} has {len} bytes, at most {MAX_VALUE} are allowed: split it or make it smaller")]
    TooLarge {
        /// The record.
        key: RecordKey,
        /// The length of its value.
        len: usize,
    },
    /// The registry is full.
    #[error(
        "no room for {key}: the registry holds {records} records of {bytes} bytes; remove what is not needed (a removal \
         gives its room back after some days)"
    )]
    Full {
        /// The record.
        key: RecordKey,
        /// How many records there are.
        records: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// The clock ran ahead.
    #[error(
        "the last write known here is {0}: the clock of this machine was wrong, or is wrong now. Set the clock, or write \
         at another node"
    )]
    Ahead(Ahead),
}

/// A record of a peer that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedRecord {
    /// Its time is in the future.
    #[error(
        "{key} from peer {peer}, written by {author}, is {ahead}: not taken; set the clock of {author} (or of this node)"
    )]
    Ahead {
        /// Who sent it.
        peer: NodeId,
        /// The record.
        key: RecordKey,
        /// Who wrote it.
        author: Actor,
        /// How far ahead.
        ahead: Ahead,
    },
    /// Its value is over the limit.
    #[error("{key} from peer {peer} has {len} bytes, at most {MAX_VALUE} are allowed: not taken")]
    TooLarge {
        /// Who sent it.
        peer: NodeId,
        /// The record.
        key: RecordKey,
        /// The length of its value.
        len: usize,
    },
    /// The registry is full, twice over.
    #[error("{key} from peer {peer} is not taken: the registry is full ({records} records of {bytes} bytes)")]
    Full {
        /// Who sent it.
        peer: NodeId,
        /// The record.
        key: RecordKey,
        /// How many records there are.
        records: usize,
        /// How many bytes.
        bytes: usize,
    },
}
