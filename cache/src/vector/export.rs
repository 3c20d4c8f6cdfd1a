//! A namespace on its way to a node that is to hold a copy, in bounded chunks.
//!
//! Vectors travel as they are kept, in bytes, so that the copy answers exactly as the original does. The graph does
//! not travel: the receiver makes its own.

use std::sync::Arc;

use bincode::{Decode, Encode};

use super::quantised::Quantised;
use super::rows::Rows;
use super::segment::Segment;
use super::{Index, VectorError};
use crate::identity::EntryId;

/// The form of the rows in a [`Chunk`]; another form is another number.
const VERSION: u8 = 1;

/// Some entries of an index.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Chunk {
    version: u8,
    dimension: u32,
    rows: Vec<ChunkRow>,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct ChunkRow {
    id: EntryId,
    expires_ms: u64,
    /// The bits of a float, so that two chunks are the same when their bytes are.
    scale: u32,
    coarse: Vec<u8>,
    fine: Vec<u8>,
}

impl Chunk {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many components their vectors have.
    pub fn dimension(&self) -> usize {
        self.dimension as usize
    }

    /// Which entries they are.
    pub fn ids(&self) -> impl Iterator<Item = EntryId> {
        self.rows.iter().map(|row| row.id)
    }
}

/// Where an export has got to; it holds the segments, and so their memory, until it is dropped.
#[derive(Debug)]
pub struct Export {
    dimension: usize,
    segments: Vec<Arc<Segment>>,
    at: usize,
    row: usize,
}

impl Export {
    pub(super) fn new(dimension: usize, segments: Arc<Vec<Arc<Segment>>>) -> Export {
        Export { dimension, segments: Vec::clone(&segments), at: 0, row: 0 }
    }

    /// The next entries, as many as fit into about `max_bytes` and at least one; `None` at the end.
    pub fn next_chunk(&mut self, max_bytes: usize, now_ms: u64) -> Option<Chunk> {
        let most = (max_bytes / Rows::row_bytes(self.dimension)).max(1);
        let mut rows = Vec::new();
        while let Some(segment) = self.segments.get(self.at)
            && rows.len() < most
        {
            let mut next = usize::MAX;
            segment.rows_from(self.row, |number, of, row| {
                if rows.len() == most {
                    next = number;
                    return false;
                }
                if of.is_live(row, now_ms) {
                    rows.push(ChunkRow {
                        id: of.id(row),
                        expires_ms: of.expires_ms(row),
                        scale: of.scale(row).to_bits(),
                        coarse: of.coarse(row).iter().map(|value| *value as u8).collect(),
                        fine: of.fine(row).iter().map(|value| *value as u8).collect(),
                    });
                }
                true
            });
            (self.at, self.row) = if next == usize::MAX { (self.at + 1, 0) } else { (self.at, next) };
        }
        (!rows.is_empty()).then_some(Chunk { version: VERSION, dimension: self.dimension as u32, rows })
    }
}

impl Index {
    /// Takes over the entries of a chunk, and tells how many.
    ///
    /// # Errors
    ///
    /// [`VectorError`] when the chunk is of another version or dimension, or at the first row that is no vector; the
    /// rows before it are kept.
    pub fn import(&self, chunk: &Chunk, now_ms: u64) -> Result<usize, VectorError> {
        if chunk.version != VERSION {
            return Err(VectorError::Version { expected: VERSION, found: chunk.version });
        }
        self.check(chunk.dimension as usize)?;
        for row in &chunk.rows {
            self.check(row.coarse.len())?;
            self.check(row.fine.len())?;
            let signed = |bytes: &[u8]| bytes.iter().map(|byte| *byte as i8).collect();
            let vector = Quantised::received(signed(&row.coarse), signed(&row.fine), f32::from_bits(row.scale))?;
            self.insert_quantised(row.id, &vector, row.expires_ms, now_ms);
        }
        Ok(chunk.rows.len())
    }
}
