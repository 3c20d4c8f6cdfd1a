//! Reading: what this node has, then the owner hedged by the replica, then who had it before a change.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use peerway_cluster::identity::NodeId;
use tokio::time::{Instant, sleep, timeout};

use super::{Inner, RingCache};
use crate::entry::Entry;
use crate::identity::{EntryId, NamespaceId};
use crate::message::{Get, Got, Put};
use crate::peers::{PeerError, Placement};

/// Where an entry was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At one of the nodes.
    Nodes,
    /// Only behind them.
    Backend,
}

/// What a peer said.
#[derive(Debug)]
enum Word {
    Hit(Arc<Entry>),
    /// It has the entry, but not for the small-call lane.
    Large(NodeId),
    Miss {
        young: bool,
    },
    /// It knows who asks the provider for it.
    UnderWay(NodeId),
    /// It said nothing; nobody knows whether it has the entry.
    Silence,
}

impl Word {
    fn is_find(&self) -> bool {
        matches!(self, Word::Hit(_) | Word::Large(_))
    }
}

/// What the peers have.
#[derive(Debug)]
pub(super) enum Found {
    Entry(Arc<Entry>),
    /// To be followed at this node.
    UnderWay(NodeId),
    Nothing,
    /// Those who should know did not answer.
    Silence,
}

/// An entry that the index led to.
#[derive(Debug)]
pub(super) enum Fetched {
    Entry(Arc<Entry>),
    /// Nobody has it, or not for who asks.
    Gone,
    /// Nobody can tell.
    Unknown,
}

impl RingCache {
    /// What this node itself has: no peer is asked, nothing is awaited. No miss is counted.
    pub fn get_local(&self, id: &EntryId, namespace: &NamespaceId) -> Option<Arc<Entry>> {
        let inner = &self.inner;
        if let Some(entry) = inner.held(&inner.store, id, namespace) {
            inner.counters.hits_local.add();
            inner.worth.reward(namespace);
            return Some(entry);
        }
        let entry = inner.held(&inner.near, id, namespace)?;
        inner.counters.hits_near.add();
        inner.worth.reward(namespace);
        Some(entry)
    }

    /// The entry, wherever it lies. Within the deadline of the configuration; a slow or dead peer is a miss.
    pub async fn get(&self, id: &EntryId, namespace: &NamespaceId) -> Option<Arc<Entry>> {
        self.get_from(id, namespace).await.map(|(entry, _)| entry)
    }

    /// Like [`RingCache::get`]; and where it was found.
    pub async fn get_from(&self, id: &EntryId, namespace: &NamespaceId) -> Option<(Arc<Entry>, Place)> {
        if let Some(entry) = self.get_local(id, namespace) {
            return Some((entry, Place::Nodes));
        }
        let placement = self.inner.peers.placement(id);
        let counters = &self.inner.counters;
        if !self.inner.is_worth_asking(namespace, &placement) {
            return None;
        }
        match self.ask_peers(id, namespace, &placement, None).await {
            Found::Entry(entry) => {
                counters.hits_remote.add();
                self.inner.worth.reward(namespace);
                Some((entry, Place::Nodes))
            }
            Found::UnderWay(_) | Found::Nothing | Found::Silence => {
                let entry = self.find_behind(id, namespace, &placement).await;
                if entry.is_none() {
                    counters.misses.add();
                }
                entry.map(|entry| (entry, Place::Backend))
            }
        }
    }

    /// The entry, wherever it lies, without being counted as a look-up of its own.
    pub(super) async fn fetch(&self, id: &EntryId, namespace: &NamespaceId) -> Fetched {
        let inner = &self.inner;
        if let Some(entry) = [&inner.store, &inner.near].into_iter().find_map(|store| inner.held(store, id, namespace))
        {
            return Fetched::Entry(entry);
        }
        let placement = inner.peers.placement(id);
        let found = self.ask_peers(id, namespace, &placement, None).await;
        let is_gone = matches!(found, Found::Nothing);
        let entry = match found {
            Found::Entry(entry) => Some(entry),
            _ => self.find_behind(id, namespace, &placement).await,
        };
        match entry {
            Some(entry) => Fetched::Entry(entry),
            None if is_gone => Fetched::Gone,
            None => Fetched::Unknown,
        }
    }

    pub(super) async fn ask_peers(
        &self,
        id: &EntryId,
        namespace: &NamespaceId,
        placement: &Placement,
        board: Option<u64>,
    ) -> Found {
        let inner = &self.inner;
        inner.notice_ring(placement.ring);
        let look_up = LookUp {
            inner,
            question: Get { id: *id, namespace: *namespace, bulk: false, board },
            until: Instant::now()
                + if board.is_some() { inner.config.board_deadline } else { inner.config.get_deadline },
            placement,
        };
        let first = look_up.ask_holders().await;
        let owner_lacks_it = matches!(first, Word::Miss { .. });
        let word = match first {
            Word::Miss { young } => look_up.look_back(young).await,
            word => word,
        };
        let entry = match word {
            Word::Hit(entry) => entry,
            Word::Large(peer) => match look_up.fetch_large(&peer).await {
                Some(entry) => entry,
                None => return Found::Silence,
            },
            Word::UnderWay(peer) => return Found::UnderWay(peer),
            Word::Miss { .. } => return Found::Nothing,
            Word::Silence => return Found::Silence,
        };
        inner.keep_copy(placement, &entry);
        if owner_lacks_it {
            self.bring_back(placement, &entry);
        }
        Found::Entry(entry)
    }

    /// What only the backend has; from there the ring has it again.
    pub(super) async fn find_behind(
        &self,
        id: &EntryId,
        namespace: &NamespaceId,
        placement: &Placement,
    ) -> Option<Arc<Entry>> {
        let inner = &self.inner;
        let entry = inner.ask_backend(id, namespace).await?;
        inner.keep_copy(placement, &entry);
        self.bring_back(placement, &entry);
        Some(entry)
    }

    /// Gives the owner what it should have had, beside the request's way and only if few others do so.
    fn bring_back(&self, placement: &Placement, entry: &Arc<Entry>) {
        let Some(owner) = placement.owner.clone().filter(|owner| owner != self.inner.peers.me()) else { return };
        let Ok(permit) = self.inner.repairs.clone().try_acquire_owned() else { return };
        let (inner, message) = (self.inner.clone(), Put { entry: entry.clone() });
        tokio::spawn(async move {
            // A repair that fails is tried again by the next reader.
            let _ = inner.peers.put(&owner, &message, inner.config.put_deadline).await;
            drop(permit);
        });
    }
}

impl Inner {
    /// Whether others are to be asked for an entry that this node has not; if not, that is a miss and is counted. For
    /// what it owns itself it has nobody to ask, as a rule.
    pub(super) fn is_worth_asking(&self, namespace: &NamespaceId, placement: &Placement) -> bool {
        let is_worth =
            placement.owner.as_ref() == Some(self.peers.me()) || self.worth.take(namespace, self.config.clock.now_ms());
        if !is_worth {
            self.counters.unasked.add();
            self.counters.misses.add();
        }
        is_worth
    }
}

/// One entry looked for at the peers.
struct LookUp<'a> {
    inner: &'a Inner,
    question: Get,
    until: Instant,
    placement: &'a Placement,
}

impl LookUp<'_> {
    fn is_me(&self, node: &NodeId) -> bool {
        node == self.inner.peers.me()
    }

    async fn ask_holders(&self) -> Word {
        let Some(owner) = &self.placement.owner else { return Word::Miss { young: false } };
        if self.is_me(owner) {
            return Word::Miss { young: self.inner.young() };
        }
        match self.placement.replica.as_ref().filter(|replica| !self.is_me(replica)) {
            Some(replica) => self.hedged(owner, replica).await,
            None => self.ask(owner, self.question.board).await,
        }
    }

    /// The owner; and the replica too, when the owner fails or takes longer than 19 of 20 look-ups.
    async fn hedged(&self, owner: &NodeId, replica: &NodeId) -> Word {
        let mut first = pin!(self.ask(owner, self.question.board));
        let patience = self.inner.p95.get();
        let early = tokio::select! {
            biased;
            word = &mut first => Some(word),
            () = sleep(patience) => None,
        };
        let word = match early {
            Some(word) => word,
            None => {
                self.inner.counters.hedges.add();
                // Who asks the provider is for the owner alone to say.
                match select(first, pin!(self.ask(replica, None))).await {
                    // The owner's word counts, unless it may have lost what the replica has.
                    Either::Left((Word::Miss { young: true }, second)) => return second.await,
                    Either::Left((Word::Silence, second)) if self.question.board.is_none() => return second.await,
                    Either::Left((word, _)) => word,
                    Either::Right((word, _)) if word.is_find() => {
                        self.inner.counters.hedges_won.add();
                        // The owner took at least as long as this.
                        self.inner.p95.record(Duration::MAX);
                        return word;
                    }
                    Either::Right((_, first)) => first.await,
                }
            }
        };
        match word {
            Word::Silence => self.stand_in(replica).await,
            word => word,
        }
    }

    /// Of an owner that says nothing the replica takes the place, in saying who asks the provider too: else each node
    /// would ask it.
    async fn stand_in(&self, replica: &NodeId) -> Word {
        let until = match self.question.board {
            Some(_) => Instant::now() + self.inner.config.board_deadline,
            None => self.until,
        };
        self.put_question(replica, Get { ..self.question }, until).await
    }

    /// After a miss: those who may have the entry from before the ring changed, or from before the owner's start.
    async fn look_back(&self, young: bool) -> Word {
        let Placement { owner, replica, previous_owner, .. } = self.placement;
        let previous = previous_owner.as_ref().filter(|_| self.inner.ring_changed_lately());
        let replica = replica.as_ref().filter(|_| young);
        let previous = previous.filter(|previous| replica != Some(previous));
        for peer in [replica, previous].into_iter().flatten() {
            if self.is_me(peer) || owner.as_ref() == Some(peer) || !self.inner.credit.take() {
                continue;
            }
            self.inner.counters.look_backs.add();
            let word = self.ask(peer, None).await;
            if word.is_find() {
                self.inner.counters.look_backs_won.add();
                self.inner.credit.reward();
                return word;
            }
        }
        Word::Miss { young: false }
    }

    async fn fetch_large(&self, peer: &NodeId) -> Option<Arc<Entry>> {
        let question = Get { bulk: true, board: None, ..self.question };
        match self.put_question(peer, question, Instant::now() + self.inner.config.bulk_deadline).await {
            Word::Hit(entry) => Some(entry),
            _ => None,
        }
    }

    async fn ask(&self, peer: &NodeId, board: Option<u64>) -> Word {
        let asked = Instant::now();
        let word = self.put_question(peer, Get { board, ..self.question }, self.until).await;
        if !matches!(word, Word::Silence) {
            self.inner.p95.record(asked.elapsed());
        }
        word
    }

    async fn put_question(&self, peer: &NodeId, question: Get, until: Instant) -> Word {
        let counters = &self.inner.counters;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Word::Silence;
        }
        counters.remote_gets.add();
        // The deadline is ours to keep, whatever the link makes of it.
        match timeout(left, self.inner.peers.get(peer, &question, left)).await {
            Ok(Ok(Got::Hit(entry))) if self.inner.may_serve(&entry, &question.id, &question.namespace) => {
                Word::Hit(entry)
            }
            Ok(Ok(Got::Hit(_))) => Word::Miss { young: false },
            Ok(Ok(Got::Large)) => Word::Large(peer.clone()),
            Ok(Ok(Got::Miss { young })) => Word::Miss { young },
            Ok(Ok(Got::UnderWay)) => Word::UnderWay(peer.clone()),
            Err(_) | Ok(Err(PeerError::Late(_))) => {
                counters.remote_timeouts.add();
                self.inner.p95.record(Duration::MAX);
                Word::Silence
            }
            Ok(Err(error)) => {
                counters.remote_failures.add();
                tracing::debug!(%peer, %error, "a cache look-up failed");
                Word::Silence
            }
        }
    }
}
