//! The file, and what is done when the disk does not take it.

use std::path::PathBuf;
use std::time::Instant;

use tracing::{error, info};

use super::keeper::DISK_AGAIN;
use super::status::Durability;
use crate::identity::ClusterName;
use crate::registry::state::Registry;
use crate::registry::store::{Store, StoreError};

/// Where the registry is kept.
#[derive(Debug)]
pub(super) enum Disk {
    None,
    File(Box<File>),
}

#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    cluster: ClusterName,
    /// `None` after a failure: redb takes nothing more until the file is opened anew.
    store: Option<Store>,
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    reason: String,
    again: Instant,
}

impl Disk {
    pub(super) fn of(path: PathBuf, cluster: ClusterName, store: Store) -> Disk {
        Disk::File(Box::new(File { path, cluster, store: Some(store), failed: None }))
    }

    pub(super) fn durability(&self) -> Durability {
        match self {
            Disk::None => Durability::None,
            Disk::File(file) if file.failed.is_some() => Durability::Degraded,
            Disk::File(_) => Durability::Ok,
        }
    }

    pub(super) fn error(&self) -> Option<String> {
        match self {
            Disk::File(file) => file.failed.as_ref().map(|failed| failed.reason.clone()),
            Disk::None => None,
        }
    }

    /// Saves what is not saved. True when it tried.
    pub(super) fn save(&mut self, registry: &mut Registry) -> bool {
        match self {
            Disk::None => {
                // Nobody will save it, so nobody needs to remember it.
                let _ = registry.take_unsaved();
                false
            }
            Disk::File(file) => file.save(registry),
        }
    }
}

impl File {
    fn save(&mut self, registry: &mut Registry) -> bool {
        if self.failed.as_ref().is_some_and(|failed| Instant::now() < failed.again) {
            return false;
        }
        match self.open(registry) {
            Ok(()) => {}
            Err(error) => return self.fail(&error),
        }
        let Some(unsaved) = registry.take_unsaved() else { return false };
        let Some(store) = &self.store else { return false };
        match store.save(&unsaved) {
            Ok(()) => {
                if self.failed.take().is_some() {
                    info!(file = %self.path.display(), "the registry is on disk again");
                }
                true
            }
            Err(error) => {
                registry.not_saved(unsaved);
                self.fail(&error)
            }
        }
    }

    /// After a failure nothing is known of the file, so all of it is written.
    fn open(&mut self, registry: &mut Registry) -> Result<(), StoreError> {
        if self.store.is_none() {
            self.store = Some(Store::open(&self.path, &self.cluster)?);
            registry.save_all();
        }
        Ok(())
    }

    fn fail(&mut self, error: &StoreError) -> bool {
        let reason = error.to_string();
        if self.failed.is_none() {
            error!("the registry goes on in memory, and a restart of this node would lose what is new: {reason}");
        }
        self.store = None;
        self.failed = Some(Failed { reason, again: Instant::now() + DISK_AGAIN });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Actor;
    use crate::identity::Incarnation;
    use crate::registry::record::{RecordKey, RecordKind};
    use crate::registry::state::Limits;
    use crate::registry::store::WhenAhead;

    #[test]
    fn a_disk_that_failed_gets_everything_when_it_is_back() {
        let cluster: ClusterName = "test".parse().unwrap();
        let actor = Actor { node: "a".parse().unwrap(), incarnation: Incarnation(1) };
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("data");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("registry.redb");
        let mut registry = Registry::new(actor.clone(), Limits::default());
        let mut disk = Disk::of(path.clone(), cluster.clone(), Store::open(&path, &cluster).unwrap());
        let key = |id: &str| RecordKey::new(RecordKind::KEY, id).unwrap();
        registry.put(1, key("before"), b"1").unwrap();
        assert!(disk.save(&mut registry));

        let Disk::File(file) = &mut disk else { unreachable!() };
        std::fs::remove_dir_all(&folder).unwrap();
        file.fail(&StoreError::InUse { path: path.clone() });
        registry.put(2, key("during"), b"2").unwrap();
        assert!(!disk.save(&mut registry), "not before its time");
        assert_eq!(disk.durability(), Durability::Degraded);
        let again = |disk: &mut Disk| match disk {
            Disk::File(file) => file.failed.as_mut().unwrap().again = Instant::now(),
            Disk::None => unreachable!(),
        };
        again(&mut disk);
        assert!(disk.save(&mut registry));
        assert_eq!(disk.durability(), Durability::Degraded, "there is no folder: {:?}", disk.error());

        std::fs::create_dir(&folder).unwrap();
        again(&mut disk);
        assert!(disk.save(&mut registry));
        assert_eq!((disk.durability(), disk.error()), (Durability::Ok, None));
        drop(disk);
        let store = Store::open(&path, &cluster).unwrap();
        let loaded = store.load(3, actor, Limits::default(), WhenAhead::Refuse).unwrap().registry;
        assert_eq!((loaded.get(&key("before")), loaded.get(&key("during"))), (Some(&b"1"[..]), Some(&b"2"[..])));
    }
}
