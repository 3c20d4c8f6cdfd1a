//! How the registry is, for status and metrics.

use super::disk::Disk;
use crate::registry::state::Registry;

/// Whether what is written survives a restart of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It does.
    Ok,
    /// There is no data directory.
    None,
    /// The disk failed; it is tried again.
    Degraded,
}

impl Durability {
    /// The word for it in status and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Ok => "ok",
            Durability::None => "none",
            Durability::Degraded => "degraded",
        }
    }
}

/// How the registry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryStatus {
    /// Records that were not removed.
    pub live: usize,
    /// Records, removals included.
    pub records: usize,
    /// Bytes of all records.
    pub bytes: usize,
    /// The same on all nodes that hold the same.
    pub revision: u64,
    /// Whether it survives a restart.
    pub durability: Durability,
    /// Why the disk does not take it.
    pub disk_error: Option<String>,
    /// Records of peers that were not taken, in this life.
    pub refused: u64,
    /// Why the last of them was not.
    pub last_refusal: Option<String>,
}

pub(super) fn status_of(
    registry: &Registry,
    disk: &Disk,
    refused: u64,
    last_refusal: Option<String>,
    live: usize,
) -> RegistryStatus {
    RegistryStatus {
        live,
        records: registry.len(),
        bytes: registry.bytes(),
        revision: registry.digest().fold(),
        durability: disk.durability(),
        disk_error: disk.error(),
        refused,
        last_refusal,
    }
}
