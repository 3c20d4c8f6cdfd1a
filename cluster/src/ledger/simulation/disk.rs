//! The journal of a simulated node: what the ledger and the counting rules write, in one order, of which a crash keeps
//! all that was synced and some of the rest.

use std::collections::BTreeMap;

use crate::actor::Actor;
use crate::ledger::allowance::CounterId;
use crate::ledger::counting::{Begin, Counting};
use crate::ledger::ledger::{Ledger, LedgerConfig};
use crate::ledger::record::{Record, used_through};
use crate::ledger::statement;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Ledger(Record),
    Counting(statement::Record),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    lines: Vec<Line>,
    buffered: Vec<Line>,
    /// A copy of the data directory that somebody made.
    copy: Option<Vec<Line>>,
}

impl Disk {
    pub(super) fn push(&mut self, line: Line) {
        self.buffered.push(line);
    }

    pub(super) fn buffered(&self) -> usize {
        self.buffered.len()
    }

    /// Up to `count` more lines are durable; answers with those of the counting rules.
    pub(super) fn sync(&mut self, count: usize) -> Vec<statement::Record> {
        let done: Vec<Line> = self.buffered.drain(..count.min(self.buffered.len())).collect();
        let counting = done.iter().filter_map(|line| match line {
            Line::Counting(record) => Some(record.clone()),
            Line::Ledger(_) => None,
        });
        let counting = counting.collect();
        self.lines.extend(done);
        counting
    }

    pub(super) fn lose_buffer(&mut self) {
        self.buffered.clear();
    }

    pub(super) fn make_copy(&mut self) {
        self.copy = Some(self.lines.clone());
    }

    /// True when there is a copy that lacks something.
    pub(super) fn has_old_copy(&self) -> bool {
        self.copy.as_ref().is_some_and(|copy| *copy != self.lines)
    }

    pub(super) fn put_copy_back(&mut self) {
        if let Some(copy) = &self.copy {
            self.lines.clone_from(copy);
            self.buffered.clear();
        }
    }

    /// True when this actor has stated durably whom it counts.
    pub(super) fn has_begun(&self) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::Counting(statement::Record::Stated(_))))
    }

    /// Up to where the journal says that a counter was spent: the last word counts.
    pub(super) fn spent_up_to(&self, id: &CounterId) -> u64 {
        let said = self.lines.iter().rev().filter_map(up_to).find(|(counter, _)| counter == id);
        said.map_or(0, |(_, up_to)| up_to)
    }

    /// The most that a journal may come to say of each counter when the process is lost now.
    pub(super) fn open_now(&self) -> BTreeMap<CounterId, u64> {
        let mut open: BTreeMap<CounterId, u64> = self.lines.iter().filter_map(up_to).collect();
        for (id, up_to) in self.buffered.iter().filter_map(up_to) {
            let known = open.entry(id).or_default();
            *known = up_to.max(*known);
        }
        open
    }

    pub(super) fn recover(&self, actor: &Actor, begin: &Begin, config: LedgerConfig) -> Ledger<Counting> {
        let (mut money, mut counting) = (Vec::new(), Vec::new());
        for line in self.lines.iter().cloned() {
            match line {
                Line::Ledger(record) => money.push(record),
                Line::Counting(record) => counting.push(record),
            }
        }
        let counting = Counting::restore(actor.clone(), begin.clone(), counting, used_through(&money));
        Ledger::recover(actor.clone(), config, counting, money)
    }

    /// The short form of all lines takes their place. What is buffered comes after it.
    pub(super) fn compact(&mut self, ledger: &Ledger<Counting>) {
        assert!(self.buffered.is_empty(), "a snapshot stands for lines that are durable");
        self.lines = ledger.shares.records().into_iter().map(Line::Counting).collect();
        self.lines.extend(ledger.snapshot().into_iter().map(Line::Ledger));
    }

    pub(super) fn used_through(&self) -> i64 {
        used_through(self.lines.iter().filter_map(|line| match line {
            Line::Ledger(record) => Some(record),
            Line::Counting(_) => None,
        }))
    }
}

fn up_to(line: &Line) -> Option<(CounterId, u64)> {
    match line {
        Line::Ledger(
            Record::SliceOpened { counter, up_to }
            | Record::Settled { counter, up_to }
            | Record::Given { counter, up_to, .. },
        ) => Some((*counter, *up_to)),
        _ => None,
    }
}
