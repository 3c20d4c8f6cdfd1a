//! The flights that a node knows of.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Ending, Flight, Source};
use crate::entry::Entry;
use crate::identity::{EntryId, NamespaceId};

const SHARDS: usize = 64;
/// The most flights in a shard; those beyond it are not shared.
const MAX_FLIGHTS: usize = 1024;

/// What became of an attempt to board.
#[derive(Debug)]
pub(crate) enum Boarded {
    /// There was no flight: this one has begun.
    First(Arc<Flight>),
    /// It is under way.
    Under(Arc<Flight>),
    /// This request goes its own way.
    No,
}

/// The table of flights. Its locks are held for a few instructions, never over a wait.
#[derive(Debug)]
pub(crate) struct Flights {
    shards: [Mutex<HashMap<EntryId, Arc<Flight>>>; SHARDS],
    limit: usize,
    begun: AtomicU64,
}

impl Flights {
    /// An empty table, of flights whose tapes hold at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Flights {
        Flights { shards: std::array::from_fn(|_| Mutex::default()), limit, begun: AtomicU64::new(0) }
    }

    fn shard(&self, id: &EntryId) -> MutexGuard<'_, HashMap<EntryId, Arc<Flight>>> {
        // Not the byte by which the ring places it: of those a node sees few.
        let shard = usize::from(id.as_bytes()[31]) % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Boards the flight of this id for somebody who gets its events from `source`, if he is the first.
    pub(crate) fn board(&self, id: &EntryId, namespace: &NamespaceId, generation: u64, source: Source) -> Boarded {
        let mut shard = self.shard(id);
        match shard.get(id) {
            // The same node asks again: it does not know of the flight any more.
            Some(flight) if flight.source().is_of_same_node(&source) => {}
            Some(flight) if flight.namespace != *namespace || flight.generation < generation => return Boarded::No,
            Some(flight) if !flight.has_ended() => return Boarded::Under(flight.clone()),
            Some(_) => {}
            None if shard.len() >= MAX_FLIGHTS => return Boarded::No,
            None => {}
        }
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let flight = Arc::new(Flight::new(number, (*id, *namespace), generation, source, self.limit));
        if let Some(before) = shard.insert(*id, flight.clone()) {
            before.end(Ending::Lost);
        }
        Boarded::First(flight)
    }

    /// The flight of this id, if there is one.
    pub(crate) fn get(&self, id: &EntryId, namespace: &NamespaceId) -> Option<Arc<Flight>> {
        self.shard(id).get(id).filter(|flight| flight.namespace == *namespace).cloned()
    }

    /// Takes the flight out, if it is this one.
    pub(crate) fn remove(&self, flight: &Arc<Flight>) {
        let mut shard = self.shard(&flight.id);
        if shard.get(&flight.id).is_some_and(|known| Arc::ptr_eq(known, flight)) {
            shard.remove(&flight.id);
        }
    }

    /// There is an entry of this id. It ends the flight, unless that has begun with another answer: two nodes that cannot
    /// reach one another each have one.
    pub(crate) fn kept(&self, entry: &Arc<Entry>) {
        let mut shard = self.shard(&entry.id);
        if shard.get(&entry.id).is_some_and(|flight| flight.keep(entry)) {
            shard.remove(&entry.id);
        }
    }

    /// Ends the flight of this id if it comes from there.
    pub(crate) fn end_of(&self, id: &EntryId, source: &Source, ending: Ending) {
        let mut shard = self.shard(id);
        if shard.get(id).is_some_and(|flight| flight.source() == *source)
            && let Some(flight) = shard.remove(id)
        {
            flight.end(ending);
        }
    }
}
