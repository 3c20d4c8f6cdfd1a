//! Keeps ring, link and view in step.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::rings::Rings;
use crate::discovery::SeedStatus;
use crate::identity::{Generation, NodeId};
use crate::link::Link;
use crate::membership::{Gossip, Membership as _, State, View};

/// The published key under which every node tells the hash of its view.
pub const VIEW_KEY: &str = "view";
/// How long a member that is gone is dialled: as long as gossip remembers it.
const DIAL_GONE_MEMBERS: Duration = Duration::from_secs(15 * 60);
const MAX_DIALLED_MEMBERS: usize = 512;

pub(super) struct Keeper {
    pub(super) link: Link,
    pub(super) gossip: Gossip,
    pub(super) rings: Rings,
    pub(super) seeds: Mutex<Vec<SeedStatus>>,
    /// The addresses of members, dialled for their own sake, and when each was last live.
    members: Mutex<BTreeMap<SocketAddr, Instant>>,
    /// Set once the seeds had their chance: before that, being alone is no news.
    searched: AtomicBool,
    told_alone: Mutex<Option<bool>>,
}

impl Keeper {
    pub(super) fn new(link: Link, gossip: Gossip) -> Keeper {
        Keeper {
            link,
            gossip,
            rings: Rings::default(),
            seeds: Mutex::default(),
            members: Mutex::default(),
            searched: AtomicBool::new(false),
            told_alone: Mutex::default(),
        }
    }

    pub(super) fn update_ring(&self) {
        if self.rings.update(|| self.gossip.view()) {
            let ring = self.rings.current();
            tracing::info!(members = ring.members().len(), "the ring has changed");
        }
    }

    /// Says once that this node is alone, and once when that is over.
    pub(super) fn tell_alone(&self, view: &View) {
        let alone = alone(view);
        let mut told = lock(&self.told_alone);
        if *told == Some(alone) || (alone && !self.searched.load(Ordering::Relaxed)) {
            return;
        }
        let others = view.members.len().saturating_sub(1);
        match (alone, *told) {
            (true, None) => tracing::warn!("no peer found: this node serves alone, and goes on looking"),
            (true, Some(_)) => tracing::warn!("all peers are gone: this node serves alone, and goes on looking"),
            (false, None) => tracing::info!(others, "joined the cluster"),
            (false, Some(_)) => tracing::info!(others, "no longer alone: joined the cluster"),
        }
        *told = Some(alone);
    }

    pub(super) fn seeds_had_their_chance(&self) {
        self.searched.store(true, Ordering::Relaxed);
        self.tell_alone(&self.gossip.view());
    }

    /// True when an address is dialled because a member is or was there.
    pub(super) fn is_member_address(&self, address: &SocketAddr) -> bool {
        lock(&self.members).contains_key(address)
    }

    /// Gives up members that are gone for long, and returns their addresses.
    pub(super) fn gone_for_long(&self, view: &View) -> Vec<SocketAddr> {
        let mut members = lock(&self.members);
        for member in &view.members {
            if let Some(last) = members.get_mut(&member.address) {
                *last = Instant::now();
            }
        }
        members.extract_if(.., |_, last| last.elapsed() > DIAL_GONE_MEMBERS).map(|(address, _)| address).collect()
    }

    /// Every call needs a connection, and gossip alone would open one only when the dice fall on the peer.
    fn dial(&self, view: &View) {
        let mut members = lock(&self.members);
        for member in &view.members {
            if member.id == self.link.identity().node_id {
                continue;
            }
            let room = members.len() < MAX_DIALLED_MEMBERS;
            match members.get_mut(&member.address) {
                Some(last) => *last = Instant::now(),
                None if room => {
                    members.insert(member.address, Instant::now());
                    self.link.connect(member.address);
                }
                None => {}
            }
        }
    }
}

pub(super) fn alone(view: &View) -> bool {
    view.members.len() <= 1
}

pub(super) fn converged(view: &View) -> bool {
    let hash = view.hash();
    view.members.iter().all(|member| member.published.get(VIEW_KEY) == Some(&hash))
}

/// Brings everything in step with each new view.
pub(super) async fn follow_view(keeper: Arc<Keeper>) {
    let mut views = keeper.gossip.watch();
    let mut before = BTreeMap::new();
    loop {
        let view = views.borrow_and_update().clone();
        keeper.update_ring();
        keeper.dial(&view);
        keeper.tell_alone(&view);
        before = tell_changes(&before, &view, &keeper.link.identity().node_id);
        if let Err(error) = keeper.gossip.publish(VIEW_KEY, view.hash()).await {
            tracing::error!(%error, "the hash of the view cannot be published");
        }
        if views.changed().await.is_err() {
            return;
        }
    }
}

type Lives = BTreeMap<NodeId, (Generation, State)>;

fn tell_changes(before: &Lives, view: &View, oneself: &NodeId) -> Lives {
    let now: Lives = view
        .members
        .iter()
        .filter(|member| member.id != *oneself)
        .map(|member| (member.id.clone(), (member.generation, member.state)))
        .collect();
    for (peer, (generation, state)) in &now {
        match before.get(peer) {
            None => tracing::info!(%peer, %state, "a member has come"),
            Some((old, _)) if old != generation => tracing::info!(%peer, %state, "a member has restarted"),
            Some((_, old)) if old != state => tracing::info!(%peer, %state, "a member has changed its state"),
            Some(_) => {}
        }
    }
    for (peer, (_, state)) in before {
        if !now.contains_key(peer) {
            tracing::info!(%peer, was = %state, "a member has gone");
        }
    }
    now
}

/// Introduces each newly connected peer to the gossip at once, instead of at the next round of discovery.
pub(super) async fn follow_link(keeper: Arc<Keeper>) {
    let mut changes = keeper.link.watch();
    loop {
        changes.mark_unchanged();
        let view = keeper.gossip.view();
        for peer in keeper.link.peers() {
            if view.member(&peer.id).is_none_or(|member| member.generation < peer.generation) {
                keeper.gossip.meet(peer.address);
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
