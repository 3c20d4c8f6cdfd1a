//! Whole clusters of ledgers with the real counting rules in them, thousands of steps each, with every fault that the
//! design names, and an oracle that sees all of it. A run is its seed: a failure prints it, with the shortest list of
//! steps that still fails and their trace.
//!
//! ```text
//! LEDGER_SEEDS=20000 cargo test --release -p peerway-cluster --lib no_fault_breaks_an_invariant -- --nocapture
//! ```
//!
//! is the long run. `LEDGER_STEPS` says how many steps each seed takes (2,000), `LEDGER_FIRST_SEED` where it begins.
//!
//! - [`mix`]: which faults a run has, and how often.
//! - [`world`], [`node`], [`disk`], [`network`], [`provider`]: what there is.
//! - [`driver`], [`requests`], [`slices`], [`life`]: what happens.
//! - [`rest`]: how a run ends, and what must hold then.
//! - [`oracle`]: what must hold after every step.
//!
//! What is outside the guarantee is so here too, each with its bound:
//!
//! - An actor that was forgotten and lives on adds at most what it had not used of its own share.
//! - A node that starts from an older copy of its data directory adds at most what it lets out of its hands until it
//!   meets a peer that knows more; then it must stop. Until then what it says of the counting rules is lost on its way:
//!   who leans on that is outside the guarantee as well, and for as long as the two halves do not meet.
//! - Founders without a past stay fewer than a quorum, as [`Begin`](super::counting::Begin) asks.
//! - A limit that is changed holds where it is known: the bound is the largest that any node had in force.

mod disk;
mod driver;
mod life;
mod mix;
mod network;
mod node;
mod oracle;
mod provider;
mod requests;
mod rest;
mod rng;
mod run;
mod slices;
mod tally;
mod world;
