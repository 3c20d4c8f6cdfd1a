//! A disk in memory for simulations: it fails on demand, and it forgets in a crash what a real one may forget.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::storage::{Storage, StorageFile};

/// What goes wrong from now on.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Creating a file fails.
    pub create: Option<ErrorKind>,
    /// Writing fails.
    pub write: Option<ErrorKind>,
    /// Syncing a file fails, and its unsynced pages are dropped though they still read as written.
    pub sync: Option<ErrorKind>,
    /// The next sync of a file fails like that, and only that one.
    pub sync_once: Option<ErrorKind>,
    /// Renaming fails.
    pub rename: Option<ErrorKind>,
    /// Syncing the directory fails.
    pub sync_dir: Option<ErrorKind>,
    /// A write takes at most so many bytes.
    pub short_writes: Option<usize>,
    /// All files together hold at most so many bytes.
    pub capacity: Option<usize>,
    /// After so many more operations every one fails and changes nothing: the process is gone.
    pub halt_after: Option<u64>,
}

/// What a crash leaves.
#[derive(Clone, Copy, Debug)]
pub enum Crash {
    /// The process dies; the system keeps what was written.
    Process,
    /// The power goes: only what was synced is sure.
    PowerCut {
        /// So many unsynced bytes of each file are there all the same.
        tail: usize,
        /// So many more are there as zeros.
        zeros: usize,
        /// Bit i: the i-th change of a name since the directory was synced is there all the same.
        names: u64,
    },
}

/// A directory in memory; clones are the same directory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    disk: Arc<Mutex<Inner>>,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    /// Since the directory was synced.
    changes: Vec<NameChange>,
    faults: Faults,
    operations: u64,
}

/// One step that a crash keeps or loses as a whole.
#[derive(Clone, Debug)]
struct NameChange {
    ceases: Option<String>,
    becomes: Option<(String, usize)>,
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        if let Some(name) = &self.ceases {
            names.remove(name);
        }
        names.extend(self.becomes.clone());
    }
}

#[derive(Clone, Debug, Default)]
struct Content {
    data: Vec<u8>,
    synced: Vec<u8>,
    /// From here on the next sync writes; pages before it that are not in `synced` were dropped by a failed one.
    dirty_from: usize,
}

impl Memory {
    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// How many operations that change something there were.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Puts a file there, synced, whatever the faults.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut disk = self.lock();
        let file = disk.files.len();
        disk.files.push(Content { data: bytes.to_vec(), synced: bytes.to_vec(), dirty_from: bytes.len() });
        disk.names.insert(name.to_owned(), file);
        disk.synced_names.insert(name.to_owned(), file);
    }

    /// The directory that the next process finds after a crash at this moment, without faults.
    pub fn after(&self, crash: Crash) -> Memory {
        let mut disk = self.lock().clone();
        disk.faults = Faults::default();
        disk.operations = 0;
        if let Crash::PowerCut { tail, zeros, names } = crash {
            disk.lose_power(tail, zeros, names);
        }
        Memory { disk: Arc::new(Mutex::new(disk)) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts one operation, and fails it if it is its turn.
    fn step(&mut self, fault: Option<ErrorKind>) -> io::Result<()> {
        if let Some(left) = &mut self.faults.halt_after {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("the process is gone"))?;
        }
        self.operations += 1;
        fault.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn change(&mut self, ceases: Option<&str>, becomes: Option<(&str, usize)>) {
        let change = NameChange {
            ceases: ceases.map(str::to_owned),
            becomes: becomes.map(|(name, file)| (name.to_owned(), file)),
        };
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn named(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn used(&self) -> usize {
        self.names.values().map(|file| self.files[*file].data.len()).sum()
    }

    fn lose_power(&mut self, tail: usize, zeros: usize, names: u64) {
        for (index, change) in self.changes.drain(..).enumerate() {
            if index < 64 && names >> index & 1 == 1 {
                change.apply(&mut self.synced_names);
            }
        }
        self.names = self.synced_names.clone();
        for file in &mut self.files {
            let unsynced = file.data.split_off(file.synced.len().min(file.data.len()));
            file.data = std::mem::take(&mut file.synced);
            file.data.extend(unsynced.iter().take(tail));
            file.data.extend(unsynced.iter().skip(tail).take(zeros).map(|_| 0));
            file.synced = file.data.clone();
            file.dirty_from = file.data.len();
        }
    }
}

impl Storage for Memory {
    fn place(&self) -> &Path {
        Path::new("memory")
    }

    fn prepare(&self) -> io::Result<()> {
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let disk = self.lock();
        Ok(disk.files[disk.named(name)?].data.clone())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let mut disk = self.lock();
        let fault = disk.faults.create;
        disk.step(fault)?;
        let file = disk.files.len();
        disk.files.push(Content::default());
        disk.change(None, Some((name, file)));
        Ok(Box::new(MemoryFile { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.lock();
        let fault = disk.faults.rename;
        disk.step(fault)?;
        let file = disk.named(from)?;
        disk.change(Some(from), Some((to, file)));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.lock();
        disk.named(name)?;
        disk.step(None)?;
        disk.change(Some(name), None);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut disk = self.lock();
        let fault = disk.faults.sync_dir;
        disk.step(fault)?;
        disk.synced_names = disk.names.clone();
        disk.changes.clear();
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: Memory,
    file: usize,
}

impl StorageFile for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        let fault = disk.faults.write;
        disk.step(fault)?;
        let room = disk.faults.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(disk.used()));
        let taken = bytes.len().min(disk.faults.short_writes.unwrap_or(usize::MAX)).min(room);
        if taken == 0 && !bytes.is_empty() {
            return Err(ErrorKind::StorageFull.into());
        }
        disk.files[self.file].data.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let fault = disk.faults.sync_once.take().or(disk.faults.sync);
        let outcome = disk.step(fault);
        if fault.is_none() && outcome.is_err() {
            return outcome;
        }
        let file = &mut disk.files[self.file];
        if outcome.is_ok() {
            // What an earlier failure dropped is a hole, though this sync succeeds.
            file.synced.resize(file.dirty_from, 0);
            file.synced.extend_from_slice(&file.data[file.dirty_from..]);
        }
        file.dirty_from = file.data.len();
        outcome
    }
}
