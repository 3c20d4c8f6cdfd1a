//! Budgets and limits without a leader: who may use how much of an allowance in a window, whatever the network does.
//!
//! A limit is divided into shares, one for each actor that is counted. An actor spends its own share, and what peers
//! gave it of theirs, without asking anybody; nobody can spend the same unit twice, because nobody else holds it. This
//! is a bounded counter (Balegas et al., "Extending Eventually Consistent Cloud Databases for Enforcing Numeric
//! Invariants", 2015), which is escrow (O'Neil, "The Escrow Transactional Method", 1986) as a CRDT.
//!
//! The bound: what is settled in a window is at most the limit, plus by how much actual costs were above what was
//! reserved for them; whatever is lost, doubled, cut off, or crashes. After a crash more is taken for spent than was, at
//! most what was open in the journal; never less.
//!
//! What is promised for whom:
//!
//! - [`crate::actor`]: who owns a share and a row.
//! - [`allowance`]: what may be used, and the counter of one window of it.
//! - [`window`]: the stretches of time for which a limit holds.
//!
//! How a limit is divided:
//!
//! - [`share`]: how a limit is divided over the actors that are counted.
//! - [`statement`]: what an actor says of whom it counts.
//! - [`counting`]: the rules by which actors come to count each other, and so never hold more than the limit together.
//!
//! How it is kept:
//!
//! - [`row`]: what one actor says of itself in a counter; grows, merges, is checked before it is merged.
//! - [`counter`]: the rows of a counter and what this node may spend of it.
//! - [`reservation`]: all parts of a request or none, settled once; the guard that charges when it is dropped.
//! - [`hot`]: what the data plane touches: slices, and the hold of a request on them.
//! - `handout`: slices that go out to it, and come back.
//! - `transfer`: rights that move, ahead of need or for a request that waits.
//! - [`spread`]: rows to their replicas, for totals and to notice a journal that was rolled back.
//! - [`record`] and `recovery`: what the journal must hold, and the way back from it.
//! - [`event`] and [`ledger`]: what happens, what is to be done, and the state machine between them.
//! - [`service`]: the task around it, with a journal, a link and slots for the data plane.

pub mod allowance;
pub mod counter;
pub mod counting;
pub mod event;
mod handout;
pub mod hot;
#[allow(clippy::module_inception, reason = "the state machine is what this room is named for")]
pub mod ledger;
mod mutation;
mod rate;
pub mod record;
mod recovery;
pub mod reservation;
pub mod row;
pub mod service;
pub mod share;
#[cfg(test)]
mod simulation;
pub mod spread;
pub mod statement;
mod transfer;
pub mod window;
