//! A hierarchical navigable small world over the coarse parts of a segment's rows.
//!
//! After Malkov and Yashunin (arXiv:1603.09320), with their heuristic for choosing links, which keeps clusters
//! connected. One writer links rows, in order; readers search meanwhile (see [`Links`]). Deleted and expired rows stay
//! as stepping stones until their segment goes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::kernel::dot;
use super::links::{DEGREE, LOWEST_DEGREE, Links};
use super::rows::{BLOCK, Block};

/// How many of the nearest rows a row chooses its links from.
const BUILD_BREADTH: usize = 100;

const EMPTY: u64 = u64::MAX;

/// A similarity and a row in one number that is ordered by the similarity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Near(u64);

impl Near {
    fn new(similarity: f32, row: u32) -> Near {
        let bits = similarity.to_bits();
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        Near(u64::from(ordered) << 32 | u64::from(row))
    }

    fn similarity(self) -> f32 {
        let ordered = (self.0 >> 32) as u32;
        f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
    }

    fn row(self) -> u32 {
        self.0 as u32
    }
}

/// What a search needs to remember; kept between searches by those who make many.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    seen: Vec<u64>,
    open: BinaryHeap<Near>,
    best: BinaryHeap<Reverse<Near>>,
    fresh: Vec<u32>,
}

impl Scratch {
    fn clear(&mut self, rows: usize) {
        self.seen.clear();
        self.seen.resize(rows.div_ceil(64), 0);
        self.open.clear();
        self.best.clear();
    }

    fn is_first_visit(&mut self, row: u32) -> bool {
        let (word, bit) = (&mut self.seen[row as usize / 64], 1 << (row % 64));
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

/// Where searches enter: the row on the highest level.
#[derive(Debug)]
pub(super) struct Entrance(AtomicU64);

impl Default for Entrance {
    fn default() -> Entrance {
        Entrance(AtomicU64::new(EMPTY))
    }
}

impl Entrance {
    fn get(&self) -> Option<(u32, u32)> {
        let packed = self.0.load(Ordering::Acquire);
        (packed != EMPTY).then_some((packed as u32, (packed >> 32) as u32))
    }

    fn set(&self, row: u32, level: u32) {
        self.0.store(u64::from(level) << 32 | u64::from(row), Ordering::Release);
    }
}

/// The graph as far as the given blocks go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Graph<'a> {
    blocks: &'a [Arc<Block>],
    entrance: &'a Entrance,
}

impl<'a> Graph<'a> {
    pub(super) fn new(blocks: &'a [Arc<Block>], entrance: &'a Entrance) -> Graph<'a> {
        Graph { blocks, entrance }
    }

    /// About the `breadth` rows that are most similar to the vector, the nearest first.
    pub(super) fn search(&self, (coarse, scale): (&[i8], f32), breadth: usize, scratch: &mut Scratch) -> Vec<u32> {
        let Some((row, top)) = self.entrance.get().filter(|(row, _)| self.has(*row)) else { return Vec::new() };
        let probe = Probe { graph: *self, coarse, scale };
        let start = (1..=top).rev().fold(probe.near(row), |near, level| probe.climb(near, level));
        probe.explore(&[start], 0, breadth, scratch).into_iter().map(Near::row).collect()
    }

    /// Brings the next row into the graph. For one writer at a time.
    pub(super) fn link(&self, row: u32, scratch: &mut Scratch) {
        let level = self.blocks[row as usize / BLOCK].links().level(row as usize % BLOCK);
        let Some((entrance, top)) = self.entrance.get() else { return self.entrance.set(row, level) };
        let probe = self.probe(row);
        let start = (level + 1..=top).rev().fold(probe.near(entrance), |near, level| probe.climb(near, level));
        let mut starts = vec![start];
        for level in (0..=level.min(top)).rev() {
            let nearest = probe.explore(&starts, level, BUILD_BREADTH, scratch);
            let chosen = self.choose(&nearest, DEGREE);
            self.links(row).set(row as usize % BLOCK, level, &chosen);
            chosen.iter().for_each(|neighbour| self.link_back(*neighbour, row, level));
            starts = nearest;
        }
        if level > top {
            self.entrance.set(row, level);
        }
    }

    fn link_back(&self, from: u32, to: u32, level: u32) {
        let (links, row) = (self.links(from), from as usize % BLOCK);
        if !links.add(row, level, to) {
            let probe = self.probe(from);
            let mut candidates: Vec<Near> = links.of(row, level).chain([to]).map(|row| probe.near(row)).collect();
            candidates.sort_unstable_by_key(|near| Reverse(*near));
            let most = if level == 0 { LOWEST_DEGREE } else { DEGREE };
            links.set(row, level, &self.choose(&candidates, most));
        }
    }

    /// Of these, the nearest first, those that are not nearer to one already chosen: the others can be reached by it.
    fn choose(&self, nearest: &[Near], most: usize) -> Vec<u32> {
        let mut chosen: Vec<u32> = Vec::with_capacity(most);
        for near in nearest {
            let probe = self.probe(near.row());
            if chosen.iter().all(|other| probe.near(*other).similarity() < near.similarity()) {
                chosen.push(near.row());
                if chosen.len() == most {
                    break;
                }
            }
        }
        chosen
    }

    /// Whether the row is in these blocks; another may have been linked after they were taken.
    fn has(&self, row: u32) -> bool {
        (row as usize) < self.blocks.len() * BLOCK
    }

    fn probe(&self, row: u32) -> Probe<'a> {
        let (block, row) = (&self.blocks[row as usize / BLOCK], row as usize % BLOCK);
        Probe { graph: *self, coarse: block.rows.coarse(row), scale: block.rows.scale(row) }
    }

    fn links(&self, row: u32) -> &'a Links {
        self.blocks[row as usize / BLOCK].links()
    }
}

/// A vector, seen from which rows are near or far.
struct Probe<'a> {
    graph: Graph<'a>,
    coarse: &'a [i8],
    scale: f32,
}

impl Probe<'_> {
    fn near(&self, row: u32) -> Near {
        let (block, at) = (&self.graph.blocks[row as usize / BLOCK], row as usize % BLOCK);
        Near::new(dot(self.coarse, block.rows.coarse(at)) as f32 * self.scale * block.rows.scale(at), row)
    }

    fn neighbours(&self, row: u32, level: u32) -> impl Iterator<Item = u32> {
        let graph = self.graph;
        graph.links(row).of(row as usize % BLOCK, level).filter(move |row| graph.has(*row))
    }

    /// From here, the best that can be reached by always going to the most similar neighbour.
    fn climb(&self, mut from: Near, level: u32) -> Near {
        while let Some(next) = self.neighbours(from.row(), level).map(|row| self.near(row)).max() {
            if next.similarity() <= from.similarity() {
                break;
            }
            from = next;
        }
        from
    }

    /// About the `breadth` most similar rows of a level, the nearest first.
    fn explore(&self, starts: &[Near], level: u32, breadth: usize, scratch: &mut Scratch) -> Vec<Near> {
        scratch.clear(self.graph.blocks.len() * BLOCK);
        for start in starts {
            scratch.is_first_visit(start.row());
            scratch.open.push(*start);
            scratch.best.push(Reverse(*start));
        }
        while let Some(next) = scratch.open.pop() {
            if scratch.best.len() >= breadth && scratch.best.peek().is_some_and(|worst| next < worst.0) {
                break;
            }
            let mut fresh = std::mem::take(&mut scratch.fresh);
            fresh.clear();
            fresh.extend(self.neighbours(next.row(), level).filter(|row| scratch.is_first_visit(*row)));
            for near in fresh.iter().map(|row| self.near(*row)) {
                if scratch.best.len() < breadth || scratch.best.peek().is_some_and(|worst| near > worst.0) {
                    scratch.open.push(near);
                    scratch.best.push(Reverse(near));
                    if scratch.best.len() > breadth {
                        scratch.best.pop();
                    }
                }
            }
            scratch.fresh = fresh;
        }
        let mut found: Vec<Near> = scratch.best.drain().map(|near| near.0).collect();
        found.sort_unstable_by_key(|near| Reverse(*near));
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn near_is_ordered_by_similarity_and_keeps_both(one in -2.0..2.0_f32, other in -2.0..2.0_f32, row in any::<u32>()) {
            let (a, b) = (Near::new(one, row), Near::new(other, row));
            prop_assert_eq!((a.similarity(), a.row()), (one, row));
            prop_assert_eq!(a.cmp(&b), one.total_cmp(&other));
        }
    }
}
