//! The way out after damage: keep the longest whole prefix, and say what was dropped.
//!
//! Nothing is destroyed: what is dropped stays in the directory as `damaged-<n>-<name>`. Later files go first, the
//! damaged one last, so that a crash in between leaves a journal that is still damaged and can be repaired again.

use std::path::Path;

use super::error::JournalError;
use super::header::Tag;
use super::recovery::{Damage, Names, SEGMENT_ASIDE, Survey, io_error, last_seen, segment_name};
use super::status::Sequence;
use super::storage::{Disk, Storage, put_whole};

const ASIDE: &str = "damaged.new";

/// What a repair did.
#[derive(Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The last record that was kept; 0 means that none was.
    pub kept_through: Sequence,
    /// What was dropped, in the order in which it was found; empty when nothing was damaged.
    pub dropped: Vec<Dropped>,
}

/// A file, or the rest of one, that the journal does not hold any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The file.
    pub name: String,
    /// Under which name its content can still be found.
    pub kept_as: String,
    /// From which byte on it was dropped.
    pub offset: u64,
    /// How many bytes were dropped.
    pub bytes: u64,
    /// The first record in doubt.
    pub from: Sequence,
    /// The last record in doubt, if the files still tell.
    pub through: Option<Sequence>,
    /// What was wrong.
    pub reason: String,
}

/// Repairs the journal in `dir` so that it opens again. The owner must learn what was dropped: see [`Repaired`].
pub fn repair(dir: impl AsRef<Path>, tag: Tag) -> Result<Repaired, JournalError> {
    repair_on(&Disk::new(dir.as_ref()), tag)
}

/// [`repair`] on any storage.
pub fn repair_on(storage: &dyn Storage, tag: Tag) -> Result<Repaired, JournalError> {
    let mut dropped = Vec::new();
    loop {
        let survey = Survey::take(storage, tag)?;
        let kept_through = survey.recovered.last;
        let Some(damage) = survey.damage else { return Ok(Repaired { kept_through, dropped }) };
        dropped.extend(drop_damage(storage, &survey.names, damage)?);
    }
}

fn drop_damage(storage: &dyn Storage, names: &Names, damage: Damage) -> Result<Vec<Dropped>, JournalError> {
    let bytes = storage.read(&damage.name).map_err(io_error(storage, "read", &damage.name))?;
    // Before any other file goes: without those behind it the damage may look like a torn tail to the next start.
    let copy = if damage.whole_file { None } else { Some(copy_aside(storage, &damage.name, &bytes)?) };
    let mut dropped = Vec::new();
    for (index, &first) in names.segments.iter().enumerate().rev() {
        let name = segment_name(first);
        // The name of a snapshot sorts behind those of all segments: then none goes before the next survey.
        if name <= damage.name {
            break;
        }
        let bytes = storage.read(&name).map_err(io_error(storage, "read", &name))?;
        dropped.push(Dropped {
            kept_as: set_aside(storage, &name)?,
            name,
            offset: 0,
            bytes: bytes.len() as u64,
            from: Sequence(first),
            through: last_seen(&bytes, first, names.after(index)).map(Sequence),
            reason: format!("it follows the damage in {}", damage.name),
        });
    }
    let kept_as = match copy {
        Some(copy) => {
            let whole = usize::try_from(damage.offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
            put_whole(storage, SEGMENT_ASIDE, &damage.name, &[&bytes[..whole]]).map_err(io_error(
                storage,
                "cut",
                &damage.name,
            ))?;
            copy
        }
        None => set_aside(storage, &damage.name)?,
    };
    dropped.push(Dropped {
        kept_as,
        name: damage.name,
        offset: damage.offset,
        bytes: (bytes.len() as u64).saturating_sub(damage.offset),
        from: Sequence(damage.sequence),
        through: damage.through.map(Sequence),
        reason: damage.reason,
    });
    dropped.reverse();
    Ok(dropped)
}

/// Moves a file out of the journal's sight.
fn set_aside(storage: &dyn Storage, name: &str) -> Result<String, JournalError> {
    let kept_as = free_name(storage, name)?;
    storage.rename(name, &kept_as).map_err(io_error(storage, "set aside", name))?;
    storage.sync_dir().map_err(io_error(storage, "sync", ""))?;
    Ok(kept_as)
}

/// Copies a file to where the journal does not look.
fn copy_aside(storage: &dyn Storage, name: &str, bytes: &[u8]) -> Result<String, JournalError> {
    let kept_as = free_name(storage, name)?;
    put_whole(storage, ASIDE, &kept_as, &[bytes]).map_err(io_error(storage, "copy", name))?;
    Ok(kept_as)
}

fn free_name(storage: &dyn Storage, name: &str) -> Result<String, JournalError> {
    let taken = storage.list().map_err(io_error(storage, "list the journal in", ""))?;
    // A directory has fewer names than numbers, so that one is free.
    let mut free = (1_u64..).map(|number| format!("damaged-{number}-{name}")).filter(|name| !taken.contains(name));
    Ok(free.next().unwrap_or_else(|| format!("damaged-{name}")))
}
