//! The registry itself: one register per name, and what is known of them as a whole.

use std::collections::{BTreeMap, BTreeSet};

use crdts::{CvRDT as _, LWWReg};

use super::clock::{Actor, Ahead, Clock, Stamp, Time};
use super::digest::Digest;
use super::error::{RefusedRecord, RegistryError};
use super::record::{Content, MAX_VALUE, Record, RecordKey, RecordKind};
use super::versions::Versions;
use crate::identity::NodeId;

/// How long a removal is remembered at least.
pub const REMOVAL_AGE_MS: u64 = 7 * 24 * 3600 * 1000;

/// How large a registry may become.
///
/// These are the limits of what is written here. What peers wrote is taken up to twice as much: two sides of a partition
/// may each fill what is left, and a merge that refused the sum would keep them apart for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records, removals included.
    pub records: usize,
    /// Bytes of all records.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { records: 100_000, bytes: 256 * 1024 * 1024 }
    }
}

/// A record that is now another than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The record as it is now.
    pub record: Record,
}

/// What came of a merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// What is new, revocations first.
    pub changes: Vec<Change>,
    /// What was not taken, and why.
    pub refused: Vec<RefusedRecord>,
    /// Records of which two values came with one stamp: two processes write as one actor. All nodes settle on the same
    /// of the two, but one write is lost.
    pub doubled: Vec<RecordKey>,
}

/// What is to be written to disk, all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Unsaved {
    /// Records to write.
    pub records: Vec<Record>,
    /// Records to drop.
    pub dropped: Vec<RecordKey>,
    /// What was seen, when these are in.
    pub versions: Versions,
    /// What is held, when these are in.
    pub digest: Digest,
}

/// What orders two writes of one record. The fingerprint only decides when an actor used a stamp twice, which must not
/// happen, and then still decides alike everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Marker {
    pub(super) stamp: Stamp,
    fingerprint: u128,
}

#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) register: LWWReg<Content, Marker>,
    pub(super) bucket: usize,
}

impl Held {
    pub(super) fn record(&self, key: &RecordKey) -> Record {
        let LWWReg { val, marker } = &self.register;
        Record { key: key.clone(), stamp: marker.stamp.clone(), content: val.clone() }
    }
}

/// The shared configuration as one node knows it.
#[derive(Debug)]
pub struct Registry {
    actor: Actor,
    limits: Limits,
    clock: Clock,
    pub(super) records: BTreeMap<RecordKey, Held>,
    pub(super) revocations: BTreeSet<RecordKey>,
    /// What holds of this node's own writes, by time.
    pub(super) own: BTreeMap<Time, RecordKey>,
    digest: Digest,
    versions: Versions,
    bytes: usize,
    unsaved: BTreeSet<RecordKey>,
    versions_unsaved: bool,
}

impl Registry {
    /// An empty registry, written to by `actor`.
    pub fn new(actor: Actor, limits: Limits) -> Registry {
        Registry {
            actor,
            limits,
            clock: Clock::default(),
            records: BTreeMap::new(),
            revocations: BTreeSet::new(),
            own: BTreeMap::new(),
            digest: Digest::default(),
            versions: Versions::default(),
            bytes: 0,
            unsaved: BTreeSet::new(),
            versions_unsaved: false,
        }
    }

    /// Takes in what was saved before; refused when the clock says that some of it is from the future.
    pub(super) fn restore(&mut self, wall_ms: u64, records: Vec<Record>, versions: &Versions) -> Result<(), Ahead> {
        for record in records {
            self.clock.observe(wall_ms, record.stamp.time)?;
            self.settle(record);
        }
        for (actor, time) in versions.iter() {
            self.clock.observe(wall_ms, time)?;
            self.versions.advance(actor, time);
        }
        self.unsaved.clear();
        self.versions_unsaved = false;
        Ok(())
    }

    /// Who writes here.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What is written under a name; `None` also when it was removed.
    pub fn get(&self, key: &RecordKey) -> Option<&[u8]> {
        self.records.get(key)?.register.val.value()
    }

    /// The record under a name, with its stamp, also when it was removed.
    pub fn record(&self, key: &RecordKey) -> Option<Record> {
        self.records.get(key).map(|held| held.record(key))
    }

    /// All names of a kind that were not removed, in order, with their values.
    pub fn of_kind(&self, kind: RecordKind) -> impl Iterator<Item = (&RecordKey, &[u8])> {
        let of_kind = self.records.range(RecordKey::before_all(kind)..).take_while(move |(key, _)| key.kind == kind);
        of_kind.filter_map(|(key, held)| Some((key, held.register.val.value()?)))
    }

    /// How many records there are, removals included.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True when nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The bytes of all records.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A summary of what is held.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// A summary of what was seen.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Writes a value.
    pub fn put(&mut self, wall_ms: u64, key: RecordKey, value: &[u8]) -> Result<Change, RegistryError> {
        if value.len() > MAX_VALUE {
            return Err(RegistryError::TooLarge { key, len: value.len() });
        }
        self.write(wall_ms, key, Content::Value(value.into()))
    }

    /// Removes a record; `None` when it is removed already.
    ///
    /// A name that is not known here is removed all the same: it may have been written at a node that this one has not
    /// heard of yet, and who revokes a key must not have to wait for it.
    pub fn remove(&mut self, wall_ms: u64, key: RecordKey) -> Result<Option<Change>, RegistryError> {
        match self.records.get(&key) {
            Some(held) if held.register.val == Content::Removed => Ok(None),
            _ => self.write(wall_ms, key, Content::Removed).map(Some),
        }
    }

    pub(super) fn tick(&mut self, wall_ms: u64) -> Result<Stamp, RegistryError> {
        let time = self.clock.tick(wall_ms).map_err(RegistryError::Ahead)?;
        Ok(Stamp { time, actor: self.actor.clone() })
    }

    fn write(&mut self, wall_ms: u64, key: RecordKey, content: Content) -> Result<Change, RegistryError> {
        let stamp = self.tick(wall_ms)?;
        self.write_at(Record { key, stamp, content })
    }

    /// Writes a record under a stamp that [`Registry::tick`] has just given.
    pub(super) fn write_at(&mut self, record: Record) -> Result<Change, RegistryError> {
        // A removal makes room, so it is never refused for want of it.
        if record.content != Content::Removed && !self.has_room(&record, 1) {
            return Err(RegistryError::Full { key: record.key, records: self.len(), bytes: self.bytes });
        }
        self.settle(record.clone());
        Ok(Change { record })
    }

    fn has_room(&self, record: &Record, times: usize) -> bool {
        let held = self.records.get(&record.key).map(|held| held.record(&record.key).size());
        let records = self.len() + usize::from(held.is_none());
        let bytes = self.bytes.saturating_sub(held.unwrap_or(0)).saturating_add(record.size());
        records <= self.limits.records.saturating_mul(times) && bytes <= self.limits.bytes.saturating_mul(times)
    }

    /// Takes in what a peer sent. Every record is checked before it touches anything.
    pub fn merge(&mut self, wall_ms: u64, peer: &NodeId, records: Vec<Record>) -> Merged {
        let mut merged = Merged::default();
        for record in records {
            if let Err(refused) = self.check(wall_ms, peer, &record) {
                merged.refused.push(refused);
                continue;
            }
            let key = record.key.clone();
            match self.settle(record.clone()) {
                Settled::Newer => merged.changes.push(Change { record }),
                Settled::Known => continue,
                Settled::Doubled(newer) => {
                    merged.doubled.push(key);
                    if newer {
                        merged.changes.push(Change { record });
                    }
                }
            }
        }
        merged.changes.sort_by_key(|change| !change.record.is_revocation());
        merged
    }

    fn check(&mut self, wall_ms: u64, peer: &NodeId, record: &Record) -> Result<(), RefusedRecord> {
        let (peer, key) = (peer.clone(), record.key.clone());
        let len = record.content.value().map_or(0, <[u8]>::len);
        if len > MAX_VALUE {
            return Err(RefusedRecord::TooLarge { peer, key, len });
        }
        if !self.has_room(record, 2) {
            return Err(RefusedRecord::Full { peer, key, records: self.len(), bytes: self.bytes });
        }
        let author = &record.stamp.actor;
        self.clock.observe(wall_ms, record.stamp.time).map_err(|ahead| RefusedRecord::Ahead {
            peer,
            key,
            author: author.clone(),
            ahead,
        })
    }

    /// Lets the later of two writes hold, and keeps the books.
    fn settle(&mut self, record: Record) -> Settled {
        let fingerprint = record.fingerprint();
        let size = record.size();
        let bucket = record.key.bucket();
        let revoked = record.is_revocation();
        let Record { key, stamp, content } = record;
        let marker = Marker { stamp: stamp.clone(), fingerprint };
        let incoming = LWWReg { val: content, marker };
        let mut doubled = false;
        if let Some(held) = self.records.get_mut(&key) {
            let before = held.record(&key);
            let fingerprint_before = held.register.marker.fingerprint;
            doubled = before.stamp == stamp && fingerprint_before != fingerprint;
            if incoming.marker <= held.register.marker {
                return if doubled { Settled::Doubled(false) } else { Settled::Known };
            }
            held.register.merge(incoming);
            self.digest.subtract(bucket, fingerprint_before);
            self.bytes = self.bytes.saturating_sub(before.size());
            if before.stamp.actor == self.actor {
                self.own.remove(&before.stamp.time);
            }
        } else {
            self.records.insert(key.clone(), Held { register: incoming, bucket });
        }
        self.digest.add(bucket, fingerprint);
        self.bytes = self.bytes.saturating_add(size);
        if revoked {
            self.revocations.insert(key.clone());
        } else {
            self.revocations.remove(&key);
        }
        if stamp.actor == self.actor {
            self.own.insert(stamp.time, key.clone());
            self.versions.advance(&self.actor, stamp.time);
        }
        self.unsaved.insert(key);
        if doubled { Settled::Doubled(true) } else { Settled::Newer }
    }

    /// Takes over what a peer has seen, once all that it holds beyond that is held here too.
    ///
    /// Times ahead of the clock are left out, else a made-up one would hide what its actor is yet to write.
    pub fn adopt(&mut self, wall_ms: u64, seen: &Versions) {
        for (actor, time) in seen.iter() {
            if self.clock.observe(wall_ms, time).is_ok() {
                self.versions_unsaved |= self.versions.advance(actor, time);
            }
        }
    }

    /// Takes note of a time that a peer has of this node's own writes, so that the next is later even when the last one
    /// never reached this node's disk.
    pub(super) fn remember(&mut self, wall_ms: u64, seen: &Versions) {
        // One that is too far ahead cannot be ours: our own clock would not have given it.
        let _ = self.clock.observe(wall_ms, seen.of(&self.actor));
    }

    /// Forgets removals that are older than [`REMOVAL_AGE_MS`] and that every one of `nodes` has seen; says how many.
    ///
    /// `nodes` must be what every node has seen that may ever speak again, the dead ones included: one that still has the
    /// removed record and has not heard of the removal would bring it back. A node that was given up may come back only
    /// with an empty data directory.
    pub fn forget_removals(&mut self, wall_ms: u64, nodes: &[Versions]) -> usize {
        let old = |stamp: &Stamp| stamp.time.ms.saturating_add(REMOVAL_AGE_MS) < wall_ms;
        let forgotten: Vec<RecordKey> = self
            .records
            .iter()
            .filter(|(_, held)| held.register.val == Content::Removed)
            .filter(|(_, held)| old(&held.register.marker.stamp))
            .filter(|(_, held)| nodes.iter().all(|seen| seen.covers(&held.register.marker.stamp)))
            .map(|(key, _)| key.clone())
            .collect();
        for key in &forgotten {
            if let Some(held) = self.records.remove(key) {
                let record = held.record(key);
                self.digest.subtract(held.bucket, held.register.marker.fingerprint);
                self.bytes = self.bytes.saturating_sub(record.size());
                self.revocations.remove(key);
                if record.stamp.actor == self.actor {
                    self.own.remove(&record.stamp.time);
                }
                self.unsaved.insert(key.clone());
            }
        }
        forgotten.len()
    }

    /// What has changed since this was last called; `None` when nothing has.
    pub fn take_unsaved(&mut self) -> Option<Unsaved> {
        if self.unsaved.is_empty() && !self.versions_unsaved {
            return None;
        }
        let (versions, digest) = (self.versions.clone(), self.digest.clone());
        let mut unsaved = Unsaved { versions, digest, ..Unsaved::default() };
        for key in std::mem::take(&mut self.unsaved) {
            match self.record(&key) {
                Some(record) => unsaved.records.push(record),
                None => unsaved.dropped.push(key),
            }
        }
        self.versions_unsaved = false;
        Some(unsaved)
    }

    /// Has everything written anew.
    pub(super) fn save_all(&mut self) {
        self.unsaved.extend(self.records.keys().cloned());
        self.versions_unsaved = true;
    }

    /// Has a record written anew, or dropped when it is not held.
    pub(super) fn save_again(&mut self, key: RecordKey) {
        self.unsaved.insert(key);
    }

    /// Puts back what could not be saved, so that it comes with the next.
    pub fn not_saved(&mut self, unsaved: Unsaved) {
        self.unsaved.extend(unsaved.records.into_iter().map(|record| record.key));
        self.unsaved.extend(unsaved.dropped);
        self.versions_unsaved = true;
    }
}

/// What a record did when it came.
enum Settled {
    Newer,
    Known,
    /// A second value under one stamp; true when it is the one that holds.
    Doubled(bool),
}
