//! The journal's promises: what it said is on disk comes back, and nothing else does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod batching;
mod crashes;
mod failing_disk;
mod recovery;
mod repairing;
mod support;
