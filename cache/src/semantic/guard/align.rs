//! Which word of one prompt stands for which of the other.

use crate::semantic::embed::cosine;
use crate::semantic::lexicon::{Kinship, lexicon};
use crate::semantic::text::{Kind, Reading, Role, Word, mistyped};

/// How a word's best partner in the other prompt stands to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bond {
    Same,
    /// A synonym, another form, a spelling, an abbreviation.
    Alike,
    /// A wider or narrower word.
    Kin,
    Opposite,
    Sibling,
    /// Only the vectors are near, or nothing is.
    Vector,
}

/// A word's best partner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) bond: Bond,
    /// 0 to 1.
    pub(super) score: f32,
    /// The partner's place in the other prompt.
    pub(super) partner: usize,
}

impl Link {
    const NONE: Self = Self { bond: Bond::Vector, score: 0.0, partner: usize::MAX };

    /// Whether the word is said in the other prompt.
    pub(super) fn said(&self) -> bool {
        matches!(self.bond, Bond::Same | Bond::Alike)
    }
}

/// The best partner of each word, both ways.
#[derive(Debug)]
pub(super) struct Alignment {
    pub(super) first: Vec<Link>,
    pub(super) second: Vec<Link>,
}

impl Alignment {
    pub(super) fn of(a: &Reading, b: &Reading) -> Self {
        let mut first = vec![Link::NONE; a.words.len()];
        let mut second = vec![Link::NONE; b.words.len()];
        for (i, one) in a.words.iter().enumerate() {
            for (j, other) in b.words.iter().enumerate() {
                let (bond, score) = relate(one, other);
                keep(&mut first[i], bond, score, j);
                keep(&mut second[j], bond, score, i);
            }
        }
        abbreviations(&a.words, &b.words, &mut first, &mut second);
        abbreviations(&b.words, &a.words, &mut second, &mut first);
        Self { first, second }
    }
}

fn keep(link: &mut Link, bond: Bond, score: f32, partner: usize) {
    let found = Link { bond, score, partner };
    // An opposite only yields to the word itself.
    let better = if bond == Bond::Opposite {
        !link.said()
    } else {
        score > link.score && (link.bond != Bond::Opposite || found.said())
    };
    if better {
        *link = found;
    }
}

/// Whether two words say the same.
pub(super) fn stands_for(a: &Word, b: &Word) -> bool {
    matches!(relate(a, b).0, Bond::Same | Bond::Alike)
}

fn relate(a: &Word, b: &Word) -> (Bond, f32) {
    if a.text == b.text {
        return (Bond::Same, 1.0);
    }
    let exact = |word: &Word| !matches!(word.kind, Kind::Word | Kind::Code) || word.role == Role::Filler;
    if exact(a) || exact(b) {
        return (Bond::Vector, 0.0);
    }
    if a.unit && b.unit && a.base != b.base {
        return (Bond::Sibling, 0.3);
    }
    if a.places.alike(&b.places) {
        return (Bond::Alike, 0.92);
    }
    let near = cosine(&a.vector, &b.vector).max(0.0);
    if a.places.opposed(&b.places) {
        return (Bond::Opposite, 0.0);
    }
    if let (Some(one), Some(other)) = (a.entry, b.entry) {
        if one == other {
            return (Bond::Same, 0.98);
        }
        return match lexicon().kinship(one, other) {
            Kinship::Antonym => (Bond::Opposite, 0.0),
            Kinship::Family => (Bond::Alike, 0.92),
            Kinship::Synonym if !(a.named && b.named) => (Bond::Alike, 0.75 + 0.2 * near),
            Kinship::ParentOrChild => (Bond::Kin, (0.4 + 0.5 * near).min(0.85)),
            Kinship::Sibling => (Bond::Sibling, near.min(0.6)),
            _ if same_stem(&a.text, &b.text) => (Bond::Alike, 0.85),
            _ => (Bond::Vector, near.min(0.9)),
        };
    }
    if same_stem(&a.text, &b.text) {
        return (Bond::Alike, 0.85);
    }
    if (a.entry.is_none() || b.entry.is_none()) && mistyped(&a.text, &b.text) {
        return (Bond::Alike, 0.88);
    }
    (Bond::Vector, near.min(0.9))
}

/// Whether two words have so long a beginning in common that they are of one family.
fn same_stem(a: &str, b: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "", "s", "es", "d", "ed", "ing", "er", "ers", "ion", "ions", "ation", "ment", "ments", "al", "ly", "y", "e",
        "ity", "ive", "ure", "able", "ance", "ence", "ant", "ent", "ings", "ness",
    ];
    let common = a
        .char_indices()
        .zip(b.chars())
        .take_while(|((_, x), y)| x == y)
        .map(|((at, c), _)| at + c.len_utf8())
        .last()
        .unwrap_or(0);
    common >= 4 && ENDINGS.contains(&&a[common..]) && ENDINGS.contains(&&b[common..])
}

/// Links an abbreviation in `short` with the words whose initials it is, and a compound with its two parts.
fn abbreviations(short: &[Word], long: &[Word], of_short: &mut [Link], of_long: &mut [Link]) {
    for (i, word) in short.iter().enumerate() {
        if of_short[i].said() || !matches!(word.kind, Kind::Word | Kind::Code) {
            continue;
        }
        let found = span(&word.text, long);
        if let Some((start, end)) = found {
            of_short[i] = Link { bond: Bond::Alike, score: 0.95, partner: start };
            for (link, _) in of_long[start..end].iter_mut().zip(&long[start..end]).filter(|(link, _)| !link.said()) {
                *link = Link { bond: Bond::Alike, score: 0.95, partner: i };
            }
        }
    }
}

/// The words that `text` abbreviates or joins.
fn span(text: &str, words: &[Word]) -> Option<(usize, usize)> {
    let letters = text.chars().count();
    for start in 0..words.len() {
        if let Some(next) = words.get(start + 1) {
            let joined =
                text.len() > 4 && text.strip_prefix(words[start].text.as_str()).is_some_and(|rest| rest == next.text);
            if joined {
                return Some((start, start + 2));
            }
        }
        if !(2..=5).contains(&letters) {
            continue;
        }
        let mut wanted = text.chars();
        let mut next = wanted.next();
        let mut end = start;
        while let (Some(letter), Some(word)) = (next, words.get(end)) {
            if word.kind == Kind::Word && word.text.chars().count() > 1 && word.text.starts_with(letter) {
                next = wanted.next();
            } else if end == start || !matches!(word.text.as_str(), "of" | "the" | "and" | "in" | "for" | "to") {
                break;
            }
            end += 1;
        }
        if next.is_none() && end - start >= 2 && words[start..end].iter().any(|word| word.role == Role::Content) {
            return Some((start, end));
        }
    }
    None
}
