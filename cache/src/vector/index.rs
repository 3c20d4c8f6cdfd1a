//! The vectors of one namespace.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::export::Export;
use super::graph::Scratch;
use super::quantised::{Quantised, Query};
use super::rows::Rows;
use super::segment::Segment;
use super::slice::Slice;
use super::top::Top;
use super::{Candidate, Stats, VectorError};
use crate::identity::EntryId;

/// What an entry of the writer's table takes, at the load that such a table has on average.
const PLACE_BYTES: usize = (size_of::<(u64, Place)>() + 1) * 4 / 3;

/// A segment holds at most this share of what the index may hold, so that a full index does not lose all at once.
const SEGMENT_SHARE: usize = 4;

/// Beyond this many rows a slice gets a further segment: dropping, searching and walking a segment stay bounded.
pub const MAX_SEGMENT_ROWS: usize = 256 * 1024;

/// How often a search looks again, because an entry went from one segment to another meanwhile, before it has the writer wait.
const FREE_SEARCHES: usize = 2;

/// How many rows an insertion links beside its own, while there are any: two, so that it catches up with a backlog.
const LINKS_PER_INSERT: usize = 2;

/// The index of one namespace: which entries are near a vector.
///
/// Any number of threads may search, while one at a time changes it. All times are unix milliseconds.
///
/// ```
/// use peerway_cache::vector::Index;
///
/// let index = Index::new(3, 10_000);
/// let (now_ms, expires_ms) = (1_000, 61_000);
/// index.insert([7; 32].into(), &[0.6, 0.8, 0.0], expires_ms, now_ms)?;
/// let found = index.search(&[0.8, 0.6, 0.0], 5, 0.5, now_ms)?;
/// assert_eq!(found[0].id, [7; 32].into());
/// assert!((found[0].cosine - 0.96).abs() < 1e-4);
/// assert!(index.search(&[0.8, 0.6, 0.0], 5, 0.5, expires_ms)?.is_empty());
/// # Ok::<(), peerway_cache::vector::VectorError>(())
/// ```
#[derive(Debug)]
pub struct Index {
    dimension: usize,
    max_rows: usize,
    segments: ArcSwap<Vec<Arc<Segment>>>,
    /// How many entries went from one segment to another.
    moves: AtomicU64,
    writer: Mutex<Writer>,
    bytes: AtomicU64,
    /// The bytes of all indexes of the same set.
    total: Arc<AtomicU64>,
}

/// What only a change needs.
#[derive(Debug, Default)]
struct Writer {
    /// By the first eight bytes of the id. Ids are hashes: should two ever share them, the later displaces the earlier,
    /// which is then not found any more.
    places: HashMap<u64, Place>,
    segments_made: u32,
    scratch: Scratch,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    serial: u32,
    row: u32,
}

impl Index {
    /// An index of vectors of `dimension`, of which it holds at most `max_rows`.
    ///
    /// When it is full, the segment of the entries that expire soonest goes, at most about a quarter of all.
    pub fn new(dimension: usize, max_rows: usize) -> Index {
        Index::counted(dimension, max_rows, Arc::default())
    }

    /// One whose bytes are also counted there.
    pub(super) fn counted(dimension: usize, max_rows: usize, total: Arc<AtomicU64>) -> Index {
        Index {
            dimension,
            max_rows: max_rows.max(1),
            segments: ArcSwap::default(),
            moves: AtomicU64::new(0),
            writer: Mutex::default(),
            bytes: AtomicU64::new(0),
            total,
        }
    }

    /// How many components a vector has.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// What a vector takes that is scanned, in bytes; links add about 140.
    pub fn bytes_per_vector(dimension: usize) -> usize {
        Rows::row_bytes(dimension) + PLACE_BYTES
    }

    /// Makes the entry findable by this vector until it expires; an entry that is there already moves.
    ///
    /// The vector is brought to length one. Once the namespace is large this also does a bounded share of the work on
    /// the graph, so that it takes some hundred microseconds: call it from a writer's task, not from a request's.
    ///
    /// # Errors
    ///
    /// [`VectorError`] when the vector is of another dimension or has no direction.
    pub fn insert(&self, id: EntryId, vector: &[f32], expires_ms: u64, now_ms: u64) -> Result<(), VectorError> {
        self.check(vector.len())?;
        self.insert_quantised(id, &Quantised::new(vector)?, expires_ms, now_ms);
        Ok(())
    }

    pub(super) fn insert_quantised(&self, id: EntryId, vector: &Quantised, expires_ms: u64, now_ms: u64) {
        let mut writer = self.write();
        self.drop_expired(&mut writer, now_ms);
        if now_ms < expires_ms {
            self.place(&mut writer, id, vector, Slice::of(expires_ms, now_ms), expires_ms);
        }
        self.account(&writer);
    }

    fn place(&self, writer: &mut Writer, id: EntryId, vector: &Quantised, slice: Slice, expires_ms: u64) {
        let known = writer.places.get(&fingerprint(&id)).and_then(|place| Some((self.segment(*place)?, place.row)));
        if let Some((segment, row)) = &known
            && segment.slice() == slice
            && segment.id(*row) == id
            && segment.holds(*row, vector)
        {
            return segment.set_expiry(*row, expires_ms);
        }
        let segment = self.segment_to_fill(slice, writer);
        let row = segment.push(id, vector, expires_ms);
        writer.places.insert(fingerprint(&id), Place { serial: segment.serial(), row });
        // In this order: who finds the entry gone from there sees that it moved, and looks again.
        if let Some((segment, row)) = known {
            self.moves.fetch_add(1, Ordering::AcqRel);
            self.delete_row(writer, &segment, row);
        }
        self.drop_while_too_large(writer, segment.serial());
        self.link(writer, LINKS_PER_INSERT);
    }

    /// The `k` entries nearest to the vector with a cosine of at least `floor`, the nearest first.
    ///
    /// Exact as long as the vectors are scanned; a graph may miss one now and then, and never gives one that is deleted
    /// or expired.
    ///
    /// # Errors
    ///
    /// [`VectorError`] when the vector is of another dimension or has no direction.
    pub fn search(&self, vector: &[f32], k: usize, floor: f32, now_ms: u64) -> Result<Vec<Candidate>, VectorError> {
        self.check(vector.len())?;
        let query = Query::new(vector)?;
        let mut scratch = Scratch::default();
        for _ in 0..FREE_SEARCHES {
            let moves = self.moves.load(Ordering::Acquire);
            let found = self.search_once(&query, k, floor, now_ms, &mut scratch);
            if self.moves.load(Ordering::Acquire) == moves {
                return Ok(found);
            }
        }
        let _nothing_moves = self.write();
        Ok(self.search_once(&query, k, floor, now_ms, &mut scratch))
    }

    /// May miss an entry that moves meanwhile: from a segment that is not read yet to one that is, or is new.
    fn search_once(&self, query: &Query, k: usize, floor: f32, now_ms: u64, scratch: &mut Scratch) -> Vec<Candidate> {
        let mut top = Top::new(k, floor);
        for segment in self.segments.load().iter().filter(|segment| now_ms < segment.slice().ends_ms()) {
            segment.search(query, now_ms, &mut top, scratch);
        }
        top.into_candidates()
    }

    /// Forgets the entry; tells whether it was there.
    pub fn delete(&self, id: &EntryId) -> bool {
        let mut writer = self.write();
        let place = writer.places.get(&fingerprint(id)).copied();
        let Some((place, segment)) = place.and_then(|place| Some((place, self.segment(place)?))) else { return false };
        if segment.id(place.row) != *id {
            return false;
        }
        writer.places.remove(&fingerprint(id));
        self.delete_row(&mut writer, &segment, place.row);
        self.account(&writer);
        true
    }

    /// Forgets all.
    pub fn purge(&self) {
        let mut writer = self.write();
        writer.places = HashMap::new();
        self.segments.store(Arc::default());
        self.account(&writer);
    }

    /// Does what is due: drops what has expired and links up to `most` rows. Tells how many rows are left to link.
    ///
    /// Not needed for right results; a writer with nothing else to do makes searches faster by it.
    pub fn tend(&self, most: usize, now_ms: u64) -> usize {
        let mut writer = self.write();
        self.drop_expired(&mut writer, now_ms);
        self.link(&mut writer, most);
        self.account(&writer);
        self.segments.load().iter().map(|segment| segment.backlog()).sum()
    }

    /// Drops the segment of the entries that expire soonest; tells whether there was one.
    pub fn evict(&self) -> bool {
        let mut writer = self.write();
        let evicted = self.drop_soonest(&mut writer, None);
        self.account(&writer);
        evicted
    }

    /// How much it holds.
    pub fn stats(&self) -> Stats {
        let segments = self.segments.load();
        Stats {
            vectors: segments.iter().map(|segment| segment.undeleted() as u64).sum(),
            rows: segments.iter().map(|segment| segment.rows() as u64).sum(),
            segments: segments.len() as u64,
            bytes: self.bytes(),
        }
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// How many of the entries are meant. Reads all of them.
    pub fn count(&self, is_meant: impl Fn(&EntryId) -> bool) -> u64 {
        let mut count = 0;
        for segment in self.segments.load().iter() {
            segment.rows_from(0, |_, rows, row| {
                count += u64::from(is_meant(&rows.id(row)));
                true
            });
        }
        count
    }

    /// All entries as they are at this moment or a little later, for a node that is to hold a copy.
    pub fn export(&self) -> Export {
        Export::new(self.dimension, self.segments.load_full())
    }

    /// What [`Index::bytes`] should say.
    #[cfg(test)]
    pub(super) fn recount(&self) -> u64 {
        let segments: usize = self.segments.load().iter().map(|segment| segment.recount()).sum();
        (segments + self.write().places.len() * PLACE_BYTES) as u64
    }

    pub(super) fn check(&self, dimension: usize) -> Result<(), VectorError> {
        if dimension == self.dimension {
            Ok(())
        } else {
            Err(VectorError::Dimension { expected: self.dimension, found: dimension })
        }
    }

    fn write(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn segment(&self, place: Place) -> Option<Arc<Segment>> {
        self.segments.load().iter().find(|segment| segment.serial() == place.serial).cloned()
    }

    /// The segment of the slice that has room, which is its last.
    fn segment_to_fill(&self, slice: Slice, writer: &mut Writer) -> Arc<Segment> {
        let segments = self.segments.load();
        let room = (self.max_rows / SEGMENT_SHARE).clamp(1, MAX_SEGMENT_ROWS);
        let last = segments.iter().rev().find(|segment| segment.slice() == slice);
        if let Some(segment) = last.filter(|segment| segment.rows() < room) {
            return Arc::clone(segment);
        }
        writer.segments_made = writer.segments_made.wrapping_add(1);
        let segment = Arc::new(Segment::new(slice, writer.segments_made, self.dimension));
        self.segments.store(Arc::new(segments.iter().chain([&segment]).cloned().collect()));
        segment
    }

    fn delete_row(&self, writer: &mut Writer, segment: &Segment, row: u32) {
        segment.delete(row);
        if segment.undeleted() == 0 {
            self.drop_segments(writer, |other| other.serial() == segment.serial());
        }
    }

    fn link(&self, writer: &mut Writer, mut most: usize) {
        for segment in self.segments.load().iter() {
            most -= segment.link(most, &mut writer.scratch);
            if most == 0 {
                break;
            }
        }
    }

    fn drop_expired(&self, writer: &mut Writer, now_ms: u64) {
        self.drop_segments(writer, |segment| segment.slice().ends_ms() <= now_ms);
    }

    fn drop_while_too_large(&self, writer: &mut Writer, kept: u32) {
        let rows = || self.segments.load().iter().map(|segment| segment.rows()).sum::<usize>();
        while rows() > self.max_rows && self.drop_soonest(writer, Some(kept)) {}
    }

    fn drop_soonest(&self, writer: &mut Writer, kept: Option<u32>) -> bool {
        let segments = self.segments.load();
        let others = segments.iter().filter(|segment| Some(segment.serial()) != kept);
        let Some(soonest) = others.min_by_key(|segment| (segment.slice().ends_ms(), segment.serial())) else {
            return false;
        };
        self.drop_segments(writer, |segment| segment.serial() == soonest.serial());
        true
    }

    fn drop_segments(&self, writer: &mut Writer, goes: impl Fn(&Segment) -> bool) {
        let segments = self.segments.load();
        if !segments.iter().any(|segment| goes(segment)) {
            return;
        }
        let (gone, kept): (Vec<_>, Vec<_>) = segments.iter().cloned().partition(|segment| goes(segment));
        self.segments.store(Arc::new(kept));
        for segment in gone {
            segment.rows_from(0, |_, rows, row| {
                let fingerprint = fingerprint(&rows.id(row));
                if writer.places.get(&fingerprint).is_some_and(|place| place.serial == segment.serial()) {
                    writer.places.remove(&fingerprint);
                }
                true
            });
        }
        if writer.places.len() * 4 < writer.places.capacity() {
            writer.places.shrink_to_fit();
        }
    }

    fn account(&self, writer: &Writer) {
        let segments: usize = self.segments.load().iter().map(|segment| segment.bytes()).sum();
        let bytes = (segments + writer.places.len() * PLACE_BYTES) as u64;
        let before = self.bytes.swap(bytes, Ordering::AcqRel);
        // Wraps, as an addition of a negative number does.
        self.total.fetch_add(bytes.wrapping_sub(before), Ordering::AcqRel);
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes(), Ordering::AcqRel);
    }
}

fn fingerprint(id: &EntryId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
