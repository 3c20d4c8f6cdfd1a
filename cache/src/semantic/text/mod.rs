//! A prompt read for comparison: words with what they stand for, numbers whatever their notation, quotations, identifiers.
//!
//! - `scan`: characters to tokens.
//! - `spelling`: slips of the fingers.
//! - `numbers`: number words, fractions, times and dates to one notation.
//! - `vocabulary`: closed lists of English: function words, units, words that carry logic.
//! - `shorthand`, `synonyms`: what abbreviations stand for, and which words are alike or opposed.
//! - `reading`: what the guard looks at: [`Reading`].

mod numbers;
mod reading;
mod scan;
mod shorthand;
mod spelling;
mod synonyms;
mod vocabulary;

pub(super) use reading::{Reading, Word};
pub(super) use scan::Kind;
pub(super) use spelling::mistyped;
pub(super) use vocabulary::Role;
