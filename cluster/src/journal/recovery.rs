//! Reading a journal back: which files count, how far they are whole, and what is a crash and what is damage.

use std::io;

use super::error::JournalError;
use super::header::{FileKind, HEADER_LEN, HeaderFault, MAX_SEQUENCE, Tag};
use super::status::Sequence;
use super::storage::Storage;
use super::v1::{self, Behind, Walk};

pub(super) const SEGMENT_ASIDE: &str = "segment.new";
pub(super) const SNAPSHOT_ASIDE: &str = "snapshot.new";
const SEGMENT: &str = "segment-";
const SNAPSHOT: &str = "snapshot-";

pub(super) fn segment_name(first: u64) -> String {
    format!("{SEGMENT}{first:020}")
}

pub(super) fn snapshot_name(sequence: u64) -> String {
    format!("{SNAPSHOT}{sequence:020}")
}

/// What an owner handed in, and the record up to which it speaks for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last record that it stands for.
    pub sequence: Sequence,
    /// The owner's bytes.
    pub bytes: Vec<u8>,
}

/// What a journal held when it was opened.
#[derive(Debug)]
pub struct Recovered {
    /// The newest snapshot.
    pub snapshot: Option<Snapshot>,
    /// The last record there is, in a segment or in the snapshot.
    pub last: Sequence,
    /// How many bytes of a torn tail were left out: what was being written when the process or the power went.
    pub truncated_bytes: u64,
    segments: Vec<Segment>,
}

impl Recovered {
    /// The records after the snapshot, in their order.
    pub fn records(&self) -> impl Iterator<Item = (Sequence, &[u8])> {
        let base = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.sequence.0);
        self.segments
            .iter()
            .flat_map(Segment::records)
            .filter(move |(sequence, _)| *sequence > base)
            .map(|(sequence, payload)| (Sequence(sequence), payload))
    }
}

#[derive(Debug)]
struct Segment {
    first: u64,
    bytes: Vec<u8>,
    end: usize,
}

impl Segment {
    fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut offset = HEADER_LEN;
        std::iter::from_fn(move || {
            // Every record up to the end was checked on the way in.
            let record = (offset < self.end).then(|| v1::frame_at(&self.bytes, offset)).flatten()?;
            offset = record.end;
            Some((record.sequence, record.payload))
        })
    }
}

/// The journal's files by what their names say; all others in the directory are none of its business.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) segments: Vec<u64>,
    pub(super) snapshots: Vec<u64>,
}

impl Names {
    pub(super) fn list(storage: &dyn Storage) -> io::Result<Names> {
        let mut names = Names::default();
        for name in storage.list()? {
            if let Some(first) = number(&name, SEGMENT).filter(|first| *first > 0) {
                names.segments.push(first);
            } else if let Some(sequence) = number(&name, SNAPSHOT) {
                names.snapshots.push(sequence);
            }
        }
        names.segments.sort_unstable();
        names.snapshots.sort_unstable();
        Ok(names)
    }

    /// The first record of the segment after the one at `index`: up to there that one counts.
    pub(super) fn after(&self, index: usize) -> Option<u64> {
        self.segments.get(index + 1).copied()
    }

    /// Files that the newest snapshot made needless, given that it stands for all records up to `base`.
    pub(super) fn superseded(&self, base: u64) -> Vec<String> {
        let snapshots =
            self.snapshots.iter().filter(|sequence| **sequence < base).map(|sequence| snapshot_name(*sequence));
        let segments = self.segments.iter().enumerate();
        let segments = segments.filter(|(index, _)| self.after(*index).is_some_and(|next| next <= base + 1));
        snapshots.chain(segments.map(|(_, first)| segment_name(*first))).collect()
    }
}

fn number(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    let number = digits.parse().ok().filter(|number| *number <= MAX_SEQUENCE)?;
    // Only the name that we would give it ourselves: "+1" and short forms parse, too.
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

/// The first place where the journal is not what a crash could have left.
#[derive(Debug)]
pub(super) struct Damage {
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) sequence: u64,
    pub(super) reason: String,
    /// The last record in doubt, if the file tells.
    pub(super) through: Option<u64>,
    /// Nothing before the offset is worth keeping.
    pub(super) whole_file: bool,
}

/// A journal as it was found.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) names: Names,
    pub(super) recovered: Recovered,
    pub(super) damage: Option<Damage>,
}

pub(super) fn io_error<'a>(
    storage: &'a dyn Storage,
    action: &'static str,
    name: &'a str,
) -> impl FnOnce(io::Error) -> JournalError + 'a {
    move |source| JournalError::Io { action, path: storage.place().join(name), source }
}

impl Survey {
    /// Reads all that counts, up to the first damage.
    pub(super) fn take(storage: &dyn Storage, tag: Tag) -> Result<Survey, JournalError> {
        let names = Names::list(storage).map_err(io_error(storage, "list the journal in", ""))?;
        let recovered =
            Recovered { snapshot: None, last: Sequence(0), truncated_bytes: 0, segments: Vec::with_capacity(4) };
        let mut survey = Survey { names, recovered, damage: None };
        survey.damage = match survey.read_snapshot(storage, tag)? {
            None => survey.read_segments(storage, tag)?,
            damage => damage,
        };
        Ok(survey)
    }

    fn read_snapshot(&mut self, storage: &dyn Storage, tag: Tag) -> Result<Option<Damage>, JournalError> {
        let Some(&sequence) = self.names.snapshots.last() else { return Ok(None) };
        let name = snapshot_name(sequence);
        let bytes = storage.read(&name).map_err(io_error(storage, "read", &name))?;
        // All that it speaks for is in doubt.
        let damage = |reason: &str| {
            Some(Damage {
                name: name.clone(),
                offset: 0,
                sequence: 1,
                reason: reason.to_owned(),
                through: Some(sequence),
                whole_file: true,
            })
        };
        if let Some(reason) = checked(storage, &name, v1::check_header(&bytes, FileKind::Snapshot, tag, sequence))? {
            return Ok(damage(reason));
        }
        let Some(bytes) = v1::snapshot_payload(bytes, sequence) else {
            return Ok(damage("the snapshot does not match its checksum"));
        };
        self.recovered.snapshot = Some(Snapshot { sequence: Sequence(sequence), bytes });
        self.recovered.last = Sequence(sequence);
        Ok(None)
    }

    fn read_segments(&mut self, storage: &dyn Storage, tag: Tag) -> Result<Option<Damage>, JournalError> {
        let base = self.recovered.last.0;
        for index in 0..self.names.segments.len() {
            let (first, next) = (self.names.segments[index], self.names.after(index));
            if next.is_some_and(|next| next <= base + 1) {
                continue;
            }
            let name = segment_name(first);
            let expected = self.recovered.last.0 + 1;
            let bytes = storage.read(&name).map_err(io_error(storage, "read", &name))?;
            let damage = |offset: usize, sequence: u64, reason: String| {
                let through = last_seen(&bytes, first, next);
                let whole_file = offset < HEADER_LEN;
                Ok(Some(Damage { name: name.clone(), offset: offset as u64, sequence, reason, through, whole_file }))
            };
            if first > expected {
                return damage(
                    0,
                    expected,
                    format!("records {expected} to {} are missing before this file", first - 1),
                );
            }
            if let Some(reason) = checked(storage, &name, v1::check_header(&bytes, FileKind::Segment, tag, first))? {
                return damage(0, expected, reason.to_owned());
            }
            let walk = v1::walk(&bytes, first, next);
            let doubted = walk.next.max(expected);
            match next {
                Some(next) if walk.next == next => {}
                Some(next) => {
                    let reason = format!("records up to {} should stand here before the next file begins", next - 1);
                    return damage(walk.end, doubted, reason);
                }
                // What the snapshot stands for may be torn or not: only a later record proves a loss.
                None => match v1::look_behind(&bytes, walk, doubted) {
                    Behind::Nothing => self.recovered.truncated_bytes = (bytes.len() - walk.end) as u64,
                    Behind::Records { first: later, .. } => {
                        return damage(walk.end, doubted, format!("no whole record, though record {later} follows it"));
                    }
                    Behind::Unclear => {
                        return damage(walk.end, doubted, "no whole record, though many seem to follow it".to_owned());
                    }
                },
            }
            self.recovered.last = Sequence(base.max(walk.next - 1));
            self.recovered.segments.push(Segment { first, bytes, end: walk.end });
        }
        Ok(None)
    }

    /// Segments that are surely on disk: how many, and their bytes.
    pub(super) fn settled(&self) -> (usize, u64) {
        let settled = self.recovered.segments.split_last().map_or(&[][..], |(_, settled)| settled);
        (settled.len(), settled.iter().map(|segment| segment.end as u64).sum())
    }

    /// The records that can be read but may not be on disk, framed, and the last one before them, which is.
    ///
    /// A process that was killed may have written the last segment without syncing it, or its sync may have failed:
    /// then it reads well from the system's memory until the power goes.
    pub(super) fn unsettled(&self) -> (u64, &[u8]) {
        let base = self.recovered.snapshot.as_ref().map_or(0, |snapshot| snapshot.sequence.0);
        let Some(last) = self.recovered.segments.last() else { return (base, &[]) };
        let covered = last.records().take_while(|(sequence, _)| *sequence <= base);
        let start = HEADER_LEN + covered.map(|(_, payload)| v1::FRAME_LEN + payload.len()).sum::<usize>();
        (base.max(last.first - 1), &last.bytes[start..last.end])
    }

    /// The error that tells of this damage.
    pub(super) fn error(storage: &dyn Storage, damage: Damage) -> JournalError {
        JournalError::Damaged {
            path: storage.place().join(damage.name),
            offset: damage.offset,
            sequence: Sequence(damage.sequence),
            reason: damage.reason,
        }
    }
}

/// The last record that a segment holds or held, as far as it and the begin of the next one tell.
pub(super) fn last_seen(bytes: &[u8], first: u64, next: Option<u64>) -> Option<u64> {
    next.map(|next| next - 1).or_else(|| {
        match v1::look_behind(bytes, Walk { end: HEADER_LEN.min(bytes.len()), next: first }, first) {
            Behind::Records { last, .. } => Some(last),
            Behind::Nothing | Behind::Unclear => None,
        }
    })
}

/// A stranger's file and one of the future are no damage: nothing may be dropped of them.
fn checked(
    storage: &dyn Storage,
    name: &str,
    header: Result<(), HeaderFault>,
) -> Result<Option<&'static str>, JournalError> {
    let path = || storage.place().join(name);
    match header {
        Ok(()) => Ok(None),
        Err(HeaderFault::Bad(reason)) => Ok(Some(reason)),
        Err(HeaderFault::Foreign) => Err(JournalError::Foreign { path: path() }),
        Err(HeaderFault::Version(found)) => Err(JournalError::Version { path: path(), found }),
    }
}
