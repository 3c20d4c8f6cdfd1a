//! The registry on disk: one redb file, written in whole batches.
//!
//! It is checked as a whole when it is read: every record against its fingerprint, all of them against the digest that was
//! saved with the last batch. What a node lost it can fetch from its peers, so a damaged file is refused and not mended.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::clock::{Actor, MAX_AHEAD_MS, Stamp, Time};
use super::digest::{BUCKETS, Digest};
use super::record::{Content, Record, RecordKey, RecordKind};
use super::state::{Limits, Registry, Unsaved};
use super::versions::Versions;
use crate::identity::{ClusterName, Incarnation};

/// (kind, id) to (ms, counter, node, incarnation, value, fingerprint).
type Row = (u64, u32, &'static str, u64, Option<&'static [u8]>, u128);
const RECORDS: TableDefinition<'_, (u16, &str), Row> = TableDefinition::new("records.v1");
/// (node, incarnation) to (ms, counter).
const VERSIONS: TableDefinition<'_, (&str, u64), (u64, u32)> = TableDefinition::new("versions.v1");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const CLUSTER: &str = "cluster";
const DIGEST: &str = "digest";

/// Why the registry is not on disk, or not read from it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file.
    #[error("{} is in use by another process: give every node a data directory of its own", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another cluster.
    #[error(
        "{} belongs to cluster {found:?}, but this node is of {configured:?}: correct the configuration or choose another \
         data directory", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        configured: String,
    },
    /// The file does not hold what was written.
    #[error(
        "{} is damaged ({reason}): restore it from a copy, or remove it and start again, then this node fetches the \
         registry from its peers", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file holds records from the future.
    #[error(
        "{} holds {records} records that were written up to {by_ms} ms after what the clock of this machine says now: set \
         the clock; if it was wrong when they were written, start once with \
         `peerway serve --drop-future-records`", path.display()
    )]
    Ahead {
        /// The file.
        path: PathBuf,
        /// How many.
        records: usize,
        /// How far ahead the last of them is.
        by_ms: u64,
    },
    /// The file system or redb refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Failed {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What was answered.
        source: Box<redb::Error>,
    },
}

/// What to do with records that are from the future, as far as the clock of this machine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAhead {
    /// Refuse to load: the clock may be the one that is wrong.
    Refuse,
    /// Leave them out: peers have refused them anyway.
    Drop,
}

/// A registry that was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The registry.
    pub registry: Registry,
    /// What was left out.
    pub dropped: Vec<Record>,
}

/// The file.
#[derive(Debug)]
pub struct Store {
    /// `None` only while it is dropped.
    database: Option<Database>,
    path: PathBuf,
}

impl Store {
    /// Opens the file, or makes it.
    pub fn open(path: &Path, cluster: &ClusterName) -> Result<Store, StoreError> {
        let database = guarded(path, || Database::create(path).map_err(failed("open", path)))?;
        let store = Store { database: Some(database), path: path.to_owned() };
        guarded(path, || store.claim(cluster))?;
        Ok(store)
    }

    fn claim(&self, cluster: &ClusterName) -> Result<(), StoreError> {
        let write = self.database()?.begin_write().map_err(self.failed("write"))?;
        {
            let mut meta = write.open_table(META).map_err(self.failed("write"))?;
            let found = meta.get(CLUSTER).map_err(self.failed("read"))?.map(|name| name.value().to_vec());
            match found {
                Some(name) if name == cluster.as_str().as_bytes() => return Ok(()),
                Some(name) => {
                    let (found, configured) = (String::from_utf8_lossy(&name).into_owned(), cluster.to_string());
                    return Err(StoreError::Foreign { path: self.path.clone(), found, configured });
                }
                None => {
                    meta.insert(CLUSTER, cluster.as_str().as_bytes()).map_err(self.failed("write"))?;
                    let digest = digest_bytes(&Digest::default());
                    meta.insert(DIGEST, digest.as_slice()).map_err(self.failed("write"))?;
                }
            }
            // Made at once, so that a file without them is known to be damaged.
            write.open_table(RECORDS).map_err(self.failed("write"))?;
            write.open_table(VERSIONS).map_err(self.failed("write"))?;
        }
        write.commit().map_err(self.failed("write"))
    }

    /// Reads the registry.
    pub fn load(
        &self,
        wall_ms: u64,
        actor: Actor,
        limits: Limits,
        when_ahead: WhenAhead,
    ) -> Result<Loaded, StoreError> {
        let (records, versions) = guarded(&self.path, || self.read())?;
        let ahead = |time: Time| time.ms.saturating_sub(wall_ms) > MAX_AHEAD_MS;
        let (dropped, records): (Vec<Record>, Vec<Record>) =
            records.into_iter().partition(|record| ahead(record.stamp.time));
        let last = dropped.iter().map(|record| record.stamp.time).chain(versions.iter().map(|(_, time)| time)).max();
        let by_ms = last.unwrap_or_default().ms.saturating_sub(wall_ms);
        let refuse = |records| StoreError::Ahead { path: self.path.clone(), records, by_ms };
        if by_ms > MAX_AHEAD_MS && when_ahead == WhenAhead::Refuse {
            return Err(refuse(dropped.len()));
        }
        let versions = versions.iter().filter(|(_, time)| !ahead(*time)).map(|(actor, time)| (actor.clone(), time));
        let mut registry = Registry::new(actor, limits);
        registry.restore(wall_ms, records, &versions.collect()).map_err(|_| refuse(0))?;
        for record in &dropped {
            registry.save_again(record.key.clone());
        }
        Ok(Loaded { registry, dropped })
    }

    fn read(&self) -> Result<(Vec<Record>, Versions), StoreError> {
        let read = self.database()?.begin_read().map_err(self.failed("read"))?;
        let (mut records, mut digest) = (Vec::new(), Digest::default());
        for row in read.open_table(RECORDS).map_err(self.failed("read"))?.iter().map_err(self.failed("read"))? {
            let (key, row) = row.map_err(self.failed("read"))?;
            let ((kind, id), (ms, counter, node, incarnation, value, fingerprint)) = (key.value(), row.value());
            let key = RecordKey::new(RecordKind(kind), id).map_err(|error| self.damaged(&error))?;
            let actor = self.actor(node, incarnation)?;
            let content = value.map_or(Content::Removed, |bytes| Content::Value(bytes.into()));
            let record = Record { key, stamp: Stamp { time: Time { ms, counter }, actor }, content };
            if record.fingerprint() != fingerprint {
                return Err(self.damaged(&format_args!("{} is not what was written", record.key)));
            }
            digest.add(record.key.bucket(), fingerprint);
            records.push(record);
        }
        let meta = read.open_table(META).map_err(self.failed("read"))?;
        let saved = meta.get(DIGEST).map_err(self.failed("read"))?;
        if saved.is_none_or(|saved| saved.value() != digest_bytes(&digest)) {
            return Err(self.damaged(&"records are missing"));
        }
        let mut versions = Vec::new();
        for row in read.open_table(VERSIONS).map_err(self.failed("read"))?.iter().map_err(self.failed("read"))? {
            let (key, row) = row.map_err(self.failed("read"))?;
            let ((node, incarnation), (ms, counter)) = (key.value(), row.value());
            versions.push((self.actor(node, incarnation)?, Time { ms, counter }));
        }
        Ok((records, versions.into_iter().collect()))
    }

    fn actor(&self, node: &str, incarnation: u64) -> Result<Actor, StoreError> {
        let node = node.parse().map_err(|error| self.damaged(&error))?;
        Ok(Actor { node, incarnation: Incarnation(incarnation) })
    }

    /// Writes a batch; it is on disk when this returns. On an error none of it is: give it to [`Registry::not_saved`].
    pub fn save(&self, unsaved: &Unsaved) -> Result<(), StoreError> {
        guarded(&self.path, || self.write(unsaved))
    }

    fn write(&self, unsaved: &Unsaved) -> Result<(), StoreError> {
        let write = self.database()?.begin_write().map_err(self.failed("write"))?;
        {
            let mut table = write.open_table(RECORDS).map_err(self.failed("write"))?;
            for record in &unsaved.records {
                let Stamp { time, actor } = &record.stamp;
                let key = (record.key.kind.0, record.key.id.as_str());
                let (node, value) = (actor.node.as_str(), record.content.value());
                let row = (time.ms, time.counter, node, actor.incarnation.0, value, record.fingerprint());
                table.insert(key, row).map_err(self.failed("write"))?;
            }
            for key in &unsaved.dropped {
                table.remove((key.kind.0, key.id.as_str())).map_err(self.failed("write"))?;
            }
            let mut table = write.open_table(VERSIONS).map_err(self.failed("write"))?;
            table.retain(|_, _| false).map_err(self.failed("write"))?;
            for (actor, time) in unsaved.versions.iter() {
                let key = (actor.node.as_str(), actor.incarnation.0);
                table.insert(key, (time.ms, time.counter)).map_err(self.failed("write"))?;
            }
            let mut meta = write.open_table(META).map_err(self.failed("write"))?;
            meta.insert(DIGEST, digest_bytes(&unsaved.digest).as_slice()).map_err(self.failed("write"))?;
        }
        write.commit().map_err(self.failed("write"))
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| self.damaged(&"it is closed"))
    }

    fn damaged(&self, reason: &dyn std::fmt::Display) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), reason: reason.to_string() }
    }

    fn failed<E: Into<redb::Error>>(&self, action: &'static str) -> impl FnOnce(E) -> StoreError {
        failed(action, &self.path)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing writes, and may find damage that reading has not met. All that was saved is on disk by now.
        let database = self.database.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

fn digest_bytes(digest: &Digest) -> [u8; BUCKETS * 16] {
    let mut bytes = [0; BUCKETS * 16];
    for (place, sum) in bytes.chunks_exact_mut(16).zip(digest.0) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

fn failed<E: Into<redb::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> StoreError + use<E> {
    let path = path.to_owned();
    move |error| {
        let source: redb::Error = error.into();
        let garbled =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
        match source {
            redb::Error::DatabaseAlreadyOpen => StoreError::InUse { path },
            redb::Error::Io(error) if garbled(&error) => StoreError::Damaged { path, reason: error.to_string() },
            redb::Error::Corrupted(_)
            | redb::Error::RepairAborted
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableDoesNotExist(_) => StoreError::Damaged { path, reason: source.to_string() },
            source => StoreError::Failed { action, path, source: Box::new(source) },
        }
    }
}

/// redb holds some damage for impossible and panics on it; to us it is a file that cannot be used.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let reason = match panic.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => panic.downcast_ref::<&str>().map_or("unreadable", |text| *text).to_owned(),
        };
        Err(StoreError::Damaged { path: path.to_owned(), reason })
    })
}
