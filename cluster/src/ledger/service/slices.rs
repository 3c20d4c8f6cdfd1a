//! Slices at work: filled before they run dry, collected all the time, recalled when somebody needs what lies in them,
//! and closed when nobody does.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::effects::Effect;
use super::task::{Task, Waiting, Wanted};
use crate::ledger::allowance::CounterId;
use crate::ledger::event::{Charge, Event, Now, Urgency};
use crate::ledger::hot::{Hold, Part, Slice, Slot, try_hold};
use crate::ledger::reservation::{Denial, Outcome, ReservationId};

/// A slice that was not used for so long is closed.
const IDLE_MS: u64 = 3_000;
/// Where there was nothing to open, it is tried again after this.
const AGAIN_MS: u64 = 250;

/// A slice that was handed to the data plane.
#[derive(Debug)]
pub(super) struct Handed {
    slot: Arc<Slot>,
    slice: Arc<Slice>,
    /// What went out and has not come back: free in it, or held.
    out: u64,
    /// An opening is on its way.
    opening: bool,
    /// How much was opened the last time.
    opened: u64,
    /// What requests had to ask the task for since the last look.
    asked: u64,
    free_before: u64,
    used_at: u64,
    again_at: u64,
}

/// How much of what is free is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recall {
    Nothing,
    Half,
    All,
}

impl Handed {
    fn new(slot: Arc<Slot>, counter: CounterId, now: Now) -> Handed {
        let end = slot.allowance().window.span(counter.window_start).end;
        Handed {
            slice: Arc::new(Slice::new(counter, end)),
            slot,
            out: 0,
            opening: false,
            opened: 0,
            asked: 0,
            free_before: 0,
            used_at: now.mono_ms,
            again_at: 0,
        }
    }

    /// What requests hold at once, and so may take at once; the ledger adds by the rate of use.
    fn want(&self) -> u64 {
        let held = self.out.saturating_sub(self.slice.amounts().free());
        held.max(self.asked)
    }

    fn is_low(&self) -> bool {
        self.slice.amounts().free() <= self.want().max(self.opened) / 2
    }

    /// True when nothing of it is anywhere and nobody can reach it any more.
    fn is_back(&mut self) -> bool {
        self.out == 0 && !self.opening && Arc::get_mut(&mut self.slice).is_some()
    }
}

impl Task {
    /// What the data plane could not take by itself: with everything back that lies free here, and then from peers.
    pub(super) fn on_hold(&mut self, parts: Vec<(Arc<Slot>, u64)>, reply: oneshot::Sender<Result<Hold, Denial>>) {
        self.take_changes();
        if reply.is_closed() {
            return;
        }
        if self.is_fenced() || self.effects.is_full() {
            let denial = if self.is_fenced() { Denial::Fenced } else { Denial::Busy };
            let _ = reply.send(Err(denial));
            return;
        }
        let now = self.clock.now();
        // What is on its way to a slice is in nobody's hands until the disk has it.
        if parts.iter().any(|(slot, _)| self.is_opening(&slot.allowance().counter(now.unix))) {
            return self.then(Effect::Hold(parts, reply));
        }
        self.ask_ledger(parts, reply);
    }

    pub(super) fn ask_ledger(&mut self, parts: Vec<(Arc<Slot>, u64)>, reply: oneshot::Sender<Result<Hold, Denial>>) {
        if self.closing {
            let _ = reply.send(Err(Denial::Busy));
            return;
        }
        let now = self.clock.now();
        // What was opened in the meantime may be enough.
        let there: Vec<Part<'_>> = parts.iter().map(|(slot, amount)| Part { slot, amount: *amount }).collect();
        if let Some(hold) = try_hold(&there, now.unix) {
            if let Err(Ok(hold)) = reply.send(Ok(hold)) {
                hold.release();
            }
            return;
        }
        // Only what is short is recalled: the slices of other tiers serve many more requests than this one.
        let mut wanted = Vec::with_capacity(parts.len());
        let mut charges = Vec::with_capacity(parts.len());
        for (slot, amount) in parts {
            let counter = slot.allowance().counter(now.unix);
            let handed = self.handed(now, counter, &slot);
            handed.used_at = now.mono_ms;
            let taken = handed.slice.amounts().take(amount).then(|| Arc::clone(&handed.slice));
            if taken.is_none() {
                handed.asked = handed.asked.saturating_add(amount);
                charges.push(Charge { allowance: counter.allowance, amount });
                self.take_back(now, counter, Recall::All);
            }
            wanted.push(Wanted { counter, slot, amount, taken });
        }
        let waiting = Waiting { parts: wanted, reply };
        if charges.is_empty() {
            // Other requests ended while this one looked.
            return self.grant(now, waiting);
        }
        let id = self.ids.fresh();
        self.waiting.insert(id, waiting);
        self.step_at(now, Event::Reserve { id, charges });
    }

    pub(super) fn on_granted(&mut self, id: ReservationId) {
        let now = self.clock.now();
        match self.waiting.remove(&id) {
            Some(waiting) => {
                // From here on it is the slices' to give back.
                self.step_at(now, Event::Drawn { id });
                self.grant(now, waiting);
            }
            None => self.step_at(now, Event::End { id, outcome: Outcome::Released }),
        }
    }

    fn grant(&mut self, now: Now, Waiting { parts, reply }: Waiting) {
        let mut taken = Vec::with_capacity(parts.len());
        for part in &parts {
            let handed = self.handed(now, part.counter, &part.slot);
            if part.taken.is_none() {
                handed.out = handed.out.saturating_add(part.amount);
            }
            taken.push((part.taken.clone().unwrap_or_else(|| Arc::clone(&handed.slice)), part.amount));
        }
        let lacked: Vec<CounterId> =
            parts.iter().filter(|part| part.taken.is_none()).map(|part| part.counter).collect();
        drop(parts);
        if let Err(Ok(hold)) = reply.send(Ok(Hold::granted(taken))) {
            hold.release();
        }
        for counter in lacked {
            self.refill(now, counter);
        }
    }

    /// The slice of a counter, in its slot as long as it is the one to reserve in.
    fn handed(&mut self, now: Now, counter: CounterId, slot: &Arc<Slot>) -> &mut Handed {
        let known_spent = self.ledger.counters().get(&counter).map_or(0, |counter| counter.known_spent());
        let handed = self.slices.entry(counter).or_insert_with(|| Handed::new(Arc::clone(slot), counter, now));
        handed.slice.tell_known_spent(known_spent);
        let is_current = self.current.get(&counter.allowance) == Some(&counter);
        if !is_current && handed.slice.holds(now.unix) {
            self.current.insert(counter.allowance, counter);
            handed.slot.set_slice(Some(Arc::clone(&handed.slice)));
        }
        handed
    }

    /// There may be more of it than there was.
    pub(super) fn may_refill(&mut self, counter: &CounterId) {
        if let Some(handed) = self.slices.get_mut(counter) {
            handed.again_at = 0;
        }
    }

    /// Opens more of a counter when its slice runs low.
    fn refill(&mut self, now: Now, counter: CounterId) {
        let Some(handed) = self.slices.get_mut(&counter) else { return };
        let is_current = self.current.get(&counter.allowance) == Some(&counter);
        if !is_current || self.closing || handed.opening || now.mono_ms < handed.again_at || !handed.is_low() {
            return;
        }
        handed.opening = true;
        let want = handed.want();
        self.step_at(now, Event::Open { counter, want });
    }

    pub(super) fn on_opened(&mut self, counter: CounterId, amount: u64) {
        let now = self.clock.now();
        let is_current = self.current.get(&counter.allowance) == Some(&counter);
        if let Some(handed) = self.slices.get_mut(&counter) {
            handed.opening = false;
            handed.opened = amount;
            if amount == 0 {
                handed.again_at = now.mono_ms.saturating_add(AGAIN_MS);
            } else if is_current && !self.closing {
                handed.out = handed.out.saturating_add(amount);
                handed.slice.amounts().fill(amount);
                handed.free_before = handed.slice.amounts().free();
                return;
            }
        }
        if amount > 0 {
            self.step_at(now, Event::Return { counter, spent: 0, above: 0, unused: amount });
        }
    }

    /// Collects what was spent of a slice and takes back what is free in it.
    pub(super) fn take_back(&mut self, now: Now, counter: CounterId, recall: Recall) {
        let Some(handed) = self.slices.get_mut(&counter) else { return };
        let amounts = handed.slice.amounts();
        let mut unused = if recall == Recall::Nothing { 0 } else { amounts.recall() };
        if recall == Recall::Half {
            amounts.fill(unused / 2);
            unused -= unused / 2;
        }
        let collected = amounts.collect();
        if (collected.spent, collected.above, unused) == (0, 0, 0) {
            return;
        }
        if collected.spent > 0 || collected.above > 0 {
            handed.used_at = now.mono_ms;
        }
        handed.out = handed.out.saturating_sub(collected.spent).saturating_sub(unused);
        let (spent, above) = (collected.spent, collected.above);
        self.step_at(now, Event::Return { counter, spent, above, unused });
    }

    /// A peer asks: what lies free in the slice here is better given than denied.
    pub(super) fn make_room(&mut self, counter: CounterId, urgency: Urgency) {
        let now = self.clock.now();
        if urgency == Urgency::Background {
            return self.take_back(now, counter, Recall::Half);
        }
        self.take_back(now, counter, Recall::All);
        // It will ask again for what is left: that must not be on its way to the slice then.
        if let Some(handed) = self.slices.get_mut(&counter) {
            handed.again_at = now.mono_ms.saturating_add(AGAIN_MS);
        }
    }

    pub(super) fn is_opening(&self, counter: &CounterId) -> bool {
        self.slices.get(counter).is_some_and(|handed| handed.opening)
    }

    /// What any request may take of this counter at this moment.
    pub(super) fn free_in_slice(&self, counter: &CounterId) -> u64 {
        self.slices.get(counter).map_or(0, |handed| handed.slice.amounts().free())
    }

    /// Looks at every slice that is out.
    pub(super) fn sweep(&mut self) {
        let now = self.clock.now();
        let stop = self.closing || self.is_fenced();
        let counters: Vec<CounterId> = self.slices.keys().copied().collect();
        for counter in counters {
            let known_spent = self.ledger.counters().get(&counter).map_or(0, |counter| counter.known_spent());
            let Some(handed) = self.slices.get_mut(&counter) else { continue };
            handed.slice.tell_known_spent(known_spent);
            let free = handed.slice.amounts().free();
            if free != handed.free_before {
                handed.used_at = now.mono_ms;
            }
            handed.free_before = free;
            let is_idle = handed.used_at.saturating_add(IDLE_MS) <= now.mono_ms;
            if stop || is_idle || !handed.slice.holds(now.unix) {
                self.retire(now, counter);
            } else {
                self.take_back(now, counter, Recall::Nothing);
                self.refill(now, counter);
                if let Some(handed) = self.slices.get_mut(&counter) {
                    handed.asked /= 2;
                }
            }
        }
    }

    /// Nothing more is taken from this slice; what requests still hold of it comes back in its time.
    fn retire(&mut self, now: Now, counter: CounterId) {
        if let Some(handed) = self.slices.get_mut(&counter)
            && self.current.get(&counter.allowance) == Some(&counter)
        {
            handed.slot.set_slice(None);
            self.current.remove(&counter.allowance);
        }
        self.take_back(now, counter, Recall::All);
        if self.slices.get_mut(&counter).is_some_and(Handed::is_back) {
            // Between the last collection and the last owner's end something may have come back.
            self.take_back(now, counter, Recall::All);
            self.slices.remove(&counter);
        }
    }
}
