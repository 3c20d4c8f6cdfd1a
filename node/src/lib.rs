//! The gateway node as a library: what `main` runs and what the benches measure.

pub mod config;
