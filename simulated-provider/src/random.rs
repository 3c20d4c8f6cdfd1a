//! A small seeded generator (splitmix64, Steele et al. 2014): cheap, shareable between threads, good enough for shares and jitter.

use std::sync::atomic::{AtomicU64, Ordering};

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        mix(self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA))
    }

    /// Evenly spread in 0..1.
    pub(crate) fn unit(&self) -> f64 {
        to_unit(self.next())
    }
}

/// The `index`-th number of the sequence of `seed`, evenly spread in 0..1.
pub(crate) fn unit_at(seed: u64, index: u64) -> f64 {
    to_unit(mix(seed.wrapping_add(index.wrapping_add(1).wrapping_mul(GAMMA))))
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn to_unit(value: u64) -> f64 {
    (value >> 11) as f64 / (1u64 << 53) as f64
}
