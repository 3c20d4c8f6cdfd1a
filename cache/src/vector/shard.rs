//! A very large namespace, spread over several owners that are asked in parallel.
//!
//! An entry belongs to the shard that its id says; a question goes to all of them, and the answers are merged. The
//! number of shards is a power of two: when it doubles, an entry stays or moves from shard `n` to `n + shards`.

use super::Candidate;
use super::top::Top;
use crate::identity::EntryId;

/// From how many vectors on a shard is split.
pub const MAX_SHARD_VECTORS: u64 = 200_000;

/// How many shards there are at most: a question costs each of them a call.
pub const MAX_SHARDS: u32 = 16;

/// Into how many shards a namespace of so many vectors is split, given into how many it is now.
///
/// Shards are merged only when they would be less than a quarter full, so that a namespace at the edge does not move
/// back and forth.
pub fn shards(vectors: u64, current: u32) -> u32 {
    let needed =
        |room: u64| u32::try_from(vectors.div_ceil(room)).unwrap_or(u32::MAX).clamp(1, MAX_SHARDS).next_power_of_two();
    current.clamp(needed(MAX_SHARD_VECTORS), needed(MAX_SHARD_VECTORS / 4).max(needed(MAX_SHARD_VECTORS)))
}

/// The shard of an entry, below `shards`, which is a power of two.
pub fn shard_of(id: &EntryId, shards: u32) -> u32 {
    // Not the bytes by which the ring places entries.
    let [.., a, b, c, d] = *id.as_bytes();
    u32::from_le_bytes([a, b, c, d]) & (shards.max(1) - 1)
}

/// The `k` best of what the shards answered, the best first.
pub fn merge(answers: impl IntoIterator<Item = Vec<Candidate>>, k: usize) -> Vec<Candidate> {
    let mut top = Top::new(k, f32::NEG_INFINITY);
    answers.into_iter().flatten().for_each(|candidate| top.offer(candidate));
    top.into_candidates()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_splits_when_it_grows_and_merges_late() {
        let grown: Vec<_> = [0, 200_000, 200_001, 400_001, 1_000_000, 1 << 40].map(|vectors| shards(vectors, 1)).into();
        assert_eq!(grown, [1, 1, 2, 4, 8, 16]);
        let shrunk: Vec<_> = [1_000_000, 300_000, 200_000, 51_000, 50_000, 0].map(|vectors| shards(vectors, 8)).into();
        assert_eq!(shrunk, [8, 8, 4, 2, 1, 1]);
    }

    #[test]
    fn a_doubling_moves_entries_to_one_new_place_only() {
        let mut counts = [0_u32; 8];
        for n in 0..8_000_u32 {
            let id: EntryId = (*blake3::hash(&n.to_le_bytes()).as_bytes()).into();
            let (four, eight) = (shard_of(&id, 4), shard_of(&id, 8));
            assert!(eight == four || eight == four + 4);
            assert_eq!(shard_of(&id, 1), 0);
            counts[eight as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn answers_are_merged_best_first() {
        let of = |id: u8, cosine| Candidate { id: [id; 32].into(), cosine };
        let merged = merge([vec![of(1, 0.9), of(2, 0.5)], vec![], vec![of(3, 0.7), of(1, 0.9)]], 2);
        assert_eq!(merged, [of(1, 0.9), of(3, 0.7)]);
    }
}
