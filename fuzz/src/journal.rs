//! Damaged journals: opened, refused or repaired.

use peerway_cluster::identity::{Generation, Identity, Incarnation};
use peerway_cluster::journal::{Journal, JournalError, Memory, Options, Recovered, Storage as _, Tag, repair_on};

use crate::history;

const NAMES: [&str; 3] =
    ["segment-00000000000000000001", "segment-00000000000000000005", "snapshot-00000000000000000003"];

pub(crate) fn run(input: &[u8]) {
    let Some((&mode, input)) = input.split_first() else { return };
    match mode % 3 {
        0 => one_bent_byte(input),
        1 => any_files(input),
        _ => history::run(input),
    }
}

pub(crate) fn tag() -> Tag {
    let (Ok(cluster), Ok(node_id)) = ("fuzz".parse(), "node".parse()) else { panic!("names are good") };
    Tag::of(&Identity { cluster, node_id, incarnation: Incarnation(1), generation: Generation(1) })
}

pub(crate) fn open(memory: &Memory) -> Result<(Journal, Recovered), JournalError> {
    Journal::open_on(memory.clone(), tag(), Options::default())
}

fn read(memory: &Memory, name: &str) -> Vec<u8> {
    memory.read(name).unwrap_or_default()
}

/// A good journal of the input's records, cut and with one byte bent: never a wrong record.
fn one_bent_byte(input: &[u8]) {
    let [place, cut, bits, input @ ..] = input else { return };
    let memory = Memory::default();
    let Ok((mut journal, _)) = open(&memory) else { panic!("an empty directory is refused") };
    let records: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    for record in &records {
        assert!(journal.append(record).is_ok() || record.len() > peerway_cluster::journal::MAX_RECORD);
    }
    assert!(journal.sync().is_ok());
    let mut bytes = read(&memory, NAMES[0]);
    bytes.truncate(bytes.len() - bytes.len() * usize::from(*cut) / 1024);
    let place = bytes.len() * usize::from(*place) / 256;
    bytes[place] ^= bits;
    let damaged = Memory::default();
    damaged.put(NAMES[0], &bytes);
    if let Ok((_journal, recovered)) = open(&damaged) {
        assert!(recovered.records().zip(&records).all(|((_, found), record)| found == *record));
        assert!(recovered.records().count() <= records.len());
    }
    check(&damaged);
}

/// Files of any bytes behind a good header or none, under the names that count.
fn any_files(input: &[u8]) {
    let memory = Memory::default();
    for (index, part) in input.split(|byte| *byte == b'\n').take(NAMES.len()).enumerate() {
        let Some((&with_header, part)) = part.split_first() else { continue };
        let mut bytes = if with_header % 4 == 0 { Vec::new() } else { header(index) };
        bytes.extend_from_slice(part);
        memory.put(NAMES[index], &bytes);
    }
    check(&memory);
}

/// The header of the file with this name, as the journal writes it.
fn header(index: usize) -> Vec<u8> {
    let memory = Memory::default();
    let Ok((mut journal, _)) = open(&memory) else { panic!("an empty directory is refused") };
    let sequence = if index == 2 { 3 } else { 4 };
    for _ in 0..sequence * index.min(1) {
        assert!(journal.append(b"").is_ok());
    }
    assert!(index == 0 || journal.snapshot(b"").is_ok());
    let mut bytes = read(&memory, NAMES[index]);
    bytes.truncate(40);
    assert_eq!(bytes.len(), 40);
    bytes
}

/// Whatever it is, it opens or is refused as damaged, and opens after a repair.
fn check(memory: &Memory) {
    match open(memory) {
        Ok(_) => {}
        Err(error @ JournalError::Damaged { .. }) => {
            assert!(error.to_string().contains("--repair"));
            let Ok(repaired) = repair_on(memory, tag()) else { panic!("a damaged journal cannot be repaired") };
            assert!(!repaired.dropped.is_empty());
            let Ok((_journal, recovered)) = open(memory) else { panic!("a repaired journal is refused") };
            assert_eq!(recovered.last, repaired.kept_through);
        }
        Err(_) => {}
    }
}
