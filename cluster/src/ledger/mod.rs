//! Budgets and limits without a leader: who may use how much of an allowance in a window, whatever the network does.
//!
//! - [`actor`]: who owns a share and a row.
//! - [`allowance`]: what may be used, and the counter of one window of it.
//! - [`window`]: the stretches of time for which a limit holds.
//! - [`share`]: how a limit is divided over the actors that are counted.
//! - [`statement`]: what an actor says of whom it counts.
//! - [`counting`]: the rules by which actors come to count each other, and so never hold more than the limit together.

pub mod actor;
pub mod allowance;
pub mod counting;
pub mod share;
pub mod statement;
pub mod window;
