//! Who this node is: its names, and the two numbers that tell one life of it from another.
//!
//! The incarnation lives as long as the data directory; the generation changes with every start. Both are in the
//! data directory before anything uses them, so that a crash never lets a number be used twice.

use std::borrow::Borrow;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

const STATE_FILE: &str = "identity.json";
const LOCK_FILE: &str = "identity.lock";
const MAX_NAME: usize = 63;

/// Why this node has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A node id or cluster name breaks the naming rule.
    #[error("{name:?} is not a valid name: use 1 to 63 of A-Z a-z 0-9 . _ - and begin with a letter or a digit")]
    Name {
        /// The text that was given.
        name: String,
    },
    /// Another live process holds the data directory.
    #[error(
        "the data directory {} is in use by another process: give every node a data directory of its own", path.display()
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// The data directory belongs to another node or cluster.
    #[error(
        "the data directory {} belongs to {what} {found:?}, but the configuration says {configured:?}: \
         correct the configuration or choose another data directory", path.display()
    )]
    Foreign {
        /// The data directory.
        path: PathBuf,
        /// "node" or "cluster".
        what: &'static str,
        /// The name kept in the directory.
        found: String,
        /// The name that was configured.
        configured: String,
    },
    /// The identity file does not read as one.
    #[error("{} is damaged ({reason}): restore it, or remove it to make this node a new one", path.display())]
    Damaged {
        /// The identity file.
        path: PathBuf,
        /// What the reader found.
        reason: String,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdentityError;

            fn from_str(text: &str) -> Result<Self, IdentityError> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(IdentityError::Name { name: text.to_owned() }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdentityError;

            fn try_from(text: String) -> Result<Self, IdentityError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

name_type! {
    /// The name of one node, unique in its cluster.
    NodeId
}
name_type! {
    /// The name of a cluster; nodes of different clusters never become peers.
    ClusterName
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The actor behind a node id, in microseconds of its creation; a lost data directory makes a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// One life of the process, in microseconds of its start; always grows, also when the clock steps back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who this process is in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster it belongs to.
    pub cluster: ClusterName,
    /// Its name there.
    pub node_id: NodeId,
    /// The actor, which survives restarts.
    pub incarnation: Incarnation,
    /// This life of it.
    pub generation: Generation,
}

/// Holds the data directory for this process until it is dropped.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    cluster: ClusterName,
    node_id: NodeId,
    incarnation: u64,
    generation: u64,
}

impl Identity {
    /// Reads the identity kept in `data_dir`, or makes one, and starts a new generation of it.
    ///
    /// The new generation is on disk before this returns. Without a directory nothing is durable: each start is a new
    /// incarnation.
    pub fn load_or_create(
        data_dir: Option<&Path>,
        cluster: ClusterName,
        configured: Option<NodeId>,
        now_micros: u64,
        fresh_id: impl FnOnce() -> NodeId,
    ) -> Result<(Identity, Option<DataDirLock>), IdentityError> {
        let Some(dir) = data_dir else {
            let node_id = configured.unwrap_or_else(fresh_id);
            let identity =
                Identity { cluster, node_id, incarnation: Incarnation(now_micros), generation: Generation(now_micros) };
            return Ok((identity, None));
        };
        fs::create_dir_all(dir).map_err(io_error("create the data directory", dir))?;
        let lock = lock(dir)?;
        let path = dir.join(STATE_FILE);
        let kept = match fs::read(&path) {
            Ok(bytes) => {
                let mut kept: Kept = serde_json::from_slice(&bytes)
                    .map_err(|error| IdentityError::Damaged { path: path.clone(), reason: error.to_string() })?;
                kept.belongs_to(dir, &cluster, configured.as_ref())?;
                kept.generation = now_micros.max(kept.generation.saturating_add(1));
                kept
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept {
                cluster,
                node_id: configured.unwrap_or_else(fresh_id),
                incarnation: now_micros,
                generation: now_micros,
            },
            Err(source) => return Err(IdentityError::Io { action: "read", path, source }),
        };
        kept.write(dir, &path)?;
        let identity = Identity {
            cluster: kept.cluster,
            node_id: kept.node_id,
            incarnation: Incarnation(kept.incarnation),
            generation: Generation(kept.generation),
        };
        Ok((identity, Some(lock)))
    }
}

impl Identity {
    /// Becomes another actor in the same data directory, because peers know more of this one than the directory does.
    /// The new incarnation is on disk before this returns.
    ///
    /// `lock` shows that the directory is this process's. What belonged to the old incarnation must be set aside before
    /// the next start.
    pub fn renew(&self, data_dir: &Path, _lock: &DataDirLock, now_micros: u64) -> Result<Identity, IdentityError> {
        let kept = Kept {
            cluster: self.cluster.clone(),
            node_id: self.node_id.clone(),
            incarnation: now_micros.max(self.incarnation.0.saturating_add(1)),
            generation: now_micros.max(self.generation.0.saturating_add(1)),
        };
        kept.write(data_dir, &data_dir.join(STATE_FILE))?;
        let (incarnation, generation) = (Incarnation(kept.incarnation), Generation(kept.generation));
        Ok(Identity { incarnation, generation, ..self.clone() })
    }
}

impl Kept {
    fn belongs_to(&self, dir: &Path, cluster: &ClusterName, configured: Option<&NodeId>) -> Result<(), IdentityError> {
        let foreign = |what, found: &str, configured: &str| IdentityError::Foreign {
            path: dir.to_owned(),
            what,
            found: found.to_owned(),
            configured: configured.to_owned(),
        };
        if self.cluster != *cluster {
            return Err(foreign("cluster", self.cluster.as_str(), cluster.as_str()));
        }
        match configured {
            Some(id) if *id != self.node_id => Err(foreign("node", self.node_id.as_str(), id.as_str())),
            _ => Ok(()),
        }
    }

    /// Write aside, sync, rename, sync the directory: after a power cut there is the old file or the new one.
    fn write(&self, dir: &Path, path: &Path) -> Result<(), IdentityError> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| IdentityError::Damaged { path: path.to_owned(), reason: error.to_string() })?;
        let aside = dir.join(format!("{STATE_FILE}.new"));
        let mut file = File::create(&aside).map_err(io_error("create", &aside))?;
        file.write_all(&text).map_err(io_error("write", &aside))?;
        file.sync_all().map_err(io_error("sync", &aside))?;
        fs::rename(&aside, path).map_err(io_error("replace", path))?;
        File::open(dir).and_then(|handle| handle.sync_all()).map_err(io_error("sync", dir))
    }
}

fn lock(dir: &Path) -> Result<DataDirLock, IdentityError> {
    let path = dir.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io_error("open the lock file", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(DataDirLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(IdentityError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(IdentityError::Io { action: "lock", path, source }),
    }
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> IdentityError + 'a {
    move |source| IdentityError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> ClusterName {
        "test".parse().unwrap()
    }

    fn load(dir: &Path, now: u64) -> Result<(Identity, Option<DataDirLock>), IdentityError> {
        Identity::load_or_create(Some(dir), cluster(), None, now, || "fresh".parse().unwrap())
    }

    #[test]
    fn names_are_checked() {
        for good in ["a", "node-1", "10.x_y", &"a".repeat(63)] {
            assert!(good.parse::<NodeId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "é", &"a".repeat(64)] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn identity_survives_and_generation_grows_even_when_the_clock_steps_back() {
        let dir = tempfile::tempdir().unwrap();
        let (first, lock) = load(dir.path(), 1_000_000).unwrap();
        drop(lock);
        let (second, lock) = load(dir.path(), 400).unwrap();
        drop(lock);
        let (third, _lock) = load(dir.path(), 5_000_000).unwrap();
        assert_eq!(first.node_id.as_str(), "fresh");
        assert_eq!((second.incarnation, second.generation), (Incarnation(1_000_000), Generation(1_000_001)));
        assert_eq!((third.incarnation, third.generation), (Incarnation(1_000_000), Generation(5_000_000)));
    }

    #[test]
    fn a_renewed_identity_is_another_actor_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let (first, lock) = load(dir.path(), 1_000).unwrap();
        let renewed = first.renew(dir.path(), lock.as_ref().unwrap(), 500).unwrap();
        assert_eq!((renewed.incarnation, renewed.generation), (Incarnation(1_001), Generation(1_001)));
        assert_eq!((&renewed.node_id, &renewed.cluster), (&first.node_id, &first.cluster));
        drop(lock);
        let (kept, _lock) = load(dir.path(), 2_000).unwrap();
        assert_eq!(kept.incarnation, Incarnation(1_001));
    }

    #[test]
    fn a_second_process_is_refused_and_told_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (_identity, _lock) = load(dir.path(), 1).unwrap();
        let refused = load(dir.path(), 2).unwrap_err();
        assert!(matches!(refused, IdentityError::InUse { .. }));
        assert!(refused.to_string().contains(&dir.path().display().to_string()));
    }

    #[test]
    fn a_foreign_or_damaged_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(load(dir.path(), 1).unwrap());
        let other_node =
            Identity::load_or_create(Some(dir.path()), cluster(), Some("other".parse().unwrap()), 2, || unreachable!());
        assert!(matches!(other_node, Err(IdentityError::Foreign { what: "node", .. })));
        let other_cluster =
            Identity::load_or_create(Some(dir.path()), "else".parse().unwrap(), None, 2, || unreachable!());
        assert!(matches!(other_cluster, Err(IdentityError::Foreign { what: "cluster", .. })));
        fs::write(dir.path().join(STATE_FILE), b"{").unwrap();
        assert!(matches!(load(dir.path(), 3), Err(IdentityError::Damaged { .. })));
    }

    #[test]
    fn without_a_directory_every_start_is_a_new_actor() {
        let (identity, lock) =
            Identity::load_or_create(None, cluster(), Some("n".parse().unwrap()), 7, || unreachable!()).unwrap();
        assert_eq!((identity.incarnation, identity.generation), (Incarnation(7), Generation(7)));
        assert!(lock.is_none());
    }
}
