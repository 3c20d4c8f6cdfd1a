//! The ledger of one actor: a pure state machine. What happens goes in with the time, what is to be done comes out.
//!
//! It touches neither the network nor the disk nor a clock, so that a whole cluster of ledgers runs inside one test.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::allowance::{Allowance, AllowanceId, CounterId};
use super::counter::Counter;
use super::counting::Counting;
use super::event::{Action, Alarm, Charge, Event, Message, Now};
use super::record::{Durability, Record};
use super::reservation::{Denial, Hold, MAX_CHARGES, Outcome, ReservationId, Reservations};
use super::row::{MAX_VALUE, RowError};
use super::transfer::Gather;
use crate::actor::Actor;

/// How far a peer's clock may be ahead, in seconds.
const MAX_SKEW: i64 = 300;
/// At most so many requests wait for rights.
const MAX_WAITING: usize = 1024;
/// At most so many counters are kept.
const MAX_COUNTERS: usize = 1 << 20;

/// How much of each limit is this actor's own; the counting rules answer that.
pub trait Shares {
    /// This actor's part of `limit` in `counter`. Over all actors these never sum to more than the limit.
    fn share(&self, counter: &CounterId, limit: u64) -> u64;
}

impl Shares for Counting {
    fn share(&self, counter: &CounterId, limit: u64) -> u64 {
        Counting::share(self, counter, limit)
    }
}

/// The times that a ledger keeps.
#[derive(Clone, Copy, Debug)]
pub struct LedgerConfig {
    /// How long a request may wait for rights of peers.
    pub gather_ms: u64,
    /// How often rows are spread and rights asked for ahead of need.
    pub background_ms: u64,
    /// How often replicas compare what they hold.
    pub digest_ms: u64,
    /// After this long a reservation is lost and charged in full; longer than any request may take.
    pub max_hold_ms: u64,
    /// How long after its end a window is kept, in seconds.
    pub retention_s: i64,
}

impl Default for LedgerConfig {
    fn default() -> LedgerConfig {
        LedgerConfig {
            gather_ms: 50,
            background_ms: 100,
            digest_ms: 10_000,
            max_hold_ms: 2 * 3_600 * 1_000,
            retention_s: 900,
        }
    }
}

/// A request that waits for rights.
#[derive(Debug)]
pub(super) struct Waiter {
    id: ReservationId,
    holds: Vec<Hold>,
    deadline: u64,
}

/// All counters of one actor.
#[derive(Debug)]
pub struct Ledger<S> {
    pub(super) me: Actor,
    pub(super) config: LedgerConfig,
    pub(super) shares: S,
    pub(super) allowances: BTreeMap<AllowanceId, Allowance>,
    pub(super) counters: BTreeMap<CounterId, Counter>,
    /// Windows of an allowance that ended at or before this time are forgotten and never begin anew.
    pub(super) closed: BTreeMap<AllowanceId, i64>,
    pub(super) reservations: Reservations,
    pub(super) waiting: VecDeque<Waiter>,
    pub(super) gathers: BTreeMap<CounterId, Gather>,
    pub(super) peers: BTreeSet<Actor>,
    /// Counters that were spent from of late.
    pub(super) active: BTreeSet<CounterId>,
    /// Counters whose own row the replicas have not seen.
    pub(super) dirty: BTreeSet<CounterId>,
    pub(super) next_background: u64,
    pub(super) next_digest: u64,
    pub(super) digest_cursor: Option<CounterId>,
    pub(super) fenced: bool,
    pub(super) out: Vec<Action>,
}

impl<S: Shares> Ledger<S> {
    /// The ledger of an actor that never spent anything. After a restart it is [`Ledger::recover`].
    pub fn new(me: Actor, config: LedgerConfig, shares: S) -> Ledger<S> {
        Ledger {
            me,
            config,
            shares,
            allowances: BTreeMap::new(),
            counters: BTreeMap::new(),
            closed: BTreeMap::new(),
            reservations: Reservations::default(),
            waiting: VecDeque::new(),
            gathers: BTreeMap::new(),
            peers: BTreeSet::new(),
            active: BTreeSet::new(),
            dirty: BTreeSet::new(),
            next_background: 0,
            next_digest: 0,
            digest_cursor: None,
            fenced: false,
            out: Vec::new(),
        }
    }

    /// Whose ledger it is.
    pub fn actor(&self) -> &Actor {
        &self.me
    }

    /// The counting rules, to be told what peers state. Send [`Event::SharesChanged`] when that changed a share.
    pub fn shares_mut(&mut self) -> &mut S {
        &mut self.shares
    }

    /// The counting rules.
    pub fn shares(&self) -> &S {
        &self.shares
    }

    /// How many counters have changed since their rows went to their replicas.
    pub fn unsynced(&self) -> usize {
        self.dirty.len()
    }

    /// The counters that are open here.
    pub fn counters(&self) -> &BTreeMap<CounterId, Counter> {
        &self.counters
    }

    /// How many reservations are granted and not settled.
    pub fn outstanding(&self) -> usize {
        self.reservations.len()
    }

    /// True when peers know more of this actor than its journal; nothing is granted or given any more.
    pub fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// When the next [`Event::Tick`] is due, on the monotonic clock.
    pub fn next_deadline(&self) -> u64 {
        let waiting = self.waiting.iter().map(|waiter| waiter.deadline);
        let gathers = self.gathers.values().filter_map(Gather::next_deadline);
        waiting.chain(gathers).fold(self.next_background, u64::min)
    }

    /// Takes what happened; answers with what is to be done, in this order.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Action> {
        match event {
            Event::Reserve { id, charges } => self.on_reserve(now, id, &charges),
            Event::End { id, outcome } => self.on_end(now, id, &outcome),
            Event::Drawn { id } => drop(self.reservations.take(&id)),
            Event::Open { counter, want } => self.on_open(now, counter, want),
            Event::Return { counter, spent, above, unused } => self.on_return(now, counter, spent, above, unused),
            Event::Peer { from, to, message } => self.on_message(now, &from, &to, message),
            Event::PeerSeen(peer) => self.on_peer_seen(peer),
            Event::PeerGone(peer) => self.on_peer_gone(now, &peer),
            Event::LimitChanged(allowance) => self.on_limit(now, allowance),
            Event::SharesChanged => {
                for (id, counter) in &mut self.counters {
                    let limit = counter.limit();
                    counter.set_limit(limit, self.shares.share(id, limit));
                }
                self.retry(now);
            }
            Event::Tick => self.on_tick(now),
            Event::Close => self.close_all(),
        }
        std::mem::take(&mut self.out)
    }

    fn on_message(&mut self, now: Now, from: &Actor, to: &Actor, message: Message) {
        // What was meant for the actor that this node was before it lost its disk must not reach the new one.
        if *to != self.me || from.node == self.me.node {
            return;
        }
        match message {
            Message::Ask { counter, want, seen, urgency } => self.on_ask(now, from, counter, want, seen, urgency),
            Message::Give { counter, total, left } => self.on_give(now, from, counter, total, left),
            Message::Rows { rows, role } => self.on_rows(now, from, rows, role),
            Message::Digest { entries } => self.on_digest(now, from, entries),
            Message::Want { rows } => self.on_want(from, rows),
        }
    }

    fn on_limit(&mut self, now: Now, mut allowance: Allowance) {
        allowance.limit = allowance.limit.min(MAX_VALUE);
        self.allowances.insert(allowance.id, allowance);
        let first = CounterId { allowance: allowance.id, window_start: i64::MIN };
        let last = CounterId { allowance: allowance.id, window_start: i64::MAX };
        for (id, counter) in self.counters.range_mut(first..=last) {
            counter.set_limit(allowance.limit, self.shares.share(id, allowance.limit));
            counter.set_end(allowance.window.span(id.window_start).end);
        }
        self.retry(now);
    }

    fn on_reserve(&mut self, now: Now, id: ReservationId, charges: &[Charge]) {
        let waiter = match self.admit(now, id, charges) {
            Ok(holds) => Waiter { id, holds, deadline: now.mono_ms.saturating_add(self.config.gather_ms) },
            Err(denial) => return self.out.push(Action::Denied { id, denial }),
        };
        for hold in &waiter.holds {
            if let Some(counter) = self.counters.get_mut(&hold.counter) {
                counter.rate.add(now.mono_ms, hold.amount);
                self.active.insert(hold.counter);
            }
        }
        if self.try_grant(now, &waiter) {
            return;
        }
        let beyond =
            |hold: &Hold| self.counters.get(&hold.counter).is_none_or(|counter| counter.is_beyond(hold.amount));
        if self.peers.is_empty() || waiter.holds.iter().any(beyond) {
            return self.deny(&waiter);
        }
        if self.waiting.len() >= MAX_WAITING {
            return self.out.push(Action::Denied { id, denial: Denial::Busy });
        }
        self.waiting.push_back(waiter);
        self.start_gathers(now);
    }

    /// The counters that a request would charge, when it may ask at all.
    fn admit(&mut self, now: Now, id: ReservationId, charges: &[Charge]) -> Result<Vec<Hold>, Denial> {
        if self.fenced {
            return Err(Denial::Fenced);
        }
        let twice = |(at, charge): (usize, &Charge)| charges[..at].iter().any(|c| c.allowance == charge.allowance);
        if charges.is_empty() || charges.len() > MAX_CHARGES || charges.iter().enumerate().any(twice) {
            return Err(Denial::Malformed);
        }
        if self.reservations.contains(&id) || self.waiting.iter().any(|waiter| waiter.id == id) {
            return Err(Denial::Duplicate);
        }
        let mut holds = Vec::with_capacity(charges.len());
        for charge in charges {
            let allowance = self.allowances.get(&charge.allowance).ok_or(Denial::Unknown(charge.allowance))?;
            let counter = allowance.counter(now.unix);
            self.ensure(now, counter).map_err(|error| match error {
                RowError::Full => Denial::Busy,
                _ => Denial::Closed(charge.allowance),
            })?;
            holds.push(Hold { counter, amount: charge.amount });
        }
        Ok(holds)
    }

    /// Opens a counter unless it is open, if its window may be open now.
    pub(super) fn ensure(&mut self, now: Now, id: CounterId) -> Result<&mut Counter, RowError> {
        if !self.counters.contains_key(&id) {
            let allowance = self.allowances.get(&id.allowance).ok_or(RowError::Allowance)?;
            let span = allowance.window.span(id.window_start);
            let horizon = allowance.window.span(now.unix.saturating_add(MAX_SKEW)).end;
            let past = span.end < now.unix.saturating_sub(MAX_SKEW + self.config.retention_s);
            if span.start != id.window_start || id.window_start > horizon || past || self.is_closed(&id) {
                return Err(RowError::Window);
            }
            if self.counters.len() >= MAX_COUNTERS {
                return Err(RowError::Full);
            }
            let share = self.shares.share(&id, allowance.limit);
            self.counters.insert(id, Counter::new(id, span.end, allowance.limit, share));
        }
        self.counters.get_mut(&id).ok_or(RowError::Full)
    }

    /// Grants all parts of a request or changes nothing.
    fn try_grant(&mut self, now: Now, waiter: &Waiter) -> bool {
        if self.lacking(waiter).is_some() {
            return false;
        }
        for hold in &waiter.holds {
            if let Some(counter) = self.counters.get_mut(&hold.counter) {
                if let Some(up_to) = counter.open_for(hold.amount, now.mono_ms) {
                    let record = Record::SliceOpened { counter: hold.counter, up_to };
                    self.out.push(Action::Persist { record, durability: Durability::Durable });
                }
                counter.reserve(hold.amount);
            }
        }
        self.reservations.insert(waiter.id, waiter.holds.clone(), now.mono_ms);
        self.out.push(Action::Granted(waiter.id));
        true
    }

    /// The first part of a request for which rights are missing.
    fn lacking<'a>(&self, waiter: &'a Waiter) -> Option<&'a Hold> {
        waiter
            .holds
            .iter()
            .find(|hold| self.counters.get(&hold.counter).is_none_or(|counter| counter.available() < hold.amount))
    }

    fn deny(&mut self, waiter: &Waiter) {
        let Some(hold) = self.lacking(waiter).or(waiter.holds.first()) else { return };
        let allowance = hold.counter.allowance;
        let denial = if self.gathers.get(&hold.counter).is_some_and(Gather::may_yet_find) {
            Denial::Late(allowance)
        } else {
            let window_end = self.counters.get(&hold.counter).map_or(i64::MAX, Counter::end);
            Denial::Exhausted { allowance, window_end }
        };
        self.out.push(Action::Denied { id: waiter.id, denial });
    }

    /// Grants those waiting requests for which there is enough now, the oldest first.
    pub(super) fn retry(&mut self, now: Now) {
        for waiter in std::mem::take(&mut self.waiting) {
            if self.fenced || !self.try_grant(now, &waiter) {
                self.waiting.push_back(waiter);
            }
        }
        self.end_idle_gathers();
        // A grant may have used what another one counted on.
        self.start_gathers(now);
    }

    /// Denies those waiting requests that lack rights in a counter of which there is no more anywhere.
    pub(super) fn deny_lacking(&mut self, counter: CounterId) {
        for waiter in std::mem::take(&mut self.waiting) {
            if self.lacks(&waiter, &counter) {
                self.deny(&waiter);
            } else {
                self.waiting.push_back(waiter);
            }
        }
        self.end_idle_gathers();
    }

    pub(super) fn lacks(&self, waiter: &Waiter, id: &CounterId) -> bool {
        let available = self.counters.get(id).map_or(0, Counter::available);
        waiter.holds.iter().any(|hold| hold.counter == *id && hold.amount > available)
    }

    /// The counters for which waiting requests lack rights, with all that they want of each.
    pub(super) fn shortages(&self) -> BTreeMap<CounterId, u64> {
        let mut wanted: BTreeMap<CounterId, u64> = BTreeMap::new();
        for hold in self.waiting.iter().flat_map(|waiter| &waiter.holds) {
            let sum = wanted.entry(hold.counter).or_default();
            *sum = sum.saturating_add(hold.amount);
        }
        wanted.retain(|id, sum| {
            *sum = self.counters.get(id).map_or(0, |counter| counter.missing(*sum));
            *sum > 0
        });
        wanted
    }

    fn on_end(&mut self, now: Now, id: ReservationId, outcome: &Outcome) {
        if let Some(at) = self.waiting.iter().position(|waiter| waiter.id == id) {
            self.waiting.remove(at);
            return self.end_idle_gathers();
        }
        // An id that is not known was settled before, or granted in an earlier life that has charged it in full.
        let Some(holds) = self.reservations.take(&id) else { return };
        for (index, hold) in holds.iter().enumerate() {
            let Some(counter) = self.counters.get_mut(&hold.counter) else { continue };
            let above = counter.settle(hold.amount, outcome.charged(index, hold.amount), now.mono_ms);
            let record = Record::Settled { counter: hold.counter, up_to: counter.opened() };
            let durability = if above { Durability::Durable } else { Durability::Buffered };
            self.out.push(Action::Persist { record, durability });
            self.dirty.insert(hold.counter);
        }
        self.retry(now);
    }

    fn on_tick(&mut self, now: Now) {
        let oldest = now.mono_ms.saturating_sub(self.config.max_hold_ms);
        while let Some(id) = self.reservations.granted_before(oldest) {
            self.on_end(now, id, &Outcome::Full);
            self.out.push(Action::Alarm(Alarm::LostReservation(id)));
        }
        for waiter in std::mem::take(&mut self.waiting) {
            if waiter.deadline <= now.mono_ms {
                self.deny(&waiter);
            } else {
                self.waiting.push_back(waiter);
            }
        }
        self.end_idle_gathers();
        self.hurry_gathers(now);
        if self.next_background <= now.mono_ms {
            self.next_background = now.mono_ms.saturating_add(self.config.background_ms);
            self.rest_and_refill(now);
            self.spread();
        }
        if self.next_digest <= now.mono_ms {
            self.next_digest = now.mono_ms.saturating_add(self.config.digest_ms);
            self.send_digests();
            self.prune(now);
        }
    }
}
