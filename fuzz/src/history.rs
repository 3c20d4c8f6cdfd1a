//! A journal with a past: work, failures, crashes, then damage. What comes back was appended, under its own number.

use std::io::ErrorKind;

use peerway_cluster::journal::{
    Crash, Durability, Faults, Journal, JournalError, Memory, Recovered, Storage as _, repair_on,
};

use crate::journal::{open, tag};

/// No history is longer: what matters is seen in fewer steps.
const MAX_STEPS: usize = 128;

/// How many steps of damage, those, each of four bytes, then steps of work, each of two.
pub(crate) fn run(input: &[u8]) {
    let Some((&damages, input)) = input.split_first() else { return };
    let (damages, work) = input.split_at(input.len().min(usize::from(damages % 4) * 4));
    let mut past = Past::default();
    let Ok((mut journal, _)) = open(&past.memory) else { panic!("an empty directory is refused") };
    for step in work.chunks_exact(2).take(MAX_STEPS) {
        journal = past.step(journal, step[0], step[1]);
    }
    drop(journal);
    let damaged = past.memory.after(Crash::PowerCut { tail: 0, zeros: 0, names: 0 });
    let mut is_damaged = false;
    for damage in damages.chunks_exact(4) {
        is_damaged |= bend(&damaged, damage);
    }
    match open(&damaged) {
        Ok((_journal, recovered)) => past.holds(&recovered, !is_damaged),
        Err(JournalError::Damaged { .. }) => {
            assert!(is_damaged, "a crash is taken for damage");
            let Ok(repaired) = repair_on(&damaged, tag()) else { panic!("a damaged journal cannot be repaired") };
            let Ok((_journal, recovered)) = open(&damaged) else { panic!("a repaired journal is refused") };
            assert_eq!(recovered.last, repaired.kept_through);
            past.holds(&recovered, false);
        }
        Err(error) => panic!("{error}"),
    }
}

/// All that was ever done with a journal.
#[derive(Default)]
struct Past {
    memory: Memory,
    /// What was appended under each number, in this life and those before.
    appended: Vec<Vec<Vec<u8>>>,
    /// So many records of this life are there, and so many must come back.
    length: usize,
    promised: usize,
}

impl Past {
    fn step(&mut self, mut journal: Journal, what: u8, amount: u8) -> Journal {
        match what % 12 {
            0..=3 => self.append(&mut journal, amount),
            4 | 5 => {
                if journal.sync().is_ok() {
                    self.promised = self.length;
                }
            }
            6 => {
                if journal.snapshot(&snapshot(self.length)).is_ok() {
                    self.promised = self.length;
                }
            }
            7 => journal.retry(),
            8 => self.memory.set_faults(faults(amount)),
            9 => self.memory.set_faults(Faults::default()),
            10 => return self.restart(journal, Crash::Process),
            _ => {
                let (tail, zeros, names) = (amount & 15, amount >> 4 & 3, amount >> 6);
                let names = [0, 1, 2, u64::MAX][usize::from(names)];
                let crash = Crash::PowerCut { tail: usize::from(tail) * 5, zeros: usize::from(zeros) * 9, names };
                return self.restart(journal, crash);
            }
        }
        journal
    }

    fn append(&mut self, journal: &mut Journal, amount: u8) {
        let lives: usize = self.appended.get(self.length).map_or(0, Vec::len);
        let mut payload = vec![amount; usize::from(amount)];
        payload.extend([lives as u8, self.length as u8]);
        let Ok(sequence) = journal.append(&payload) else { panic!("a short record is refused") };
        assert_eq!(sequence.0, self.length as u64 + 1);
        if self.length == self.appended.len() {
            self.appended.push(Vec::new());
        }
        self.appended[self.length].push(payload);
        self.length += 1;
    }

    fn restart(&mut self, journal: Journal, crash: Crash) -> Journal {
        drop(journal);
        self.memory = self.memory.after(crash);
        let (journal, recovered) = open(&self.memory).unwrap_or_else(|error| panic!("after a crash: {error}"));
        self.holds(&recovered, true);
        self.length = recovered.last.0 as usize;
        self.promised = if journal.durability() == Durability::Ok { self.length } else { self.promised };
        journal
    }

    /// What was recovered was appended, without a gap; all that was promised is there unless there was damage.
    fn holds(&self, recovered: &Recovered, whole: bool) {
        let mut last = 0;
        if let Some(found) = &recovered.snapshot {
            last = found.sequence.0;
            assert_eq!(found.bytes, snapshot(last as usize));
        }
        for (sequence, payload) in recovered.records() {
            assert_eq!(sequence.0, last + 1);
            let known = self.appended.get(last as usize).is_some_and(|lives| lives.iter().any(|life| life == payload));
            assert!(known, "record {sequence:?} was never appended");
            last += 1;
        }
        assert_eq!(recovered.last.0, last);
        assert!(!whole || last as usize >= self.promised, "{last} of {} promised records came back", self.promised);
    }
}

/// What the owner writes for all records up to this one.
fn snapshot(length: usize) -> Vec<u8> {
    vec![length as u8; length % 50]
}

fn faults(bits: u8) -> Faults {
    let fails = |bit: u8| (bits & bit != 0).then_some(ErrorKind::Other);
    Faults {
        create: fails(1),
        write: fails(2),
        sync: fails(4),
        sync_once: fails(8),
        rename: fails(16),
        sync_dir: fails(32),
        short_writes: (bits & 64 != 0).then_some(7),
        halt_after: (bits & 128 != 0).then_some(u64::from(bits & 63)),
        ..Faults::default()
    }
}

/// Bends a byte of a file, cuts it, removes it, or gives it the content of another; tells whether that changed anything.
fn bend(memory: &Memory, damage: &[u8]) -> bool {
    let names = memory.list().unwrap_or_default();
    let Some(name) = names.get(usize::from(damage[0] >> 2) % names.len().max(1)) else { return false };
    let before = memory.read(name).unwrap_or_default();
    let place = (before.len() * usize::from(damage[1]) + usize::from(damage[2])) / 256;
    let mut bytes = before.clone();
    match damage[0] % 4 {
        0 => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= damage[3];
            }
        }
        1 => bytes.truncate(place),
        2 => return memory.remove(name).is_ok(),
        _ => bytes = memory.read(&names[usize::from(damage[3]) % names.len()]).unwrap_or_default(),
    }
    memory.put(name, &bytes);
    bytes != before
}
