//! The journal itself: numbers records, puts them on disk, and outlives a disk that fails.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::{JournalError, WriteError};
use super::header::{FileKind, HEADER_LEN, Tag};
use super::recovery::{Names, Recovered, SEGMENT_ASIDE, SNAPSHOT_ASIDE, Survey, io_error, segment_name, snapshot_name};
use super::status::{Counters, Durability, Sequence, Status, Wanted};
use super::storage::{Disk, Storage, StorageFile, put_whole, write_all, write_aside};
use super::v1::{self, FRAME_LEN, MAX_RECORD};

/// The bounds of a journal.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most bytes of records that are held in memory until a disk has them.
    pub held_bytes: usize,
    /// From this many bytes of log on a snapshot is wanted.
    pub log_bytes: u64,
    /// From this many segments on a snapshot is wanted: every failure of a file begins one.
    pub segments: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { held_bytes: 4 * 1024 * 1024, log_bytes: 64 * 1024 * 1024, segments: 64 }
    }
}

/// An open journal. What was not synced when it is dropped is lost.
#[derive(Debug)]
pub struct Journal {
    storage: Box<dyn Storage>,
    tag: Tag,
    options: Options,
    state: State,
    appended: u64,
    durable: u64,
    /// The records after `durable`, framed: a segment that fails cannot be asked for them.
    held: Vec<u8>,
    log_bytes: u64,
    segments: usize,
    /// The names that were found at the start are on disk.
    names_settled: bool,
    counters: Counters,
}

#[derive(Debug)]
enum State {
    Writing(Box<dyn StorageFile>),
    Degraded {
        reason: Arc<str>,
        /// Records were let go of, so that only a snapshot brings the journal back.
        gap: bool,
        /// The disk took a trial write since.
        writable: bool,
    },
}

impl Journal {
    /// Opens the journal in `dir`, or begins one there, and gives back what it held.
    ///
    /// The caller holds the lock of the data directory. A disk that can be read but not written is no error: see
    /// [`Journal::durability`].
    pub fn open(dir: impl Into<PathBuf>, tag: Tag) -> Result<(Journal, Recovered), JournalError> {
        Self::open_on(Disk::new(dir), tag, Options::default())
    }

    /// [`Journal::open`] on any storage.
    pub fn open_on(storage: impl Storage, tag: Tag, options: Options) -> Result<(Journal, Recovered), JournalError> {
        storage.prepare().map_err(io_error(&storage, "create the journal's directory", ""))?;
        let survey = Survey::take(&storage, tag)?;
        if let Some(damage) = survey.damage {
            return Err(Survey::error(&storage, damage));
        }
        let (durable, unsettled) = survey.unsettled();
        let (segments, log_bytes) = survey.settled();
        let mut journal = Journal {
            storage: Box::new(storage),
            tag,
            options,
            state: State::Degraded { reason: "not opened yet".into(), gap: false, writable: false },
            appended: survey.recovered.last.0,
            durable,
            held: unsettled.to_vec(),
            log_bytes,
            segments,
            names_settled: false,
            counters: Counters::default(),
        };
        journal.tidy(&survey);
        journal.begin_segment();
        journal.counters = Counters::default();
        if let Durability::Degraded(reason) = journal.durability() {
            tracing::error!(%reason, "the journal is degraded from the start: a crash forgets what comes");
        }
        Ok((journal, survey.recovered))
    }

    /// Numbers a record. It is on disk when [`Journal::sync`] has succeeded, and not before.
    pub fn append(&mut self, payload: &[u8]) -> Result<Sequence, WriteError> {
        if payload.len() > MAX_RECORD {
            return Err(WriteError::TooLong(payload.len()));
        }
        let size = FRAME_LEN + payload.len();
        if self.held.len() + size > self.options.held_bytes {
            self.make_room();
        }
        self.appended += 1;
        self.counters.records += 1;
        self.counters.bytes += size as u64;
        if matches!(self.state, State::Degraded { gap: true, .. }) {
            self.counters.discarded += 1;
        } else {
            v1::put_record(&mut self.held, self.appended, payload);
        }
        Ok(Sequence(self.appended))
    }

    /// Removes what a crash left behind.
    fn tidy(&mut self, survey: &Survey) {
        if let Err(error) = self.settle_names() {
            tracing::warn!(%error, "old journal files stay until the next start");
            return;
        }
        if let Some(snapshot) = &survey.recovered.snapshot {
            self.remove(survey.names.superseded(snapshot.sequence.0));
        }
        self.remove(vec![SEGMENT_ASIDE.to_owned(), SNAPSHOT_ASIDE.to_owned()]);
    }

    /// Makes sure of the names that were found at the start before anything is built on them: the one of the newest
    /// snapshot may be in the system's memory only, and a file that follows it must not outlive it.
    fn settle_names(&mut self) -> io::Result<()> {
        if !self.names_settled {
            self.storage.sync_dir()?;
            self.names_settled = true;
        }
        Ok(())
    }

    fn make_room(&mut self) {
        if self.sync().is_err()
            && let State::Degraded { gap, .. } = &mut self.state
            && !*gap
        {
            *gap = true;
            self.counters.discarded += self.appended - self.durable;
            self.held = Vec::new();
        }
    }

    /// Returns when all records are on disk, with the number of the last one.
    pub fn sync(&mut self) -> Result<Sequence, WriteError> {
        let State::Writing(file) = &mut self.state else { return self.outcome() };
        if self.held.is_empty() {
            return Ok(Sequence(self.durable));
        }
        match write_all(file.as_mut(), &self.held).and_then(|()| file.sync()) {
            Ok(()) => {
                self.log_bytes += self.held.len() as u64;
                self.held_is_durable();
            }
            Err(error) => {
                tracing::warn!(place = %self.storage.place().display(), %error, "a journal segment failed; beginning another");
                self.counters.failures += 1;
                self.begin_segment();
            }
        }
        self.outcome()
    }

    /// Puts the owner's whole state on disk in place of all records so far.
    ///
    /// It must hold what every record that was appended says. Brings a degraded journal back if the disk lets it; on an
    /// error the journal is as it was.
    pub fn snapshot(&mut self, bytes: &[u8]) -> Result<Sequence, WriteError> {
        let header = v1::header(FileKind::Snapshot, self.tag, self.appended);
        let frame = v1::snapshot_frame(self.appended, bytes);
        let name = snapshot_name(self.appended);
        if let Err(error) = put_whole(self.storage.as_ref(), SNAPSHOT_ASIDE, &name, &[&header, &frame, bytes]) {
            if let State::Degraded { writable, .. } = &mut self.state {
                *writable = false;
            }
            return Err(WriteError::Snapshot(self.reason("write", &name, &error)));
        }
        self.held.clear();
        self.durable = self.appended;
        self.log_bytes = 0;
        self.segments = 0;
        self.counters.snapshots += 1;
        if let State::Degraded { gap, .. } = &mut self.state {
            *gap = false;
        }
        // First room, then the new segment: the disk may be full of what is superseded now.
        match Names::list(self.storage.as_ref()) {
            Ok(mut names) => {
                // As if the next segment were there already: no record of an earlier one counts.
                names.segments.retain(|first| *first <= self.appended);
                names.segments.push(self.appended + 1);
                self.remove(names.superseded(self.appended));
            }
            Err(error) => tracing::warn!(%error, "old journal files stay until the next start"),
        }
        self.begin_segment();
        Ok(Sequence(self.durable))
    }

    /// Tries to write again when degraded: to be called about every second.
    ///
    /// If all records could be held, they are written and the journal is durable again. If not, a trial write decides
    /// whether a snapshot is wanted.
    pub fn retry(&mut self) {
        let State::Degraded { gap, .. } = &self.state else { return };
        if !gap {
            self.begin_segment();
            return;
        }
        let trial = write_aside(self.storage.as_ref(), SEGMENT_ASIDE, &[&[0; HEADER_LEN]]);
        let trial = trial.map(drop).and_then(|()| self.storage.remove(SEGMENT_ASIDE));
        let failed = trial.as_ref().err().map(|error| self.reason("write", SEGMENT_ASIDE, error));
        if let State::Degraded { reason, writable, .. } = &mut self.state {
            *writable = failed.is_none();
            *reason = failed.unwrap_or_else(|| "records were lost to a failing disk: waiting for a snapshot".into());
        }
    }

    /// Whether what is synced is on disk.
    pub fn durability(&self) -> Durability {
        match &self.state {
            State::Writing(_) => Durability::Ok,
            State::Degraded { reason, .. } => Durability::Degraded(Arc::clone(reason)),
        }
    }

    /// How many bytes the disk can still take, where that is known.
    pub(super) fn space(&self) -> Option<u64> {
        self.storage.space()
    }

    pub(super) fn place(&self) -> &std::path::Path {
        self.storage.place()
    }

    /// The state of the journal at this moment.
    pub fn status(&self) -> Status {
        Status {
            durability: self.durability(),
            wanted: self.wanted(),
            appended: Sequence(self.appended),
            durable: Sequence(self.durable),
            counters: self.counters,
        }
    }

    fn wanted(&self) -> Option<Wanted> {
        let grown = self.log_bytes >= self.options.log_bytes || self.segments >= self.options.segments;
        match self.state {
            State::Degraded { gap: true, writable: true, .. } => Some(Wanted::Gap),
            State::Writing(_) if grown => Some(Wanted::Grown),
            _ => None,
        }
    }

    fn outcome(&self) -> Result<Sequence, WriteError> {
        match &self.state {
            State::Writing(_) => Ok(Sequence(self.durable)),
            State::Degraded { reason, .. } => Err(WriteError::Degraded(Arc::clone(reason))),
        }
    }

    /// Begins a segment with all that is held; the one before is never written again.
    fn begin_segment(&mut self) {
        let first = self.durable + 1;
        let header = v1::header(FileKind::Segment, self.tag, first);
        let name = segment_name(first);
        let begun = self
            .settle_names()
            .and_then(|()| put_whole(self.storage.as_ref(), SEGMENT_ASIDE, &name, &[&header, &self.held]));
        match begun {
            Ok(file) => {
                if let State::Degraded { .. } = self.state {
                    tracing::info!(place = %self.storage.place().display(), segment = %name, "the journal is durable");
                }
                self.state = State::Writing(file);
                self.segments += 1;
                self.log_bytes += (HEADER_LEN + self.held.len()) as u64;
                self.held_is_durable();
            }
            Err(error) => {
                let reason = self.reason("begin", &name, &error);
                if let State::Writing(_) = self.state {
                    tracing::error!(%reason, "the journal is degraded: a crash now forgets what is held in memory only");
                }
                self.state = State::Degraded { reason, gap: false, writable: false };
            }
        }
    }

    fn held_is_durable(&mut self) {
        let batch = self.appended - self.durable;
        if batch > 0 {
            self.counters.syncs += 1;
            self.counters.largest_batch = self.counters.largest_batch.max(batch);
        }
        self.durable = self.appended;
        self.held.clear();
        self.held.shrink_to(self.options.held_bytes);
    }

    fn reason(&self, action: &str, name: &str, error: &io::Error) -> Arc<str> {
        format!("cannot {action} {}: {error}", self.storage.place().join(name).display()).into()
    }

    /// What cannot be removed now is superseded all the same, and removed at a later chance.
    fn remove(&self, names: Vec<String>) {
        for name in names {
            match self.storage.remove(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%name, %error, "an old journal file cannot be removed");
                }
                _ => {}
            }
        }
    }
}
