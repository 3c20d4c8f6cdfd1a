//! Which words of two prompts may be tied by more than their vectors.
//!
//! Of all pairs of words few have anything in common: a meaning, a beginning, a list. Each word tells what it could share,
//! both sides are sorted by that, and only where they meet is the pair looked at ([`super::align`]).

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

use super::align::is_exact;
use crate::semantic::lexicon::lexicon;
use crate::semantic::text::Word;

/// What two words may share, with the number of the word: kind, value and word are parts of one integer, because those
/// sort the fastest.
type Key = u128;

/// Where the number of the word ends, and where the value ends.
const VALUE: u32 = 32;
const KIND: u32 = 96;

/// What kind of thing is shared; each has values of its own.
#[derive(Debug, Clone, Copy)]
enum Shared {
    Text,
    Unit,
    Group,
    /// A pair of opposites, and the side of the first prompt's word.
    Opposites,
    Meaning,
    Entry,
    Beginning,
    /// The first letter of a slip and of any word, where the first prompt has the slip.
    SlipOfFirst,
    SlipOfSecond,
}

/// The pairs of different words that may share something.
#[derive(Debug)]
pub(super) struct Kindred {
    columns: usize,
    pairs: Vec<bool>,
}

impl Kindred {
    pub(super) fn of(first: &[&Word], second: &[&Word]) -> Self {
        let slips = (has_slips(first), has_slips(second));
        let (rows, columns) = (sorted(first, true, slips), sorted(second, false, slips));
        let mut kindred = Self { columns: second.len(), pairs: vec![false; first.len() * second.len()] };
        let mut rest = columns.as_slice();
        for one in rows.chunk_by(|a, b| a >> VALUE == b >> VALUE) {
            let shared = one[0] >> VALUE;
            while let Some((_, after)) = rest.split_first().filter(|(other, _)| *other >> VALUE < shared) {
                rest = after;
            }
            for column in rest.iter().take_while(|other| *other >> VALUE == shared) {
                for row in one {
                    kindred.pairs[word_of(*row) * kindred.columns + word_of(*column)] = true;
                }
            }
        }
        kindred
    }

    pub(super) fn has(&self, row: usize, column: usize) -> bool {
        self.pairs[row * self.columns + column]
    }

    /// The columns of a row's pairs.
    pub(super) fn of_row(&self, row: usize) -> impl Iterator<Item = usize> {
        let pairs = &self.pairs[row * self.columns..][..self.columns];
        pairs.iter().enumerate().filter_map(|(column, is_pair)| is_pair.then_some(column))
    }
}

/// Whether there are words that no list knows.
fn has_slips(words: &[&Word]) -> bool {
    words.iter().any(|word| word.entry.is_none() && !is_exact(word))
}

fn word_of(key: Key) -> usize {
    (key & ((1 << VALUE) - 1)) as usize
}

fn sorted(words: &[&Word], is_first: bool, slips: (bool, bool)) -> Vec<Key> {
    let mut found = Vec::with_capacity(words.len() * 24);
    for (number, word) in words.iter().enumerate() {
        let mut add = |shared: Shared, value: u64| {
            found.push(((shared as Key) << KIND) | (Key::from(value) << VALUE) | number as Key);
        };
        add(Shared::Text, FixedState::default().hash_one(&word.text));
        if is_exact(word) {
            continue;
        }
        if word.unit {
            add(Shared::Unit, 0);
        }
        word.places.groups().for_each(|group| add(Shared::Group, group.into()));
        for (pair, side) in word.places.opposites() {
            add(Shared::Opposites, (u64::from(pair) << 1) | u64::from(side == is_first));
        }
        if let Some(entry) = word.entry {
            add(Shared::Entry, entry.into());
            lexicon().meanings(entry).for_each(|meaning| add(Shared::Meaning, meaning.into()));
            if is_first {
                lexicon().relatives(entry).for_each(|relative| add(Shared::Entry, relative.into()));
            }
        }
        if let Some(beginning) = word.text.as_bytes().first_chunk() {
            add(Shared::Beginning, u32::from_le_bytes(*beginning).into());
        }
        let is_slip = word.entry.is_none();
        let (in_first, in_second) = slips;
        if let Some(letter) = word.text.chars().next() {
            if in_first && (is_slip || !is_first) {
                add(Shared::SlipOfFirst, u64::from(letter));
            }
            if in_second && (is_slip || is_first) {
                add(Shared::SlipOfSecond, u64::from(letter));
            }
        }
    }
    found.sort_unstable();
    found
}
