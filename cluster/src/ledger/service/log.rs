//! The ledger's journal: its records in, itself back after a crash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::future::{BoxFuture, FutureExt as _};

use super::ServiceError;
use super::entry::{Entry, decode_snapshot, encode_snapshot};
use crate::identity::Identity;
use crate::journal::{Durability, GroupCommit, Journal, Pace, Sequence, Tag, WriteError};

/// Where the journal lies in the data directory.
const DIRECTORY: &str = "ledger";

/// What became of a record.
pub(super) type Outcome = Result<Sequence, WriteError>;

/// The journal, when there is a disk for one.
#[derive(Debug)]
pub(super) struct Log {
    disk: Option<GroupCommit>,
    snapshot: Option<BoxFutureOf<Outcome>>,
}

/// A future with a `Debug` that says nothing.
pub(super) struct BoxFutureOf<T>(pub(super) BoxFuture<'static, T>);

impl<T> std::fmt::Debug for BoxFutureOf<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl Log {
    /// Opens the journal under the data directory and gives back its records, oldest first.
    pub(super) fn open(data_dir: Option<&Path>, identity: &Identity) -> Result<(Log, Vec<Entry>), ServiceError> {
        let Some(dir) = data_dir else {
            return Ok((Log { disk: None, snapshot: None }, Vec::new()));
        };
        let dir = dir.join(DIRECTORY);
        let (journal, recovered) = Journal::open(&dir, Tag::of(identity))?;
        let misread = |source| ServiceError::Record { path: dir.clone(), source };
        let mut entries = match &recovered.snapshot {
            Some(snapshot) => decode_snapshot(&snapshot.bytes).map_err(misread)?,
            None => Vec::new(),
        };
        for (_, bytes) in recovered.records() {
            entries.push(Entry::decode(bytes).map_err(misread)?);
        }
        let disk = GroupCommit::start(journal, Pace::default()).map_err(ServiceError::Thread)?;
        Ok((Log { disk: Some(disk), snapshot: None }, entries))
    }

    /// Writes a record some time.
    pub(super) fn append(&self, entry: &Entry) {
        // What the journal refuses it makes up for by asking for a snapshot; after its end nothing is promised.
        if let Some(disk) = &self.disk
            && let Err(error) = disk.append(entry.encode())
        {
            tracing::debug!(%error, "a ledger record is not in the journal");
        }
    }

    /// Writes a record now; done when it is on disk, or cannot be put there. `None`: there is no disk to wait for.
    pub(super) fn append_durable(&self, entry: &Entry) -> Option<BoxFutureOf<Outcome>> {
        Some(BoxFutureOf(self.disk.as_ref()?.append_durable(entry.encode()).boxed()))
    }

    /// Puts these records in place of all that were written so far.
    pub(super) fn write_snapshot(&self, entries: &[Entry]) -> Option<BoxFutureOf<Outcome>> {
        Some(BoxFutureOf(self.disk.as_ref()?.snapshot(encode_snapshot(entries)).boxed()))
    }

    /// True when the journal would like a snapshot and none is on its way.
    pub(super) fn wants_snapshot(&self) -> bool {
        self.snapshot.is_none() && self.disk.as_ref().is_some_and(|disk| disk.status().wanted.is_some())
    }

    /// Writes the snapshot that the journal wants.
    pub(super) fn take_snapshot(&mut self, entries: &[Entry]) {
        self.snapshot = self.write_snapshot(entries);
    }

    /// Looks whether a snapshot that is on its way has come to an end.
    pub(super) fn poll_snapshot(&mut self) {
        let Some(BoxFutureOf(snapshot)) = &mut self.snapshot else { return };
        let Some(outcome) = snapshot.now_or_never() else { return };
        self.snapshot = None;
        if let Err(error) = outcome {
            tracing::warn!(%error, "the ledger's snapshot was not written; it is tried again");
        }
    }

    pub(super) fn durability(&self) -> Durability {
        match &self.disk {
            Some(disk) => disk.durability(),
            None => Durability::Degraded("there is no node.data_dir: a restart begins as another node".into()),
        }
    }

    pub(super) async fn close(&mut self) {
        if let Some(disk) = &self.disk
            && let Err(error) = disk.close().await
        {
            tracing::error!(%error, "the ledger's journal was not closed whole: the next start takes more for spent than was");
        }
    }
}

/// Sets the journal of a data directory aside, so that the node can begin anew as another incarnation; answers with its
/// new place. For a journal that peers know more of than it holds ([`super::LedgerStatus::fenced`]).
///
/// The service must be closed. A journal belongs to one incarnation: set aside what is there, then make the new one
/// durable ([`Identity::renew`]). After a crash in between, the old incarnation comes back without a journal, peers know
/// more of it again, and the same happens anew.
pub fn set_aside(data_dir: &Path) -> io::Result<Option<PathBuf>> {
    let from = data_dir.join(DIRECTORY);
    for number in 1_u32.. {
        let to = data_dir.join(format!("{DIRECTORY}-aside-{number}"));
        if to.exists() {
            continue;
        }
        match fs::rename(&from, &to) {
            Ok(()) => {
                fs::File::open(data_dir)?.sync_all()?;
                return Ok(Some(to));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::messages::tests::counter;
    use super::*;
    use crate::identity::{Generation, Incarnation};
    use crate::ledger::record::Record;

    fn identity(incarnation: u64) -> Identity {
        Identity {
            cluster: "test".parse().unwrap(),
            node_id: "a".parse().unwrap(),
            incarnation: Incarnation(incarnation),
            generation: Generation(1),
        }
    }

    fn settled(up_to: u64) -> Entry {
        Entry::Ledger(Record::Settled { counter: counter(), up_to })
    }

    #[tokio::test]
    async fn what_was_written_comes_back_and_a_snapshot_stands_in_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, nothing) = Log::open(Some(dir.path()), &identity(1)).unwrap();
        assert_eq!(nothing, []);
        log.append(&settled(1));
        log.append_durable(&settled(2)).unwrap().0.await.unwrap();
        log.close().await;
        let (mut log, entries) = Log::open(Some(dir.path()), &identity(1)).unwrap();
        assert_eq!(entries, [settled(1), settled(2)]);
        log.write_snapshot(&[settled(2)]).unwrap().0.await.unwrap();
        log.append(&settled(3));
        log.close().await;
        let (mut log, entries) = Log::open(Some(dir.path()), &identity(1)).unwrap();
        assert_eq!(entries, [settled(2), settled(3)]);
        log.close().await;

        assert!(matches!(Log::open(Some(dir.path()), &identity(2)), Err(ServiceError::Journal(_))), "of another actor");
        assert_eq!(set_aside(dir.path()).unwrap(), Some(dir.path().join("ledger-aside-1")));
        assert_eq!(Log::open(Some(dir.path()), &identity(2)).unwrap().1, []);
    }

    #[tokio::test]
    async fn a_record_that_is_not_known_stops_the_start_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path().join(DIRECTORY), Tag::of(&identity(1))).unwrap();
        let disk = GroupCommit::start(journal, Pace::default()).unwrap();
        disk.append_durable(vec![1, 250]).await.unwrap();
        disk.close().await.unwrap();
        let refused = Log::open(Some(dir.path()), &identity(1)).unwrap_err().to_string();
        assert!(refused.contains("unknown tag 250") && refused.contains("ledger"), "{refused}");
    }
}
