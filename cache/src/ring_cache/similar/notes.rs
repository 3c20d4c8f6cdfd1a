//! What is kept beside a vector: the question's text, for the guard, and what decides whether the entry still counts.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::clock::Clock;
use crate::identity::EntryId;
use crate::vector::Space;
use crate::vector_store::{Near, Stored};

/// What a note takes beside its text: itself, its key and its place in the table.
const FIXED_WEIGHT: usize = 320;

/// What is known of an entry whose vector is here.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) space: Space,
    /// Of its vector.
    pub(super) dimension: usize,
    pub(super) text: Arc<str>,
    pub(super) generation: u64,
    pub(super) expires_ms: u64,
}

impl Note {
    pub(super) fn new(space: Space, dimension: usize, stored: &Stored) -> Note {
        let Stored { text, generation, expires_ms, .. } = stored;
        Note { space, dimension, text: text.clone(), generation: *generation, expires_ms: *expires_ms }
    }

    pub(super) fn stored(&self, id: EntryId) -> Stored {
        Stored { id, text: self.text.clone(), generation: self.generation, expires_ms: self.expires_ms }
    }

    pub(super) fn near(&self, id: EntryId, cosine: f32) -> Near {
        Near { id, cosine, text: self.text.clone(), generation: self.generation }
    }
}

/// A bounded table of notes; those that were used longest ago go first, and their vectors when they are next found.
pub(super) struct Notes {
    table: Cache<EntryId, Arc<Note>>,
}

impl Notes {
    pub(super) fn new(capacity: u64, clock: Clock) -> Notes {
        let table = Cache::builder()
            .max_capacity(capacity)
            .weigher(|_, note: &Arc<Note>| u32::try_from(note.text.len() + FIXED_WEIGHT).unwrap_or(u32::MAX))
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Lifetime(clock))
            .build();
        Notes { table }
    }

    pub(super) fn get(&self, id: &EntryId) -> Option<Arc<Note>> {
        self.table.get(id)
    }

    pub(super) fn put(&self, id: EntryId, note: Note) {
        self.table.insert(id, Arc::new(note));
    }

    pub(super) fn remove(&self, id: &EntryId) -> Option<Arc<Note>> {
        self.table.remove(id)
    }

    pub(super) fn clear(&self) {
        self.table.invalidate_all();
        self.table.run_pending_tasks();
    }

    pub(super) fn bytes(&self) -> u64 {
        self.table.run_pending_tasks();
        self.table.weighted_size()
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes").field("entries", &self.table.entry_count()).finish_non_exhaustive()
    }
}

struct Lifetime(Clock);

impl Lifetime {
    fn of(&self, note: &Note) -> Option<Duration> {
        Some(Duration::from_millis(note.expires_ms.saturating_sub(self.0.now_ms())))
    }
}

impl Expiry<EntryId, Arc<Note>> for Lifetime {
    fn expire_after_create(&self, _: &EntryId, note: &Arc<Note>, _: Instant) -> Option<Duration> {
        self.of(note)
    }

    // A note put again has a time of its own; the default would keep the old one's.
    fn expire_after_update(&self, _: &EntryId, note: &Arc<Note>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        self.of(note)
    }
}
