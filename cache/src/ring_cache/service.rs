//! Answers the caches of the peers, from memory and at once.

use bytes::Bytes;
use peerway_cluster::identity::NodeId;
use peerway_cluster::link::{Answer, Refusal, Service};
use peerway_cluster::wire::{Kind, Message, decode, encode};

use super::{Inner, RingCache};
use crate::config::LANE_ENTRY;
use crate::message::{Get, Got, LandedTaken, PurgeCall, Purged, Put, PutDone};

/// The cache's part of what a node serves.
#[derive(Clone, Debug)]
pub struct CacheService {
    cache: RingCache,
}

impl CacheService {
    pub(super) fn new(cache: RingCache) -> CacheService {
        CacheService { cache }
    }

    /// The answer to a message of the cache; none to a message of another room.
    pub fn answer(&self, from: &NodeId, kind: Kind, payload: &[u8]) -> Option<Answer> {
        let inner = &self.cache.inner;
        let answer = match kind {
            Kind::CacheGet => read(payload).and_then(|get| write(&inner.serve_get(from, &get))),
            Kind::CachePut => read(payload).and_then(|put| write(&inner.serve_put(put))),
            Kind::CachePurge => {
                read(payload).and_then(|PurgeCall(order)| write(&Purged { held: inner.carry_out(order) }))
            }
            Kind::CacheFollow => match read(payload) {
                Ok(follow) => return Some(inner.serve_follow(from, follow)),
                Err(refusal) => Err(refusal),
            },
            Kind::CacheLanded => read(payload).and_then(|landed| {
                inner.serve_landed(from, &landed);
                write(&LandedTaken)
            }),
            _ => return None,
        };
        Some(Answer::Now(answer))
    }
}

impl Service for CacheService {
    fn serve(&self, from: &NodeId, kind: Kind, payload: Bytes) -> Answer {
        self.answer(from, kind, &payload).unwrap_or(Answer::Now(Err(Refusal::NotServed)))
    }
}

fn read<M: Message>(payload: &[u8]) -> Result<M, Refusal> {
    decode(payload).map_err(|_| Refusal::Malformed)
}

pub(super) fn write<M: Message>(message: &M) -> Result<Bytes, Refusal> {
    encode(message).map_err(|error| Refusal::Failed(error.to_string()))
}

impl Inner {
    fn serve_get(&self, from: &NodeId, get: &Get) -> Got {
        self.counters.served_gets.add();
        match self.held(&self.store, &get.id, &get.namespace) {
            Some(entry) if !get.bulk && entry.weight() > LANE_ENTRY => Got::Large,
            Some(entry) => {
                self.counters.served_hits.add();
                Got::Hit(entry)
            }
            None => match get.board {
                Some(number) => self.board_for(from, get, number),
                None => Got::Miss { young: self.young() },
            },
        }
    }

    fn serve_put(&self, put: Put) -> PutDone {
        let kept = self.may_keep(&put.entry);
        if kept {
            self.counters.served_puts.add();
            self.store.put(put.entry.clone());
            self.flights.kept(&put.entry);
        } else {
            self.counters.puts_refused.add();
        }
        PutDone { kept }
    }
}
