//! What the simulation stands on: QUIC's socket and clock inside turmoil, and a child process without chance.

pub(crate) mod child;
pub(crate) mod network;
