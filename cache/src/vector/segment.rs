//! The vectors of one slice of time: a few thousand are scanned, more have a graph.
//!
//! New rows go to the tail. A full tail becomes a block, and from [`FLAT_ROWS`] on the rows of blocks are linked into a
//! graph, in order, a few at a time. Whatever is not linked yet is scanned, so that an entry is found from the moment
//! at which it is there. One writer, any number of readers: a reader waits for the writer only while a row is copied
//! to the tail, the writer for readers only while they scan the tail.

use std::mem::size_of;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;

use super::graph::{Entrance, Graph, Scratch};
use super::quantised::{Quantised, Query};
use super::rows::{BLOCK, Block, Rows};
use super::slice::Slice;
use super::top::Top;
use crate::identity::EntryId;

/// Up to this many rows, a scan is exact, needs no links, and takes some 50 us.
pub(super) const FLAT_ROWS: usize = 4 * BLOCK;

/// How many of the nearest rows a search of the graph keeps in view; recall against time.
const SEARCH_BREADTH: usize = 64;
/// And how many at most when many of them are dead.
const MAX_SEARCH_BREADTH: usize = 4 * SEARCH_BREADTH;

#[derive(Debug)]
pub(super) struct Segment {
    slice: Slice,
    /// Unlike any other's in the index.
    serial: u32,
    dimension: usize,
    tail: RwLock<Rows>,
    blocks: ArcSwap<Vec<Arc<Block>>>,
    entrance: Entrance,
    /// The rows before this one are in the graph.
    linked: AtomicUsize,
    rows: AtomicUsize,
    deleted: AtomicU32,
    bytes: AtomicUsize,
}

impl Segment {
    pub(super) fn new(slice: Slice, serial: u32, dimension: usize) -> Segment {
        Segment {
            slice,
            serial,
            dimension,
            tail: RwLock::new(Rows::new(dimension)),
            blocks: ArcSwap::default(),
            entrance: Entrance::default(),
            linked: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            deleted: AtomicU32::new(0),
            bytes: AtomicUsize::new(size_of::<Segment>()),
        }
    }

    pub(super) fn slice(&self) -> Slice {
        self.slice
    }

    pub(super) fn serial(&self) -> u32 {
        self.serial
    }

    /// The rows that it holds, also those that are dead.
    pub(super) fn rows(&self) -> usize {
        self.rows.load(Ordering::Acquire)
    }

    /// The rows that were not deleted.
    pub(super) fn undeleted(&self) -> usize {
        self.rows() - self.deleted.load(Ordering::Acquire) as usize
    }

    /// The memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    /// Adds a row and tells its number.
    pub(super) fn push(&self, id: EntryId, vector: &Quantised, expires_ms: u64) -> u32 {
        let row = self.rows();
        let mut tail = self.tail.write().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == BLOCK {
            // Readers take the blocks while they hold the tail, so that they see a row in one of the two.
            let full = std::mem::replace(&mut *tail, Rows::new(self.dimension));
            let mut blocks = Vec::clone(&self.blocks.load());
            blocks.push(Arc::new(Block::new(full)));
            self.blocks.store(Arc::new(blocks));
        }
        tail.push(id, vector, expires_ms);
        drop(tail);
        self.rows.store(row + 1, Ordering::Release);
        self.bytes.fetch_add(Rows::row_bytes(self.dimension), Ordering::AcqRel);
        row as u32
    }

    /// How many rows could be linked.
    pub(super) fn backlog(&self) -> usize {
        if self.rows() <= FLAT_ROWS {
            return 0;
        }
        self.blocks.load().len() * BLOCK - self.linked.load(Ordering::Acquire)
    }

    /// Links up to this many rows, and tells how many.
    pub(super) fn link(&self, most: usize, scratch: &mut Scratch) -> usize {
        let count = self.backlog().min(most);
        let blocks = self.blocks.load();
        let first = self.linked.load(Ordering::Acquire);
        for row in first..first + count {
            if row % BLOCK == 0 {
                let links = blocks[row / BLOCK].links();
                self.bytes.fetch_add(links.bytes(), Ordering::AcqRel);
            }
            Graph::new(&blocks, &self.entrance).link(row as u32, scratch);
            self.linked.store(row + 1, Ordering::Release);
        }
        count
    }

    /// Offers what may be among the best.
    pub(super) fn search(&self, query: &Query, now_ms: u64, top: &mut Top, scratch: &mut Scratch) {
        // Read first: a row that is linked from here on is scanned below.
        let linked = self.linked.load(Ordering::Acquire);
        let blocks = {
            let tail = self.tail.read().unwrap_or_else(PoisonError::into_inner);
            tail.scan(0, query, now_ms, top);
            self.blocks.load_full()
        };
        for (number, block) in blocks.iter().enumerate().skip(linked / BLOCK) {
            block.rows.scan(linked.saturating_sub(number * BLOCK), query, now_ms, top);
        }
        if linked == 0 {
            return;
        }
        let near = Graph::new(&blocks, &self.entrance).search(query.coarse(), self.breadth(now_ms), scratch);
        for row in near.into_iter().map(|row| row as usize).filter(|row| *row < linked) {
            blocks[row / BLOCK].rows.consider(row % BLOCK, query, now_ms, top);
        }
    }

    /// So many that among them are as many living ones as there would be without the dead.
    fn breadth(&self, now_ms: u64) -> usize {
        let alive = self.undeleted() as f32 / self.rows().max(1) as f32 * self.slice.share_alive(now_ms);
        ((SEARCH_BREADTH as f32 / alive.max(f32::EPSILON)) as usize).clamp(SEARCH_BREADTH, MAX_SEARCH_BREADTH)
    }

    /// Reads a row, wherever it is.
    fn with_row<T>(&self, row: u32, read: impl FnOnce(&Rows, usize) -> T) -> T {
        let tail = self.tail.read().unwrap_or_else(PoisonError::into_inner);
        let blocks = self.blocks.load();
        match blocks.get(row as usize / BLOCK) {
            Some(block) => read(&block.rows, row as usize % BLOCK),
            None => read(&tail, row as usize % BLOCK),
        }
    }

    pub(super) fn id(&self, row: u32) -> EntryId {
        self.with_row(row, Rows::id)
    }

    /// Whether the row holds this very vector.
    pub(super) fn holds(&self, row: u32, vector: &Quantised) -> bool {
        self.with_row(row, |rows, row| rows.holds(row, vector))
    }

    /// Lets the row live until then, which must be within the slice.
    pub(super) fn set_expiry(&self, row: u32, expires_ms: u64) {
        self.with_row(row, |rows, row| rows.set_expiry(row, expires_ms));
    }

    /// Hides the row from all searches.
    pub(super) fn delete(&self, row: u32) {
        let was_there = self.with_row(row, |rows, row| {
            let was_there = !rows.is_deleted(row);
            rows.delete(row);
            was_there
        });
        if was_there {
            self.deleted.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Calls for each row that was not deleted, block by block, from this row on, until it says stop.
    pub(super) fn rows_from(&self, first: usize, mut each: impl FnMut(usize, &Rows, usize) -> bool) {
        let tail = self.tail.read().unwrap_or_else(PoisonError::into_inner);
        let blocks = self.blocks.load_full();
        let frozen = blocks.iter().map(|block| &block.rows);
        for (number, rows) in frozen.chain([&*tail]).enumerate().skip(first / BLOCK) {
            for row in first.saturating_sub(number * BLOCK)..rows.len() {
                if !rows.is_deleted(row) && !each(number * BLOCK + row, rows, row) {
                    return;
                }
            }
        }
    }

    /// What [`Segment::bytes`] should say.
    #[cfg(test)]
    pub(super) fn recount(&self) -> usize {
        let tail = self.tail.read().unwrap();
        let blocks = self.blocks.load();
        let rows: usize = blocks.iter().map(|block| block.rows.len()).sum::<usize>() + tail.len();
        let linked = self.linked.load(Ordering::Acquire).div_ceil(BLOCK);
        let links: usize = blocks.iter().take(linked).map(|block| block.links().bytes()).sum();
        size_of::<Segment>() + rows * Rows::row_bytes(self.dimension) + links
    }
}
