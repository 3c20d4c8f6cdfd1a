//! Group commit: many callers, few syncs, and nobody is told before the disk has it.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use std::{fmt, io};

use peerway_cluster::journal::{
    Crash, Durability, Faults, GroupCommit, Journal, MAX_RECORD, Memory, Options, Pace, Sequence, Storage, StorageFile,
    Wanted, WriteError,
};

use crate::support::{open, records, tag};

const LOST: Crash = Crash::PowerCut { tail: 0, zeros: 0, names: 0 };
/// Longer than any test: what is written was written for another reason than the time.
const LONG: Duration = Duration::from_secs(3600);

fn patient() -> Pace {
    Pace { delay: LONG, ..Pace::default() }
}

/// A disk whose syncs of files wait until they are let through.
#[derive(Clone, Default)]
struct Gated {
    memory: Memory,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    let_through: u64,
    arrived: u64,
}

impl Gated {
    fn close(&self) {
        let mut state = self.gate.state.lock().unwrap();
        state.closed = true;
        state.arrived = 0;
    }

    fn let_through(&self, syncs: u64) {
        self.gate.state.lock().unwrap().let_through += syncs;
        self.gate.changed.notify_all();
    }

    fn wait_for_arrivals(&self, syncs: u64) {
        let state = self.gate.state.lock().unwrap();
        drop(self.gate.changed.wait_while(state, |state| state.arrived < syncs).unwrap());
    }

    fn arrivals(&self) -> u64 {
        self.gate.state.lock().unwrap().arrived
    }
}

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gated")
    }
}

impl Storage for Gated {
    fn place(&self) -> &Path {
        self.memory.place()
    }

    fn prepare(&self) -> io::Result<()> {
        self.memory.prepare()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.memory.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.memory.read(name)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let file = self.memory.create(name)?;
        Ok(Box::new(GatedFile { file, gate: Arc::clone(&self.gate) }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.memory.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.memory.sync_dir()
    }
}

struct GatedFile {
    file: Box<dyn StorageFile>,
    gate: Arc<Gate>,
}

impl fmt::Debug for GatedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl StorageFile for GatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.gate.state.lock().unwrap();
        if state.closed {
            state.arrived += 1;
            self.gate.changed.notify_all();
            state = self.gate.changed.wait_while(state, |state| state.let_through == 0).unwrap();
            state.let_through -= 1;
        }
        drop(state);
        self.file.sync()
    }
}

fn gated(pace: Pace) -> (Gated, GroupCommit) {
    let disk = Gated::default();
    let (journal, _) = Journal::open_on(disk.clone(), tag(), Options::default()).unwrap();
    disk.close();
    (disk, GroupCommit::start(journal, pace).unwrap())
}

#[tokio::test]
async fn what_comes_during_a_sync_shares_the_next_one_and_is_answered_after_it() {
    let (disk, commits) = gated(patient());
    let first = commits.append_durable(b"first".to_vec());
    disk.wait_for_arrivals(1);
    let others: Vec<_> = (0..200_u8).map(|number| commits.append_durable(vec![number])).collect();
    assert_eq!(commits.status().durable, Sequence(0));
    disk.let_through(1);
    assert_eq!(first.await, Ok(Sequence(1)));
    disk.wait_for_arrivals(2);
    assert_eq!(commits.status().durable, Sequence(1), "answered before the disk had it");
    assert!(records(&open(&disk.memory.after(LOST)).unwrap().1).len() <= 1);
    disk.let_through(1);
    for (number, other) in (2..).zip(others) {
        assert_eq!(other.await, Ok(Sequence(number)));
    }
    let counters = commits.status().counters;
    assert_eq!((counters.records, counters.syncs, counters.largest_batch, disk.arrivals()), (201, 2, 200, 2));
    assert_eq!(open(&disk.memory.after(LOST)).unwrap().1.last, Sequence(201));
}

#[tokio::test]
async fn a_batch_has_its_limit() {
    let (disk, commits) = gated(patient());
    let first = commits.append_durable(b"first".to_vec());
    disk.wait_for_arrivals(1);
    let others: Vec<_> = (0..600).map(|_| commits.append_durable(b"other".to_vec())).collect();
    disk.let_through(u64::from(u32::MAX));
    first.await.unwrap();
    for other in others {
        other.await.unwrap();
    }
    let counters = commits.status().counters;
    assert_eq!((counters.syncs, counters.largest_batch), (4, 256));
}

#[tokio::test]
async fn records_that_nobody_waits_for_are_synced_by_number_or_by_time() {
    let by_number = Memory::default();
    let commits = GroupCommit::start(open(&by_number).unwrap().0, patient()).unwrap();
    for _ in 0..512 {
        commits.append(b"settled".to_vec()).unwrap();
    }
    let status = commits.watch().wait_for(|status| status.durable == Sequence(512)).await.unwrap().clone();
    assert_eq!((status.counters.syncs, status.counters.largest_batch), (2, 256));

    let by_time = Memory::default();
    let commits = GroupCommit::start(open(&by_time).unwrap().0, Pace::default()).unwrap();
    commits.append(b"settled".to_vec()).unwrap();
    commits.watch().wait_for(|status| status.durable == Sequence(1)).await.unwrap();
    assert_eq!(open(&by_time.after(LOST)).unwrap().1.last, Sequence(1));
}

#[tokio::test]
async fn a_durable_record_takes_with_it_what_was_queued_before() {
    let memory = Memory::default();
    let commits = GroupCommit::start(open(&memory).unwrap().0, patient()).unwrap();
    for _ in 0..50 {
        commits.append(b"settled".to_vec()).unwrap();
    }
    assert_eq!(commits.append_durable(b"given".to_vec()).await, Ok(Sequence(51)));
    assert_eq!(open(&memory.after(LOST)).unwrap().1.last, Sequence(51));
    assert_eq!(commits.status().counters.syncs, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_on_a_real_disk_share_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), tag()).unwrap();
    let commits = GroupCommit::start(journal, Pace::default()).unwrap();
    let began = std::time::Instant::now();
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let commits = commits.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    for _ in 0..4 {
                        commits.append(vec![7; 48]).unwrap();
                    }
                    commits.append_durable(vec![8; 48]).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(commits.close().await, Ok(Sequence(16_000)));
    let counters = commits.status().counters;
    println!(
        "16,000 records, 3,200 of them durable: {} syncs, largest batch {}, {:?}",
        counters.syncs,
        counters.largest_batch,
        began.elapsed()
    );
    assert!(counters.syncs < 1600, "{counters:?}");
    let (_journal, recovered) = Journal::open(dir.path(), tag()).unwrap();
    assert_eq!(recovered.records().count(), 16_000);
}

#[tokio::test]
async fn a_full_queue_refuses_counts_and_asks_for_a_snapshot() {
    let (disk, commits) = gated(Pace { queue: 4, ..patient() });
    let first = commits.append_durable(b"first".to_vec());
    disk.wait_for_arrivals(1);
    for _ in 0..4 {
        commits.append(b"settled".to_vec()).unwrap();
    }
    assert_eq!(commits.append(b"settled".to_vec()), Err(WriteError::QueueFull));
    assert_eq!(commits.append_durable(b"given".to_vec()).await, Err(WriteError::QueueFull));
    assert_eq!(commits.snapshot(b"state".to_vec()).await, Err(WriteError::QueueFull));
    disk.let_through(u64::from(u32::MAX));
    first.await.unwrap();
    let status = commits.watch().wait_for(|status| status.wanted.is_some()).await.unwrap().clone();
    assert_eq!((status.wanted, status.counters.refused, status.durability), (Some(Wanted::Gap), 1, Durability::Ok));
    let mut covered = commits.snapshot(b"state".to_vec()).await;
    while covered == Err(WriteError::QueueFull) {
        tokio::task::yield_now().await;
        covered = commits.snapshot(b"state".to_vec()).await;
    }
    assert_eq!(covered, Ok(Sequence(5)));
    assert_eq!(commits.status().wanted, None);
}

#[tokio::test]
async fn a_snapshot_stands_for_what_was_queued_before_it_and_nothing_else() {
    let memory = Memory::default();
    let commits = GroupCommit::start(open(&memory).unwrap().0, patient()).unwrap();
    commits.append(b"before".to_vec()).unwrap();
    let snapshot = commits.snapshot(b"before".to_vec());
    commits.append(b"after".to_vec()).unwrap();
    assert_eq!(snapshot.await, Ok(Sequence(1)));
    assert_eq!(commits.close().await, Ok(Sequence(2)));
    let (_journal, recovered) = open(&memory.after(LOST)).unwrap();
    assert_eq!(recovered.snapshot.as_ref().unwrap().bytes, b"before");
    assert_eq!(records(&recovered), [(2, b"after".to_vec())]);
}

#[tokio::test]
async fn a_failing_disk_is_told_to_all_and_left_again_by_itself() {
    let memory = Memory::default();
    let pace = Pace { retry: Duration::from_millis(5), ..Pace::default() };
    let commits = GroupCommit::start(open(&memory).unwrap().0, pace).unwrap();
    commits.append_durable(b"first".to_vec()).await.unwrap();
    memory.set_faults(Faults { sync: Some(io::ErrorKind::Other), ..Default::default() });
    assert!(matches!(commits.append_durable(b"second".to_vec()).await, Err(WriteError::Degraded(_))));
    assert_eq!(commits.durability().to_string(), "degraded");
    commits.append(b"third".to_vec()).unwrap();
    let mut watch = commits.watch();
    watch.wait_for(|status| status.appended == Sequence(3)).await.unwrap();
    memory.set_faults(Faults::default());
    watch.wait_for(|status| status.durability == Durability::Ok).await.unwrap();
    assert_eq!(commits.status().unwritten(), 0);
    assert_eq!(open(&memory.after(LOST)).unwrap().1.last, Sequence(3));
}

#[tokio::test]
async fn closing_writes_what_is_queued_and_so_does_the_last_handle_gone() {
    let memory = Memory::default();
    let commits = GroupCommit::start(open(&memory).unwrap().0, patient()).unwrap();
    commits.append(b"one".to_vec()).unwrap();
    assert_eq!(commits.close().await, Ok(Sequence(1)));
    assert_eq!(commits.append(b"two".to_vec()), Err(WriteError::Closed));
    assert_eq!(commits.append_durable(b"two".to_vec()).await, Err(WriteError::Closed));
    assert_eq!(commits.close().await, Err(WriteError::Closed));

    let commits = GroupCommit::start(open(&memory).unwrap().0, patient()).unwrap();
    let mut watch = commits.watch();
    commits.append(b"two".to_vec()).unwrap();
    drop(commits);
    while watch.changed().await.is_ok() {}
    assert_eq!(open(&memory.after(LOST)).unwrap().1.last, Sequence(2));
}

#[tokio::test]
async fn a_record_that_is_too_long_is_refused_before_the_queue() {
    let commits = GroupCommit::start(open(&Memory::default()).unwrap().0, patient()).unwrap();
    let long = vec![0; MAX_RECORD + 1];
    assert_eq!(commits.append(long.clone()), Err(WriteError::TooLong(long.len())));
    assert_eq!(commits.append_durable(long.clone()).await, Err(WriteError::TooLong(long.len())));
    assert_eq!(commits.close().await, Ok(Sequence(0)));
}
