//! I1 in every window of every length, open or not: the parts of a limit that all who ever were would have, or used up
//! before they crashed, sum to at most the limit; and no part falls once it was in use.
//!
//! Each actor is taken to use all that it has as soon as it may. That is more than the ledgers do, so a mistake in the
//! counting rules shows also where nobody happened to spend.

use std::collections::{BTreeMap, BTreeSet};

use super::lives::Lives;
use super::{Checked, ensure};
use crate::ledger::allowance::{AllowanceId, CounterId};
use crate::ledger::counting::Counting;
use crate::ledger::window::WindowKind;

#[derive(Debug)]
pub(in super::super) struct Parts {
    limit: u64,
    starts: BTreeSet<i64>,
    /// By window start: what each life would have by what it knows, and the most it ever could use.
    planned: BTreeMap<i64, Vec<u64>>,
    used: BTreeMap<i64, Vec<u64>>,
    /// The rules of those that are down, as they were last.
    rest: BTreeMap<usize, Counting>,
    changed: bool,
    changes: u64,
}

fn counter(window_start: i64) -> CounterId {
    CounterId { allowance: AllowanceId::from_bytes([5; 16]), window_start }
}

/// Starts of windows of all lengths that ended lately, run, or are to come.
fn window_starts(now: i64) -> BTreeSet<i64> {
    let minutes = [-2, 0, 1, 2, 4, 7, 9].map(|minute| WindowKind::M1.span(now + minute * 60).start);
    let longer = [WindowKind::M15, WindowKind::H1, WindowKind::D1, WindowKind::Month, WindowKind::Forever];
    let running = longer.iter().map(|kind| kind.span(now).start);
    let next = longer[..4].iter().map(|kind| kind.span(now).end);
    minutes.into_iter().chain(running).chain(next).collect()
}

impl Parts {
    pub(in super::super) fn new(limit: u64) -> Parts {
        Parts {
            limit,
            starts: BTreeSet::new(),
            planned: BTreeMap::new(),
            used: BTreeMap::new(),
            rest: BTreeMap::new(),
            changed: false,
            changes: 0,
        }
    }

    /// One more life.
    pub(super) fn begin(&mut self) {
        for parts in self.planned.values_mut().chain(self.used.values_mut()) {
            parts.push(0);
        }
    }

    pub(in super::super) fn pass(&mut self, now: i64) {
        let starts = window_starts(now);
        if starts != self.starts {
            self.planned.retain(|start, _| starts.contains(start));
            self.used.retain(|start, _| starts.contains(start));
            self.starts = starts;
            self.changed = true;
        }
    }

    /// It uses all it has, before it does anything else.
    pub(in super::super) fn use_all(&mut self, who: usize, horizon: i64) {
        for (start, parts) in self.planned.range(..=horizon) {
            if let Some(used) = self.used.get_mut(start) {
                used[who] = used[who].max(parts[who]);
            }
        }
    }

    /// Its rules came to something else: what would it have by them?
    pub(in super::super) fn plan(&mut self, who: usize, counting: &Counting) {
        for (start, parts) in &mut self.planned {
            parts[who] = counting.planned(&counter(*start), self.limit);
        }
        self.changed = true;
        self.changes += 1;
    }

    /// How often anybody's rules came to something else.
    pub(in super::super) fn changes(&self) -> u64 {
        self.changes
    }

    /// It went down.
    pub(in super::super) fn rest(&mut self, who: usize, counting: Counting) {
        self.rest.insert(who, counting);
    }

    /// It came back; of windows that start after `used_through` its journal holds no use, so there was none.
    pub(in super::super) fn restored(&mut self, who: usize, counting: &Counting, used_through: i64) {
        self.rest.remove(&who);
        for (_, parts) in self.used.iter_mut().filter(|(start, _)| **start > used_through) {
            parts[who] = 0;
        }
        self.plan(who, counting);
    }

    pub(in super::super) fn is_due(&self) -> bool {
        self.changed
    }

    /// `up` are the rules of those that run.
    pub(super) fn check(&mut self, lives: &Lives, up: &BTreeMap<usize, &Counting>) -> Checked {
        self.changed = false;
        let limit = self.limit;
        for &start in &self.starts {
            let rest = &self.rest;
            let planned = self.planned.entry(start).or_insert_with(|| {
                let of = |who: usize| up.get(&who).copied().or_else(|| rest.get(&who));
                (0..lives.len()).map(|who| of(who).map_or(0, |c| c.planned(&counter(start), limit))).collect()
            });
            let used = self.used.entry(start).or_insert_with(|| vec![0; lives.len()]);
            let mut sum = 0;
            for who in 0..lives.len() {
                let life = lives.get(who);
                sum += match lives.forgotten_in(who, start) {
                    _ if life.astray => 0,
                    // What it had when it died counts, unless nobody can promise that it was dead.
                    Some(lived_on) => u64::from(!lived_on) * used[who],
                    None => planned[who].max(used[who]),
                };
                let free = life.over || life.astray || lives.forgotten_in(who, start).is_some();
                ensure(free || planned[who] >= used[who], || {
                    let (actor, had, has) = (&life.actor, used[who], planned[who]);
                    format!("I1: window {start}: {actor} had {had} and has {has} of {limit}")
                })?;
            }
            ensure(sum <= limit, || format!("I1: window {start}: parts {planned:?}, used {used:?} of {limit}"))?;
        }
        Ok(())
    }
}
