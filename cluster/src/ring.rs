//! Who owns what: weighted rendezvous hashing (HRW; Thaler and Ravishankar 1998) over a fixed number of partitions.
//!
//! Every member draws a number for every partition, from its own name alone; the member with the best draw owns the
//! partition, the best one of another zone keeps the second copy. So a member that comes or goes takes or leaves only
//! its own partitions, and all nodes that see the same members build the same table without a word between them.
//!
//! Two things differ from the textbook:
//!
//! - A member's draws are *stratified*: it ranks all partitions in an order of its own and draws once in each of 1,024
//!   equal strata of (0, 1]. That halves the variance of the shares and costs none of the above.
//! - The score `-ln(u) / weight` (the least wins; the share is proportional to the weight) is computed in integers,
//!   because `ln` may differ in the last bit between machines, and two nodes that disagree about an owner would both
//!   be right.
//!
//! Changing any of this moves entries of a running cluster; the golden test says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::identity::NodeId;

/// How many partitions the key space has.
pub const PARTITIONS: usize = 1024;
/// How many members hold a partition when there are enough.
pub const REPLICAS: usize = 2;

const STRATUM_BITS: u32 = 64 - PARTITIONS.trailing_zeros();
const NOBODY: u16 = u16::MAX;
const SEED_CONTEXT: &str = "peerway 2026-11-21 ring member seed v1";

/// A slice of the key space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u16);

impl Partition {
    /// The partition of a uniformly distributed hash: its first ten bits.
    pub fn of(hash: &[u8; 32]) -> Partition {
        Partition(u16::from_be_bytes([hash[0], hash[1]]) >> (16 - PARTITIONS.trailing_zeros()))
    }

    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Partition> {
        (0..PARTITIONS as u16).map(Partition)
    }

    /// Its place among all.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A node that takes part in the ring.
#[derive(Clone, Debug, PartialEq)]
pub struct RingMember {
    /// Its name; the only thing that decides where its partitions are.
    pub id: NodeId,
    /// Its share relative to the others', counted in thousandths from 0.001 to 1000.
    pub weight: f64,
    /// Where it stands; second copies go to another zone when both zones are known.
    pub zone: Option<Arc<str>>,
}

/// Who holds a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners<'a> {
    /// The first copy; nobody in an empty ring.
    pub owner: Option<&'a NodeId>,
    /// The second copy; nobody in a ring of one.
    pub replica: Option<&'a NodeId>,
}

impl Owners<'_> {
    /// True when this node holds one of the copies.
    pub fn contains(&self, id: &NodeId) -> bool {
        self.owner == Some(id) || self.replica == Some(id)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    owner: u16,
    replica: u16,
}

/// The table of all partitions for one set of members. Immutable; a look-up is an array index.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring {
    members: Vec<RingMember>,
    slots: Box<[Slot]>,
    owned: Vec<u16>,
}

impl Default for Ring {
    fn default() -> Self {
        Ring::build(Vec::new())
    }
}

impl Ring {
    /// Builds the table. The order of the members does not matter; of two with one id the first counts.
    pub fn build(members: Vec<RingMember>) -> Ring {
        let mut by_id = BTreeMap::new();
        for member in members {
            by_id.entry(member.id.clone()).or_insert(member);
        }
        // A u16 names a member; a cluster ends far below that.
        let members: Vec<RingMember> = by_id.into_values().take(usize::from(NOBODY)).collect();
        let draws: Vec<Draws> = members.iter().map(Draws::new).collect();
        let mut owned = vec![0; members.len()];
        let slots = (0..PARTITIONS)
            .map(|partition| {
                let slot = choose(&members, &draws, partition);
                if let Some(count) = owned.get_mut(usize::from(slot.owner)) {
                    *count += 1;
                }
                slot
            })
            .collect();
        Ring { members, slots, owned }
    }

    /// Who holds a partition.
    pub fn owners(&self, partition: Partition) -> Owners<'_> {
        let slot = self.slots[partition.index()];
        Owners { owner: self.member_id(slot.owner), replica: self.member_id(slot.replica) }
    }

    /// The part of all partitions that a node owns, 0 to 1.
    pub fn share(&self, id: &NodeId) -> f64 {
        match self.members.binary_search_by(|member| member.id.cmp(id)) {
            Ok(index) => f64::from(self.owned[index]) / PARTITIONS as f64,
            Err(_) => 0.0,
        }
    }

    /// The members, by id.
    pub fn members(&self) -> &[RingMember] {
        &self.members
    }

    fn member_id(&self, index: u16) -> Option<&NodeId> {
        self.members.get(usize::from(index)).map(|member| &member.id)
    }
}

/// What a member bids for each partition.
struct Draws {
    costs: Box<[u64]>,
    milliweight: u64,
}

impl Draws {
    fn new(member: &RingMember) -> Draws {
        let digest = blake3::derive_key(SEED_CONTEXT, member.id.as_str().as_bytes());
        let mut state = u64::from_le_bytes([
            digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
        ]);
        let mut ranks: Vec<u16> = (0..PARTITIONS as u16).collect();
        for last in (1..PARTITIONS).rev() {
            // Fisher-Yates; the product's high half maps 64 random bits to 0..=last.
            let other = (u128::from(split_mix(&mut state)) * (last as u128 + 1)) >> 64;
            ranks.swap(last, other as usize);
        }
        let costs = ranks
            .into_iter()
            .map(|rank| {
                let within = split_mix(&mut state) >> (64 - STRATUM_BITS);
                minus_log2((u64::from(rank) << STRATUM_BITS) | within)
            })
            .collect();
        Draws { costs, milliweight: milliweight(member.weight) }
    }

    /// True when this bid beats the other one for a partition: cost / weight is less.
    fn beats(&self, other: &Draws, partition: usize) -> bool {
        let mine = u128::from(self.costs[partition]) * u128::from(other.milliweight);
        let theirs = u128::from(other.costs[partition]) * u128::from(self.milliweight);
        // Equal bids go to the member that is looked at first, which has the lesser id.
        mine < theirs
    }
}

fn choose(members: &[RingMember], draws: &[Draws], partition: usize) -> Slot {
    let best = |eligible: &dyn Fn(usize) -> bool| {
        (0..members.len())
            .filter(|&index| eligible(index))
            .reduce(|best, index| if draws[index].beats(&draws[best], partition) { index } else { best })
    };
    let Some(owner) = best(&|_| true) else { return Slot { owner: NOBODY, replica: NOBODY } };
    let elsewhere = |index: usize| match (&members[owner].zone, &members[index].zone) {
        (Some(here), Some(there)) => here != there,
        _ => false,
    };
    let replica = best(&elsewhere).or_else(|| best(&|index| index != owner));
    Slot { owner: owner as u16, replica: replica.map_or(NOBODY, |index| index as u16) }
}

fn milliweight(weight: f64) -> u64 {
    // Multiplication and rounding of doubles are exact by IEEE 754, so the same on all machines; NaN becomes 0, so 1.
    ((weight * 1000.0).round() as u64).clamp(1, 1_000_000)
}

/// SplitMix64 (Steele, Lea and Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// `-log2((x + 1) / 2^64)` in units of 2^-32, rounded up: one bit of the fraction per squaring.
fn minus_log2(x: u64) -> u64 {
    const FRACTION: u32 = 32;
    let value = u128::from(x) + 1;
    let exponent = value.ilog2();
    // A mantissa in [1, 2) with 63 bits behind the point; x + 1 = 2^64 shifts right, all else left.
    let mut mantissa = if exponent > 63 { 1_u64 << 63 } else { (value as u64) << (63 - exponent) };
    let mut log = u64::from(exponent);
    for _ in 0..FRACTION {
        let square = u128::from(mantissa) * u128::from(mantissa);
        let carry = (square >> 127) as u64;
        mantissa = (square >> (63 + carry)) as u64;
        log = (log << 1) | carry;
    }
    (64 << FRACTION) - log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integer_logarithm_is_the_logarithm() {
        for x in [0, 1, 2, 3, 1 << 20, (1 << 54) - 1, 1 << 63, u64::MAX - 1, u64::MAX, 0x0123_4567_89AB_CDEF] {
            let exact = 64.0 - (x as f64 + 1.0).log2();
            let ours = minus_log2(x) as f64 / f64::from(u32::MAX);
            assert!((ours - exact).abs() < 1e-6, "{x}: {ours} is not {exact}");
        }
    }

    #[test]
    fn odd_weights_become_the_nearest_possible() {
        assert_eq!([f64::NAN, -1.0, 0.0, 0.5, 1.0, 1e9].map(milliweight), [1, 1, 1, 500, 1000, 1_000_000]);
    }

    #[test]
    fn a_partition_is_the_first_ten_bits() {
        let mut hash = [0; 32];
        assert_eq!(Partition::of(&hash).index(), 0);
        hash[0] = 0x80;
        assert_eq!(Partition::of(&hash).index(), 512);
        hash[..2].copy_from_slice(&[0xFF, 0xFF]);
        assert_eq!(Partition::of(&hash).index(), 1023);
    }
}
