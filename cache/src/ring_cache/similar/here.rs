//! What this node holds of spaces, for itself and for its peers: vectors, and the questions that they stand for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;

use super::notes::Note;
use super::{Semantic, is_comparable};
use crate::entry::MAX_LIFE;
use crate::generations::Target;
use crate::identity::{EntryId, NamespaceId};
use crate::message::{Forget, Learn, Learned, MAX_CANDIDATES, MAX_DIMENSION, Search, Searched};
use crate::ring_cache::Inner;
use crate::vector::Space;
use crate::vector::shard::{MAX_SHARD_VECTORS, shard_of, shards};

/// Into how many shards the spaces are split whose first one is here; those that are whole are not in it.
pub(super) type Splits = ArcSwap<HashMap<Space, u32>>;

/// From how many vectors on a search is a task of its own, so that small answers do not wait for it.
const LARGE_SPACE: u64 = 4_096;

impl Inner {
    pub(in crate::ring_cache) fn search_here(&self, semantic: &Semantic, search: &Search) -> Searched {
        let Search { space, vector, .. } = search;
        let (now_ms, dimension) = (self.config.clock.now_ms(), vector.0.len());
        let k = usize::from(search.k).min(MAX_CANDIDATES);
        // A vector without a direction is near to nothing.
        let found = semantic.indexes.search(*space, &vector.0, k, search.floor.0, now_ms).unwrap_or_default();
        let generation = self.generations.current(&space.namespace);
        let near = found.into_iter().filter_map(|candidate| {
            let note = semantic.notes.get(&candidate.id).filter(|note| note.counts(space, generation, now_ms));
            if note.is_none() {
                semantic.indexes.delete_in(*space, dimension, &candidate.id);
            }
            Some(note?.near(candidate.id, candidate.cosine))
        });
        Searched {
            near: near.collect(),
            shards: semantic.shards(space),
            complete: semantic.rebuild.is_complete(self.ring_number()),
        }
    }

    pub(in crate::ring_cache) fn learn_here(&self, semantic: &Semantic, lesson: &Learn) -> Learned {
        let Learn { space, stored, vector } = lesson;
        let now_ms = self.config.clock.now_ms();
        let longest = now_ms.saturating_add(MAX_LIFE.as_millis() as u64);
        let note = Note::new(*space, vector.0.len(), stored);
        let may_keep = is_comparable(&note.text)
            && note.dimension <= MAX_DIMENSION
            && note.expires_ms <= longest
            && note.counts(space, self.generations.current(&space.namespace), now_ms);
        let kept = may_keep && {
            let expires_ms = note.expires_ms;
            // First, or a search in between would take the vector for one whose text is lost.
            semantic.notes.put(stored.id, note);
            semantic.indexes.insert(*space, stored.id, &vector.0, expires_ms, now_ms).is_ok()
        };
        Learned { kept }
    }

    /// What a purge of a generation leaves here is never served; this gives the memory back.
    pub(in crate::ring_cache) fn purge_vectors(&self, target: Target) {
        let Some(semantic) = &self.semantic else { return };
        semantic.indexes.purge(|space| target.reaches(&space.namespace));
        if target == Target::All {
            semantic.notes.clear();
        }
    }

    pub(in crate::ring_cache) fn forget_vector(&self, id: &EntryId) {
        if let Some(semantic) = &self.semantic {
            semantic.forget(id);
        }
    }
}

impl Semantic {
    /// Whether there is no vector of the space here.
    pub(super) fn lacks(&self, space: &Space) -> bool {
        match self.dimension.load(Ordering::Relaxed) {
            // Of which length they would be is not known before the first text.
            0 => false,
            dimension => self.indexes.len(*space, dimension) == 0,
        }
    }

    /// Whether a search takes long enough to be a task.
    pub(in crate::ring_cache) fn is_large(&self, search: &Search) -> bool {
        self.indexes.len(search.space, search.vector.0.len()) > LARGE_SPACE
    }

    pub(in crate::ring_cache) fn forget_here(&self, forget: &Forget) {
        for id in &forget.ids {
            if self.notes.get(id).is_some_and(|note| note.space == forget.space) {
                self.forget(id);
            }
        }
    }

    fn forget(&self, id: &EntryId) {
        if let Some(note) = self.notes.remove(id) {
            self.indexes.delete_in(note.space, note.dimension, id);
        }
    }

    fn shards(&self, space: &Space) -> u32 {
        self.splits.load().get(space).copied().unwrap_or(1)
    }

    /// Decides which spaces are split. A node knows one shard of each; ids are hashes, so the others are as large.
    pub(super) fn split(&self) {
        let before = self.splits.load();
        let mut after = HashMap::new();
        for (space, dimension, vectors) in self.indexes.sizes() {
            let now = before.get(&space).copied().unwrap_or(1);
            if now == 1 && vectors <= MAX_SHARD_VECTORS {
                continue;
            }
            // Entries from before a split stay where they are until they expire; they do not count.
            let own = self.indexes.count(space, dimension, |id| shard_of(id, now) == 0);
            let split = shards(own * u64::from(now), now);
            if split > 1 {
                after.insert(space, split);
            }
        }
        if **before != after {
            self.splits.store(Arc::new(after));
        }
    }
}

impl Note {
    /// Whether it is of this space and its entry neither purged nor expired.
    fn counts(&self, space: &Space, generation: u64, now_ms: u64) -> bool {
        self.space == *space && self.generation >= generation && now_ms < self.expires_ms
    }
}

impl Target {
    fn reaches(self, namespace: &NamespaceId) -> bool {
        match self {
            Target::All => true,
            Target::Scope(scope) => namespace.scope == scope,
            Target::Name(name) => namespace.name == name,
            Target::Namespace(target) => target == *namespace,
        }
    }
}
