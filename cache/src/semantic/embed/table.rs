//! The table of token vectors in the binary, as `cache/semantic/train/table.py` writes it.

use std::sync::LazyLock;

use super::DIM;
use super::kernel::add_bytes;
use crate::semantic::fixed::FixedMap;

static FILE: &[u8] = include_bytes!("table.bin");
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(FILE).unwrap_or_default());

/// The one table of this process; it is read at first use.
pub(crate) fn table() -> &'static Table {
    &TABLE
}

/// Vocabulary, weights and vectors of the static embedder.
#[derive(Debug, Default)]
pub(crate) struct Table {
    numbers: FixedMap<&'static str, u32>,
    /// The bytes of the longest piece.
    longest: usize,
    weights: &'static [u8],
    rows: &'static [u8],
}

impl Table {
    /// `None` where the file is not what the script writes; a test holds that the one in the binary is.
    fn read(file: &'static [u8]) -> Option<Self> {
        let mut rest = file.strip_prefix(b"PWT1")?;
        let tokens = take_u32(&mut rest)? as usize;
        if take_u32(&mut rest)? as usize != DIM {
            return None;
        }
        let mut numbers = FixedMap::with_capacity_and_hasher(tokens, Default::default());
        let mut longest = 0;
        for number in 0..tokens {
            let (&length, after) = rest.split_first()?;
            let (text, after) = after.split_at_checked(length.into())?;
            numbers.insert(std::str::from_utf8(text).ok()?, u32::try_from(number).ok()?);
            longest = longest.max(text.len());
            rest = after;
        }
        let (weights, rows) = rest.split_at_checked(tokens)?;
        (rows.len() == tokens * DIM).then_some(Self { numbers, longest, weights, rows })
    }

    /// Every piece, in the order of the vocabulary's map.
    pub(crate) fn words(&self) -> impl Iterator<Item = &'static str> {
        self.numbers.keys().copied()
    }

    /// The number of a word piece, if it is in the vocabulary.
    pub(crate) fn number(&self, piece: &str) -> Option<u32> {
        // Of a long word all beginnings are looked up, the longest first.
        if piece.len() > self.longest { None } else { self.numbers.get(piece).copied() }
    }

    /// How much a token says, 0 to 1: the log of its rank by frequency.
    pub(crate) fn weight(&self, number: u32) -> f32 {
        self.weights.get(number as usize).map_or(0.0, |&weight| f32::from(weight) / 255.0)
    }

    /// Adds `factor` times a token's vector to `sum`.
    pub(crate) fn add(&self, number: u32, factor: f32, sum: &mut [f32; DIM]) {
        let start = number as usize * DIM;
        let Some(row) = self.rows.get(start..start + DIM) else { return };
        add_bytes(row, factor, sum);
    }
}

fn take_u32(rest: &mut &'static [u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_le_bytes(*bytes))
}
