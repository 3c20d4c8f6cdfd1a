#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]
//! A store behind the ring: each kind held to the same promises, Redis as real servers, and the ring before it.

mod conformance;
#[cfg(feature = "redis")]
mod last_server;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod redis_cluster;
#[cfg(feature = "redis")]
mod redis_server;
mod ring;
mod shelf;
#[path = "../support/mod.rs"]
mod support;
