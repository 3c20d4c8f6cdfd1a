//! What is weighed: some thirty numbers about a pair, each with a name and the same whichever prompt comes first.

use std::sync::LazyLock;

use super::align::{Alignment, Bond, Link};
use super::checks::{Pair, named, said_share};
use super::parts::Parts;
use super::verdict::{Check, CheckVerdict};
use crate::semantic::embed::product;
use crate::semantic::text::{Kind, Reading, Role, Word, opposed};

/// How many features there are.
pub(super) const COUNT: usize = NAMES.len();

/// The features' names, in their order; `_low` and `_high` are the lesser and the greater of the two sides.
pub const NAMES: [&str; 43] = [
    "cosine",
    "covered_low",
    "covered_high",
    "said_low",
    "said_high",
    "said_share",
    "frame",
    "worst_low",
    "worst_high",
    "open_low",
    "open_high",
    "open_share_low",
    "open_share_high",
    "heavy_low",
    "heavy_high",
    "siblings",
    "kin",
    "numbers_shared",
    "numbers_high",
    "names_high",
    "code_high",
    "differing_checks",
    "inversions",
    "length_ratio",
    "length_low",
    "asks_same",
    "asks_other",
    "logic",
    "named_shared",
    "opposites",
    "opposed",
    "negated",
    "plain_low",
    "plain_high",
    "part_low",
    "part_high",
    "topic",
    "topic_high",
    "open_both",
    "part_open",
    "unsaid_low",
    "against",
    "slips",
];

/// What is weighed beside them of a candidate that all-MiniLM-L6-v2 found: the cosine of its vectors, alone, squared, and
/// times how much of either prompt the other covers and how much of their frame is the same.
pub(super) const FOUND: [&str; 4] =
    ["model_cosine", "model_cosine_squared", "model_cosine_covered", "model_cosine_frame"];

/// How many features such a candidate has.
pub(super) const FOUND_COUNT: usize = COUNT + FOUND.len();

/// Adds what the model's cosine says to the features of a pair. The model does not see through a slip of the fingers:
/// where one was corrected, the cosine of what was meant counts if it is the greater.
pub(super) fn with_cosine(row: &[f32; COUNT], cosine: f32) -> [f32; FOUND_COUNT] {
    let value = |name: &str| NAMES.iter().position(|known| *known == name).map_or(0.0, |at| row[at]);
    let cosine = if value("slips") > 0.0 { cosine.max(value("cosine")) } else { cosine };
    let found = [cosine, cosine * cosine, cosine * value("covered_low"), cosine * value("frame")];
    std::array::from_fn(|at| if at < COUNT { row[at] } else { found[at - COUNT] })
}

/// Features that count something; their logarithms are weighed, so that a long prompt does not outweigh all else.
const COUNTS: [&str; 17] = [
    "open_low",
    "open_high",
    "siblings",
    "kin",
    "numbers_shared",
    "numbers_high",
    "names_high",
    "code_high",
    "differing_checks",
    "length_low",
    "logic",
    "named_shared",
    "opposites",
    "opposed",
    "part_open",
    "unsaid_low",
    "against",
];

/// The places of [`COUNTS`].
static COUNT_PLACES: LazyLock<Vec<usize>> =
    LazyLock::new(|| (0..COUNT).filter(|&at| COUNTS.contains(&NAMES[at])).collect());

#[derive(Debug, Default, Clone, Copy)]
struct Side {
    covered: f32,
    said: f32,
    worst: f32,
    open: f32,
    open_share: f32,
    heavy: f32,
}

/// The features of a pair.
#[allow(clippy::cast_precision_loss, reason = "counts of some hundred words at most")]
pub(super) fn of(pair: &Pair<'_>, checks: &[Check]) -> [f32; COUNT] {
    let &Pair { a, b, alignment, .. } = pair;
    let (first, second) = (side(a, &alignment.first), side(b, &alignment.second));
    let low = |of: fn(&Side) -> f32| of(&first).min(of(&second));
    let high = |of: fn(&Side) -> f32| of(&first).max(of(&second));
    let lesser = |of: fn(&Parts) -> f32| of(&pair.parts.0).min(of(&pair.parts.1));
    let greater = |of: fn(&Parts) -> f32| of(&pair.parts.0).max(of(&pair.parts.1));
    let bonds =
        |bond: Bond| alignment.first.iter().chain(&alignment.second).filter(|link| link.bond == bond).count() as f32;
    let numbers = (pair.numbers.0.len() as f32, pair.numbers.1.len() as f32);
    let shared = |keep: fn(&Word) -> bool| {
        a.words.iter().zip(&alignment.first).filter(|(word, link)| keep(word) && link.said()).count() as f32
    };
    let names = (named(&a.words, &alignment.first).len() as f32, named(&b.words, &alignment.second).len() as f32);
    let code = |words: &[Word], links: &[Link]| {
        words.iter().zip(links).filter(|(word, link)| word.kind == Kind::Code && !link.said()).count() as f32
    };
    let lengths = (content(&a.words) as f32, content(&b.words) as f32);
    let differing = checks.iter().filter(|check| check.verdict != CheckVerdict::Same).count() as f32;
    let logic = |words: &[Word], links: &[Link]| {
        words
            .iter()
            .zip(links)
            .filter(|(word, link)| {
                matches!(word.role, Role::Negation | Role::Condition | Role::Scope | Role::Comparison | Role::Time)
                    && !link.said()
            })
            .count() as f32
    };
    let mut row = [
        product(&a.vector, &b.vector),
        low(|side| side.covered),
        high(|side| side.covered),
        low(|side| side.said),
        high(|side| side.said),
        said_share(a, b, alignment),
        pair.frame,
        low(|side| side.worst),
        high(|side| side.worst),
        low(|side| side.open),
        high(|side| side.open),
        low(|side| side.open_share),
        high(|side| side.open_share),
        low(|side| side.heavy),
        high(|side| side.heavy),
        bonds(Bond::Sibling),
        bonds(Bond::Kin),
        // A list of numbers says no more than a few do.
        shared(|word| word.kind == Kind::Number).min(3.0),
        numbers.0.max(numbers.1),
        names.0.max(names.1),
        code(&a.words, &alignment.first).max(code(&b.words, &alignment.second)),
        differing,
        inversions(a, alignment),
        lengths.0.min(lengths.1) / lengths.0.max(lengths.1).max(1.0),
        lengths.0.min(lengths.1).min(LONG),
        f32::from(u8::from(a.asks.same(&b.asks))),
        f32::from(u8::from(a.asks.differ(&b.asks))),
        logic(&a.words, &alignment.first) + logic(&b.words, &alignment.second),
        shared(|word| word.named || word.kind == Kind::Code),
        bonds(Bond::Opposite),
        opposed_words(pair) as f32,
        f32::from(u8::from(negations(&a.words) % 2 != negations(&b.words) % 2)),
        lesser(|parts| parts.plain),
        greater(|parts| parts.plain),
        lesser(|parts| parts.part),
        greater(|parts| parts.part),
        topic(lesser(|parts| parts.plain), pair),
        topic(greater(|parts| parts.plain), pair),
        // Each side has something of its own: what one asks for is not what the other asks for.
        low(|side| side.open_share) * high(|side| side.open_share),
        lesser(|parts| parts.part_open),
        lesser(|parts| parts.unsaid),
        against(pair) as f32,
        f32::from(u8::from(a.slips || b.slips)),
    ];
    for &at in COUNT_PLACES.iter() {
        row[at] = row[at].ln_1p();
    }
    row
}

#[allow(clippy::cast_precision_loss, reason = "counts of some hundred words at most")]
fn side(of: &Reading, links: &[Link]) -> Side {
    let words = of.words.as_slice();
    let mut side = Side::default();
    // A list of numbers, or a piece of code, says no more than a few words do.
    let things: f32 = words.iter().filter(|word| word.kind != Kind::Word).map(|word| word.weight).sum();
    let dilution = (MOST_THINGS / things.max(1e-6)).min(1.0);
    let weight_of = |word: &Word| if word.kind == Kind::Word { word.weight } else { word.weight * dilution };
    let all: f32 = words.iter().map(weight_of).sum();
    // The three heaviest; of the same weight, those that stand first.
    let mut heaviest = [(0.0, 0.0); 3];
    let mut content = 0_usize;
    for (word, link) in words.iter().zip(links) {
        side.covered += weight_of(word) * link.score;
        if link.said() {
            side.said += weight_of(word);
        } else {
            side.worst = side.worst.max(word.weight * (1.0 - link.score));
            if word.role == Role::Content && link.score < 0.5 {
                side.open += 1.0;
            }
        }
        if word.role == Role::Content {
            content += 1;
            if let Some(place) = heaviest.iter().position(|(weight, _)| word.weight > *weight) {
                heaviest[place..].rotate_right(1);
                heaviest[place] = (word.weight, link.score);
            }
        }
    }
    side.covered /= all.max(1e-6);
    side.said /= all.max(1e-6);
    side.open_share = side.open / content.max(1) as f32;
    side.heavy = heaviest.iter().map(|(_, score)| score).sum::<f32>() / content.clamp(1, 3) as f32;
    side
}

/// More content words than these make a prompt no surer.
const LONG: f32 = 12.0;

fn content(words: &[Word]) -> usize {
    words.iter().filter(|word| word.role == Role::Content).count()
}

/// The share of pairs of shared words that stand the other way round in the other prompt.
#[allow(clippy::cast_precision_loss, reason = "counts of some hundred words at most")]
fn inversions(a: &Reading, alignment: &Alignment) -> f32 {
    let places: Vec<u16> = a
        .words
        .iter()
        .zip(&alignment.first)
        .filter(|(word, link)| word.role == Role::Content && link.said())
        .map(|(_, link)| u16::try_from(link.partner).unwrap_or(u16::MAX))
        .collect();
    let turned = |(at, place): (usize, &u16)| places[at + 1..].iter().filter(|later| *later < place).count();
    let pairs = places.len() * places.len().saturating_sub(1) / 2;
    places.iter().enumerate().map(turned).sum::<usize>() as f32 / pairs.max(1) as f32
}

/// What all numbers, operators and names out of code of a prompt may weigh together.
const MOST_THINGS: f32 = 2.1;

/// How much of the matter is the same where both ask for the same kind of thing about it; less than nothing where they
/// ask for different kinds.
fn topic(covered: f32, pair: &Pair<'_>) -> f32 {
    if pair.a.asks.same(&pair.b.asks) {
        covered
    } else if pair.a.asks.differ(&pair.b.asks) {
        -covered
    } else {
        0.0
    }
}

/// How many words that only one side says point the other way than a word that only the other side says.
fn opposed_words(pair: &Pair<'_>) -> usize {
    let unsaid = |words: &[Word], links: &[Link]| -> Vec<Word> {
        let open = words.iter().zip(links).filter(|(word, link)| word.role != Role::Filler && !link.said());
        open.map(|(word, _)| word.clone()).collect()
    };
    let (first, second) = (unsaid(&pair.a.words, &pair.alignment.first), unsaid(&pair.b.words, &pair.alignment.second));
    first.iter().filter(|word| second.iter().any(|other| opposed(word, other))).count()
}

/// How many words that only one side says point the other way than any word of the other side.
fn against(pair: &Pair<'_>) -> usize {
    let one_way = |words: &[Word], links: &[Link], others: &[Word]| {
        let open = words.iter().zip(links).filter(|(word, link)| word.role != Role::Filler && !link.said());
        open.filter(|(word, _)| others.iter().any(|other| opposed(word, other))).count()
    };
    one_way(&pair.a.words, &pair.alignment.first, &pair.b.words)
        + one_way(&pair.b.words, &pair.alignment.second, &pair.a.words)
}

fn negations(words: &[Word]) -> usize {
    words.iter().filter(|word| word.role == Role::Negation).count()
}
