//! A look-up that ends with an entry, with the task to ask the provider, or with somebody to follow who does.

use std::sync::Arc;

use peerway_cluster::identity::NodeId;
use tokio::time::timeout;

use super::get::{Found, Place};
use super::{Inner, RingCache};
use crate::config::LANE_ENTRY;
use crate::entry::Entry;
use crate::flight::{Boarded, Ending, Flight, Follower, Lead, OnEnd, Source};
use crate::identity::{EntryId, NamespaceId};
use crate::message::{Get, Got, Landed};
use crate::peers::Placement;

/// What a request that missed is to do.
#[derive(Debug)]
pub enum Boarding {
    /// Nothing: here is the entry.
    Hit(Arc<Entry>),
    /// Nothing: here is the entry, which only the backend had.
    Behind(Arc<Entry>),
    /// Ask the provider, for itself and for all that are the same.
    Lead(Lead),
    /// Wait for the answer to another one.
    Follow(Follower),
    /// Ask the provider, for itself.
    Alone,
}

impl Boarding {
    fn of((entry, place): (Arc<Entry>, Place)) -> Boarding {
        match place {
            Place::Nodes => Boarding::Hit(entry),
            Place::Backend => Boarding::Behind(entry),
        }
    }
}

impl RingCache {
    /// Like [`RingCache::get`]; and on a miss one request of all that are the same asks the provider.
    pub async fn board(&self, id: &EntryId, namespace: &NamespaceId) -> Boarding {
        if let Some(entry) = self.get_local(id, namespace) {
            return Boarding::Hit(entry);
        }
        let inner = &self.inner;
        let generation = inner.generations.current(namespace);
        let flight = match inner.flights.board(id, namespace, generation, Source::Here) {
            Boarded::First(flight) => flight,
            Boarded::Under(flight) => {
                inner.worth.reward(namespace);
                return Boarding::Follow(inner.follow(flight, 0));
            }
            Boarded::No => return self.get_from(id, namespace).await.map_or(Boarding::Alone, Boarding::of),
        };
        // Given up on the way (the client went away), the flight is another one's to lead.
        let placement = inner.peers.placement(id);
        let mut lead = Lead::new(inner.flights.clone(), flight.clone(), inner.when_landed(&flight, &placement));
        // The flight before this one may have ended since the look-up.
        if let Some(entry) = self.get_local(id, namespace) {
            inner.flights.kept(&entry);
            return Boarding::Hit(entry);
        }
        if !inner.is_worth_asking(namespace, &placement) {
            // It leads for this node alone, and the owner has not heard of it.
            lead.tell_nobody();
            return Boarding::Lead(lead);
        }
        let found = self.ask_peers(id, namespace, &placement, Some(flight.number)).await;
        match found {
            Found::Entry(entry) => {
                inner.counters.hits_remote.add();
                inner.worth.reward(namespace);
                inner.flights.kept(&entry);
                Boarding::Hit(entry)
            }
            Found::UnderWay(owner) => {
                inner.worth.reward(namespace);
                flight.set_source(Source::There { node: owner, number: 0 });
                lead.step_down();
                Boarding::Follow(inner.follow(flight, 0))
            }
            Found::Nothing | Found::Silence => {
                if let Some(entry) = self.find_behind(id, namespace, &placement).await {
                    inner.flights.kept(&entry);
                    return Boarding::Behind(entry);
                }
                inner.counters.misses.add();
                Boarding::Lead(lead)
            }
        }
    }

    /// Counts a request that another one's answer served.
    pub fn coalesced(&self) {
        self.inner.counters.hits_coalesced.add();
    }
}

impl Inner {
    pub(super) fn follow(self: &Arc<Self>, flight: Arc<Flight>, seen: usize) -> Follower {
        let follower = Follower::new(flight.clone(), seen);
        self.mirror(flight);
        follower
    }

    /// What tells the owner of a flight that ends without an entry.
    fn when_landed(self: &Arc<Self>, flight: &Flight, placement: &Placement) -> Option<OnEnd> {
        let owner = placement.owner.clone().filter(|owner| owner != self.peers.me())?;
        let (inner, id, number) = (self.clone(), flight.id, flight.number);
        Some(Box::new(move |ending| {
            let message = Landed { id, number, over: ending == Ending::Over };
            // Of a runtime that ends, the peers hear by themselves.
            let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
            runtime.spawn(async move {
                let deadline = inner.config.put_deadline;
                // If it is not told, who follows finds out.
                let _ = timeout(deadline, inner.peers.landed(&owner, &message, deadline)).await;
            });
        }))
    }

    /// Answers a node that asks for an entry of this one's, and wants to board on a miss.
    pub(super) fn board_for(&self, from: &NodeId, get: &Get, number: u64) -> Got {
        let generation = self.generations.current(&get.namespace);
        let source = Source::There { node: from.clone(), number };
        let boarded = self.flights.board(&get.id, &get.namespace, generation, source);
        // The entry may have come since the look-up.
        if let Some(entry) = self.held(&self.store, &get.id, &get.namespace) {
            self.flights.kept(&entry);
            return if entry.weight() > LANE_ENTRY { Got::Large } else { Got::Hit(entry) };
        }
        match boarded {
            Boarded::Under(_) => Got::UnderWay,
            Boarded::First(_) | Boarded::No => Got::Miss { young: self.young() },
        }
    }
}
