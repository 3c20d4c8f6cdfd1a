//! The atomics of [`super::amounts`], which its test of all interleavings replaces by a model checker's.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
