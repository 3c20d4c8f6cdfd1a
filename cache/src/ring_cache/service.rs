//! Answers the caches of the peers, from memory and at once.

use std::sync::Arc;

use bytes::Bytes;
use peerway_cluster::identity::NodeId;
use peerway_cluster::link::{Answer, Refusal, Service};
use peerway_cluster::wire::{Kind, Message, decode, encode};

use super::similar::Semantic;
use super::{Inner, RingCache};
use crate::config::LANE_ENTRY;
use crate::message::{Forget, Forgotten, Get, Got, LandedTaken, Learn, Pull, PurgeCall, Purged, Put, PutDone, Search};

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
            Kind::CacheSearch | Kind::CacheLearn | Kind::CacheForget | Kind::CachePull => {
                return Some(
                    self.answer_semantic(from, kind, payload).unwrap_or_else(|refusal| Answer::Now(Err(refusal))),
                );
            }
            _ => return None,
        };
        Some(Answer::Now(answer))
    }

    /// What takes long is a task of its own, so that small answers do not wait for it.
    fn answer_semantic(&self, from: &NodeId, kind: Kind, payload: &[u8]) -> Result<Answer, Refusal> {
        let inner = self.cache.inner.clone();
        let Some(semantic) = &inner.semantic else { return Err(Refusal::NotServed) };
        match kind {
            Kind::CacheSearch => {
                let search: Search = read(payload)?;
                if !semantic.is_large(&search) {
                    return Ok(Answer::Now(write(&inner.search_here(semantic, &search))));
                }
                Ok(later(inner, move |inner, semantic| write(&inner.search_here(semantic, &search))))
            }
            Kind::CacheLearn => {
                let lesson: Learn = read(payload)?;
                Ok(later(inner, move |inner, semantic| write(&inner.learn_here(semantic, &lesson))))
            }
            Kind::CacheForget => {
                semantic.forget_here(&read::<Forget>(payload)?);
                Ok(Answer::Now(write(&Forgotten)))
            }
            Kind::CachePull => {
                let (pull, from): (Pull, _) = (read(payload)?, from.clone());
                Ok(later(inner, move |inner, semantic| write(&inner.hand_over(semantic, &from, &pull)?)))
            }
            _ => Err(Refusal::NotServed),
        }
    }
}

fn later(inner: Arc<Inner>, work: impl FnOnce(&Inner, &Semantic) -> Result<Bytes, Refusal> + Send + 'static) -> Answer {
    Answer::Later(Box::pin(async move {
        let semantic = inner.semantic.as_ref().ok_or(Refusal::NotServed)?;
        work(&inner, semantic)
    }))
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
