//! A question becomes findable at those who hold its space, and stops being so when its entry is gone.

use std::collections::BTreeMap;

use futures_util::future::join;
use peerway_cluster::identity::NodeId;
use tokio::time::timeout;

use super::space::{place_of, shard, space_of};
use super::{Question, Semantic, is_comparable};
use crate::entry::Entry;
use crate::identity::EntryId;
use crate::message::{Components, Forget, Learn, MAX_FORGOTTEN};
use crate::ring_cache::{Inner, RingCache};
use crate::vector::Space;
use crate::vector::shard::shard_of;
use crate::vector_store::Stored;

impl RingCache {
    /// Makes the entry findable by its question. After the entry was put, beside the request's way: to be spawned. An
    /// answer that was itself a semantic hit is not to be learned.
    pub fn learn(&self, question: Question, entry: &Entry) -> impl Future<Output = ()> + Send + 'static {
        let inner = self.inner.clone();
        let Entry { id, generation, expires_ms, .. } = *entry;
        let is_kept = entry.namespace == question.namespace && inner.may_keep(entry);
        async move {
            let Some(semantic) = inner.semantic.as_ref().filter(|_| is_kept && is_comparable(&question.text)) else {
                return;
            };
            // More than that at once, and the embedder or the owner is slow: then what is learned later must do.
            let Ok(_permit) = semantic.learning.try_acquire() else { return };
            let Some(vector) = semantic.embed(&question.text).await else { return };
            let space = space_of(&question, semantic.config.embedder.space());
            let stored = Stored { id, text: question.text, generation, expires_ms };
            let is_learned = match &semantic.config.vectors {
                Some(vectors) => inner.teach_database(semantic, vectors.as_ref(), &space, &stored, &vector).await,
                None => inner.teach_holders(semantic, &space, stored, vector).await,
            };
            if is_learned {
                semantic.counters.learned.add();
            }
        }
    }

    /// Tells those who found them that these entries are not there; nobody waits for it.
    pub(super) fn forget_gone(&self, gone: Vec<(Space, EntryId)>) {
        let inner = self.inner.clone();
        tokio::spawn(async move {
            let Some(semantic) = &inner.semantic else { return };
            if let Some(vectors) = &semantic.config.vectors {
                for (_, id) in &gone {
                    inner.forget_in_database(semantic, vectors.as_ref(), id).await;
                }
                return;
            }
            let mut by_space: BTreeMap<EntryId, Forget> = BTreeMap::new();
            for (space, id) in gone.into_iter().take(MAX_FORGOTTEN) {
                by_space.entry(place_of(&space)).or_insert(Forget { space, ids: Vec::new() }).ids.push(id);
            }
            for (place, forget) in by_space {
                let placement = inner.peers.placement(&place);
                join(
                    inner.tell_gone(semantic, placement.owner.as_ref(), &forget),
                    inner.tell_gone(semantic, placement.replica.as_ref(), &forget),
                )
                .await;
            }
        });
    }
}

impl Inner {
    /// The owner, whose word counts, and the replica.
    async fn teach_holders(&self, semantic: &Semantic, space: &Space, stored: Stored, vector: Components) -> bool {
        let number = shard_of(&stored.id, semantic.habits.shards(&place_of(space)));
        let lesson = Learn { space: shard(*space, number), stored, vector };
        let placement = self.peers.placement(&place_of(&lesson.space));
        self.notice_ring(placement.ring);
        let (is_learned, _) = join(
            self.teach(semantic, placement.owner.as_ref(), &lesson),
            self.teach(semantic, placement.replica.as_ref(), &lesson),
        )
        .await;
        is_learned
    }

    async fn teach(&self, semantic: &Semantic, holder: Option<&NodeId>, lesson: &Learn) -> bool {
        let Some(peer) = holder else { return false };
        if peer == self.peers.me() {
            return self.learn_here(semantic, lesson).kept;
        }
        let deadline = self.config.put_deadline;
        match timeout(deadline, self.peers.learn(peer, lesson, deadline)).await {
            Ok(Ok(learned)) => learned.kept,
            Ok(Err(error)) => {
                tracing::debug!(%peer, id = %lesson.stored.id, %error, "a vector was not handed over");
                false
            }
            Err(_) => false,
        }
    }

    async fn tell_gone(&self, semantic: &Semantic, holder: Option<&NodeId>, forget: &Forget) {
        let Some(peer) = holder else { return };
        if peer == self.peers.me() {
            return semantic.forget_here(forget);
        }
        let deadline = self.config.put_deadline;
        // Who is not told finds out by the next one who asks.
        let _ = timeout(deadline, self.peers.forget(peer, forget, deadline)).await;
    }
}
