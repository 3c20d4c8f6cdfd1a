//! A node that is to hold more than before takes it over from those who held it, a part at a time and not too fast.
//!
//! Which partitions it has taken over, and from whom, is its own to know, so it does not matter how often the ring changed.
//! From a change of the ring until it has all it says so in its answers, and who asks tries one other node.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join;
use peerway_cluster::identity::NodeId;
use peerway_cluster::link::Refusal;
use peerway_cluster::ring::Partition;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::notes::Note;
use super::space::place_of;
use super::{Semantic, is_comparable};
use crate::identity::EntryId;
use crate::message::{MAX_DIMENSION, Part, Partitions, Pull, Pulled};
use crate::ring_cache::{Inner, RingCache};
use crate::vector::{Export, Space};

/// How often the vectors are tended, and the ring is looked at.
const TURN: Duration = Duration::from_secs(1);
/// Rows that are linked in one go, so that nothing else on the runtime waits for it.
const LINKS: usize = 16;
/// And how many goes a turn has at most.
const GOES: usize = 64;
/// The bytes of vectors in one answer, and how they are cut; with the pause, some 10 MB a second.
const ANSWER: usize = 256 * 1024;
const CHUNK: usize = 64 * 1024;
const PAUSE: Duration = Duration::from_millis(25);
/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so many turns in which some peer did not answer, what it has is given up.
const ATTEMPTS: u64 = 5;
/// Nodes that are given vectors at once, and how long an answer to one of them is waited for.
const MAX_SESSIONS: usize = 64;
const SESSION: Duration = Duration::from_secs(30);

/// What this node has taken over, and whom it hands over to.
#[derive(Debug)]
pub(super) struct Rebuild {
    /// The ring of which it has all that it is to hold.
    ring: AtomicU64,
    attempts: AtomicU64,
    taken: Mutex<Taken>,
    sessions: Mutex<HashMap<NodeId, Session>>,
}

#[derive(Clone, Debug, Default)]
struct Taken {
    partitions: Partitions,
    /// Whoever is not among them may have been apart, or have come before this node began: it may know of anything.
    peers: BTreeSet<NodeId>,
}

impl Default for Rebuild {
    fn default() -> Rebuild {
        Rebuild {
            ring: AtomicU64::new(u64::MAX),
            attempts: AtomicU64::new(0),
            taken: Mutex::default(),
            sessions: Mutex::default(),
        }
    }
}

impl Rebuild {
    /// Whether this node has all that it should have under this ring.
    pub(super) fn is_complete(&self, ring: u64) -> bool {
        self.ring.load(Ordering::Acquire) == ring
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<NodeId, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node that is given vectors.
#[derive(Debug)]
struct Session {
    spaces: Vec<(Space, usize)>,
    at: Option<(Space, Export)>,
    used: Instant,
}

impl RingCache {
    /// Keeps this node's vectors: finishes the index where that was put off, drops what has expired, and takes over what
    /// a change of the ring gives this node to hold. To be spawned.
    pub async fn keep_vectors(self) {
        let Some(semantic) = self.inner.semantic.as_ref().filter(|semantic| semantic.config.vectors.is_none()) else {
            return;
        };
        let turns = || {
            let mut turns = interval(TURN);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            turns
        };
        let tend = async {
            let mut turns = turns();
            loop {
                turns.tick().await;
                semantic.tend(&self.inner).await;
            }
        };
        let take_over = async {
            let mut turns = turns();
            loop {
                turns.tick().await;
                self.take_over_vectors().await;
            }
        };
        join(tend, take_over).await;
    }

    /// Takes over what this node is to hold and has not taken over yet, from all who may have it. A part of
    /// [`RingCache::keep_vectors`].
    pub async fn take_over_vectors(&self) {
        let inner = &self.inner;
        let Some(semantic) = inner.semantic.as_ref().filter(|semantic| semantic.config.vectors.is_none()) else {
            return;
        };
        let rebuild = &semantic.rebuild;
        let ring = inner.ring_number();
        if rebuild.is_complete(ring) {
            return;
        }
        let mine = Partitions::which(|partition| inner.peers.placement(&id_in(partition)).holds(inner.peers.me()));
        let before = rebuild.taken().clone();
        let lacking = Partitions::which(|partition| mine.contains(partition) && !before.partitions.contains(partition));
        let others = inner.peers.others();
        let mut peers = BTreeSet::new();
        for peer in &others {
            let wanted = if before.peers.contains(peer) { lacking } else { mine };
            if wanted.is_empty() || inner.pull(semantic, peer, wanted).await {
                peers.insert(peer.clone());
            }
        }
        if inner.ring_number() != ring {
            return;
        }
        let is_all = peers.len() == others.len();
        if is_all || rebuild.attempts.fetch_add(1, Ordering::AcqRel) + 1 >= ATTEMPTS {
            // What this node does not hold goes on without it, and would have to be taken over again.
            *rebuild.taken() = Taken { partitions: mine, peers };
            rebuild.attempts.store(0, Ordering::Release);
            rebuild.ring.store(ring, Ordering::Release);
        }
    }
}

impl Inner {
    pub(super) fn ring_number(&self) -> u64 {
        self.peers.placement(&EntryId::from([0; 32])).ring
    }

    /// Everything of these partitions that the peer has; tells whether it was everything.
    async fn pull(&self, semantic: &Semantic, peer: &NodeId, wanted: Partitions) -> bool {
        let mut question = Pull { wanted: Some(wanted) };
        loop {
            match timeout(PATIENCE, self.peers.pull(peer, &question, PATIENCE)).await {
                Ok(Ok(pulled)) => {
                    pulled.parts.iter().for_each(|part| self.take_over(semantic, part));
                    if !pulled.more {
                        return true;
                    }
                }
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "a peer did not hand over its vectors");
                    return false;
                }
                Err(_) => return false,
            }
            question.wanted = None;
            sleep(PAUSE).await;
        }
    }

    fn take_over(&self, semantic: &Semantic, part: &Part) {
        let Part { space, chunk, stored } = part;
        let now_ms = self.config.clock.now_ms();
        if chunk.dimension() > MAX_DIMENSION {
            return;
        }
        for stored in stored.iter().filter(|stored| is_comparable(&stored.text)) {
            // What was learned here since then is newer.
            if semantic.notes.get(&stored.id).is_none_or(|note| note.expires_ms < stored.expires_ms) {
                semantic.notes.put(stored.id, Note::new(*space, chunk.dimension(), stored));
            }
        }
        if let Err(error) = semantic.indexes.import(*space, chunk, now_ms) {
            tracing::warn!(%error, "a peer handed over vectors that are none");
        }
    }

    /// The next part for a peer. One that asks for more without having begun, or too late, has to begin again.
    pub(in crate::ring_cache) fn hand_over(
        &self,
        semantic: &Semantic,
        peer: &NodeId,
        pull: &Pull,
    ) -> Result<Pulled, Refusal> {
        let lost = || Refusal::Failed("there is no such hand-over of vectors any more; begin again".to_owned());
        let mut session = match pull.wanted {
            Some(wanted) => semantic.begin_session(&wanted),
            // Out of the table while it is used: the work is done without a lock.
            None => semantic.rebuild.sessions().remove(peer).ok_or_else(lost)?,
        };
        let parts = session.next(semantic, self.config.clock.now_ms());
        let more = !session.is_over();
        if more {
            let mut sessions = semantic.rebuild.sessions();
            if sessions.len() >= MAX_SESSIONS && !sessions.contains_key(peer) {
                return Err(Refusal::Failed("vectors are handed over to too many nodes; try again".to_owned()));
            }
            sessions.insert(peer.clone(), session);
        }
        Ok(Pulled { parts, more })
    }
}

impl Semantic {
    fn begin_session(&self, wanted: &Partitions) -> Session {
        let is_wanted = |space: &Space| wanted.contains(Partition::of(place_of(space).as_bytes()));
        let sizes = self.indexes.sizes().into_iter();
        let spaces = sizes.filter(|(space, ..)| is_wanted(space)).map(|(space, dimension, _)| (space, dimension));
        Session { spaces: spaces.collect(), at: None, used: Instant::now() }
    }

    async fn tend(&self, inner: &Inner) {
        for _ in 0..GOES {
            if self.indexes.tend(LINKS, inner.config.clock.now_ms()) == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.split();
        self.rebuild.sessions().retain(|_, session| session.used.elapsed() < SESSION);
    }
}

impl Session {
    fn is_over(&self) -> bool {
        self.spaces.is_empty() && self.at.is_none()
    }

    fn next(&mut self, semantic: &Semantic, now_ms: u64) -> Vec<Part> {
        self.used = Instant::now();
        let (mut parts, mut bytes) = (Vec::new(), 0);
        while bytes < ANSWER {
            let Some((space, export)) = &mut self.at else {
                let Some((space, dimension)) = self.spaces.pop() else { break };
                self.at = semantic.indexes.export(space, dimension).map(|export| (space, export));
                continue;
            };
            let Some(chunk) = export.next_chunk(CHUNK, now_ms) else {
                self.at = None;
                continue;
            };
            let space = *space;
            let note = |id: EntryId| Some(semantic.notes.get(&id).filter(|note| note.space == space)?.stored(id));
            let stored: Vec<_> = chunk.ids().filter_map(note).collect();
            bytes += chunk.len() * 2 * chunk.dimension() + stored.iter().map(|stored| stored.text.len()).sum::<usize>();
            parts.push(Part { space, chunk, stored });
        }
        parts
    }
}

/// Some id of a partition: its number is the first ten bits.
fn id_in(partition: Partition) -> EntryId {
    let mut id = [0; 32];
    let number = (partition.index() as u16) << 6;
    id[..2].copy_from_slice(&number.to_be_bytes());
    id.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_an_id_and_a_place_in_a_set() {
        let third = Partitions::which(|partition| partition.index() % 3 == 0);
        for partition in Partition::all() {
            assert_eq!(Partition::of(id_in(partition).as_bytes()), partition);
            assert_eq!(third.contains(partition), partition.index() % 3 == 0);
        }
        assert!(!third.is_empty() && Partitions::which(|_| false).is_empty());
    }
}
