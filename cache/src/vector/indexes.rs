//! The namespaces of a node, within one bound.

use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bincode::{Decode, Encode};

use super::{Candidate, Chunk, Export, Index, Stats, VectorError};
use crate::identity::{EntryId, NamespaceId};

/// What vectors are compared with each other: those of one namespace, one context and one length.
///
/// A vector of another length is in another space by itself, and so is, by its context, one of another embedder: a
/// change of either starts anew and is never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Space {
    /// The tenant's namespace.
    pub namespace: NamespaceId,
    /// A digest of all else that must be the same: model, system prompt, parameters, embedder.
    pub context: [u8; 32],
}

/// The bounds of a node's indexes.
#[derive(Clone, Copy, Debug)]
pub struct IndexesConfig {
    /// The memory for all of them.
    pub max_bytes: u64,
    /// How many namespaces there may be.
    pub max_spaces: usize,
}

impl Default for IndexesConfig {
    fn default() -> IndexesConfig {
        IndexesConfig { max_bytes: 256 << 20, max_spaces: 100_000 }
    }
}

/// All indexes of a node.
///
/// Over the bound of bytes, the largest namespace loses its soonest-expiring segment: whoever floods the cache pays
/// for it. Over the bound of namespaces, the one goes that was used longest ago.
#[derive(Debug)]
pub struct Indexes {
    config: IndexesConfig,
    spaces: RwLock<HashMap<(Space, usize), Arc<Held>>>,
    total: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Held {
    index: Index,
    used_ms: AtomicU64,
}

/// When a bound is reached, this share of it is freed at once, as a divisor, so that not every insertion has to look
/// for what to free.
const SLACK_SHARE: u64 = 32;

impl Indexes {
    /// None yet.
    pub fn new(config: IndexesConfig) -> Indexes {
        Indexes { config, spaces: RwLock::default(), total: Arc::default() }
    }

    /// [`Index::insert`] in the vector's space.
    ///
    /// # Errors
    ///
    /// [`VectorError::NoDirection`].
    pub fn insert(
        &self,
        space: Space,
        id: EntryId,
        vector: &[f32],
        expires_ms: u64,
        now_ms: u64,
    ) -> Result<(), VectorError> {
        let held = self.get_or_open(space, vector.len(), now_ms);
        let inserted = held.index.insert(id, vector, expires_ms, now_ms);
        self.enforce_bytes();
        inserted
    }

    /// [`Index::search`] in the vector's space.
    ///
    /// # Errors
    ///
    /// [`VectorError::NoDirection`].
    pub fn search(
        &self,
        space: Space,
        vector: &[f32],
        k: usize,
        floor: f32,
        now_ms: u64,
    ) -> Result<Vec<Candidate>, VectorError> {
        match self.get(space, vector.len(), now_ms) {
            Some(held) => held.index.search(vector, k, floor, now_ms),
            None => Ok(Vec::new()),
        }
    }

    /// How many vectors of this length there are in this space.
    pub fn len(&self, space: Space, dimension: usize) -> u64 {
        self.peek(space, dimension).map_or(0, |held| held.index.stats().vectors)
    }

    /// Forgets an entry in this space; tells whether there was one.
    pub fn delete_in(&self, space: Space, dimension: usize, id: &EntryId) -> bool {
        self.peek(space, dimension).is_some_and(|held| held.index.delete(id))
    }

    /// [`Index::count`] in this space.
    pub fn count(&self, space: Space, dimension: usize, is_meant: impl Fn(&EntryId) -> bool) -> u64 {
        self.peek(space, dimension).map_or(0, |held| held.index.count(is_meant))
    }

    /// [`Index::export`] of this space; none if there is none.
    pub fn export(&self, space: Space, dimension: usize) -> Option<Export> {
        self.peek(space, dimension).map(|held| held.index.export())
    }

    /// [`Index::import`] into this space.
    ///
    /// # Errors
    ///
    /// [`VectorError`] when the chunk is of another version or has a row that is no vector.
    pub fn import(&self, space: Space, chunk: &Chunk, now_ms: u64) -> Result<usize, VectorError> {
        let imported = self.get_or_open(space, chunk.dimension(), now_ms).index.import(chunk, now_ms);
        self.enforce_bytes();
        imported
    }

    /// Forgets an entry in whatever space it is; tells whether there was one.
    pub fn delete(&self, id: &EntryId) -> bool {
        self.all().into_iter().filter(|(_, held)| held.index.delete(id)).count() > 0
    }

    /// Forgets the spaces that are meant; tells how many there were.
    pub fn purge(&self, is_meant: impl Fn(&Space) -> bool) -> usize {
        let mut spaces = self.spaces.write().unwrap_or_else(PoisonError::into_inner);
        let before = spaces.len();
        // A search that is under way holds its index, and must not go on to find what is gone.
        spaces.retain(|(space, _), held| {
            !is_meant(space) || {
                held.index.purge();
                false
            }
        });
        before - spaces.len()
    }

    /// [`Index::tend`] for all, and drops the namespaces that are empty. Tells how many rows are left to link.
    pub fn tend(&self, most: usize, now_ms: u64) -> usize {
        let mut left = 0;
        for (_, held) in self.all() {
            left += held.index.tend(most, now_ms);
        }
        self.spaces.write().unwrap_or_else(PoisonError::into_inner).retain(|_, held| !held.is_idle());
        left
    }

    /// How much all of them hold.
    pub fn stats(&self) -> Stats {
        self.all().iter().map(|(_, held)| held.index.stats()).fold(Stats::default(), |sum, stats| Stats {
            vectors: sum.vectors + stats.vectors,
            rows: sum.rows + stats.rows,
            segments: sum.segments + stats.segments,
            bytes: sum.bytes + stats.bytes,
        })
    }

    /// Each namespace and how much it holds.
    pub fn spaces(&self) -> Vec<(Space, Stats)> {
        self.all().into_iter().map(|((space, _), held)| (space, held.index.stats())).collect()
    }

    /// Each namespace, the length of its vectors, and how many there are.
    pub fn sizes(&self) -> Vec<(Space, usize, u64)> {
        self.all()
            .into_iter()
            .map(|((space, dimension), held)| (space, dimension, held.index.stats().vectors))
            .collect()
    }

    fn get(&self, space: Space, dimension: usize, now_ms: u64) -> Option<Arc<Held>> {
        self.peek(space, dimension).inspect(|held| held.used_ms.store(now_ms, Ordering::Relaxed))
    }

    /// For what is no use of it.
    fn peek(&self, space: Space, dimension: usize) -> Option<Arc<Held>> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).get(&(space, dimension)).cloned()
    }

    fn get_or_open(&self, space: Space, dimension: usize, now_ms: u64) -> Arc<Held> {
        if let Some(held) = self.get(space, dimension, now_ms) {
            return held;
        }
        let mut spaces = self.spaces.write().unwrap_or_else(PoisonError::into_inner);
        if spaces.len() >= self.config.max_spaces.max(1) {
            forget_oldest(&mut spaces, self.config.max_spaces / SLACK_SHARE as usize + 1);
        }
        let open = || {
            let rows = self.config.max_bytes / Index::bytes_per_vector(dimension) as u64;
            let index = Index::counted(dimension, usize::try_from(rows).unwrap_or(usize::MAX), Arc::clone(&self.total));
            Arc::new(Held { index, used_ms: AtomicU64::new(now_ms) })
        };
        Arc::clone(spaces.entry((space, dimension)).or_insert_with(open))
    }

    fn enforce_bytes(&self) {
        let is_over = |bound| self.total.load(Ordering::Acquire) > bound;
        if !is_over(self.config.max_bytes) {
            return;
        }
        let all = self.all();
        let mut by_size: BinaryHeap<_> = all.iter().map(|(_, held)| &held.index).enumerate().map(sized).collect();
        while is_over(self.config.max_bytes - self.config.max_bytes / SLACK_SHARE)
            && let Some((_, number)) = by_size.pop()
        {
            let index = &all[number].1.index;
            if index.evict() {
                by_size.push(sized((number, index)));
            }
        }
    }

    fn all(&self) -> Vec<((Space, usize), Arc<Held>)> {
        let spaces = self.spaces.read().unwrap_or_else(PoisonError::into_inner);
        spaces.iter().map(|(key, held)| (*key, Arc::clone(held))).collect()
    }
}

impl Held {
    /// Whether it is empty, and nobody is about to change that.
    fn is_idle(self: &Arc<Held>) -> bool {
        Arc::strong_count(self) == 1 && self.index.stats().segments == 0
    }
}

fn sized((number, index): (usize, &Index)) -> (u64, usize) {
    (index.bytes(), number)
}

fn forget_oldest(spaces: &mut HashMap<(Space, usize), Arc<Held>>, count: usize) {
    let mut by_use: Vec<_> = spaces.iter().map(|(key, held)| (held.used_ms.load(Ordering::Relaxed), *key)).collect();
    let count = count.min(by_use.len());
    if count < by_use.len() {
        by_use.select_nth_unstable_by_key(count, |(used_ms, _)| *used_ms);
    }
    by_use.iter().take(count).for_each(|(_, key)| drop(spaces.remove(key)));
}
