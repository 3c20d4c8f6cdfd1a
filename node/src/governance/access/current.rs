//! The access that is in force, and when it is made anew: when the file was read again, and when the registry changed.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use peerway_cluster::registry::{RegistryService, Snapshot};
use tokio::sync::watch;
use tracing::warn;

use super::base::Base;
use super::{Access, Differences, Unreadable};
use crate::config::Config;
use crate::governance::Reserve;

/// The access in force. Reading it costs the request path a few nanoseconds and never waits.
#[derive(Debug)]
pub struct CurrentAccess {
    current: ArcSwap<Access>,
    /// Held while a new one is made, so that no older one is put in its place.
    base: Mutex<Base>,
    registry: Option<RegistryService>,
    changes: watch::Sender<Arc<Access>>,
    ledger: Option<Arc<dyn Reserve>>,
}

impl CurrentAccess {
    /// Without a registry: what the file says.
    pub fn new(base: Base, registry: Option<RegistryService>) -> Self {
        let snapshot = registry.as_ref().map_or_else(Arc::default, RegistryService::snapshot);
        let access = Arc::new(Access::new(&base, &snapshot, None));
        complain(&[], &access.unreadable);
        let (changes, _) = watch::channel(Arc::clone(&access));
        Self { current: ArcSwap::new(access), base: Mutex::new(base), registry, changes, ledger: None }
    }

    /// Budgets and limits are those of this ledger.
    pub fn charged_to(mut self, ledger: Arc<dyn Reserve>) -> Self {
        self.current.load().charge_to(&*ledger);
        self.ledger = Some(ledger);
        self
    }

    pub fn load(&self) -> Guard<Arc<Access>> {
        self.current.load()
    }

    /// The same, to keep for longer.
    pub fn load_full(&self) -> Arc<Access> {
        self.current.load_full()
    }

    /// The access, with every change of it.
    pub fn watch(&self) -> watch::Receiver<Arc<Access>> {
        self.changes.subscribe()
    }

    /// The file was read again. The name of the cluster, under which keys are hashed, stays what it was at the start.
    pub fn reload(&self, config: &Config) {
        let base = Base::hashed(config, self.current.load().hasher);
        let mut held = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        *held = base;
        self.build(&held);
    }

    /// Puts in force what the registry holds at this moment. A writer calls it, so that what it has written holds on this
    /// node when its request is answered.
    pub fn refresh(&self) {
        let base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        if self.current.load().number != self.snapshot().number {
            self.build(&base);
        }
    }

    /// What the registry lays over the file at this moment.
    pub fn differences(&self) -> Differences {
        let base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        Differences::new(&base, &self.snapshot())
    }

    /// Follows the registry until it ends.
    pub async fn follow(self: Arc<Self>) {
        let Some(mut snapshots) = self.registry.as_ref().map(RegistryService::watch) else { return };
        while snapshots.changed().await.is_ok() {
            self.refresh();
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.registry.as_ref().map_or_else(Arc::default, RegistryService::snapshot)
    }

    fn build(&self, base: &Base) {
        let before = self.current.load_full();
        let access = Arc::new(Access::new(base, &self.snapshot(), Some(&before)));
        complain(&before.unreadable, &access.unreadable);
        // While the lock is held: an older limit must not come after a newer one.
        if let Some(ledger) = &self.ledger {
            access.charge_to(&**ledger);
        }
        self.current.store(Arc::clone(&access));
        self.changes.send_replace(access);
    }
}

fn complain(before: &[Unreadable], now: &[Unreadable]) {
    for unreadable in now.iter().filter(|it| !before.contains(it)) {
        let Unreadable { kind, id, reason } = unreadable;
        warn!(%kind, %id, "a record cannot be used, so nobody may use what it names: {reason}");
    }
}
