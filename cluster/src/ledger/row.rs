//! A row: what one actor says of itself in one counter. Only its owner writes it, every number in it only grows, and
//! two copies merge by taking the larger of each number.
//!
//! So a copy that is old, came twice or came late changes nothing. It also means that a wrong number which was merged
//! once stays for ever: what comes from a peer is checked *before* it is merged.

use std::collections::BTreeMap;

use crate::actor::Actor;

/// No number in a row is larger (about 1.15 billion USD in nano-USD); a larger one is refused, never merged.
pub const MAX_VALUE: u64 = 1 << 60;
/// A row names at most this many receivers.
pub const MAX_RECEIVERS: usize = 1024;

/// What one actor spent and gave away in one counter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What it spent.
    pub spent: u64,
    /// What it gave away, in total, by receiver.
    pub given: BTreeMap<Actor, u64>,
}

/// Why a row of a peer is not merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// A number beyond all sense.
    #[error("a row holds {0}, but no number in a row may be above {MAX_VALUE}")]
    Value(u64),
    /// More receivers than a cluster has.
    #[error("a row names {0} receivers, but at most {MAX_RECEIVERS} are allowed")]
    Receivers(usize),
    /// An actor that gives to itself would make rights from nothing.
    #[error("a row gives to its own actor")]
    ToItself,
    /// Only the owner may tell its row, or a replica that of an actor which is gone.
    #[error("the row belongs to another live actor than the one that sent it")]
    NotOwner,
    /// The window is too far ahead, or not one of this allowance.
    #[error("the window of the counter is not one that can be open now")]
    Window,
    /// Nobody told this node of the allowance.
    #[error("the allowance is not known here")]
    Allowance,
    /// The table of counters or actors is full.
    #[error("no room for another counter or actor")]
    Full,
}

impl Row {
    /// All that it gave away.
    pub fn given_away(&self) -> u64 {
        self.given.values().fold(0, |sum, amount| sum.saturating_add(*amount))
    }

    /// What it gave to one actor.
    pub fn given_to(&self, actor: &Actor) -> u64 {
        self.given.get(actor).copied().unwrap_or(0)
    }

    /// Checks a row that came from outside.
    pub fn check(&self, owner: &Actor) -> Result<(), RowError> {
        if self.given.len() > MAX_RECEIVERS {
            return Err(RowError::Receivers(self.given.len()));
        }
        if self.given.contains_key(owner) {
            return Err(RowError::ToItself);
        }
        match self.given.values().chain([&self.spent]).find(|value| **value > MAX_VALUE) {
            Some(value) => Err(RowError::Value(*value)),
            None => Ok(()),
        }
    }

    /// Takes the larger of each number; true when that changed anything.
    pub fn merge(&mut self, other: &Row) -> bool {
        let mut changed = other.spent > self.spent;
        self.spent = self.spent.max(other.spent);
        for (actor, amount) in &other.given {
            changed |= self.raise_given(actor, *amount);
        }
        changed
    }

    /// Raises what was given to one actor to `total`; true when that changed anything.
    pub fn raise_given(&mut self, actor: &Actor, total: u64) -> bool {
        if total <= self.given_to(actor) {
            return false;
        }
        self.given.insert(actor.clone(), total);
        true
    }

    /// True when no number of `other` is larger than the same one here.
    pub fn covers(&self, other: &Row) -> bool {
        other.spent <= self.spent && other.given.iter().all(|(actor, amount)| *amount <= self.given_to(actor))
    }
}
