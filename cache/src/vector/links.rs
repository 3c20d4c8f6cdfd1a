//! The links of one block's rows in the graph: plain numbers that readers follow while the writer changes them.
//!
//! A reader may see a list half old and half new. Every number in it is a row that exists, so that the worst that can
//! come of it is a step less good; hence no lock.

use std::mem::size_of;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::identity::EntryId;

/// How many links a row makes, and may have on each level above the lowest.
pub(super) const DEGREE: usize = 16;
/// How many links a row may have on the lowest level, where all rows are.
pub(super) const LOWEST_DEGREE: usize = 2 * DEGREE;

/// One row in this many is also on the level above.
const LEVEL_BITS: u32 = DEGREE.ilog2();
const HIGHEST_LEVEL: u32 = 7;

const NONE: u32 = u32::MAX;

/// The links of the rows of a block, on all levels.
#[derive(Debug)]
pub(super) struct Links {
    lowest: Box<[AtomicU32]>,
    upper: Box<[AtomicU32]>,
    /// Where a row's upper links begin, in rows of [`DEGREE`], and after the last row where they end.
    upper_starts: Box<[u32]>,
}

impl Links {
    pub(super) fn for_rows(ids: &[EntryId]) -> Links {
        let mut starts = Vec::with_capacity(ids.len() + 1);
        let mut end = 0;
        starts.push(end);
        for id in ids {
            end += level_of(id);
            starts.push(end);
        }
        Links {
            lowest: slots(ids.len() * LOWEST_DEGREE),
            upper: slots(end as usize * DEGREE),
            upper_starts: starts.into(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        (self.lowest.len() + self.upper.len() + self.upper_starts.len()) * size_of::<u32>()
    }

    /// The highest level on which the row is.
    pub(super) fn level(&self, row: usize) -> u32 {
        self.upper_starts[row + 1] - self.upper_starts[row]
    }

    fn slots(&self, row: usize, level: u32) -> &[AtomicU32] {
        if level == 0 {
            &self.lowest[row * LOWEST_DEGREE..(row + 1) * LOWEST_DEGREE]
        } else if level <= self.level(row) {
            let start = (self.upper_starts[row] + level - 1) as usize * DEGREE;
            &self.upper[start..start + DEGREE]
        } else {
            &[]
        }
    }

    /// Where the row leads to on this level.
    pub(super) fn of(&self, row: usize, level: u32) -> impl Iterator<Item = u32> {
        self.slots(row, level).iter().map(|slot| slot.load(Ordering::Acquire)).take_while(|row| *row != NONE)
    }

    /// Sets the row's links; as many as it may have.
    pub(super) fn set(&self, row: usize, level: u32, to: &[u32]) {
        for (index, slot) in self.slots(row, level).iter().enumerate() {
            slot.store(to.get(index).copied().unwrap_or(NONE), Ordering::Release);
        }
    }

    /// Adds a link; false when there is no room for it.
    pub(super) fn add(&self, row: usize, level: u32, to: u32) -> bool {
        let free = self.slots(row, level).iter().find(|slot| slot.load(Ordering::Relaxed) == NONE);
        free.inspect(|slot| slot.store(to, Ordering::Release)).is_some()
    }
}

fn slots(len: usize) -> Box<[AtomicU32]> {
    (0..len).map(|_| AtomicU32::new(NONE)).collect()
}

/// Drawn from the id, which is a hash, so that the same entries make the same graph.
fn level_of(id: &EntryId) -> u32 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    // An id need not be random in all of its bits for its level to be.
    let mixed = u64::from_le_bytes([a, b, c, d, e, f, g, h]).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93).leading_zeros() / LEVEL_BITS).min(HIGHEST_LEVEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u64) -> Vec<EntryId> {
        let id = |n: u64| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_le_bytes());
            id.into()
        };
        (0..count).map(id).collect()
    }

    #[test]
    fn one_row_in_sixteen_rises_a_level_even_when_ids_count_up() {
        let ids = ids(160_000);
        let above = |level| ids.iter().filter(|id| level_of(id) >= level).count();
        assert!((9_500..10_500).contains(&above(1)), "{}", above(1));
        assert!((520..730).contains(&above(2)), "{}", above(2));
    }

    #[test]
    fn links_are_kept_a_row_and_level_apart_and_bounded() {
        let ids = ids(500);
        let links = Links::for_rows(&ids);
        for row in 0..500 {
            for level in 0..=links.level(row) {
                links.set(row, level, &[row as u32, level]);
            }
            assert!(!links.add(row, links.level(row) + 1, 1), "a level on which it is not");
        }
        for row in 0..500 {
            for level in 0..=links.level(row) {
                assert_eq!(links.of(row, level).collect::<Vec<_>>(), [row as u32, level]);
            }
            assert_eq!(links.of(row, links.level(row) + 1).count(), 0);
        }
        assert_eq!((0..LOWEST_DEGREE).filter(|_| links.add(7, 0, 9)).count(), LOWEST_DEGREE - 2);
        assert_eq!(links.bytes(), (500 * LOWEST_DEGREE + links.upper.len() + 501) * 4);
    }
}
