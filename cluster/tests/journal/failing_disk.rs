//! Full and failing disks: the journal goes on counting, says so, and comes back whole.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use peerway_cluster::journal::{
    Crash, Disk, Durability, Faults, GroupCommit, Journal, Memory, Options, Pace, Sequence, Storage as _, Wanted,
    WriteError,
};

use crate::support::{SEGMENT_1, files, fill, open, payload, records, tag};

const LOST: Crash = Crash::PowerCut { tail: 0, zeros: 0, names: 0 };

fn reason(durability: &Durability) -> String {
    match durability {
        Durability::Ok => panic!("the journal is not degraded"),
        Durability::Degraded(reason) => reason.to_string(),
    }
}

#[test]
fn a_failed_sync_moves_what_it_held_to_a_new_segment_at_once() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory).unwrap();
    let mut appended = fill(&mut journal, [10; 3]);
    memory.set_faults(Faults { sync_once: Some(ErrorKind::Other), ..Default::default() });
    appended.extend(fill(&mut journal, [20; 3]));
    let status = journal.status();
    assert_eq!((status.durability, status.durable, status.counters.failures), (Durability::Ok, Sequence(6), 1));
    let (_journal, recovered) = open(&memory.after(LOST)).unwrap();
    assert_eq!(records(&recovered), appended);
}

#[test]
fn a_sync_that_failed_is_never_tried_again_on_the_same_file() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory).unwrap();
    let mut appended = fill(&mut journal, [10; 3]);
    memory.set_faults(Faults { sync: Some(ErrorKind::Other), ..Default::default() });
    for sequence in 4..=6 {
        appended.push((sequence, payload(sequence, 20)));
        journal.append(&payload(sequence, 20)).unwrap();
        assert!(matches!(journal.sync(), Err(WriteError::Degraded(_))));
    }
    memory.set_faults(Faults::default());
    // The system would call a sync of the old file a success now, and the dropped pages would be holes.
    journal.retry();
    assert_eq!(journal.status().durable, Sequence(6));
    let (_journal, recovered) = open(&memory.after(LOST)).unwrap();
    assert_eq!(records(&recovered), appended);
}

#[test]
fn a_full_disk_degrades_and_what_could_be_held_is_written_when_there_is_room() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory).unwrap();
    let mut appended = fill(&mut journal, [100; 3]);
    let used: usize = files(&memory).values().map(Vec::len).sum();
    memory.set_faults(Faults { capacity: Some(used + 50), ..Default::default() });
    for sequence in 4..=9 {
        appended.push((sequence, payload(sequence, 100)));
        assert_eq!(journal.append(&payload(sequence, 100)), Ok(Sequence(sequence)));
    }
    let error = journal.sync().unwrap_err();
    let status = journal.status();
    assert!(reason(&status.durability).contains("segment-00000000000000000004"), "{status:?}");
    assert_eq!(error, WriteError::Degraded(reason(&status.durability).into()));
    assert_eq!((status.unwritten(), status.wanted), (6, None));
    assert!(files(&memory).keys().all(|name| name == SEGMENT_1), "half a segment is in the way");
    journal.retry();
    assert_ne!(journal.durability(), Durability::Ok);

    memory.set_faults(Faults::default());
    journal.retry();
    let status = journal.status();
    assert_eq!((status.unwritten(), status.counters.discarded, status.durability), (0, 0, Durability::Ok));
    let (_journal, recovered) = open(&memory.after(LOST)).unwrap();
    assert_eq!(records(&recovered), appended);
}

#[test]
fn what_could_not_be_held_is_counted_and_only_a_snapshot_makes_up_for_it() {
    let memory = Memory::default();
    let options = Options { held_bytes: 1000, ..Options::default() };
    let (mut journal, _) = Journal::open_on(memory.clone(), tag(), options).unwrap();
    fill(&mut journal, [100; 3]);
    memory.set_faults(Faults { write: Some(ErrorKind::StorageFull), ..Default::default() });
    for sequence in 4..=5003 {
        assert_eq!(journal.append(&payload(sequence, 100)), Ok(Sequence(sequence)));
    }
    let status = journal.status();
    assert_eq!((status.appended, status.durable, status.counters.discarded), (Sequence(5003), Sequence(3), 5000));
    journal.retry();
    assert!(reason(&journal.durability()).contains("cannot write"));
    assert_eq!(journal.status().wanted, None);
    assert!(matches!(journal.snapshot(b"all 5003"), Err(WriteError::Snapshot(_))));

    memory.set_faults(Faults::default());
    journal.retry();
    let status = journal.status();
    assert_eq!(status.wanted, Some(Wanted::Gap));
    assert_ne!(status.durability, Durability::Ok, "the gap is still there");
    assert!(matches!(journal.sync(), Err(WriteError::Degraded(_))));
    assert_eq!(journal.snapshot(b"all 5003"), Ok(Sequence(5003)));
    assert_eq!(journal.durability(), Durability::Ok);
    let after = fill(&mut journal, [7]);

    let (_journal, recovered) = open(&memory.after(LOST)).unwrap();
    assert_eq!(recovered.snapshot.as_ref().unwrap().bytes, b"all 5003");
    assert_eq!(records(&recovered), after);
}

#[test]
fn a_disk_that_is_full_at_the_start_is_read_and_left_as_it_is() {
    let memory = Memory::default();
    let appended = fill(&mut open(&memory).unwrap().0, [10; 3]);
    let before = files(&memory);
    memory.set_faults(Faults { capacity: Some(0), ..Default::default() });
    let (mut journal, recovered) = open(&memory).unwrap();
    assert_eq!(records(&recovered), appended);
    assert!(reason(&journal.durability()).contains(SEGMENT_1));
    assert_eq!(files(&memory), before);
    memory.set_faults(Faults::default());
    journal.append(b"more").unwrap();
    journal.retry();
    assert_eq!(journal.status().durable, Sequence(4));
}

#[test]
fn short_writes_change_nothing() {
    let memory = Memory::default();
    memory.set_faults(Faults { short_writes: Some(1), ..Default::default() });
    let (mut journal, _) = open(&memory).unwrap();
    fill(&mut journal, [10; 3]);
    journal.snapshot(b"three").unwrap();
    let after = fill(&mut journal, [10; 3]);
    let (_journal, recovered) = open(&memory.after(LOST)).unwrap();
    assert_eq!((recovered.snapshot.as_ref().unwrap().bytes.as_slice(), records(&recovered)), (&b"three"[..], after));
}

#[test]
fn a_snapshot_that_fails_leaves_the_journal_as_it_was_and_one_that_succeeds_makes_room() {
    let memory = Memory::default();
    let (mut journal, _) = open(&memory).unwrap();
    let mut appended = fill(&mut journal, [200; 10]);
    let used: usize = files(&memory).values().map(Vec::len).sum();
    memory.set_faults(Faults { capacity: Some(used + 500), ..Default::default() });
    assert!(matches!(journal.snapshot(&[0; 600]), Err(WriteError::Snapshot(_))));
    assert_eq!(journal.durability(), Durability::Ok);
    appended.extend(fill(&mut journal, [10; 2]));
    assert_eq!(records(&open(&memory.after(LOST)).unwrap().1), appended);
    assert_eq!(journal.snapshot(&[0; 300]), Ok(Sequence(12)));
    fill(&mut journal, [200; 5]);
    assert_eq!(
        files(&memory).into_keys().collect::<Vec<_>>(),
        ["segment-00000000000000000013", "snapshot-00000000000000000012"]
    );
}

#[test]
fn a_long_log_or_many_segments_want_a_snapshot() {
    let options = Options { log_bytes: 5000, segments: 4, ..Options::default() };
    let memory = Memory::default();
    let (mut journal, _) = Journal::open_on(memory.clone(), tag(), options).unwrap();
    fill(&mut journal, [1000; 4]);
    assert_eq!(journal.status().wanted, None);
    fill(&mut journal, [1000; 1]);
    assert_eq!(journal.status().wanted, Some(Wanted::Grown));
    journal.snapshot(b"s").unwrap();
    assert_eq!(journal.status().wanted, None);
    for _ in 0..2 {
        memory.set_faults(Faults { sync_once: Some(ErrorKind::Other), ..Default::default() });
        fill(&mut journal, [1; 2]);
    }
    assert_eq!(journal.status().wanted, None);
    memory.set_faults(Faults { sync_once: Some(ErrorKind::Other), ..Default::default() });
    fill(&mut journal, [1; 2]);
    assert_eq!(journal.status().wanted, Some(Wanted::Grown));
}

#[test]
fn starting_over_and_over_does_not_grow_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for _ in 0..50 {
        let (mut journal, recovered) = Journal::open(dir.path(), tag()).unwrap();
        assert_eq!(records(&recovered), all);
        all.extend(fill(&mut journal, [10]));
    }
    assert_eq!(Disk::new(dir.path()).list().unwrap(), [SEGMENT_1]);
}

/// A file system of 1 MiB, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(at).output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallDisk(at.to_owned())),
            refused => {
                #[expect(clippy::print_stdout, reason = "a skipped test must say so")]
                let () = println!("SKIPPED: no tmpfs can be mounted here: {refused:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).output().ok();
    }
}

#[tokio::test]
async fn a_real_disk_that_runs_full_degrades_within_a_second_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(dir.path()) else { return };
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![0; 700 * 1024]).unwrap();
    let pace = Pace { retry: Duration::from_millis(50), ..Pace::default() };
    let place = disk.0.join("journal");
    let options = Options { held_bytes: 100 * 1024, ..Options::default() };
    let (journal, _) = Journal::open_on(Disk::new(&place), tag(), options).unwrap();
    let commits = GroupCommit::start(journal, pace).unwrap();

    let mut durable = Vec::new();
    let began = Instant::now();
    let refusal = loop {
        let record = payload(durable.len() as u64 + 1, 4000);
        match commits.append_durable(record.clone()).await {
            Ok(sequence) => durable.push((sequence.0, record)),
            Err(refusal) => break refusal,
        }
    };
    assert!(refusal.to_string().contains("No space left on device"), "{refusal}");
    assert_eq!(commits.durability().to_string(), "degraded");
    println!("degraded after {} records of 4,000 bytes in {:?}", durable.len(), began.elapsed());
    assert!(durable.len() > 50);

    // Service goes on: every record is counted, more of them than can be held.
    for _ in 0..100 {
        assert!(matches!(commits.append_durable(vec![1; 4000]).await, Err(WriteError::Degraded(_))));
    }
    assert_eq!(commits.status().unwritten(), 101);

    fs::remove_file(&filler).unwrap();
    let freed = Instant::now();
    let mut status = commits.watch();
    status.wait_for(|status| status.wanted == Some(Wanted::Gap)).await.unwrap();
    commits.snapshot(b"all of it".to_vec()).await.unwrap();
    assert_eq!(commits.durability(), Durability::Ok);
    assert!(freed.elapsed() < Duration::from_secs(1), "back after {:?}", freed.elapsed());
    let sequence = commits.append_durable(b"after".to_vec()).await.unwrap();
    commits.close().await.unwrap();

    let (_journal, recovered) = Journal::open(&place, tag()).unwrap();
    assert_eq!(recovered.snapshot.as_ref().unwrap().bytes, b"all of it");
    assert_eq!(records(&recovered), [(sequence.0, b"after".to_vec())]);
}
