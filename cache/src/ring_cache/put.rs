//! Writing: to the owner, which acknowledges, and to the replica.

use std::sync::Arc;

use futures_util::future::join;
use peerway_cluster::identity::NodeId;
use tokio::time::timeout;

use super::{Inner, RingCache};
use crate::entry::Entry;
use crate::message::Put;
use crate::peers::PeerError;

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
    /// Gives an entry to the cluster. Takes up to the deadline of the configuration when a peer is slow, so a caller
    /// that has an answer to give spawns this.
    pub async fn put(&self, entry: Entry) -> Stored {
        let inner = &self.inner;
        inner.counters.puts.add();
        if !inner.may_keep(&entry) {
            inner.counters.puts_refused.add();
            return Stored::Refused;
        }
        let placement = inner.peers.placement(&entry.id);
        inner.notice_ring(placement.ring);
        let message = Put { entry: Arc::new(entry) };
        if placement.holds(inner.peers.me()) {
            inner.store.put(message.entry.clone());
        } else {
            // Who asked once is likely to ask again.
            inner.near.put(message.entry.clone());
        }
        let give = async |peer: Option<&NodeId>| match peer {
            Some(peer) if peer != inner.peers.me() => inner.give(peer, &message).await,
            Some(_) => true,
            None => false,
        };
        let (acknowledged, _) = join(give(placement.owner.as_ref()), give(placement.replica.as_ref())).await;
        if acknowledged {
            return Stored::Acknowledged;
        }
        inner.counters.puts_unacknowledged.add();
        Stored::Unacknowledged
    }
}

impl Inner {
    async fn give(&self, peer: &NodeId, message: &Put) -> bool {
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
