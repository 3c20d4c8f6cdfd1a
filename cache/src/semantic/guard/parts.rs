//! How much of a prompt's matter the other covers, all in all and sentence by sentence.

use super::align::Link;
use crate::semantic::text::{Kind, Reading, Role, Word};

/// The weight of words from which a part of a prompt has a matter of its own.
const HEAVY_PART: f32 = 1.2;

/// What is covered of one prompt's plain content words: no numbers, no code.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Parts {
    /// How much is covered, 0 to 1.
    pub(super) plain: f32,
    /// How little of the worst part is covered, 0 to 1.
    pub(super) part: f32,
    /// The weight of what is not covered in the part with the most of it.
    pub(super) part_open: f32,
    /// The weight of all that is not covered.
    pub(super) unsaid: f32,
    /// How many there are.
    pub(super) words: usize,
    /// How many numbers, operators and names out of code stand beside them.
    pub(super) things: usize,
}

impl Parts {
    pub(super) fn of(of: &Reading, links: &[Link]) -> Self {
        let is_plain = |word: &Word| word.role == Role::Content && word.kind == Kind::Word;
        let (mut all, mut covered) = (0.0, 0.0);
        let mut parts =
            Self { things: of.words.iter().filter(|word| word.kind != Kind::Word).count(), ..Self::default() };
        let mut start = 0;
        for part in of.parts.chunk_by(|one, other| one == other) {
            let range = start..start + part.len();
            start = range.end;
            let (mut weight, mut found) = (0.0, 0.0);
            for (word, link) in of.words[range.clone()].iter().zip(&links[range]).filter(|(word, _)| is_plain(word)) {
                parts.words += 1;
                weight += word.weight;
                // What is only near is not said.
                found += word.weight * if link.said() { link.score } else { link.score * link.score };
            }
            all += weight;
            covered += found;
            if weight > 0.0 {
                parts.part = parts.part.max((1.0 - found / weight) * (weight / HEAVY_PART).min(1.0));
                parts.part_open = parts.part_open.max(weight - found);
            }
        }
        parts.unsaid = all - covered;
        parts.plain = if all > 0.0 { covered / all } else { 1.0 };
        parts
    }
}
