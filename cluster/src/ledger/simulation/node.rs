//! One node: what outlives its process, and the process with the real ledger and the real counting rules in it.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::disk::{Disk, Line};
use super::provider::{Dispatched, Ended};
use super::slices::DataPlane;
use crate::actor::Actor;
use crate::ledger::allowance::{Allowance, AllowanceId, CounterId};
use crate::ledger::counting::{Begin, Counting};
use crate::ledger::hot::Hold;
use crate::ledger::ledger::{Ledger, LedgerConfig};
use crate::ledger::reservation::{Reservation, ReservationId, ReservationIds};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) actor: Actor,
    /// This life of it; see [`super::oracle::Lives`].
    pub(super) who: usize,
    pub(super) begin: Begin,
    pub(super) process: Option<Process>,
    pub(super) disk: Disk,
    /// Its actor never comes back.
    pub(super) gone: bool,
    /// It has learned that it must not go on as this actor.
    pub(super) ousted: bool,
    /// How far its wall clock is off, in seconds.
    pub(super) clock: i64,
    pub(super) limits: BTreeMap<AllowanceId, Allowance>,
    /// What its journal had open when it crashed.
    pub(super) open_at_crash: BTreeMap<CounterId, u64>,
}

/// What ends a request.
#[derive(Debug)]
pub(super) enum Guard {
    /// The ledger itself waits for it.
    Asked(Reservation<Rc<Ended>>),
    /// It goes back to the slices.
    Held(Hold),
}

/// What is lost in a crash.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) ledger: Ledger<Counting>,
    pub(super) ids: ReservationIds,
    pub(super) ended: Rc<Ended>,
    pub(super) asked: BTreeMap<ReservationId, Vec<(CounterId, u64)>>,
    pub(super) running: Vec<(Guard, Dispatched)>,
    pub(super) data_plane: DataPlane,
    /// What was granted and is handed to the data plane; the ledger is to be told.
    pub(super) drawn: Vec<ReservationId>,
    /// The ledger is to be told that its shares may be others.
    pub(super) shares_changed: bool,
}

impl Node {
    pub(super) fn new(actor: Actor, who: usize, begin: Begin, allowances: &[Allowance]) -> Node {
        Node {
            actor,
            who,
            begin,
            process: None,
            disk: Disk::default(),
            gone: false,
            ousted: false,
            clock: 0,
            limits: allowances.iter().map(|allowance| (allowance.id, *allowance)).collect(),
            open_at_crash: BTreeMap::new(),
        }
    }

    pub(super) fn ledger(&self) -> Option<&Ledger<Counting>> {
        self.process.as_ref().map(|process| &process.ledger)
    }

    pub(super) fn counting(&self) -> Option<&Counting> {
        self.ledger().map(|ledger| &ledger.shares)
    }

    pub(super) fn is_down(&self) -> bool {
        self.process.is_none() && !self.gone
    }

    /// What its requests hold at the ledger, and what is out at the data plane.
    pub(super) fn held(&self, id: &CounterId) -> u64 {
        let Some(process) = &self.process else { return 0 };
        let asked = process.running.iter().filter(|(guard, _)| matches!(guard, Guard::Asked(_)));
        let costs = asked.flat_map(|(_, dispatched)| &dispatched.costs);
        let held: u64 = costs.filter(|(counter, _, _)| counter == id).map(|(_, reserved, _)| reserved).sum();
        held + process.data_plane.out(id)
    }

    /// It runs, has shares and means to stay.
    pub(super) fn is_active(&self) -> bool {
        !self.ousted
            && self
                .counting()
                .is_some_and(|counting| counting.active_from().is_some() && counting.own.gone_from().is_none())
    }

    /// It has stated durably whom it counts, so it will never begin anew.
    pub(super) fn has_begun(&self) -> bool {
        match self.counting() {
            Some(counting) => !self.gone && !counting.public.statements.is_empty(),
            None => !self.gone && self.disk.has_begun(),
        }
    }

    /// Starts from the disk.
    pub(super) fn start(&mut self, generation: u64) -> &Process {
        let ledger = self.disk.recover(&self.actor, &self.begin, LedgerConfig::default());
        self.process.insert(Process {
            ledger,
            ids: ReservationIds::new(generation),
            ended: Rc::new(Ended::default()),
            asked: BTreeMap::new(),
            running: Vec::new(),
            data_plane: DataPlane::default(),
            drawn: Vec::new(),
            shares_changed: false,
        })
    }

    pub(super) fn write(&mut self, line: Line) {
        self.disk.push(line);
    }
}
