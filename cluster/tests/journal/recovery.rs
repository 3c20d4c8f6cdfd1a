//! A journal that was cut, bent or mixed up is a whole prefix or a clear refusal, and never a wrong record.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use peerway_cluster::journal::{Faults, Journal, JournalError, MAX_RECORD, Memory, Options, Storage as _, repair_on};

use crate::support::{
    FRAME, HEADER, Records, SEGMENT_1, assert_clear, directory, ends, files, fill, open, payload, records, tag, tag_of,
};

fn log_of(bytes: usize, longest: usize) -> (Vec<u8>, Records) {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory).unwrap();
    let mut lengths = Vec::new();
    let mut total = HEADER;
    for step in 0.. {
        if total >= bytes {
            break;
        }
        let len = (step * 37 % longest).min(bytes.saturating_sub(total + FRAME));
        lengths.push(len);
        total += FRAME + len;
    }
    let appended = fill(&mut journal, lengths);
    (memory.read(SEGMENT_1).unwrap(), appended)
}

#[test]
fn the_bytes_of_format_1_never_change() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory).unwrap();
    journal.append(b"spent").unwrap();
    journal.sync().unwrap();
    let hex = |name: &str| memory.read(name).unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(SEGMENT_1), GOLDEN_SEGMENT);
    journal.snapshot(b"state").unwrap();
    assert_eq!(hex("snapshot-00000000000000000001"), GOLDEN_SNAPSHOT);
}

const GOLDEN_SEGMENT: &str = "706565727761794a0001000184f66d4ed716714c954f4e16b56f351b00000000000000014c145ca300000005000000000000000195df73e77370656e74";
const GOLDEN_SNAPSHOT: &str = "706565727761794a0001000284f66d4ed716714c954f4e16b56f351b00000000000000013e4900040000000000000005033563cd7374617465";

#[test]
fn a_64_kib_log_cut_at_every_byte_recovers_all_whole_records_or_refuses() {
    let (log, appended) = log_of(64 * 1024, 400);
    assert!(log.len() >= 64 * 1024 && appended.len() > 250);
    let ends = ends(&appended);
    // Two halves on two threads: each cut is an open of its own.
    std::thread::scope(|scope| {
        for half in 0..2 {
            let (log, appended, ends) = (&log, &appended, &ends);
            scope.spawn(move || {
                for cut in (half..=log.len()).step_by(2) {
                    let memory = Memory::default();
                    memory.put(SEGMENT_1, &log[..cut]);
                    let opened = open(&memory);
                    if cut < HEADER {
                        assert_clear(&opened.unwrap_err(), SEGMENT_1, 0, 1);
                        continue;
                    }
                    let (_journal, recovered) = opened.unwrap();
                    let whole = ends.partition_point(|end| *end <= cut);
                    let end = whole.checked_sub(1).map_or(HEADER, |last| ends[last]);
                    assert_eq!(recovered.truncated_bytes, (cut - end) as u64, "cut at {cut}");
                    let expected = appended[..whole].iter().map(|(sequence, payload)| (*sequence, payload.as_slice()));
                    assert!(recovered.records().map(|(sequence, payload)| (sequence.0, payload)).eq(expected), "{cut}");
                }
            });
        }
    });
}

#[test]
fn a_tail_of_zeros_is_cut_off_wherever_it_begins() {
    let (log, appended) = log_of(2048, 60);
    let ends = ends(&appended);
    for cut in HEADER..=log.len() {
        for zeros in [1, 15, 16, 17, 4096] {
            let mut bytes = log[..cut].to_vec();
            bytes.resize(cut + zeros, 0);
            // A record whose last bytes are zeros is whole again.
            let whole = ends.iter().take_while(|end| bytes.get(..**end) == log.get(..**end)).count();
            let memory = Memory::default();
            memory.put(SEGMENT_1, &bytes);
            let (mut journal, recovered) = open(&memory).unwrap();
            assert_eq!(records(&recovered), appended[..whole], "cut at {cut}, {zeros} zeros");
            // What was cut off is gone: the next record stands where it was.
            let next = fill(&mut journal, [5]);
            let (_journal, again) = open(&memory).unwrap();
            assert_eq!(records(&again), [&appended[..whole], &next].concat());
            assert_eq!(again.truncated_bytes, 0);
        }
    }
}

#[test]
fn a_bent_byte_in_the_last_record_cuts_it_off_and_anywhere_else_refuses() {
    let (log, appended) = log_of(1200, 50);
    let ends = ends(&appended);
    let last = appended.len() - 1;
    for place in 0..log.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut bytes = log.clone();
            bytes[place] ^= bits;
            let memory = Memory::default();
            memory.put(SEGMENT_1, &bytes);
            let hit = ends.partition_point(|end| *end <= place);
            match open(&memory) {
                Ok((_journal, recovered)) => {
                    assert!(place >= HEADER && hit == last, "byte {place} was bent and not missed");
                    assert_eq!(records(&recovered), appended[..last]);
                }
                Err(error) => {
                    assert!(hit < last, "byte {place} of the last record: {error}");
                    let offset =
                        if place < HEADER { 0 } else { hit.checked_sub(1).map_or(HEADER, |before| ends[before]) };
                    assert_clear(&error, SEGMENT_1, offset, hit as u64 + 1);
                }
            }
        }
    }
}

/// A snapshot, a segment that a failed sync ended, and the one after it.
fn three_files() -> (BTreeMap<String, Vec<u8>>, Records) {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory).unwrap();
    fill(&mut journal, [10; 3]);
    journal.snapshot(b"the first three").unwrap();
    let mut kept = fill(&mut journal, [20; 3]);
    memory.set_faults(Faults { sync_once: Some(ErrorKind::Other), ..Default::default() });
    kept.extend(fill(&mut journal, [30; 3]));
    let files = files(&memory);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["segment-00000000000000000004", "segment-00000000000000000007", "snapshot-00000000000000000003"]
    );
    (files, kept)
}

#[test]
fn a_bent_byte_in_any_of_several_files_never_yields_a_wrong_record() {
    let (files, kept) = three_files();
    let (mut opened, mut refused) = (0, 0);
    for (name, bytes) in &files {
        for place in 0..bytes.len() {
            for bits in [0x01, 0x80, 0xff] {
                let mut bent = files.clone();
                bent.get_mut(name).unwrap()[place] ^= bits;
                match open(&directory(&bent)) {
                    Ok((_journal, recovered)) => {
                        opened += 1;
                        assert_eq!(recovered.snapshot.as_ref().unwrap().bytes, b"the first three");
                        let found = records(&recovered);
                        assert!(kept.starts_with(&found) && found.len() + 1 >= kept.len(), "{name} byte {place}");
                    }
                    Err(error) => {
                        refused += 1;
                        let text = error.to_string();
                        assert!(text.contains(name.as_str()) && text.contains("--repair"), "{text}");
                    }
                }
            }
        }
    }
    // Opened: what hit the last record, or the three in segment 4 whose sync failed and which are superseded.
    assert_eq!(opened, 3 * (1 + 3) * (FRAME + 30), "{refused} refused");
}

#[test]
fn a_missing_or_renamed_segment_is_refused() {
    let (files, _) = three_files();
    let (middle, last) = ("segment-00000000000000000004", "segment-00000000000000000007");
    let mut without_middle = files.clone();
    without_middle.remove(middle);
    assert_clear(&open(&directory(&without_middle)).unwrap_err(), last, 0, 4);

    let mut renamed = without_middle.clone();
    let bytes = renamed.remove(last).unwrap();
    renamed.insert(middle.to_owned(), bytes);
    assert_clear(&open(&directory(&renamed)).unwrap_err(), middle, 0, 4);

    let mut without_snapshot = files;
    without_snapshot.remove("snapshot-00000000000000000003");
    assert_clear(&open(&directory(&without_snapshot)).unwrap_err(), middle, 0, 1);
}

#[test]
fn a_segment_cut_short_before_another_is_refused_at_its_end() {
    let (files, _) = three_files();
    let middle = "segment-00000000000000000004";
    let second = HEADER + 2 * (FRAME + 20);
    let mut cut = files;
    cut.get_mut(middle).unwrap().truncate(second);
    assert_clear(&open(&directory(&cut)).unwrap_err(), middle, second, 6);
}

#[test]
fn another_actors_journal_and_one_of_the_future_are_refused_and_not_repaired() {
    let memory = Memory::default();
    drop(Journal::open_on(memory.clone(), tag_of(2), Options::default()).unwrap());
    assert!(matches!(open(&memory).unwrap_err(), JournalError::Foreign { .. }));
    let before = files(&memory);
    assert!(matches!(repair_on(&memory, tag()), Err(JournalError::Foreign { .. })));

    let mut header = before[SEGMENT_1].clone();
    header[9] = 2;
    let crc = crc32c::crc32c(&header[..HEADER - 4]);
    header[HEADER - 4..].copy_from_slice(&crc.to_be_bytes());
    let newer = Memory::default();
    newer.put(SEGMENT_1, &header);
    let error = open(&newer).unwrap_err();
    assert!(matches!(error, JournalError::Version { found: 2, .. }), "{error}");
    assert!(matches!(repair_on(&newer, tag()), Err(JournalError::Version { .. })));
}

#[test]
fn files_of_others_in_the_directory_are_left_alone() {
    let memory = Memory::default();
    let strangers =
        ["segment-1", "segment-+0000000000000000001", "segment-00000000000000000000", "snapshot-x", "notes"];
    for name in strangers {
        memory.put(name, b"not ours");
    }
    let (mut journal, _) = open(&memory).unwrap();
    fill(&mut journal, [3]);
    journal.snapshot(b"s").unwrap();
    drop(journal);
    let (_journal, recovered) = open(&memory).unwrap();
    assert_eq!(recovered.snapshot.unwrap().bytes, b"s");
    let files = files(&memory);
    assert!(strangers.iter().all(|name| files[*name] == b"not ours"));
    assert_eq!(files.len(), strangers.len() + 2);
}

#[test]
fn the_largest_record_fits_and_a_longer_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(dir.path().join("made/here"), tag()).unwrap();
    let largest = payload(1, MAX_RECORD);
    journal.append(&largest).unwrap();
    let mut longer = largest.clone();
    longer.push(0);
    assert!(journal.append(&longer).is_err());
    journal.append(b"").unwrap();
    journal.sync().unwrap();
    drop(journal);
    let (_journal, recovered) = Journal::open(dir.path().join("made/here"), tag()).unwrap();
    assert_eq!(records(&recovered), [(1, largest), (2, Vec::new())]);
}
