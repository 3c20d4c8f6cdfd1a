//! What people and the node may know of the ledger: where it stands, what is locked in whom, and what somebody must do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::parts::part_of;
use super::task::Task;
use crate::actor::Actor;
use crate::identity::NodeId;
use crate::journal::Durability;
use crate::ledger::allowance::{AllowanceId, CounterId, Unit};
use crate::ledger::counting::{self, WaitsFor};
use crate::ledger::event::{Alarm, Now};
use crate::ledger::statement::WindowFrom;
use crate::ledger::window::WindowKind;

/// So many places are named where rights are locked, or will be.
const MAX_NAMED: usize = 4096;
/// Looks at all counters cost time; a change of who is there makes one at once.
const LOOK_MS: u64 = 5_000;
/// Of what peers do wrong one line in so long is enough.
const COMPLAIN_MS: u64 = 10_000;

/// Where the ledger stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerStatus {
    /// Which actor this is.
    pub actor: Actor,
    /// By whom it divides limits, itself included.
    pub counted: Vec<Actor>,
    /// From which windows on it has shares. Until then it lives on transfers.
    pub active_from: Option<WindowFrom>,
    /// Why it is not active.
    pub waits_for: Option<WaitsFor>,
    /// From which window start on it has no share, because it leaves.
    pub leaves_from: Option<i64>,
    /// What a person must look at.
    pub alarms: Vec<counting::Alarm>,
    /// Whether what is written survives a crash.
    pub durability: Durability,
    /// Counters whose row has changed and not gone to its replicas.
    pub unsynced_rows: usize,
    /// Peers that can be reached.
    pub live: Vec<Actor>,
    /// By unit: what the journal holds for spent and nobody has settled yet. A crash charges so much too much at most.
    pub open: BTreeMap<Unit, u64>,
    /// Rights that nobody can use, because their actors are not there; the first 4,096 of them.
    pub locked: Vec<Locked>,
    /// Allowances of which nobody who is there will have a share; the first 4,096 of them.
    pub cliffs: Vec<Cliff>,
    /// True when peers know more of this actor than its journal: nothing is granted any more. Close the service, make
    /// the identity a new one ([`crate::identity::Identity::renew`]), set the journal aside ([`super::set_aside`]), and
    /// start again.
    pub fenced: bool,
}

impl LedgerStatus {
    /// Before the task has looked.
    pub(super) fn of(me: &Actor) -> LedgerStatus {
        LedgerStatus {
            actor: me.clone(),
            counted: Vec::new(),
            active_from: None,
            waits_for: None,
            leaves_from: None,
            alarms: Vec::new(),
            durability: Durability::Ok,
            unsynced_rows: 0,
            live: Vec::new(),
            open: BTreeMap::new(),
            locked: Vec::new(),
            cliffs: Vec::new(),
            fenced: false,
        }
    }

    /// True when this node has shares.
    pub fn is_active(&self) -> bool {
        self.active_from.is_some() && !self.fenced
    }
}

/// Rights in an actor that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// In which counter.
    pub counter: CounterId,
    /// Counted in what.
    pub unit: Unit,
    /// In whom.
    pub actor: Actor,
    /// How much, as far as it is known here.
    pub amount: u64,
}

/// A window to come in which no node that is there has a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cliff {
    /// Of which allowance.
    pub allowance: AllowanceId,
    /// With which windows.
    pub window: WindowKind,
    /// The start of the first such window, in unix seconds.
    pub from: i64,
    /// The nodes that have the shares.
    pub unless_forgotten: BTreeSet<NodeId>,
}

impl fmt::Display for Cliff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from unix second {} no live node has a share of allowance {} unless ", self.from, self.allowance)?;
        for (index, node) in self.unless_forgotten.iter().enumerate() {
            write!(f, "{}{node}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str(" is back or forgotten")
    }
}

/// What was seen and said so far.
#[derive(Debug, Default)]
pub(super) struct Watched {
    next_look: u64,
    seen: (Vec<Locked>, Vec<Cliff>),
    alarms: Vec<counting::Alarm>,
    live: BTreeSet<Actor>,
    complain_after: u64,
    complaints: u64,
}

impl Watched {
    /// A peer says what no honest peer says.
    pub(super) fn complain(&mut self, now: &Now, error: &dyn fmt::Display) {
        self.complaints += 1;
        if now.mono_ms >= self.complain_after {
            self.complain_after = now.mono_ms.saturating_add(COMPLAIN_MS);
            tracing::warn!(%error, so_far = self.complaints, "a peer's word in the ledger is not believed");
        }
    }

    /// Says each alarm once.
    fn tell(&mut self, alarms: &[counting::Alarm], cliffs: &[Cliff]) {
        for alarm in alarms.iter().filter(|alarm| !self.alarms.contains(alarm)) {
            tracing::error!(%alarm, "the ledger needs somebody");
        }
        self.alarms = alarms.to_vec();
        let known: BTreeMap<AllowanceId, &BTreeSet<NodeId>> =
            self.seen.1.iter().map(|cliff| (cliff.allowance, &cliff.unless_forgotten)).collect();
        for cliff in cliffs.iter().filter(|cliff| known.get(&cliff.allowance) != Some(&&cliff.unless_forgotten)) {
            tracing::warn!(%cliff, "rights will be out of reach");
        }
    }
}

impl Task {
    /// Makes the status anew.
    pub(super) fn publish(&mut self) {
        let now = self.clock.now();
        let standing = self.ledger.shares().standing();
        let live: BTreeSet<Actor> = self.live.keys().cloned().collect();
        if self.watched.next_look <= now.mono_ms || self.watched.live != live {
            self.watched.next_look = now.mono_ms.saturating_add(LOOK_MS);
            let seen = (self.locked(), self.cliffs(now));
            self.watched.tell(&standing.alarms, &seen.1);
            self.watched.seen = seen;
            self.watched.live = live;
        } else {
            let cliffs = std::mem::take(&mut self.watched.seen.1);
            self.watched.tell(&standing.alarms, &[]);
            self.watched.seen.1 = cliffs;
        }
        let fenced = self.is_fenced();
        let status = LedgerStatus {
            actor: self.me.clone(),
            counted: standing.counted.into_iter().map(|peer| peer.actor).collect(),
            active_from: standing.active_from,
            waits_for: standing.waits_for,
            leaves_from: standing.leaves_from,
            alarms: standing.alarms,
            durability: self.log.durability(),
            unsynced_rows: self.ledger.unsynced(),
            live: self.live.keys().cloned().collect(),
            open: self.open(),
            locked: self.watched.seen.0.clone(),
            cliffs: self.watched.seen.1.clone(),
            fenced,
        };
        self.status.send_if_modified(|published| {
            let changed = **published != status;
            if changed {
                *published = Arc::new(status);
            }
            changed
        });
    }

    pub(super) fn on_alarm(&mut self, alarm: &Alarm) {
        match alarm {
            Alarm::LostReservation(id) => {
                tracing::warn!(%id, "a reservation that nobody settled is charged in full");
            }
            Alarm::Refused { from, error } => {
                let text = format!("{from}: {error}");
                let now = self.clock.now();
                self.watched.complain(&now, &text);
            }
            Alarm::RolledBack { witness, counter } => {
                tracing::error!(
                    %witness, allowance = %counter.allowance, window = counter.window_start,
                    "a peer knows more of this node's ledger than its journal: the data directory is an old copy or in \
                     use twice. Nothing is granted here until the node begins anew as another incarnation"
                );
                self.publish();
            }
        }
    }

    /// What is open, in all windows.
    fn open(&self) -> BTreeMap<Unit, u64> {
        let mut open: BTreeMap<Unit, u64> = BTreeMap::new();
        for (id, counter) in self.ledger.counters() {
            let Some(slot) = self.slots.get(&id.allowance) else { continue };
            let sum = open.entry(slot.allowance().unit).or_default();
            *sum = sum.saturating_add(counter.opened().saturating_sub(counter.own().spent));
        }
        open
    }

    fn is_there(&self, actor: &Actor) -> bool {
        *actor == self.me || self.live.contains_key(actor)
    }

    /// What is locked in whom, in windows that run.
    fn locked(&self) -> Vec<Locked> {
        let counted = self.ledger.shares().standing().counted;
        if counted.iter().all(|peer| self.is_there(&peer.actor)) {
            return Vec::new();
        }
        let mut locked = Vec::new();
        let now = self.clock.now().unix;
        for (id, counter) in self.ledger.counters() {
            let Some(slot) = self.slots.get(&id.allowance).filter(|_| now < counter.end()) else { continue };
            let shares = self.ledger.shares().shares(id, counter.limit());
            let absent = counted.iter().map(|peer| &peer.actor).filter(|actor| !self.is_there(actor));
            for actor in absent {
                let share = shares.get(actor).copied().unwrap_or(0);
                let amount = part_of(counter, actor, share).rights;
                if amount > 0 && locked.len() < MAX_NAMED {
                    locked.push(Locked { counter: *id, unit: slot.allowance().unit, actor: actor.clone(), amount });
                }
            }
        }
        locked
    }

    /// The windows to come in which nobody who is there has a share.
    fn cliffs(&self, now: Now) -> Vec<Cliff> {
        let counted = self.ledger.shares().standing().counted;
        if counted.is_empty() || counted.iter().all(|peer| self.is_there(&peer.actor)) {
            return Vec::new();
        }
        let mut cliffs = Vec::new();
        for slot in self.slots.all() {
            let allowance = slot.allowance();
            let from = allowance.window.span(now.unix).end;
            if allowance.window == WindowKind::Forever {
                continue;
            }
            let next = CounterId { allowance: allowance.id, window_start: from };
            let shares = self.ledger.shares().shares(&next, allowance.limit);
            let (there, absent): (Vec<&Actor>, Vec<&Actor>) =
                shares.iter().filter(|(_, share)| **share > 0).map(|(actor, _)| actor).partition(|a| self.is_there(a));
            if there.is_empty() && !absent.is_empty() && cliffs.len() < MAX_NAMED {
                let unless_forgotten = absent.into_iter().map(|actor| actor.node.clone()).collect();
                cliffs.push(Cliff { allowance: allowance.id, window: allowance.window, from, unless_forgotten });
            }
        }
        cliffs
    }
}
