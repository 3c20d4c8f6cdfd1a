//! The data plane of a node: most requests are served from slices, with the real atomics, and the ledger hears of it
//! later. What a crash finds in a slice is lost with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::node::{Guard, Node};
use super::oracle::{Checked, ensure};
use super::rng::Rng;
use super::world::World;
use crate::ledger::allowance::{Allowance, AllowanceId, CounterId};
use crate::ledger::event::{Charge, Event};
use crate::ledger::hot::{Hold, Part, Slice, Slot, try_hold};

/// What a node has handed to its data plane.
#[derive(Debug, Default)]
pub(super) struct DataPlane {
    slots: BTreeMap<AllowanceId, Arc<Slot>>,
    slices: BTreeMap<CounterId, Out>,
}

/// An open slice, and how much went out to it and did not come back.
#[derive(Debug)]
struct Out {
    slice: Arc<Slice>,
    amount: u64,
}

impl DataPlane {
    fn hold(&mut self, limits: &BTreeMap<AllowanceId, Allowance>, charges: &[Charge], unix: i64) -> Option<Hold> {
        let slots: Vec<Arc<Slot>> = charges.iter().map(|charge| self.slot(&limits[&charge.allowance])).collect();
        let parts = slots.iter().zip(charges).map(|(slot, charge)| Part { slot, amount: charge.amount });
        try_hold(&parts.collect::<Vec<_>>(), unix)
    }

    fn slot(&mut self, allowance: &Allowance) -> Arc<Slot> {
        Arc::clone(self.slots.entry(allowance.id).or_insert_with(|| Arc::new(Slot::new(*allowance))))
    }

    /// So much went out to the slice of this counter, which is the one to spend from while its window runs.
    fn hand_out(&mut self, allowance: &Allowance, id: CounterId, amount: u64, unix: i64) -> Arc<Slice> {
        let end = allowance.window.span(id.window_start).end;
        let out = self.slices.entry(id).or_insert_with(|| Out { slice: Arc::new(Slice::new(id, end)), amount: 0 });
        out.amount += amount;
        let slice = Arc::clone(&out.slice);
        if slice.holds(unix) {
            self.slot(allowance).set_slice(Some(Arc::clone(&slice)));
        }
        slice
    }

    pub(super) fn counters(&self) -> Vec<CounterId> {
        self.slices.keys().copied().collect()
    }

    /// How much of a counter is out.
    pub(super) fn out(&self, id: &CounterId) -> u64 {
        self.slices.get(id).map_or(0, |out| out.amount)
    }

    /// Collects what was spent, and with `recall` also what is free. A slice of a window that is over goes when all has
    /// come back.
    fn sweep(&mut self, id: CounterId, recall: bool, unix: i64) -> Option<Event> {
        let out = self.slices.get_mut(&id)?;
        let unused = if recall { out.slice.amounts().recall() } else { 0 };
        let collected = out.slice.amounts().collect();
        out.amount = out.amount.checked_sub(collected.spent + unused)?;
        if out.amount == 0 && out.slice.end() <= unix {
            self.slices.remove(&id);
        }
        let (spent, above) = (collected.spent, collected.above);
        (spent + above + unused > 0).then_some(Event::Return { counter: id, spent, above, unused })
    }

    /// What was spent beyond what was held, and nobody has collected.
    pub(super) fn above(&self) -> Vec<(CounterId, u64)> {
        self.slices.iter().map(|(id, out)| (*id, out.slice.amounts().collect().above)).collect()
    }
}

impl World {
    /// As the service does: from the slices, else from the ledger; slices that have run low are asked for.
    pub(super) fn serve(&mut self, rng: &mut Rng, at: usize, charges: Vec<Charge>) -> Checked {
        for _ in 0..1 + rng.index(4) {
            if !self.serve_from_slices(at, &charges) {
                break;
            }
        }
        if rng.percent(40) {
            return self.reserve(Some(rng), at, charges).map(|_| ());
        }
        let unix = self.now(at).unix;
        for charge in &charges {
            let Some(allowance) = self.nodes[at].limits.get(&charge.allowance) else { continue };
            let (counter, want) = (allowance.counter(unix), charge.amount * [0, 1, 8][rng.index(3)]);
            self.happen(Some(rng), at, Event::Open { counter, want })?;
        }
        self.serve_from_slices(at, &charges);
        Ok(())
    }

    fn serve_from_slices(&mut self, at: usize, charges: &[Charge]) -> bool {
        let unix = self.now(at).unix;
        let Node { limits, process, .. } = &mut self.nodes[at];
        let Some(process) = process.as_mut().filter(|process| !process.ledger.is_fenced()) else { return false };
        let Some(hold) = process.data_plane.hold(limits, charges, unix) else { return false };
        let id = process.ids.fresh();
        let holds = charges.iter().map(|c| (limits[&c.allowance].counter(unix), c.amount)).collect();
        self.tally.note("served from slices");
        let dispatched = self.bill(at, id, holds);
        if let Some(process) = &mut self.nodes[at].process {
            process.running.push((Guard::Held(hold), dispatched));
        }
        true
    }

    /// The ledger has opened a slice, or more of one.
    pub(super) fn opened(&mut self, at: usize, counter: CounterId, amount: u64) -> Checked {
        if amount > 0 {
            self.tally.note("slices opened");
            self.hand_out(at, counter, amount)?.amounts().fill(amount);
        }
        Ok(())
    }

    fn hand_out(&mut self, at: usize, counter: CounterId, amount: u64) -> Result<Arc<Slice>, String> {
        let unix = self.now(at).unix;
        let Node { limits, process, .. } = &mut self.nodes[at];
        let process = process.as_mut().ok_or("I5: a node that is down opens a slice")?;
        ensure(!process.ledger.is_fenced(), || format!("I5: {at} opens slices though its journal is known to be old"))?;
        Ok(process.data_plane.hand_out(&limits[&counter.allowance], counter, amount, unix))
    }

    /// What the ledger has granted goes over to the slices.
    pub(super) fn draw(&mut self, at: usize, holds: &[(CounterId, u64)]) -> Result<Hold, String> {
        let take = |(counter, amount): &(CounterId, u64)| Ok((self.hand_out(at, *counter, *amount)?, *amount));
        Ok(Hold::granted(holds.iter().map(take).collect::<Result<_, String>>()?))
    }

    /// Collects from all slices of a node; recalls all that is free, or of those windows that are over.
    pub(super) fn sweep(&mut self, mut rng: Option<&mut Rng>, at: usize, recall: bool) -> Checked {
        let unix = self.now(at).unix;
        let counters = self.nodes[at].process.as_ref().map_or_else(Vec::new, |process| process.data_plane.counters());
        for id in counters {
            let Some(process) = &mut self.nodes[at].process else { return Ok(()) };
            let over = process.data_plane.slices.get(&id).is_some_and(|out| out.slice.end() <= unix);
            if let Some(event) = process.data_plane.sweep(id, recall || over, unix) {
                self.tally.note("slices swept");
                self.happen(rng.as_deref_mut(), at, event)?;
            }
        }
        Ok(())
    }
}
