//! WordPiece as the uncased BERT models read text: clean, split, strip accents, lower, then the longest pieces first.

use unicode_normalization::UnicodeNormalization;

use super::unicode_ranges::{NONSPACING_MARKS, OTHER, PUNCTUATION};

/// A longer word is one unknown piece, as in the model's own tokenizer.
const LONGEST_WORD: usize = 100;
const UNKNOWN: &str = "[UNK]";

/// The numbers of a text's word pieces in the table's vocabulary, without the marks around a sentence.
#[must_use]
pub fn pieces(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    pieces_in(&|piece| super::table().number(piece), text, &mut found);
    found
}

/// Adds the numbers of a text's word pieces in another vocabulary.
pub(super) fn pieces_in(number: &impl Fn(&str) -> Option<u32>, text: &str, found: &mut Vec<u32>) {
    each_word(text, &mut |word| word_pieces(number, word, found));
}

/// Calls `take` for each word of the text, in lower case and without accents.
fn each_word(text: &str, take: &mut impl FnMut(&str)) {
    let mut word = String::new();
    let mut next = |read: char| {
        if read.is_whitespace() {
            flush(&mut word, take);
        } else if is_ideograph(read) || is_punctuation(read) {
            flush(&mut word, take);
            word.push(read);
            flush(&mut word, take);
        } else {
            word.push(read);
        }
    };
    if text.is_ascii() {
        text.chars().filter(|c| !c.is_ascii_control() || is_break(*c)).for_each(|c| next(c.to_ascii_lowercase()));
    } else {
        // Ideographs are set apart before accents are taken off, so that a compatibility form does not join its neighbours.
        text.chars().filter(|&c| c != '\u{fffd}' && (is_break(c) || !within(OTHER, c))).for_each(|c| {
            let apart = is_ideograph(c);
            if apart {
                next(' ');
            }
            for part in std::iter::once(c).nfd().filter(|&c| !within(NONSPACING_MARKS, c)) {
                part.to_lowercase().for_each(&mut next);
            }
            if apart {
                next(' ');
            }
        });
    }
    flush(&mut word, take);
}

fn flush(word: &mut String, take: &mut impl FnMut(&str)) {
    if !word.is_empty() {
        take(word);
        word.clear();
    }
}

fn word_pieces(number: &impl Fn(&str) -> Option<u32>, word: &str, found: &mut Vec<u32>) {
    let before = found.len();
    let mut inner = String::from("##");
    let mut start = 0;
    if word.chars().count() <= LONGEST_WORD {
        while start < word.len() {
            let rest = &word[start..];
            let hit = rest.char_indices().map(|(at, c)| at + c.len_utf8()).rev().find_map(|end| {
                let piece = if start == 0 {
                    &rest[..end]
                } else {
                    inner.truncate(2);
                    inner.push_str(&rest[..end]);
                    &inner
                };
                number(piece).map(|number| (number, end))
            });
            let Some((number, end)) = hit else { break };
            found.push(number);
            start += end;
        }
    }
    if start < word.len() {
        found.truncate(before);
        found.extend(number(UNKNOWN));
    }
}

fn within(ranges: &[(u32, u32)], c: char) -> bool {
    let code = u32::from(c);
    ranges
        .binary_search_by(|&(first, last)| {
            if last < code {
                std::cmp::Ordering::Less
            } else if first > code {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
        .is_ok()
}

/// The control characters that are kept, as blanks.
fn is_break(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r')
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || (!c.is_ascii() && within(PUNCTUATION, c))
}

fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c),
        0x4e00..=0x9fff | 0x3400..=0x4dbf | 0x20000..=0x2a6df | 0x2a700..=0x2b73f | 0x2b740..=0x2b81f | 0x2b820..=0x2ceaf | 0xf900..=0xfaff | 0x2f800..=0x2fa1f)
}
