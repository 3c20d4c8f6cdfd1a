//! Requests: what they ask for, what they cost, and how they end.

use std::rc::Rc;

use super::node::Guard;
use super::oracle::{Checked, ensure};
use super::provider::Dispatched;
use super::rng::Rng;
use super::world::World;
use crate::ledger::allowance::CounterId;
use crate::ledger::counter::Counter;
use crate::ledger::event::{Charge, Event};
use crate::ledger::reservation::{Outcome, Reservation, ReservationId};

impl World {
    pub(super) fn request(&mut self, rng: &mut Rng, at: usize) -> Checked {
        let mut charges = Vec::new();
        for allowance in &self.allowances {
            if rng.percent(60) {
                let most = (allowance.limit / [2, 20, 100, 500][rng.index(4)]).max(1);
                charges.push(Charge { allowance: allowance.id, amount: 1 + rng.below(most) });
            }
        }
        match charges.is_empty() {
            true => Ok(()),
            false if self.mix.slices => self.serve(rng, at, charges),
            false => self.reserve(Some(rng), at, charges).map(|_| ()),
        }
    }

    /// All that a node has is used: what it must not have shows.
    pub(super) fn drain(&mut self, rng: &mut Rng, at: usize) -> Checked {
        let Some(allowance) = rng.pick(&self.allowances) else { return Ok(()) };
        let unix = self.now(at).unix;
        let Some(ledger) = self.nodes[at].ledger() else { return Ok(()) };
        let id = self.nodes[at].limits[&allowance.id].counter(unix);
        let share = ledger.shares.share(&id, allowance.limit);
        let amount = ledger.counters().get(&id).map_or(share, Counter::available);
        if amount == 0 {
            return Ok(());
        }
        self.reserve(Some(rng), at, vec![Charge { allowance: allowance.id, amount }]).map(|_| ())
    }

    /// Asks; the name of the request, if the node runs.
    pub(super) fn reserve(
        &mut self,
        rng: Option<&mut Rng>,
        at: usize,
        charges: Vec<Charge>,
    ) -> Result<Option<ReservationId>, String> {
        let unix = self.now(at).unix;
        let node = &mut self.nodes[at];
        let Some(process) = &mut node.process else { return Ok(None) };
        let id = process.ids.fresh();
        let holds = charges.iter().map(|c| (node.limits[&c.allowance].counter(unix), c.amount)).collect();
        process.asked.insert(id, holds);
        self.happen(rng, at, Event::Reserve { id, charges })?;
        Ok(Some(id))
    }

    /// The ledger has granted it: it begins, and ends at the ledger or, drawn, at the slices.
    pub(super) fn granted(&mut self, at: usize, id: ReservationId) -> Checked {
        self.verdicts.insert(id, true);
        self.tally.note("granted");
        let Some(process) = &mut self.nodes[at].process else { return Ok(()) };
        ensure(!process.ledger.is_fenced(), || format!("I5: {at} grants though its journal is known to be old"))?;
        let holds = process.asked.remove(&id).ok_or_else(|| format!("I7: {id} granted twice or never asked for"))?;
        let drawn = self.mix.slices && !id.number.is_multiple_of(3);
        let held = if drawn { Some(self.draw(at, &holds)?) } else { None };
        let dispatched = self.bill(at, id, holds);
        let Some(process) = &mut self.nodes[at].process else { return Ok(()) };
        let guard = match held {
            Some(hold) => {
                process.drawn.push(id);
                Guard::Held(hold)
            }
            None => Guard::Asked(Reservation::new(id, Rc::clone(&process.ended))),
        };
        process.running.push((guard, dispatched));
        Ok(())
    }

    /// The request goes to the provider, which bills it at once, whatever becomes of its asker.
    pub(super) fn bill(&mut self, at: usize, id: ReservationId, holds: Vec<(CounterId, u64)>) -> Dispatched {
        let (since, excess) = (self.mono_ms, self.mix.excess);
        let mut rng = Rng::new(id.generation, id.number);
        let reached = !rng.percent(5);
        let mut costs = Vec::new();
        for (counter, amount) in holds {
            let actual = match () {
                () if !reached => 0,
                () if excess && rng.percent(2) => amount + rng.below(amount / 2 + 2),
                () if rng.percent(40) => amount,
                () => rng.below(amount + 1),
            };
            self.oracle.bill(self.nodes[at].who, counter, amount, actual);
            costs.push((counter, amount, actual));
        }
        Dispatched { reached, since, costs }
    }

    pub(super) fn finish_one(&mut self, rng: &mut Rng, at: usize) -> Checked {
        let running = self.running(at);
        if running == 0 {
            return Ok(());
        }
        let index = rng.index(running);
        let dropped = rng.percent(10);
        self.finish(Some(rng), at, index, dropped)
    }

    pub(super) fn running(&self, at: usize) -> usize {
        self.nodes[at].process.as_ref().map_or(0, |process| process.running.len())
    }

    /// Ends all requests, also those that are granted with what comes back.
    pub(super) fn finish_all(&mut self, at: usize) -> Checked {
        loop {
            while self.running(at) > 0 {
                self.finish(None, at, 0, false)?;
            }
            self.sweep(None, at, true)?;
            if self.running(at) == 0 {
                return Ok(());
            }
        }
    }

    fn finish(&mut self, rng: Option<&mut Rng>, at: usize, index: usize, dropped: bool) -> Checked {
        let who = self.nodes[at].who;
        let Some(process) = &mut self.nodes[at].process else { return Ok(()) };
        let (guard, dispatched) = process.running.swap_remove(index);
        let actual = dispatched.costs.iter().map(|(_, _, actual)| *actual).collect::<Vec<u64>>();
        self.tally.note("ended");
        if dropped {
            self.oracle.aborted(who, &dispatched);
        }
        let guard = match guard {
            Guard::Asked(guard) => guard,
            Guard::Held(hold) => {
                match () {
                    () if dropped => drop(hold),
                    () if dispatched.reached => hold.settle(&actual),
                    () => hold.release(),
                }
                return Ok(());
            }
        };
        match () {
            () if dropped => drop(guard),
            () if dispatched.reached => guard.settle(actual),
            () => guard.release(),
        }
        let Some(process) = &mut self.nodes[at].process else { return Ok(()) };
        let (id, outcome) = process.ended.take().ok_or("I7: a guard said nothing")?;
        self.happen(rng, at, Event::End { id, outcome: outcome.clone() })?;
        if self.nodes[at].process.is_none() {
            self.oracle.died(who, &dispatched);
        }
        // The end comes twice: the second one must change nothing.
        self.happen(None, at, Event::End { id, outcome: Outcome::Full })
    }
}
