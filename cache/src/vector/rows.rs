//! Vectors beside each other, in the order of their arrival.

use std::mem::size_of;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Candidate;
use super::links::Links;
use super::quantised::{Quantised, Query};
use super::top::Top;
use crate::identity::EntryId;

/// How many rows make a block. Beside what it costs to scan that many, a block is what a search may follow one more
/// pointer for. Tests have small ones, so that few rows come to many blocks.
pub(super) const BLOCK: usize = if cfg!(test) { 64 } else { 1024 };

/// By how many rows the room for more of them grows, so that a namespace of ten vectors has no room for a thousand.
const GROWTH: usize = 32;

/// The expiry of a row that was deleted.
const DELETED: u64 = 0;

/// Rows of one dimension. They are appended only; what changes in a row is when it expires.
#[derive(Debug)]
pub(super) struct Rows {
    dimension: usize,
    coarse: Vec<i8>,
    fine: Vec<i8>,
    scales: Vec<f32>,
    errors: Vec<f32>,
    ids: Vec<EntryId>,
    expires_ms: Vec<AtomicU64>,
}

impl Rows {
    pub(super) fn new(dimension: usize) -> Rows {
        Rows {
            dimension,
            coarse: Vec::new(),
            fine: Vec::new(),
            scales: Vec::new(),
            errors: Vec::new(),
            ids: Vec::new(),
            expires_ms: Vec::new(),
        }
    }

    /// What a row takes, in bytes, without its links.
    pub(super) fn row_bytes(dimension: usize) -> usize {
        2 * dimension + 2 * size_of::<f32>() + size_of::<EntryId>() + size_of::<AtomicU64>()
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn push(&mut self, id: EntryId, row: &Quantised, expires_ms: u64) {
        if self.ids.len() == self.ids.capacity() {
            self.coarse.reserve_exact(GROWTH * self.dimension);
            self.fine.reserve_exact(GROWTH * self.dimension);
            self.scales.reserve_exact(GROWTH);
            self.errors.reserve_exact(GROWTH);
            self.ids.reserve_exact(GROWTH);
            self.expires_ms.reserve_exact(GROWTH);
        }
        self.coarse.extend_from_slice(&row.coarse);
        self.fine.extend_from_slice(&row.fine);
        self.scales.push(row.scale);
        self.errors.push(row.error);
        self.ids.push(id);
        self.expires_ms.push(AtomicU64::new(expires_ms));
    }

    pub(super) fn coarse(&self, row: usize) -> &[i8] {
        &self.coarse[row * self.dimension..(row + 1) * self.dimension]
    }

    pub(super) fn fine(&self, row: usize) -> &[i8] {
        &self.fine[row * self.dimension..(row + 1) * self.dimension]
    }

    pub(super) fn scale(&self, row: usize) -> f32 {
        self.scales[row]
    }

    pub(super) fn id(&self, row: usize) -> EntryId {
        self.ids[row]
    }

    pub(super) fn ids(&self) -> &[EntryId] {
        &self.ids
    }

    pub(super) fn expires_ms(&self, row: usize) -> u64 {
        self.expires_ms[row].load(Ordering::Acquire)
    }

    pub(super) fn is_live(&self, row: usize, now_ms: u64) -> bool {
        now_ms < self.expires_ms(row)
    }

    pub(super) fn is_deleted(&self, row: usize) -> bool {
        self.expires_ms(row) == DELETED
    }

    pub(super) fn set_expiry(&self, row: usize, expires_ms: u64) {
        self.expires_ms[row].store(expires_ms, Ordering::Release);
    }

    pub(super) fn delete(&self, row: usize) {
        self.set_expiry(row, DELETED);
    }

    pub(super) fn holds(&self, row: usize, vector: &Quantised) -> bool {
        self.coarse(row) == vector.coarse && self.fine(row) == vector.fine && self.scale(row) == vector.scale
    }

    /// Offers a row, if it is alive and good enough.
    ///
    /// The coarse part decides for nearly all of them; because it is held against a bound, and not against a guess,
    /// no row that belongs among the best is ever passed over.
    pub(super) fn consider(&self, row: usize, query: &Query, now_ms: u64, top: &mut Top) {
        if top.wants(query.bound(self.coarse(row), self.scales[row], self.errors[row])) && self.is_live(row, now_ms) {
            let cosine = query.cosine(self.coarse(row), self.fine(row), self.scales[row]);
            top.offer(Candidate { id: self.ids[row], cosine });
        }
    }

    /// Offers all rows from this one on.
    pub(super) fn scan(&self, from: usize, query: &Query, now_ms: u64, top: &mut Top) {
        for row in from..self.len() {
            self.consider(row, query, now_ms, top);
        }
    }
}

/// Rows to which none will be added, and the links between them once there are some.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) rows: Rows,
    links: OnceLock<Links>,
}

impl Block {
    pub(super) fn new(rows: Rows) -> Block {
        Block { rows, links: OnceLock::new() }
    }

    /// The links; room is made for them when they are first asked for.
    pub(super) fn links(&self) -> &Links {
        self.links.get_or_init(|| Links::for_rows(self.rows.ids()))
    }
}
