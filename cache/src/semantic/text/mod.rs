//! A prompt read for comparison: words with what they stand for, numbers whatever their notation, quotations, identifiers.
//!
//! - `scan`: characters to tokens.
//! - `spelling`: how far one word is from another, in slips of the fingers.
//! - `slips`: what a word that nobody knows was meant to be.
//! - `wordlist`: which words there are.
//! - `numbers`: number words, fractions, times and dates to one notation.
//! - `vocabulary`: closed lists of English: function words, units, words that carry logic.
//! - `shorthand`, `synonyms`: what abbreviations stand for, and which words are alike or opposed.
//! - `asks`: what kind of thing is asked for, and by which words.
//! - `polarity`: which way a word points: more or less, start or stop.
//! - `reading`: what the guard looks at: [`Reading`].

mod asks;
mod numbers;
mod polarity;
mod reading;
mod scan;
mod shorthand;
mod slips;
mod spelling;
mod synonyms;
mod vocabulary;
mod wordlist;

pub(super) use polarity::{opposed, prefixed};
pub(super) use reading::{Reading, Word, begins_part};
pub(super) use scan::Kind;
pub(super) use spelling::mistyped;
pub(super) use vocabulary::Role;
