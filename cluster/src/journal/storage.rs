//! The directory that a journal lives in, as few operations as it needs.
//!
//! A trait, so that full disks, failing syncs, short writes and crashes can be had without one.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// One directory of files.
pub trait Storage: Debug + Send + 'static {
    /// Where it is, for messages.
    fn place(&self) -> &Path;
    /// Makes the directory if there is none.
    fn prepare(&self) -> io::Result<()>;
    /// The names of its files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// All bytes of a file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// A new empty file; one that had the name loses its content.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;
    /// Gives a file another name; a file that had that name is gone.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Returns when created, renamed and removed names are on disk.
    fn sync_dir(&self) -> io::Result<()>;
    /// How many bytes may still be written; `None` where nobody can tell.
    fn space(&self) -> Option<u64> {
        None
    }
}

/// A file that is written from its begin to its end.
pub trait StorageFile: Debug + Send {
    /// Writes some of the bytes at the end, and says how many.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Returns when all that was written is on disk. After a failure nothing is known of what was written.
    fn sync(&mut self) -> io::Result<()>;
}

/// Writes all of `bytes`, however few a write takes.
pub(super) fn write_all(file: &mut dyn StorageFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written.min(bytes.len())..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Puts a file under `name` whole or not at all: written and synced as `aside`, renamed, the directory synced.
pub(super) fn put_whole(
    storage: &dyn Storage,
    aside: &str,
    name: &str,
    parts: &[&[u8]],
) -> io::Result<Box<dyn StorageFile>> {
    let written = write_aside(storage, aside, parts).and_then(|file| {
        storage.rename(aside, name)?;
        storage.sync_dir()?;
        Ok(file)
    });
    if written.is_err() {
        // On a full disk the half-written file is in the way of the next try; that it may be gone already is no matter.
        storage.remove(aside).ok();
    }
    written
}

pub(super) fn write_aside(storage: &dyn Storage, aside: &str, parts: &[&[u8]]) -> io::Result<Box<dyn StorageFile>> {
    let mut file = storage.create(aside)?;
    for part in parts {
        write_all(file.as_mut(), part)?;
    }
    file.sync()?;
    Ok(file)
}

/// A directory of the file system.
#[derive(Debug)]
pub struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// The directory, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }
}

impl Storage for Disk {
    fn place(&self) -> &Path {
        &self.dir
    }

    fn prepare(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        // A name that is not text is none of ours.
        fs::read_dir(&self.dir)?
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.dir.join(name))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(self.dir.join(name))?;
        Ok(Box::new(DiskFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.dir.join(from), self.dir.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn space(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.dir).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

#[derive(Debug)]
struct DiskFile(File);

impl StorageFile for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}
