//! A repair keeps the longest whole prefix, tells what it dropped, and destroys nothing.

use std::io::ErrorKind;

use peerway_cluster::journal::{Crash, Faults, JournalError, Memory, Sequence, Storage as _, repair_on};

use crate::support::{FRAME, HEADER, SEGMENT_1, directory, files, fill, open, records, tag};

#[test]
fn damage_in_the_middle_costs_what_follows_it_and_is_told() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory).unwrap();
    let appended = fill(&mut journal, [10; 6]);
    let mut found = files(&memory);
    let bad = HEADER + 2 * (FRAME + 10);
    found.get_mut(SEGMENT_1).unwrap()[bad + FRAME] ^= 1;
    let damaged = directory(&found);
    assert!(matches!(open(&damaged), Err(JournalError::Damaged { .. })));

    let repaired = repair_on(&damaged, tag()).unwrap();
    assert_eq!(repaired.kept_through, Sequence(2));
    let [dropped] = repaired.dropped.as_slice() else { panic!("{repaired:?}") };
    assert_eq!((dropped.from, dropped.through), (Sequence(3), Some(Sequence(6))));
    assert_eq!((dropped.offset, dropped.bytes), (bad as u64, 4 * (FRAME + 10) as u64));
    assert_eq!(damaged.read(&dropped.kept_as).unwrap(), found[SEGMENT_1]);

    let (_journal, recovered) = open(&damaged).unwrap();
    assert_eq!(records(&recovered), appended[..2]);
    assert_eq!(recovered.truncated_bytes, 0);
    assert_eq!(repair_on(&damaged, tag()).unwrap().dropped, []);
}

/// `segment-1` holds records 1 to 3, `segment-4` 4 to 6, `segment-7` 7 to 9; three failed syncs made them.
fn three_segments() -> Memory {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory).unwrap();
    for _ in 0..3 {
        memory.set_faults(Faults { sync_once: Some(ErrorKind::Other), ..Default::default() });
        fill(&mut journal, [10; 3]);
    }
    // Without what the failed syncs left behind in the files before.
    memory.after(Crash::PowerCut { tail: 0, zeros: 0, names: 0 })
}

#[test]
fn files_after_the_damage_go_with_it() {
    for (bend, kept, from) in [(0, 3, 4), (HEADER + FRAME, 3, 4), (HEADER + 2 * (FRAME + 10), 5, 6)] {
        let mut found = files(&three_segments());
        let middle = "segment-00000000000000000004";
        found.get_mut(middle).unwrap()[bend] ^= 1;
        let damaged = directory(&found);
        let repaired = repair_on(&damaged, tag()).unwrap();
        assert_eq!(repaired.kept_through, Sequence(kept), "bent at {bend}");
        let ranges: Vec<_> =
            repaired.dropped.iter().map(|file| (file.from.0, file.through.map(|last| last.0))).collect();
        assert_eq!(ranges, [(from, Some(6)), (7, Some(9))]);
        for dropped in &repaired.dropped {
            assert_eq!(damaged.read(&dropped.kept_as).unwrap(), found[&dropped.name]);
        }
        let (_journal, recovered) = open(&damaged).unwrap();
        assert_eq!(recovered.last, Sequence(kept));
    }
}

#[test]
fn a_missing_segment_costs_what_follows_it() {
    let mut found = files(&three_segments());
    found.remove("segment-00000000000000000004");
    let damaged = directory(&found);
    let repaired = repair_on(&damaged, tag()).unwrap();
    assert_eq!(repaired.kept_through, Sequence(3));
    let ranges: Vec<_> = repaired.dropped.iter().map(|file| (file.from.0, file.through.map(|last| last.0))).collect();
    assert_eq!(ranges, [(4, Some(6)), (7, Some(9))]);
    assert_eq!(open(&damaged).unwrap().1.last, Sequence(3));
}

#[test]
fn a_damaged_snapshot_costs_all_and_says_so() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory).unwrap();
    fill(&mut journal, [10; 3]);
    journal.snapshot(b"three").unwrap();
    fill(&mut journal, [10; 2]);
    let mut found = files(&memory);
    *found.get_mut("snapshot-00000000000000000003").unwrap().last_mut().unwrap() ^= 1;
    let damaged = directory(&found);
    let repaired = repair_on(&damaged, tag()).unwrap();
    assert_eq!(repaired.kept_through, Sequence(0));
    let ranges: Vec<_> = repaired.dropped.iter().map(|file| (file.from.0, file.through.map(|last| last.0))).collect();
    assert_eq!(ranges, [(1, Some(3)), (1, Some(5))]);
    let (_journal, recovered) = open(&damaged).unwrap();
    assert_eq!((recovered.last, recovered.snapshot), (Sequence(0), None));
}

#[test]
fn a_repair_that_was_killed_anywhere_can_be_repeated() {
    let mut found = files(&three_segments());
    found.get_mut("segment-00000000000000000004").unwrap()[HEADER + 2 * (FRAME + 10)] ^= 1;
    for halt_after in 0.. {
        let damaged = directory(&found);
        damaged.set_faults(Faults { halt_after: Some(halt_after), ..Default::default() });
        let finished = repair_on(&damaged, tag()).is_ok();
        for names in [0, u64::MAX] {
            let left = damaged.after(Crash::PowerCut { tail: 0, zeros: 0, names });
            repair_on(&left, tag()).unwrap();
            let left_files = files(&left);
            for (name, bytes) in &found {
                assert!(left_files.values().any(|left| left == bytes), "{name} is gone, killed after {halt_after}");
            }
            assert_eq!(open(&left).unwrap().1.last, Sequence(5), "killed after {halt_after} operations");
        }
        if finished {
            return;
        }
    }
}
