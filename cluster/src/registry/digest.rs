//! A kilobyte that says which sixty-fourths of two registries differ.

use bincode::{Decode, Encode};

/// Into how many parts the records are divided.
pub const BUCKETS: usize = 64;

/// Some of the buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Buckets(pub u64);

impl Buckets {
    /// All of them.
    pub const ALL: Buckets = Buckets(u64::MAX);

    /// Whether one is among them.
    pub fn contains(self, bucket: usize) -> bool {
        bucket < BUCKETS && self.0 & (1 << bucket) != 0
    }

    /// True when none is.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// For each bucket the sum of the fingerprints of its records: the order in which they came does not matter, and one
/// changed record costs two additions.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Digest(pub(super) [u128; BUCKETS]);

impl Default for Digest {
    fn default() -> Digest {
        Digest([0; BUCKETS])
    }
}

impl Digest {
    pub(super) fn add(&mut self, bucket: usize, fingerprint: u128) {
        self.0[bucket] = self.0[bucket].wrapping_add(fingerprint);
    }

    pub(super) fn subtract(&mut self, bucket: usize, fingerprint: u128) {
        self.0[bucket] = self.0[bucket].wrapping_sub(fingerprint);
    }

    /// All of it in one number, for people to compare.
    pub fn fold(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        for sum in self.0 {
            hasher.update(&sum.to_le_bytes());
        }
        let mut short = [0; 8];
        hasher.finalize_xof().fill(&mut short);
        u64::from_le_bytes(short)
    }

    /// The buckets in which two registries do not hold the same.
    pub fn differing(&self, other: &Digest) -> Buckets {
        let differing = (0..BUCKETS).filter(|bucket| self.0[*bucket] != other.0[*bucket]);
        Buckets(differing.fold(0, |bits, bucket| bits | 1 << bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_found_where_they_are_and_vanish_with_their_cause() {
        let mut one = Digest::default();
        one.add(0, u128::MAX);
        one.add(63, 7);
        let mut other = one.clone();
        other.add(0, 5);
        other.add(63, 9);
        assert_eq!(one.differing(&other), Buckets(1 | 1 << 63));
        assert_eq!((Buckets(1 | 1 << 63).len(), Buckets(1 << 63).contains(63)), (2, true));
        other.subtract(0, 5);
        assert_eq!(one.differing(&other), Buckets(1 << 63));
        other.subtract(63, 9);
        assert!(one.differing(&other).is_empty());
    }
}
