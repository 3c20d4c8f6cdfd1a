//! What a peer lacks, cut into pages: revocations first, then everything else by name.

use std::ops::Bound::{Excluded, Unbounded};

use bincode::{Decode, Encode};

use super::clock::{Stamp, Time};
use super::digest::Buckets;
use super::record::{Record, RecordKey};
use super::state::Registry;
use super::versions::Versions;

/// Where a page ends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Cursor {
    /// Among the revocations.
    Revocations(RecordKey),
    /// Among the rest.
    Rest(RecordKey),
}

/// Records, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// `None` when these were the last.
    pub next: Option<Cursor>,
}

/// This node's own writes of late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnWrites {
    /// The records that hold of them, revocations first.
    pub records: Vec<Record>,
    /// All own writes up to here are among `records` or were overwritten since.
    pub upto: Time,
}

impl Registry {
    /// The records in `buckets` that are not covered by `seen`, from `after` on, of about `max_bytes` but at least one.
    pub fn page(&self, buckets: Buckets, seen: &Versions, after: Option<&Cursor>, max_bytes: usize) -> Page {
        let (among_revocations, among_rest) = match after {
            None => (Some(Unbounded), Unbounded),
            Some(Cursor::Revocations(key)) => (Some(Excluded(key)), Unbounded),
            Some(Cursor::Rest(key)) => (None, Excluded(key)),
        };
        let revocations = among_revocations
            .into_iter()
            .flat_map(|from| self.revocations.range((from, Unbounded)))
            .filter_map(|key| Some((key, self.records.get(key)?)))
            .map(|(key, held)| (true, key, held));
        let rest = self
            .records
            .range((among_rest, Unbounded))
            .filter(|(key, _)| !self.revocations.contains(*key))
            .map(|(key, held)| (false, key, held));
        let lacking = revocations
            .chain(rest)
            .filter(|(_, _, held)| buckets.contains(held.bucket) && !seen.covers(&held.register.marker.stamp));

        let (mut page, mut bytes) = (Page::default(), 0);
        let mut last = None;
        for (revocation, key, held) in lacking {
            let record = held.record(key);
            bytes += record.size();
            if bytes > max_bytes && !page.records.is_empty() {
                page.next = last;
                break;
            }
            last = Some(if revocation { Cursor::Revocations(key.clone()) } else { Cursor::Rest(key.clone()) });
            page.records.push(record);
        }
        page
    }

    /// The revocations that are not covered by `seen`, the latest first, of about `max_bytes`.
    pub fn urgent(&self, seen: &Versions, max_bytes: usize) -> Vec<Record> {
        let mut stamps: Vec<(&Stamp, &RecordKey)> = self
            .revocations
            .iter()
            .filter_map(|key| Some((&self.records.get(key)?.register.marker.stamp, key)))
            .filter(|(stamp, _)| !seen.covers(stamp))
            .collect();
        stamps.sort_unstable_by(|one, other| other.cmp(one));
        let mut bytes = 0;
        stamps
            .into_iter()
            .filter_map(|(_, key)| self.record(key))
            .take_while(|record| {
                bytes += record.size();
                bytes <= max_bytes
            })
            .collect()
    }

    /// This node's own writes after `since`, of about `max_bytes` but at least one; `None` when there is none.
    pub fn own_writes(&self, since: Time, max_bytes: usize) -> Option<OwnWrites> {
        let latest = self.versions().of(self.actor());
        if latest <= since {
            return None;
        }
        let (mut records, mut bytes, mut upto) = (Vec::<Record>::new(), 0, latest);
        for (time, key) in self.own.range((Excluded(since), Unbounded)) {
            let Some(record) = self.record(key) else { continue };
            bytes += record.size();
            if bytes > max_bytes
                && let Some(last) = records.last()
            {
                upto = last.stamp.time;
                break;
            }
            debug_assert_eq!(*time, record.stamp.time);
            records.push(record);
        }
        records.sort_by_key(|record| !record.is_revocation());
        Some(OwnWrites { records, upto })
    }
}
