//! All targets of a node, and what is told to which peer. Bounded, whatever clients ask for and peers say.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::breaker::Shift;
use super::entry::Entry;
use super::messages::{Digest, Heard, MAX_REPORTS, News, Report};
use super::settings::Settings;
use super::state::TargetStatus;
use super::target::Target;
use crate::identity::NodeId;

/// Targets that a node keeps.
pub const MAX_TARGETS: usize = 4096;
/// Of those, targets of which only peers speak.
const MAX_HEARSAY: usize = MAX_TARGETS / 2;
/// Shifts that wait for the log.
const MAX_SHIFTS: usize = 256;

/// What the entries of a board have in common.
#[derive(Debug)]
pub(super) struct Shared {
    oneself: NodeId,
    settings: ArcSwap<Settings>,
    versions: AtomicU64,
    nodes: AtomicUsize,
    shifts: Mutex<Vec<(Target, Shift)>>,
    news: Notify,
}

impl Shared {
    pub(super) fn oneself(&self) -> &NodeId {
        &self.oneself
    }

    pub(super) fn settings(&self) -> Settings {
        **self.settings.load()
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes.load(Ordering::Relaxed)
    }

    /// Called under the lock of the entry that changes, so that whoever has seen a version finds the change.
    pub(super) fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn shifted(&self, target: &Target, shift: Shift) {
        let mut shifts = self.shifts.lock().unwrap_or_else(PoisonError::into_inner);
        if shifts.len() < MAX_SHIFTS {
            shifts.push((target.clone(), shift));
        }
        drop(shifts);
        self.wake();
    }

    pub(super) fn wake(&self) {
        self.news.notify_one();
    }
}

/// All targets of a node.
#[derive(Debug)]
pub struct Board {
    /// Of which life of this node.
    epoch: u64,
    shared: Arc<Shared>,
    entries: RwLock<HashMap<Target, Arc<Entry>>>,
    /// The life of each live peer that has told something.
    peers: Mutex<BTreeMap<NodeId, u64>>,
}

impl Board {
    /// A board of a node in a life of it, which no later one of the node may have again.
    pub fn new(oneself: NodeId, epoch: u64, settings: Settings) -> Board {
        let shared = Shared {
            oneself,
            settings: ArcSwap::from_pointee(settings),
            versions: AtomicU64::new(0),
            nodes: AtomicUsize::new(1),
            shifts: Mutex::default(),
            news: Notify::new(),
        };
        Board { epoch, shared: Arc::new(shared), entries: RwLock::default(), peers: Mutex::default() }
    }

    /// Changes the bounds; breakers that are open stay so.
    pub fn set_settings(&self, settings: Settings) {
        self.shared.settings.store(Arc::new(settings));
    }

    /// The target; made when it is new. When there are too many, one that never answered makes room, and rather one of
    /// which there is nothing to tell; else it is known to the caller only.
    pub fn target(&self, now: Duration, target: &Target) -> Arc<Entry> {
        if let Some(entry) = self.find(target) {
            entry.mark_used();
            return entry;
        }
        let entry = self.insert(now, target, MAX_TARGETS).unwrap_or_else(|| self.fresh(now, target, None));
        entry.mark_used();
        entry
    }

    fn find(&self, target: &Target) -> Option<Arc<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(target).map(Arc::clone)
    }

    fn fresh(&self, now: Duration, target: &Target, key: Option<Arc<Entry>>) -> Arc<Entry> {
        Arc::new(Entry::new(now, target.clone(), key, Arc::clone(&self.shared)))
    }

    fn insert(&self, now: Duration, target: &Target, limit: usize) -> Option<Arc<Entry>> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(target) {
            return Some(Arc::clone(entry));
        }
        if entries.len() + 2 > limit {
            if limit < MAX_TARGETS {
                return None;
            }
            let unproven = || entries.values().filter(|entry| !entry.target().is_key() && !entry.is_proven());
            let useless = unproven().find(|entry| entry.reported().is_none()).or_else(|| unproven().next());
            let useless = useless?.target().clone();
            entries.remove(&useless);
        }
        let key = if target.is_key() {
            None
        } else {
            let key = target.key_as_a_whole();
            let fresh = || self.fresh(now, &key, None);
            Some(Arc::clone(entries.entry(key.clone()).or_insert_with(fresh)))
        };
        let entry = self.fresh(now, target, key);
        entries.insert(target.clone(), Arc::clone(&entry));
        Some(entry)
    }

    fn all(&self) -> Vec<Arc<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// A peer's news. `from` must be the name that its certificate proves.
    pub fn hear(&self, now: Duration, from: &NodeId, news: &News) -> Heard {
        if !self.is_current(now, from, news.epoch) {
            return Heard { agrees: true };
        }
        for report in news.reports.iter().take(MAX_REPORTS) {
            let target = report.target();
            if !target.is_shared() {
                continue;
            }
            let known = self.find(&target);
            // What says nothing needs no place.
            let entry = match known {
                None if report.said.is_nothing() => None,
                None => self.insert(now, &target, MAX_HEARSAY),
                known => known,
            };
            if let Some(entry) = entry {
                entry.hear(now, from, report);
            }
        }
        Heard { agrees: true }
    }

    /// Compares what a peer reports with what is known of it here. If that differs, it is forgotten, and the peer must
    /// tell all of it again.
    pub fn compare(&self, now: Duration, from: &NodeId, digest: &Digest) -> Heard {
        if !self.is_current(now, from, digest.epoch) {
            return Heard { agrees: true };
        }
        let entries = self.all();
        let sum = entries.iter().filter_map(|entry| entry.heard_from(from)).fold(0, u64::wrapping_add);
        let agrees = sum == digest.sum;
        if !agrees {
            entries.iter().for_each(|entry| entry.forget(now, from));
        }
        Heard { agrees }
    }

    /// False of a life of a peer that is over. A new one knows nothing of what the last one said.
    fn is_current(&self, now: Duration, from: &NodeId, epoch: u64) -> bool {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = peers.get(from).copied();
        if known.is_some_and(|known| epoch < known) {
            return false;
        }
        peers.insert(from.clone(), epoch);
        drop(peers);
        if known.is_some_and(|known| epoch > known) {
            self.all().iter().for_each(|entry| entry.forget(now, from));
        }
        true
    }

    /// What changed after a version, the oldest change first, and up to which version that is all.
    pub fn news(&self, now: Duration, after: u64) -> Option<(News, u64)> {
        let latest = self.shared.versions.load(Ordering::Acquire);
        if latest <= after {
            return None;
        }
        let mut reports: Vec<Report> = self
            .all()
            .iter()
            .filter_map(|entry| {
                let (version, said) = entry.report(now)?;
                (version > after).then(|| Report::new(entry.target(), version, said))
            })
            .collect();
        reports.sort_unstable_by_key(|report| report.version);
        let is_all = reports.len() <= MAX_REPORTS;
        reports.truncate(MAX_REPORTS);
        // Of what is later than `latest`, some may have been missed.
        let upto = if is_all { latest } else { reports.last().map_or(latest, |last| last.version.min(latest)) };
        Some((News { epoch: self.epoch, reports }, upto))
    }

    /// All that this node reports, in short.
    pub fn digest(&self) -> Digest {
        let sum = self.all().iter().filter_map(|entry| entry.reported()).fold(0, u64::wrapping_add);
        Digest { epoch: self.epoch, sum }
    }

    /// To be called every second with the live peers: averages, weights, and what is to be forgotten.
    pub fn tick(&self, now: Duration, live: &[NodeId]) {
        self.shared.nodes.store(live.len() + 1, Ordering::Relaxed);
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).retain(|node, _| live.contains(node));
        let entries = self.all();
        for entry in &entries {
            entry.tick(now, |node| live.contains(node));
        }
        if entries.iter().any(|entry| entry.is_idle(now)) {
            drop(entries);
            // One hold is the map's own.
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            entries.retain(|_, entry| Arc::strong_count(entry) > 1 || !entry.is_idle(now));
        }
    }

    /// A key has another value than the one that was refused: what was said of that holds no longer.
    pub fn renew_key(&self, now: Duration, provider: &str, key: &str) {
        for entry in self.all() {
            let target = entry.target();
            if &*target.provider == provider && &*target.key == key {
                entry.renew_key(now);
            }
        }
    }

    /// What changed of breakers since this was asked last.
    pub fn take_shifts(&self) -> Vec<(Target, Shift)> {
        std::mem::take(&mut self.shared.shifts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there is something for the peers or the log.
    pub async fn changed(&self) {
        self.shared.news.notified().await;
    }

    /// Every target, by name.
    pub fn statuses(&self, now: Duration) -> Vec<TargetStatus> {
        let mut statuses: Vec<TargetStatus> = self.all().iter().map(|entry| entry.status(now)).collect();
        statuses.sort_by(|one, other| one.target.cmp(&other.target));
        statuses
    }
}
