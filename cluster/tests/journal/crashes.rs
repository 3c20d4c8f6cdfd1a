//! Crashes anywhere: what was promised comes back, in order, and nothing that was never appended.

use std::io::ErrorKind;

use peerway_cluster::journal::{Crash, Durability, Faults, Journal, Memory, Options, Recovered};
use proptest::prelude::*;

use crate::support::{open, payload, tag};

/// What an owner has in memory: every payload that was appended, and how many it may rely on.
#[derive(Clone, Debug, Default)]
struct Owner {
    all: Vec<Vec<u8>>,
    promised: usize,
}

impl Owner {
    fn append(&mut self, journal: &mut Journal, len: usize) {
        let payload = payload(self.all.len() as u64 + 1, len);
        let sequence = journal.append(&payload).unwrap();
        self.all.push(payload);
        assert_eq!(sequence.0, self.all.len() as u64);
    }

    fn sync(&mut self, journal: &mut Journal) {
        if let Ok(sequence) = journal.sync() {
            assert_eq!(sequence.0, self.all.len() as u64);
            self.promised = self.all.len();
        }
    }

    fn snapshot(&mut self, journal: &mut Journal) {
        let mut bytes = Vec::new();
        for payload in &self.all {
            bytes.push(u8::try_from(payload.len()).unwrap());
            bytes.extend_from_slice(payload);
        }
        if let Ok(sequence) = journal.snapshot(&bytes) {
            assert_eq!(sequence.0, self.all.len() as u64);
            self.promised = self.all.len();
        }
    }

    /// Takes over what was recovered, which must be all that was promised and only what was appended.
    fn restart(&mut self, recovered: &Recovered) {
        let mut found = Vec::new();
        if let Some(snapshot) = &recovered.snapshot {
            let mut bytes = snapshot.bytes.as_slice();
            while let Some((len, rest)) = bytes.split_first() {
                let (payload, rest) = rest.split_at(usize::from(*len));
                found.push(payload.to_vec());
                bytes = rest;
            }
            assert_eq!(snapshot.sequence.0, found.len() as u64);
        }
        for (sequence, payload) in recovered.records() {
            assert_eq!(sequence.0, found.len() as u64 + 1);
            found.push(payload.to_vec());
        }
        assert_eq!(recovered.last.0, found.len() as u64);
        assert!(self.all.starts_with(&found), "recovered what was never appended");
        assert!(found.len() >= self.promised, "recovered {} of {} promised records", found.len(), self.promised);
        self.all = found;
    }

    fn restart_from(&mut self, memory: &Memory) -> Journal {
        let (journal, recovered) = open(memory).unwrap();
        self.restart(&recovered);
        if journal.durability() == Durability::Ok {
            // From here on a power cut may not take it either.
            self.promised = self.all.len();
        }
        journal
    }
}

fn crashes() -> impl Iterator<Item = Crash> {
    let names = [0, 1, 2, 4, 8, 3, 5, 6, 7, 9, 14, u64::MAX];
    let cuts = [(0, 0), (7, 0), (0, 64), (20, 5), (usize::MAX, 0)]
        .into_iter()
        .flat_map(move |(tail, zeros)| names.into_iter().map(move |names| Crash::PowerCut { tail, zeros, names }));
    cuts.chain([Crash::Process])
}

/// Each life ends when its halt comes; returns whether it came to the end of its work.
fn life(memory: &Memory, owner: &mut Owner) -> bool {
    let Ok((mut journal, recovered)) = open(memory) else { panic!("refused to open after a crash") };
    owner.restart(&recovered);
    for len in [3, 40, 0] {
        owner.append(&mut journal, len);
    }
    owner.sync(&mut journal);
    owner.append(&mut journal, 30);
    owner.snapshot(&mut journal);
    for len in [5, 6] {
        owner.append(&mut journal, len);
    }
    owner.sync(&mut journal);
    owner.snapshot(&mut journal);
    owner.append(&mut journal, 9);
    owner.sync(&mut journal);
    journal.durability() == Durability::Ok
}

#[test]
fn a_crash_at_every_step_of_open_append_sync_and_snapshot_loses_nothing_promised() {
    let mut points = 0;
    for halt_after in 0.. {
        let memory = Memory::default();
        memory.set_faults(Faults { halt_after: Some(halt_after), short_writes: Some(24), ..Default::default() });
        let mut owner = Owner::default();
        let finished = life(&memory, &mut owner);
        for crash in crashes() {
            let mut owner = owner.clone();
            let left = memory.after(crash);
            let mut journal = owner.restart_from(&left);
            // And once more: the power goes right after the restart.
            let again = left.after(Crash::PowerCut { tail: 0, zeros: 0, names: 0 });
            owner.clone().restart_from(&again);
            // The journal goes on from there.
            owner.append(&mut journal, 11);
            owner.sync(&mut journal);
            assert_eq!(owner.promised, owner.all.len());
            owner.snapshot(&mut journal);
            owner.restart_from(&left.after(Crash::PowerCut { tail: 0, zeros: 0, names: 0 }));
            points += 1;
        }
        if finished {
            break;
        }
    }
    println!("{points} crashes");
    assert!(points > 1000, "only {points} crashes");
}

#[test]
fn a_start_that_cannot_sync_the_directory_builds_nothing_on_the_names_it_found() {
    let memory = Memory::default();
    let mut owner = Owner::default();
    let mut journal = owner.restart_from(&memory);
    // A snapshot gets its name, but the name is not on disk.
    memory.set_faults(Faults { sync_dir: Some(ErrorKind::Other), ..Default::default() });
    owner.append(&mut journal, 4);
    owner.snapshot(&mut journal);
    drop(journal);
    let mut journal = owner.restart_from(&memory);
    assert!(matches!(journal.durability(), Durability::Degraded(_)));
    // Whichever names the power cut keeps, no file stands there that needs a lost one.
    for names in 0..64 {
        owner.clone().restart_from(&memory.after(Crash::PowerCut { tail: 0, zeros: 0, names }));
    }
    memory.set_faults(Faults::default());
    journal.retry();
    assert_eq!(journal.durability(), Durability::Ok);
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Sync,
    Snapshot,
    Retry,
    Faults(Faults),
    Reopen,
    Crash(Crash),
    Halt(u64),
}

fn fault() -> impl Strategy<Value = Option<ErrorKind>> {
    prop_oneof![3 => Just(None), 1 => Just(Some(ErrorKind::Other))]
}

fn faults() -> impl Strategy<Value = Faults> {
    let once = (fault(), fault(), fault(), fault(), fault(), fault());
    let amounts = (proptest::option::of(1_usize..40), proptest::option::weighted(0.3, 100_usize..3000));
    (once, amounts).prop_map(|((create, write, sync, sync_once, rename, sync_dir), (short_writes, capacity))| Faults {
        create,
        write,
        sync,
        sync_once,
        rename,
        sync_dir,
        short_writes,
        capacity,
        halt_after: None,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let crash = (0..200_usize, 0..40_usize, any::<u64>());
    prop_oneof![
        12 => (0..60_usize).prop_map(Step::Append),
        6 => Just(Step::Sync),
        2 => Just(Step::Snapshot),
        2 => Just(Step::Retry),
        1 => faults().prop_map(Step::Faults),
        2 => Just(Step::Faults(Faults::default())),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash(Crash::Process)),
        1 => crash.prop_map(|(tail, zeros, names)| Step::Crash(Crash::PowerCut { tail, zeros, names })),
        1 => (0..30_u64).prop_map(Step::Halt),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_work_faults_and_crashes_equals_the_model(
        steps in proptest::collection::vec(step(), 1..120),
        held_bytes in 100_usize..2000,
    ) {
        let options = Options { held_bytes, ..Options::default() };
        let mut memory = Memory::default();
        let mut owner = Owner::default();
        let mut opened = Journal::open_on(memory.clone(), tag(), options).unwrap().0;
        for step in steps {
            let restart = |memory: &Memory, owner: &mut Owner| {
                let (journal, recovered) = Journal::open_on(memory.clone(), tag(), options).unwrap();
                owner.restart(&recovered);
                if journal.durability() == Durability::Ok {
                    owner.promised = owner.all.len();
                }
                journal
            };
            match step {
                Step::Append(len) => owner.append(&mut opened, len),
                Step::Sync => owner.sync(&mut opened),
                Step::Snapshot => owner.snapshot(&mut opened),
                Step::Retry => opened.retry(),
                Step::Faults(faults) => memory.set_faults(faults),
                Step::Halt(after) => memory.set_faults(Faults { halt_after: Some(after), ..Default::default() }),
                Step::Reopen => opened = restart(&memory, &mut owner),
                Step::Crash(crash) => {
                    memory = memory.after(crash);
                    opened = restart(&memory, &mut owner);
                }
            }
            let status = opened.status();
            prop_assert_eq!(status.appended.0, owner.all.len() as u64);
            if status.durability == Durability::Ok {
                prop_assert!(status.durable.0 >= owner.promised as u64);
            }
        }
        // The disk heals: with what the journal asks for, all that there is becomes durable.
        memory.set_faults(Faults::default());
        opened.retry();
        if opened.status().wanted.is_some() {
            owner.snapshot(&mut opened);
        }
        owner.sync(&mut opened);
        prop_assert_eq!(opened.durability(), Durability::Ok);
        prop_assert_eq!(owner.promised, owner.all.len());
        owner.restart_from(&memory.after(Crash::PowerCut { tail: 0, zeros: 0, names: 0 }));
    }
}
