//! Leaving: what this node holds for the cluster is given to those who hold it from here on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;

use super::{Inner, RingCache};
use crate::entry::Entry;
use crate::message::Put;

/// How many entries are on their way at once.
const AT_ONCE: usize = 16;

/// What a node that left gave to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandedOver {
    /// Entries that a holder acknowledged.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl RingCache {
    /// Gives the entries that were asked for most, at most so many bytes of them and for at most so long, to the nodes
    /// that hold them by the ring. For a node that the ring is without already: each of its entries has one holder left,
    /// and one that is to become the second.
    pub async fn hand_over(&self, most_bytes: u64, most_time: Duration) -> HandedOver {
        let inner = &self.inner;
        let mut done = HandedOver::default();
        let give = |entry: Arc<Entry>| inner.hand_over_one(entry);
        let given = stream::iter(inner.store.most_read(most_bytes)).map(give).buffer_unordered(AT_ONCE);
        let counted = given.for_each(|bytes| {
            done.entries += u64::from(bytes > 0);
            done.bytes += bytes;
            std::future::ready(())
        });
        // What has not been given by then is asked of the provider again, should the other holder be lost too.
        let _ = timeout(most_time, counted).await;
        done
    }
}

impl Inner {
    /// The bytes that were taken.
    async fn hand_over_one(&self, entry: Arc<Entry>) -> u64 {
        let placement = self.peers.placement(&entry.id);
        if self.is_dead(&entry) || placement.holds(self.peers.me()) {
            return 0;
        }
        // By the ring it is the replica that is new: of two holders the one that is left becomes, or stays, the owner.
        let Some(heir) = placement.replica.or(placement.owner) else { return 0 };
        let message = Put { entry };
        if self.give_to_peer(&heir, &message).await { message.entry.weight() as u64 } else { 0 }
    }
}
