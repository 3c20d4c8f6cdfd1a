//! Rights move from peer to peer: ahead of need in the background, and for a request that waits.
//!
//! A gift is on the giver's disk before the answer leaves, and the answer tells the total that this asker was ever
//! given. So a lost answer loses no rights (the next one tells the same total) and a doubled one makes none.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::allowance::CounterId;
use super::event::{Action, Alarm, Message, Now, Urgency};
use super::ledger::{Ledger, Shares};
use super::record::{Durability, Record};
use super::row::{MAX_VALUE, Row, RowError};
use crate::actor::Actor;

/// So many peers are asked at first, then twice as many, and so on.
const FIRST_FANOUT: usize = 8;
/// A gather ends after so many rounds, whatever peers promise.
const MAX_ROUNDS: u32 = 16;
/// Seconds of recent spend that a node keeps for itself, and below which it asks for more.
const LOW_WATER_S: u64 = 2;
/// Seconds of recent spend that it asks for.
const TARGET_S: u64 = 8;
/// How long a background ask has to be answered, and how long a peer without rights is left alone.
const ASK_AGAIN_MS: u64 = 1_000;

/// The search for rights in one counter, on behalf of all requests that wait for it.
#[derive(Debug)]
pub(super) struct Gather {
    /// What each peer that was asked said it has left; `None` until it answers.
    asked: BTreeMap<Actor, Option<u64>>,
    half_time: Option<u64>,
    rounds: u32,
}

impl Gather {
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.half_time
    }

    fn is_quiet(&self) -> bool {
        self.asked.values().all(Option::is_some)
    }

    /// True while somebody who was asked has not answered, or has something left.
    pub(super) fn may_yet_find(&self) -> bool {
        !self.is_quiet() || self.promised() > 0
    }

    fn promised(&self) -> u64 {
        self.asked.values().flatten().fold(0, |sum, left| sum.saturating_add(*left))
    }

    /// Whom to ask for what next: first exactly what is missing of those who have some left, then others who were not
    /// asked yet, `candidates` in this order.
    fn next_asks(&mut self, mut missing: u64, candidates: &[Actor]) -> Vec<(Actor, u64, Urgency)> {
        let mut asks = Vec::new();
        if self.rounds >= MAX_ROUNDS {
            return asks;
        }
        let mut rich: Vec<(Reverse<u64>, &Actor)> = self
            .asked
            .iter()
            .filter_map(|(peer, left)| left.filter(|left| *left > 0).map(|l| (Reverse(l), peer)))
            .collect();
        rich.sort_unstable();
        for (Reverse(left), peer) in rich {
            if missing == 0 {
                break;
            }
            let want = left.min(missing);
            missing -= want;
            asks.push((peer.clone(), want, Urgency::Last));
        }
        if missing > 0 {
            let fanout = FIRST_FANOUT << self.rounds.min(8);
            let fresh = candidates.iter().filter(|peer| !self.asked.contains_key(*peer)).take(fanout);
            asks.extend(fresh.map(|peer| (peer.clone(), missing, Urgency::Waiting)));
        }
        for (peer, _, _) in &asks {
            self.asked.insert(peer.clone(), None);
        }
        self.rounds += 1;
        asks
    }
}

impl<S: Shares> Ledger<S> {
    /// Begins to gather in each counter for which a waiting request lacks rights.
    pub(super) fn start_gathers(&mut self, now: Now) {
        for (counter, missing) in self.shortages() {
            if !self.gathers.contains_key(&counter) {
                let half_time = Some(now.mono_ms.saturating_add(self.config.gather_ms / 2));
                self.gathers.insert(counter, Gather { asked: BTreeMap::new(), half_time, rounds: 0 });
                self.ask_on(counter, missing);
            }
        }
    }

    /// Sends the next round of asks; without anybody left to ask or to wait for, those who wait are denied.
    fn ask_on(&mut self, id: CounterId, missing: u64) {
        let candidates = self.candidates(&id);
        let Some(gather) = self.gathers.get_mut(&id) else { return };
        let asks = gather.next_asks(missing, &candidates);
        if asks.is_empty() && gather.is_quiet() {
            self.gathers.remove(&id);
            return self.deny_lacking(id);
        }
        for (peer, want, urgency) in asks {
            self.ask(id, peer, want, urgency);
        }
    }

    fn ask(&mut self, id: CounterId, to: Actor, want: u64, urgency: Urgency) {
        let Some(counter) = self.counters.get(&id) else { return };
        let seen = counter.received_from(&self.me, &to);
        self.out.push(Action::Send { to, message: Message::Ask { counter: id, want, seen, urgency } });
    }

    /// The peers, those first who may have the most; of one that never spoke of this counter that is assumed.
    fn candidates(&self, id: &CounterId) -> Vec<Actor> {
        let hints = self.counters.get(id).map(|counter| &counter.hints);
        let mut peers: Vec<&Actor> = self.peers.iter().collect();
        // The stable sort keeps the rotation, so that not all nodes knock at the same door first.
        let after_me = peers.partition_point(|peer| **peer < self.me);
        peers.rotate_left(after_me);
        peers.sort_by_key(|peer| Reverse(hints.and_then(|hints| hints.get(*peer)).copied().unwrap_or(u64::MAX)));
        peers.into_iter().cloned().collect()
    }

    /// Ends the gathers that no waiting request needs any more.
    pub(super) fn end_idle_gathers(&mut self) {
        if !self.gathers.is_empty() {
            let shortages = self.shortages();
            self.gathers.retain(|id, _| shortages.contains_key(id));
        }
    }

    /// At half time goes on without those that have not answered.
    pub(super) fn hurry_gathers(&mut self, now: Now) {
        let due = |gather: &Gather| gather.half_time.is_some_and(|time| time <= now.mono_ms);
        let late: Vec<CounterId> = self.gathers.iter().filter(|(_, gather)| due(gather)).map(|(id, _)| *id).collect();
        let shortages = self.shortages();
        for id in late {
            if let Some(gather) = self.gathers.get_mut(&id) {
                gather.half_time = None;
            }
            self.ask_on(id, shortages.get(&id).copied().unwrap_or(0));
        }
    }

    pub(super) fn on_ask(&mut self, now: Now, from: &Actor, id: CounterId, want: u64, seen: u64, urgency: Urgency) {
        if self.fenced {
            return;
        }
        let me = self.me.clone();
        let counter = match self.ensure(now, id) {
            Ok(counter) => counter,
            Err(error) => {
                // An answer all the same: the asker should not wait for one that never comes.
                self.out
                    .push(Action::Send { to: from.clone(), message: Message::Give { counter: id, total: 0, left: 0 } });
                return self.refuse(from, error);
            }
        };
        let given = counter.own().given_to(from);
        if seen > given {
            return self.fence(from, id);
        }
        let available = counter.available();
        let kept = counter.rate.per_second(now.mono_ms).saturating_mul(LOW_WATER_S);
        let spare = match urgency {
            Urgency::Background => available.saturating_sub(kept).div_ceil(2),
            Urgency::Waiting => available.div_ceil(2),
            Urgency::Last => available,
        };
        // What the asker has not heard of yet counts towards what it wants.
        let amount = want.saturating_sub(given - seen).min(spare).min(MAX_VALUE - given);
        let mut total = given;
        if amount > 0 && *from != me {
            total = counter.give(from, amount);
            let record = Record::Given { counter: id, to: from.clone(), total, up_to: counter.opened() };
            self.out.push(Action::Persist { record, durability: Durability::Durable });
            self.dirty.insert(id);
        }
        let message = Message::Give { counter: id, total, left: available - amount };
        self.out.push(Action::Send { to: from.clone(), message });
    }

    /// Gives all that is left in windows that run to one peer, because this actor leaves for good.
    pub fn hand_over(&mut self, now: Now, to: &Actor) -> Vec<Action> {
        if self.fenced || to.node == self.me.node {
            return Vec::new();
        }
        for (id, counter) in self.counters.iter_mut().filter(|(_, counter)| now.unix < counter.end()) {
            let amount = counter.available().min(MAX_VALUE - counter.own().given_to(to));
            if amount == 0 {
                continue;
            }
            let total = counter.give(to, amount);
            let record = Record::Given { counter: *id, to: to.clone(), total, up_to: counter.opened() };
            self.out.push(Action::Persist { record, durability: Durability::Durable });
            self.out.push(Action::Send { to: to.clone(), message: Message::Give { counter: *id, total, left: 0 } });
            self.dirty.insert(*id);
        }
        // Should an answer get lost, replicas tell the receiver what it was given.
        self.spread();
        std::mem::take(&mut self.out)
    }

    pub(super) fn on_give(&mut self, now: Now, from: &Actor, id: CounterId, total: u64, left: u64) {
        let row = Row { spent: 0, given: BTreeMap::from([(self.me.clone(), total)]) };
        if let Err(error) = row.check(from).and_then(|()| self.learn(now, id, from, &row)) {
            return self.refuse(from, error);
        }
        if let Some(counter) = self.counters.get_mut(&id)
            && counter.hints.len() < super::row::MAX_RECEIVERS
        {
            counter.hints.insert(from.clone(), left);
        }
        self.retry(now);
        self.answered(from, id, left);
    }

    /// Notes an answer in the gather; the next round begins when there is enough in sight or nobody to wait for.
    fn answered(&mut self, from: &Actor, id: CounterId, left: u64) {
        let Some(gather) = self.gathers.get_mut(&id) else { return };
        let Some(answer) = gather.asked.get_mut(from) else { return };
        *answer = Some(left);
        let (quiet, promised) = (gather.is_quiet(), gather.promised());
        let missing = self.shortages().get(&id).copied().unwrap_or(0);
        if quiet || promised >= missing {
            self.ask_on(id, missing);
        }
    }

    pub(super) fn on_peer_gone(&mut self, now: Now, peer: &Actor) {
        self.peers.remove(peer);
        let ids: Vec<CounterId> = self.gathers.keys().copied().collect();
        for id in ids {
            self.answered(peer, id, 0);
        }
        self.retry(now);
    }

    /// Merges what is known of a peer's row and keeps what it gave to us.
    pub(super) fn learn(&mut self, now: Now, id: CounterId, owner: &Actor, row: &Row) -> Result<(), RowError> {
        let me = self.me.clone();
        let counter = self.ensure(now, id)?;
        if !counter.others().contains_key(owner) && counter.others().len() >= super::row::MAX_RECEIVERS {
            return Err(RowError::Full);
        }
        let before = counter.received_from(&me, owner);
        counter.learn(&me, owner, row);
        let total = counter.received_from(&me, owner);
        if total > before {
            let record = Record::Received { counter: id, from: owner.clone(), total };
            self.out.push(Action::Persist { record, durability: Durability::Buffered });
        }
        Ok(())
    }

    /// Asks ahead of need where spend is fast, and closes what is open where it has come to rest.
    pub(super) fn rest_and_refill(&mut self, now: Now) {
        let mut asks = Vec::new();
        for id in std::mem::take(&mut self.active) {
            let Some(counter) = self.counters.get_mut(&id) else { continue };
            let rate = counter.rate.per_second(now.mono_ms);
            if rate == 0 {
                if counter.close() {
                    let record = Record::Settled { counter: id, up_to: counter.opened() };
                    self.out.push(Action::Persist { record, durability: Durability::Buffered });
                }
                continue;
            }
            self.active.insert(id);
            let available = counter.available();
            if available < rate.saturating_mul(LOW_WATER_S) && counter.ask_after <= now.mono_ms {
                counter.ask_after = now.mono_ms.saturating_add(ASK_AGAIN_MS);
                asks.push((id, rate.saturating_mul(TARGET_S).min(counter.limit()).saturating_sub(available)));
            }
        }
        for (id, want) in asks {
            if let Some(peer) = self.candidates(&id).into_iter().next() {
                self.ask(id, peer, want, Urgency::Background);
            }
        }
    }

    /// Peers lag behind in what they know of allowances and windows; everything else no honest peer sends.
    pub(super) fn refuse(&mut self, from: &Actor, error: RowError) {
        if !matches!(error, RowError::Allowance | RowError::Window | RowError::Full) {
            self.out.push(Action::Alarm(Alarm::Refused { from: from.clone(), error }));
        }
    }

    /// A peer knows of gifts or spend that the journal does not: nothing may be spent on its word any more.
    pub(super) fn fence(&mut self, witness: &Actor, counter: CounterId) {
        self.fenced = true;
        self.out.push(Action::Alarm(Alarm::RolledBack { witness: witness.clone(), counter }));
    }
}
