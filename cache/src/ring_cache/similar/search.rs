//! The candidates: from this node if it holds the space, else from the owner, hedged by the replica; or from the vector
//! database that stands in place of both.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use peerway_cluster::identity::NodeId;
use tokio::time::{Instant, sleep, timeout};

use super::space::{place_of, shard};
use super::{Semantic, is_comparable};
use crate::message::{Components, Finite, Search, Searched};
use crate::peers::{PeerError, Placement};
use crate::ring_cache::Inner;
use crate::vector::Space;
use crate::vector::shard::MAX_SHARDS;
use crate::vector_store::Near;

impl Inner {
    /// The entries nearest to the vector, the nearest first, with the shard in which each was found. As many as the
    /// guard is to judge.
    pub(super) async fn nearest(&self, semantic: &Semantic, space: &Space, vector: &Components) -> Vec<(Space, Near)> {
        let asking = Asking { inner: self, semantic, vector, until: Instant::now() + semantic.config.deadline };
        let mut near = match &semantic.config.vectors {
            Some(vectors) => self.ask_database(semantic, vectors.as_ref(), space, vector).await,
            None => asking.ask_shards(space).await,
        };
        // Whoever answered may not know of a purge yet.
        let generation = self.generations.current(&space.namespace);
        near.retain(|(_, near)| near.generation >= generation && near.cosine >= semantic.config.floor);
        near.sort_by(|(_, one), (_, other)| other.cosine.total_cmp(&one.cosine));
        near.truncate(semantic.config.candidates);
        near
    }

    /// Whether a look-up is in vain, without a question to anybody.
    pub(super) fn surely_lacks(&self, semantic: &Semantic, space: &Space) -> bool {
        if semantic.config.vectors.is_some() {
            return false;
        }
        let place = place_of(space);
        let placement = self.peers.placement(&place);
        placement.holds(self.peers.me())
            && semantic.rebuild.is_complete(placement.ring)
            && semantic.habits.shards(&place) == 1
            && semantic.lacks(space)
    }
}

/// One look-up on its way.
struct Asking<'a> {
    inner: &'a Inner,
    semantic: &'a Semantic,
    vector: &'a Components,
    until: Instant,
}

impl Asking<'_> {
    /// All shards at once. Their number is the first one's to say; when it says more than this node knew of, the others
    /// are asked after it.
    async fn ask_shards(&self, space: &Space) -> Vec<(Space, Near)> {
        let place = place_of(space);
        let known = self.semantic.habits.shards(&place);
        let mut answers = join_all((0..known).map(|number| self.ask_shard(shard(*space, number)))).await;
        let told = answers.first().and_then(|(_, answer)| answer.as_ref()).map_or(known, |answer| answer.shards);
        if told != known {
            self.semantic.habits.set_shards(&place, told);
            answers.extend(join_all((known..told).map(|number| self.ask_shard(shard(*space, number)))).await);
        }
        let found = answers.into_iter().filter_map(|(shard, answer)| Some((shard, answer?.near)));
        found.flat_map(|(shard, near)| near.into_iter().map(move |near| (shard, near))).collect()
    }

    async fn ask_shard(&self, space: Space) -> (Space, Option<Searched>) {
        let inner = self.inner;
        let placement = inner.peers.placement(&place_of(&space));
        inner.notice_ring(placement.ring);
        let config = &self.semantic.config;
        let question =
            Search { space, vector: self.vector.clone(), k: config.candidates as u8, floor: Finite(config.floor) };
        let answer = if placement.holds(inner.peers.me()) {
            Some(inner.search_here(self.semantic, &question))
        } else {
            self.ask_holders(&placement, &question).await
        };
        let answer = match answer {
            Some(answer) if answer.near.is_empty() && !answer.complete => {
                self.ask_elsewhere(&placement, &question).await.or(Some(answer))
            }
            answer => answer,
        };
        (space, answer)
    }

    /// The owner; and the replica too, when the owner fails or takes longer than 19 of 20 look-ups.
    async fn ask_holders(&self, placement: &Placement, question: &Search) -> Option<Searched> {
        let owner = placement.owner.as_ref()?;
        let Some(replica) = &placement.replica else { return self.ask(owner, question).await };
        let mut first = pin!(self.ask(owner, question));
        let early = tokio::select! {
            biased;
            answer = &mut first => Some(answer),
            () = sleep(self.semantic.p95.get()) => None,
        };
        match early {
            Some(Some(answer)) => return Some(answer),
            Some(None) => return self.ask(replica, question).await,
            None => {}
        }
        match select(first, pin!(self.ask(replica, question))).await {
            Either::Left((Some(answer), _)) | Either::Right((Some(answer), _)) if answer.is_final() => Some(answer),
            Either::Left((answer, second)) => second.await.or(answer),
            Either::Right((answer, first)) => first.await.or(answer),
        }
    }

    /// One more, when who holds the space has not yet taken it over.
    async fn ask_elsewhere(&self, placement: &Placement, question: &Search) -> Option<Searched> {
        let me = self.inner.peers.me();
        let Placement { owner, replica, previous_owner, .. } = placement;
        let is_holder = placement.holds(me);
        // Who is no holder has asked the owner already.
        let may_know = |peer: &&NodeId| *peer != me && (is_holder || owner.as_ref() != Some(*peer));
        let other = [previous_owner, owner, replica].into_iter().flatten().find(may_know)?;
        self.ask(other, question).await
    }

    async fn ask(&self, peer: &NodeId, question: &Search) -> Option<Searched> {
        let Semantic { counters, p95, .. } = self.semantic;
        let asked = Instant::now();
        let left = self.until.saturating_duration_since(asked);
        if left.is_zero() {
            return None;
        }
        counters.remote_asks.add();
        // The deadline is ours to keep, whatever the link makes of it.
        match timeout(left, self.inner.peers.search(peer, question, left)).await {
            Ok(Ok(answer)) if answer.answers(question) => {
                p95.record(asked.elapsed());
                Some(answer)
            }
            Ok(Ok(_)) => {
                counters.remote_failures.add();
                tracing::warn!(%peer, "a peer gave candidates that nobody asked for");
                None
            }
            Err(_) | Ok(Err(PeerError::Late(_))) => {
                counters.remote_timeouts.add();
                p95.record(Duration::MAX);
                None
            }
            Ok(Err(error)) => {
                counters.remote_failures.add();
                tracing::debug!(%peer, %error, "a semantic look-up failed");
                None
            }
        }
    }
}

impl Searched {
    /// Whether nobody else is likely to know more.
    fn is_final(&self) -> bool {
        self.complete || !self.near.is_empty()
    }

    /// Whether it is within what was asked for.
    fn answers(&self, question: &Search) -> bool {
        let within = |near: &Near| is_comparable(&near.text) && near.cosine <= 1.01;
        self.near.len() <= usize::from(question.k)
            && self.near.iter().all(within)
            && self.shards.is_power_of_two()
            && self.shards <= MAX_SHARDS
    }
}
