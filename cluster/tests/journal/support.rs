//! What the tests of the journal share.

use std::collections::BTreeMap;

use peerway_cluster::identity::{Generation, Identity, Incarnation};
use peerway_cluster::journal::{Journal, JournalError, Memory, Options, Recovered, Storage, Tag};

pub(crate) const SEGMENT_1: &str = "segment-00000000000000000001";
pub(crate) const HEADER: usize = 40;
pub(crate) const FRAME: usize = 16;

pub(crate) type Records = Vec<(u64, Vec<u8>)>;

pub(crate) fn tag() -> Tag {
    tag_of(1)
}

pub(crate) fn tag_of(incarnation: u64) -> Tag {
    Tag::of(&Identity {
        cluster: "test".parse().unwrap(),
        node_id: "node-1".parse().unwrap(),
        incarnation: Incarnation(incarnation),
        generation: Generation(incarnation),
    })
}

pub(crate) fn open(memory: &Memory) -> Result<(Journal, Recovered), JournalError> {
    Journal::open_on(memory.clone(), tag(), Options::default())
}

pub(crate) fn records(recovered: &Recovered) -> Records {
    recovered.records().map(|(sequence, payload)| (sequence.0, payload.to_vec())).collect()
}

pub(crate) fn files(storage: &dyn Storage) -> BTreeMap<String, Vec<u8>> {
    storage.list().unwrap().into_iter().map(|name| (name.clone(), storage.read(&name).unwrap())).collect()
}

pub(crate) fn directory(files: &BTreeMap<String, Vec<u8>>) -> Memory {
    let memory = Memory::default();
    for (name, bytes) in files {
        memory.put(name, bytes);
    }
    memory
}

/// A payload that looks random and tells its sequence.
pub(crate) fn payload(sequence: u64, len: usize) -> Vec<u8> {
    let mut state = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// Appends records with these lengths and syncs; returns them.
pub(crate) fn fill(journal: &mut Journal, lengths: impl IntoIterator<Item = usize>) -> Records {
    let appended = lengths
        .into_iter()
        .map(|len| {
            let payload = payload(journal.status().appended.0 + 1, len);
            (journal.append(&payload).unwrap().0, payload)
        })
        .collect();
    journal.sync().unwrap();
    appended
}

/// Where each record ends in a file that holds only these.
pub(crate) fn ends(records: &Records) -> Vec<usize> {
    let mut end = HEADER;
    records
        .iter()
        .map(|(_, payload)| {
            end += FRAME + payload.len();
            end
        })
        .collect()
}

/// A refusal tells the file, the byte, the record, and the way out.
pub(crate) fn assert_clear(error: &JournalError, name: &str, offset: usize, sequence: u64) {
    let text = error.to_string();
    for part in [name, &format!("at byte {offset},"), &format!("record {sequence} should be"), "--repair"] {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}
