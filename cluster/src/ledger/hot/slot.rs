//! A slot: one allowance as the data plane sees it. Requests keep it by reference and find the slice of the window in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::slice::Slice;
use crate::ledger::allowance::Allowance;

/// One allowance.
#[derive(Debug)]
pub struct Slot {
    /// Its limit here is the one that it began with; [`Slot::limit`] is in force.
    allowance: Allowance,
    limit: AtomicU64,
    slice: ArcSwapOption<Slice>,
}

/// An allowance in its window, for headers: about right, and cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotView {
    /// The limit in force.
    pub limit: u64,
    /// What all nodes spent in this window, as far as it is known here.
    pub spent: u64,
    /// The first second after the window; `i64::MAX` when it has no end.
    pub window_end: i64,
}

impl Slot {
    /// An allowance of which nothing is open.
    pub fn new(allowance: Allowance) -> Slot {
        Slot { allowance, limit: AtomicU64::new(allowance.limit), slice: ArcSwapOption::empty() }
    }

    /// The allowance, with the limit in force.
    pub fn allowance(&self) -> Allowance {
        Allowance { limit: self.limit(), ..self.allowance }
    }

    /// The limit in force.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Takes over another limit.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The slice to reserve from at this second, when one is open.
    pub fn slice(&self, unix_seconds: i64) -> Option<Arc<Slice>> {
        let slice = self.slice.load();
        slice.as_ref().filter(|slice| slice.holds(unix_seconds)).cloned()
    }

    /// Opens or closes it for requests to come; those under way keep the slice that they took from.
    pub fn set_slice(&self, slice: Option<Arc<Slice>>) {
        self.slice.store(slice);
    }

    /// True when so much cannot be had in this window any more, wherever rights are: no need to ask anybody.
    pub fn is_beyond(&self, amount: u64, unix_seconds: i64) -> bool {
        let slice = self.slice.load();
        let spent = slice.as_ref().filter(|slice| slice.holds(unix_seconds)).map_or(0, |slice| slice.known_spent());
        amount > self.limit().saturating_sub(spent)
    }

    /// The window that holds this second.
    pub fn view(&self, unix_seconds: i64) -> SlotView {
        let slice = self.slice.load();
        let spent = slice.as_ref().filter(|slice| slice.holds(unix_seconds)).map_or(0, |slice| slice.known_spent());
        SlotView { limit: self.limit(), spent, window_end: self.allowance.window.span(unix_seconds).end }
    }
}
