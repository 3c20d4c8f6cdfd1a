//! Writing: to the owner, which acknowledges, and to the replica.

use std::sync::Arc;

use futures_util::future::{Either, Ready, join, ready};
use peerway_cluster::identity::NodeId;
use tokio::time::timeout;

use super::{Inner, RingCache};
use crate::entry::Entry;
use crate::message::Put;
use crate::peers::{PeerError, Placement};

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The owner has it.
    Acknowledged,
    /// The owner did not say that it has it; the replica or this node may.
    Unacknowledged,
    /// Too large, expired, or purged while it was under way: nobody has it.
    Refused,
}

impl RingCache {
    /// Gives an entry to the cluster. This node has it when the call returns. `Left`: that was all. `Right` compresses a
    /// large one and gives it to the peers, and takes up to the deadline of the configuration when one is slow, so a
    /// caller that has an answer to give spawns it.
    pub fn put(&self, entry: Entry) -> Either<Ready<Stored>, impl Future<Output = Stored> + Send + 'static> {
        let Some((message, placement)) = self.keep(entry) else { return Either::Left(ready(Stored::Refused)) };
        let is_only_here = placement.is_only(self.inner.peers.me()) && self.inner.behind.is_none();
        if is_only_here && !message.entry.content.recorded.is_large() {
            return Either::Left(ready(Stored::Acknowledged));
        }
        let inner = self.inner.clone();
        Either::Right(async move {
            let message = Put { entry: inner.compressed(message.entry, &placement).await };
            if is_only_here {
                return Stored::Acknowledged;
            }
            join(inner.give_to_holders(&message, &placement), inner.give_to_backend(&message.entry)).await.0
        })
    }

    /// This node's own copy of the entry, and who else is to have one.
    fn keep(&self, entry: Entry) -> Option<(Put, Placement)> {
        let inner = &self.inner;
        inner.counters.puts.add();
        if !inner.may_keep(&entry) {
            inner.counters.puts_refused.add();
            return None;
        }
        let placement = inner.peers.placement(&entry.id);
        inner.notice_ring(placement.ring);
        let message = Put { entry: Arc::new(entry) };
        inner.keep_copy(&placement, &message.entry);
        inner.flights.kept(&message.entry);
        Some((message, placement))
    }
}

impl Inner {
    /// The entry as it is kept here and sent to others from now on: compressed, if it is large, that pays and not too many
    /// are being compressed.
    async fn compressed(&self, entry: Arc<Entry>, placement: &Placement) -> Arc<Entry> {
        if !entry.content.recorded.is_large() {
            return entry;
        }
        let Ok(permit) = self.compressions.clone().try_acquire_owned() else { return entry };
        let original = entry.clone();
        let work = tokio::task::spawn_blocking(move || {
            let compressed = original.compressed();
            drop(permit);
            compressed
        });
        let Ok(Some(compressed)) = work.await else { return entry };
        let compressed = Arc::new(compressed);
        self.store_for(placement).swap(&entry, &compressed);
        compressed
    }

    async fn give_to_holders(&self, message: &Put, placement: &Placement) -> Stored {
        let (acknowledged, _) =
            join(self.give(placement.owner.as_ref(), message), self.give(placement.replica.as_ref(), message)).await;
        if acknowledged {
            return Stored::Acknowledged;
        }
        self.counters.puts_unacknowledged.add();
        Stored::Unacknowledged
    }

    /// Whether the holder has the entry; this node has it already.
    async fn give(&self, holder: Option<&NodeId>, message: &Put) -> bool {
        match holder {
            Some(peer) if peer != self.peers.me() => self.give_to_peer(peer, message).await,
            Some(_) => true,
            None => false,
        }
    }

    pub(super) async fn give_to_peer(&self, peer: &NodeId, message: &Put) -> bool {
        let deadline = self.config.put_deadline;
        let answer = timeout(deadline, self.peers.put(peer, message, deadline)).await;
        match answer.unwrap_or_else(|_| Err(PeerError::Late(peer.clone()))) {
            Ok(done) => done.kept,
            Err(error) => {
                tracing::debug!(%peer, id = %message.entry.id, %error, "an entry was not handed over");
                false
            }
        }
    }
}
