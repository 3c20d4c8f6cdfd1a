//! Which word of one prompt stands for which of the other.

use super::kindred::Kindred;
use crate::semantic::embed::{product, products};
use crate::semantic::lexicon::{Kinship, lexicon};
use crate::semantic::text::{Kind, Reading, Role, Word, mistyped, opposed};

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
        let table = Table::of(a, b);
        let (mut first, mut second) = table.links();
        abbreviations(&a.words, &b.words, &mut first, &mut second);
        abbreviations(&b.words, &a.words, &mut second, &mut first);
        asked(a, b, &mut first);
        asked(b, a, &mut second);
        kinds_of(&a.words, &mut first);
        kinds_of(&b.words, &mut second);
        Self { first, second }
    }
}

/// The different words of one prompt against those of the other.
struct Table<'r> {
    prompts: [&'r Reading; 2],
    rows: Vec<&'r Word>,
    columns: Vec<&'r Word>,
    kindred: Kindred,
}

/// A different word's best link, as far as the order of the words does not matter.
#[derive(Debug, Clone, Copy)]
struct Best {
    link: Link,
    /// The other prompt has its opposite: what counts then depends on what stands first.
    is_opposed: bool,
}

impl Best {
    const NONE: Self = Self { link: Link::NONE, is_opposed: false };

    /// Of the same score, the first word counts.
    fn offer(&mut self, (bond, score): (Bond, f32), partner: usize) {
        let is_first = score == self.link.score && partner < self.link.partner;
        if bond == Bond::Opposite {
            self.is_opposed = true;
        } else if score > self.link.score || (score > 0.0 && is_first) {
            self.link = Link { bond, score, partner };
        }
    }

    /// No vector can be nearer.
    fn is_settled(&self) -> bool {
        self.link.score > NEAREST
    }
}

impl<'r> Table<'r> {
    fn of(a: &'r Reading, b: &'r Reading) -> Self {
        let different = |of: &'r Reading| -> Vec<&'r Word> { of.different.iter().map(|&at| &of.words[at]).collect() };
        let (rows, columns) = (different(a), different(b));
        let kindred = Kindred::of(&rows, &columns);
        Self { prompts: [a, b], rows, columns, kindred }
    }

    fn relation(&self, row: usize, column: usize) -> (Bond, f32) {
        let (a, b) = (self.rows[row], self.columns[column]);
        if self.kindred.has(row, column) {
            relate(a, b)
        } else if is_exact(a) || is_exact(b) {
            (Bond::Vector, 0.0)
        } else {
            (Bond::Vector, near(a, b).min(NEAREST))
        }
    }

    fn links(&self) -> (Vec<Link>, Vec<Link>) {
        let [a, b] = self.prompts;
        let mut first = vec![Best::NONE; self.rows.len()];
        let mut second = vec![Best::NONE; self.columns.len()];
        for (row, best) in first.iter_mut().enumerate() {
            for column in self.kindred.of_row(row) {
                let relation = relate(self.rows[row], self.columns[column]);
                best.offer(relation, b.different[column]);
                second[column].offer(relation, a.different[row]);
            }
        }
        self.measure(&mut first, &mut second);
        // What is the same word is linked to it, whatever else there is.
        let by_order = |best: &Best| best.is_opposed && best.link.score < 1.0;
        let of_first = |word: &Word| {
            let best = first[word.number];
            if by_order(&best) {
                in_order(b.words.iter().map(|other| self.relation(word.number, other.number)))
            } else {
                best.link
            }
        };
        let of_second = |word: &Word| {
            let best = second[word.number];
            if by_order(&best) {
                in_order(a.words.iter().map(|other| self.relation(other.number, word.number)))
            } else {
                best.link
            }
        };
        (a.words.iter().map(of_first).collect(), b.words.iter().map(of_second).collect())
    }

    /// Offers the vectors of the words that have no better link yet.
    fn measure(&self, first: &mut [Best], second: &mut [Best]) {
        let [a, b] = self.prompts;
        let columns: Vec<usize> = (0..self.columns.len()).filter(|&at| !is_exact(self.columns[at])).collect();
        let open: Vec<usize> = columns.iter().copied().filter(|&at| !second[at].is_settled()).collect();
        let vectors = |of: &[usize]| of.iter().map(|&at| &self.columns[at].vector).collect::<Vec<_>>();
        let (columns, open) = ((vectors(&columns), columns), (vectors(&open), open));
        let mut products_of_row = Vec::new();
        for row in (0..self.rows.len()).filter(|&at| !is_exact(self.rows[at])) {
            let (vectors, columns) = if first[row].is_settled() { &open } else { &columns };
            products(&self.rows[row].vector, vectors, &mut products_of_row);
            for (&column, &product) in columns.iter().zip(&products_of_row) {
                if !self.kindred.has(row, column) {
                    let score = product.clamp(0.0, NEAREST);
                    first[row].offer((Bond::Vector, score), b.different[column]);
                    second[column].offer((Bond::Vector, score), a.different[row]);
                }
            }
        }
    }
}

/// A word's link, where its partners are taken as they stand.
fn in_order(relations: impl Iterator<Item = (Bond, f32)>) -> Link {
    let mut link = Link::NONE;
    for (partner, (bond, score)) in relations.enumerate() {
        keep(&mut link, bond, score, partner);
    }
    link
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

/// How near the vectors of two words may bring them.
const NEAREST: f32 = 0.9;

/// Whether only the same word stands for it: numbers, operators and filler.
pub(super) fn is_exact(word: &Word) -> bool {
    !matches!(word.kind, Kind::Word | Kind::Code) || word.role == Role::Filler
}

fn near(a: &Word, b: &Word) -> f32 {
    product(&a.vector, &b.vector).max(0.0)
}

/// How a word stands to another, with a score from 0 to 1. What it looks at, [`Kindred`] must know of.
fn relate(a: &Word, b: &Word) -> (Bond, f32) {
    if a.text == b.text {
        return (Bond::Same, 1.0);
    }
    if is_exact(a) || is_exact(b) {
        return (Bond::Vector, 0.0);
    }
    if a.unit && b.unit && a.base != b.base {
        return (Bond::Sibling, 0.3);
    }
    if a.places.alike(b.places) {
        return (Bond::Alike, 0.92);
    }
    if a.places.opposed(b.places) {
        return (Bond::Opposite, 0.0);
    }
    if let (Some(one), Some(other)) = (a.entry, b.entry) {
        if one == other {
            return (Bond::Same, 0.98);
        }
        return match lexicon().kinship(one, other) {
            Kinship::Antonym => (Bond::Opposite, 0.0),
            Kinship::Family => (Bond::Alike, 0.92),
            Kinship::Synonym if !(a.named && b.named) => (Bond::Alike, 0.75 + 0.2 * near(a, b)),
            Kinship::ParentOrChild => (Bond::Kin, (0.4 + 0.5 * near(a, b)).min(0.85)),
            Kinship::Sibling => (Bond::Sibling, near(a, b).min(0.6)),
            _ if same_stem(&a.text, &b.text) => (Bond::Alike, 0.85),
            _ => (Bond::Vector, near(a, b).min(NEAREST)),
        };
    }
    if same_stem(&a.text, &b.text) {
        return (Bond::Alike, 0.85);
    }
    // Of two words that no list knows, each may be a name of its own: one slip at most.
    let slips = if a.unknown && b.unknown { 1 } else { 2 };
    if (a.unknown || b.unknown) && mistyped(&a.text, &b.text, slips) && !opposed(a, b) {
        return (Bond::Alike, 0.88);
    }
    (Bond::Vector, near(a, b).min(NEAREST))
}

/// Whether two words have so long a beginning in common that they are of one family.
fn same_stem(a: &str, b: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "", "s", "es", "d", "ed", "ing", "er", "ers", "ion", "ions", "ation", "ment", "ments", "al", "ly", "y", "e",
        "ity", "ive", "ure", "able", "ance", "ence", "ant", "ent", "ings", "ness",
    ];
    if a.as_bytes().first_chunk::<4>() != b.as_bytes().first_chunk() {
        return false;
    }
    let common = a
        .char_indices()
        .zip(b.chars())
        .take_while(|((_, x), y)| x == y)
        .map(|((at, c), _)| at + c.len_utf8())
        .last()
        .unwrap_or(0);
    common >= 4 && ENDINGS.contains(&&a[common..]) && ENDINGS.contains(&&b[common..])
}

/// What words that ask for the same say together is said: "what are the benefits of" and "why should I use".
fn asked(of: &Reading, other: &Reading, links: &mut [Link]) {
    let Some(partner) = other.asks.shared(&of.asks).next() else { return };
    for place in of.asks.shared(&other.asks).filter(|&place| of.words[place].kind == Kind::Word) {
        if !links[place].said() {
            links[place] = Link { bond: Bond::Alike, score: 0.9, partner };
        }
    }
}

/// A word that only tells of what kind the thing before it is goes with that thing: microservices architecture.
fn kinds_of(words: &[Word], links: &mut [Link]) {
    for at in 1..words.len() {
        let before = links[at - 1];
        let is_thing = words[at - 1].role == Role::Content && words[at - 1].weight > 0.5 && before.said();
        if is_thing && !links[at].said() && is_kind(&words[at].base) {
            links[at] = Link { bond: Bond::Alike, score: 0.8, partner: before.partner };
        }
    }
}

/// Whether a word behind a thing only tells of what kind it is.
fn is_kind(word: &str) -> bool {
    matches!(
        word,
        "architecture"
            | "pattern"
            | "approach"
            | "framework"
            | "technology"
            | "technique"
            | "method"
            | "methodology"
            | "paradigm"
            | "style"
            | "concept"
            | "principle"
            | "mechanism"
            | "tool"
            | "software"
            | "program"
            | "app"
            | "application"
            | "protocol"
            | "language"
            | "command"
            | "disease"
            | "syndrome"
            | "file"
            | "database"
            | "page"
            | "button"
            | "system"
            | "device"
            | "service"
            | "process"
            | "trip"
            | "exercise"
            | "number"
            | "key"
    )
}

/// Links an abbreviation in `short` with the words whose initials it is, and a compound with its two parts.
fn abbreviations(short: &[Word], long: &[Word], of_short: &mut [Link], of_long: &mut [Link]) {
    let initials: Vec<Option<u8>> = long.iter().map(|word| word.text.bytes().next()).collect();
    for (i, word) in short.iter().enumerate() {
        if of_short[i].said() || !matches!(word.kind, Kind::Word | Kind::Code) {
            continue;
        }
        let found = span(&word.text, long, &initials);
        if let Some((start, end)) = found {
            of_short[i] = Link { bond: Bond::Alike, score: 0.95, partner: start };
            for (link, _) in of_long[start..end].iter_mut().zip(&long[start..end]).filter(|(link, _)| !link.said()) {
                *link = Link { bond: Bond::Alike, score: 0.95, partner: i };
            }
        }
    }
}

/// The words that `text` abbreviates or joins.
fn span(text: &str, words: &[Word], initials: &[Option<u8>]) -> Option<(usize, usize)> {
    let letters = text.chars().count();
    let initial = Some(text.bytes().next()?);
    // Either begins as its first word does.
    for start in (0..words.len()).filter(|&at| initials[at] == initial) {
        if let Some(next) = words.get(start + 1) {
            let joined =
                text.len() > 3 && text.strip_prefix(words[start].text.as_str()).is_some_and(|rest| rest == next.text);
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
            if word.kind == Kind::Word && word.text.chars().nth(1).is_some() && word.text.starts_with(letter) {
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
