//! Rows go to a few replicas of their counter: changes at once, and digests now and then to repair what was lost.
//!
//! Nothing that must hold rests on it. Replicas know totals, keep the rows of actors that are gone, and tell an actor
//! that comes back what they know of it, so that a journal that was rolled back is noticed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::allowance::CounterId;
use super::event::{Action, DigestEntry, Message, Now, PlacedRow, RowsRole};
use super::ledger::{Ledger, Shares};
use super::row::{Row, RowError};
use crate::actor::Actor;

/// At most so many rows or digest entries are in one message.
pub const MAX_ROWS: usize = 256;
/// So many peers hold a copy of a row.
pub const REPLICAS: usize = 3;

/// A counter as this node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The limit in force here.
    pub limit: u64,
    /// What all actors spent, as far as it is known here.
    pub spent: u64,
    /// What outstanding reservations of this node hold.
    pub reserved: u64,
    /// What this node may spend now.
    pub available: u64,
    /// What each actor spent.
    pub by_actor: BTreeMap<Actor, u64>,
}

impl<S: Shares> Ledger<S> {
    /// What is known here of a counter.
    pub fn totals(&self, id: &CounterId) -> Option<Totals> {
        let counter = self.counters.get(id)?;
        let mut by_actor: BTreeMap<Actor, u64> =
            counter.others().iter().map(|(actor, row)| (actor.clone(), row.spent)).collect();
        by_actor.insert(self.me.clone(), counter.own().spent);
        Some(Totals {
            limit: counter.limit(),
            spent: counter.known_spent(),
            reserved: counter.reserved(),
            available: counter.available(),
            by_actor,
        })
    }

    /// The peers that keep copies of this node's rows in a counter: rendezvous hashing over those that are there.
    fn replicas(&self, id: &CounterId) -> Vec<&Actor> {
        let mut peers: Vec<(Reverse<[u8; 8]>, &Actor)> = self.peers.iter().map(|p| (Reverse(draw(id, p)), p)).collect();
        peers.sort_unstable();
        peers.into_iter().take(REPLICAS).map(|(_, peer)| peer).collect()
    }

    /// Sends the own rows that changed to their replicas.
    pub(super) fn spread(&mut self) {
        let dirty = std::mem::take(&mut self.dirty);
        let mut rows: BTreeMap<Actor, Vec<PlacedRow>> = BTreeMap::new();
        for id in &dirty {
            let Some(counter) = self.counters.get(id) else { continue };
            for peer in self.replicas(id) {
                let row = PlacedRow { counter: *id, owner: self.me.clone(), row: counter.own().clone() };
                rows.entry(peer.clone()).or_default().push(row);
            }
        }
        for (peer, rows) in rows {
            self.send_rows(&peer, rows, RowsRole::Owner);
        }
    }

    fn send_rows(&mut self, to: &Actor, rows: Vec<PlacedRow>, role: RowsRole) {
        for rows in rows.chunks(MAX_ROWS) {
            self.out.push(Action::Send { to: to.clone(), message: Message::Rows { rows: rows.to_vec(), role } });
        }
    }

    /// Tells a peer that came (again) what it was given, in case the answer was lost, and what is known of its rows.
    pub(super) fn on_peer_seen(&mut self, peer: Actor) {
        if peer.node == self.me.node {
            return;
        }
        self.peers.retain(|other| other.node != peer.node);
        self.peers.insert(peer.clone());
        let mut gifts = Vec::new();
        let mut mirror = Vec::new();
        for (id, counter) in &self.counters {
            if counter.own().given_to(&peer) > 0 {
                gifts.push(PlacedRow { counter: *id, owner: self.me.clone(), row: counter.own().clone() });
            }
            if let Some(row) = counter.others().get(&peer) {
                mirror.push(PlacedRow { counter: *id, owner: peer.clone(), row: row.clone() });
            }
        }
        self.send_rows(&peer, gifts, RowsRole::Owner);
        self.send_rows(&peer, mirror, RowsRole::Mirror);
        // A new peer may be a replica of any row.
        self.dirty.extend(self.counters.iter().filter(|(_, c)| *c.own() != Row::default()).map(|(id, _)| *id));
    }

    pub(super) fn on_rows(&mut self, now: Now, from: &Actor, rows: Vec<PlacedRow>, role: RowsRole) {
        if rows.len() > MAX_ROWS {
            return self.refuse(from, RowError::Full);
        }
        for PlacedRow { counter, owner, row } in rows {
            let may_tell = match role {
                RowsRole::Owner => owner == *from,
                // Who is there tells its own; that a peer does not see it yet or any more is no offence.
                RowsRole::Replica if owner == self.me || self.peers.contains(&owner) => continue,
                RowsRole::Replica => true,
                RowsRole::Mirror => owner == self.me,
            };
            let checked = if may_tell { row.check(&owner) } else { Err(RowError::NotOwner) };
            let learned = checked.and_then(|()| match role {
                RowsRole::Mirror => {
                    self.compare(from, counter, &row);
                    Ok(())
                }
                RowsRole::Owner | RowsRole::Replica => self.learn(now, counter, &owner, &row),
            });
            if let Err(error) = learned {
                self.refuse(from, error);
            }
        }
        self.retry(now);
    }

    /// A replica that knows more of this actor than its journal has seen a later state of it.
    fn compare(&mut self, witness: &Actor, id: CounterId, row: &Row) {
        let covered = match self.counters.get(&id) {
            Some(counter) => counter.own().covers(row),
            None => self.is_closed(&id) || *row == Row::default(),
        };
        if !covered && !self.fenced {
            self.fence(witness, id);
        }
    }

    /// Tells each peer in short what it should have, a stretch of the counters at a time.
    pub(super) fn send_digests(&mut self) {
        let start = self.digest_cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let mut entries: BTreeMap<Actor, Vec<DigestEntry>> = BTreeMap::new();
        let mut last = None;
        for (id, counter) in self.counters.range((start, Bound::Unbounded)).take(MAX_ROWS / 4) {
            last = Some(*id);
            let gone = counter.others().iter().filter(|(owner, _)| !self.peers.contains(*owner));
            let rows = gone.chain((*counter.own() != Row::default()).then_some((&self.me, counter.own())));
            let told: Vec<DigestEntry> =
                rows.map(|(owner, row)| DigestEntry { counter: *id, owner: owner.clone(), hash: hash(row) }).collect();
            for peer in self.replicas(id) {
                entries.entry(peer.clone()).or_default().extend(told.iter().cloned());
            }
        }
        self.digest_cursor = last;
        for (to, entries) in entries {
            for entries in entries.chunks(MAX_ROWS) {
                let message = Message::Digest { entries: entries.to_vec() };
                self.out.push(Action::Send { to: to.clone(), message });
            }
        }
    }

    pub(super) fn on_digest(&mut self, now: Now, from: &Actor, entries: Vec<DigestEntry>) {
        let mut rows = Vec::new();
        for entry in entries.into_iter().take(MAX_ROWS) {
            if entry.owner == self.me || (entry.owner != *from && self.peers.contains(&entry.owner)) {
                continue;
            }
            let Ok(counter) = self.ensure(now, entry.counter) else { continue };
            if counter.others().get(&entry.owner).map(hash) != Some(entry.hash) {
                rows.push((entry.counter, entry.owner));
            }
        }
        if !rows.is_empty() {
            self.out.push(Action::Send { to: from.clone(), message: Message::Want { rows } });
        }
    }

    pub(super) fn on_want(&mut self, from: &Actor, wanted: Vec<(CounterId, Actor)>) {
        let (mut own, mut kept) = (Vec::new(), Vec::new());
        for (id, owner) in wanted.into_iter().take(MAX_ROWS) {
            let Some(counter) = self.counters.get(&id) else { continue };
            if owner == self.me {
                own.push(PlacedRow { counter: id, owner, row: counter.own().clone() });
            } else if let Some(row) = counter.others().get(&owner).filter(|_| !self.peers.contains(&owner)) {
                kept.push(PlacedRow { counter: id, row: row.clone(), owner });
            }
        }
        self.send_rows(from, own, RowsRole::Owner);
        self.send_rows(from, kept, RowsRole::Replica);
    }
}

fn draw(id: &CounterId, peer: &Actor) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(id.allowance.as_bytes());
    hasher.update(&id.window_start.to_be_bytes());
    hasher.update(peer.node.as_str().as_bytes());
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

fn hash(row: &Row) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&row.spent.to_be_bytes());
    for (actor, amount) in &row.given {
        hasher.update(actor.node.as_str().as_bytes());
        hasher.update(&actor.incarnation.0.to_be_bytes());
        hasher.update(&amount.to_be_bytes());
    }
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_be_bytes(bytes)
}
