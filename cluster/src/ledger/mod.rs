//! Budgets and limits without a leader: who may use how much of an allowance in a window, whatever the network does.
//!
//! - [`actor`]: who owns a share and a row.
//! - [`allowance`]: what may be used, and the counter of one window of it.
//! - [`window`]: the stretches of time for which a limit holds.

pub mod actor;
pub mod allowance;
pub mod window;
