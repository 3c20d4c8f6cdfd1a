//! What is weighed: some thirty numbers about a pair, each with a name and the same whichever prompt comes first.

use std::sync::LazyLock;

use super::align::{Alignment, Bond, Link};
use super::checks::{Pair, named, said_share};
use super::verdict::{Check, CheckVerdict};
use crate::semantic::embed::product;
use crate::semantic::text::{Kind, Reading, Role, Word};

/// How many features there are.
pub(super) const COUNT: usize = NAMES.len();

/// The features' names, in their order; `_low` and `_high` are the lesser and the greater of the two sides.
pub const NAMES: [&str; 31] = [
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
    "numbers_low",
    "numbers_high",
    "names_low",
    "names_high",
    "code_high",
    "differing_checks",
    "inversions",
    "length_ratio",
    "length_low",
    "question",
    "logic",
    "named_shared",
    "opposites",
];

/// What is weighed beside them of a candidate that all-MiniLM-L6-v2 found: the cosine of its vectors, alone, squared, and
/// times how much of either prompt the other covers and how much of their frame is the same.
pub(super) const FOUND: [&str; 4] =
    ["model_cosine", "model_cosine_squared", "model_cosine_covered", "model_cosine_frame"];

/// How many features such a candidate has.
pub(super) const FOUND_COUNT: usize = COUNT + FOUND.len();

/// Adds what the model's cosine says to the features of a pair.
pub(super) fn with_cosine(row: &[f32; COUNT], cosine: f32) -> [f32; FOUND_COUNT] {
    let value = |name: &str| NAMES.iter().position(|known| *known == name).map_or(0.0, |at| row[at]);
    let found = [cosine, cosine * cosine, cosine * value("covered_low"), cosine * value("frame")];
    std::array::from_fn(|at| if at < COUNT { row[at] } else { found[at - COUNT] })
}

/// Features that count something; their logarithms are weighed, so that a long prompt does not outweigh all else.
const COUNTS: [&str; 15] = [
    "open_low",
    "open_high",
    "siblings",
    "kin",
    "numbers_shared",
    "numbers_low",
    "numbers_high",
    "names_low",
    "names_high",
    "code_high",
    "differing_checks",
    "length_low",
    "logic",
    "named_shared",
    "opposites",
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
    let (first, second) = (side(&a.words, &alignment.first), side(&b.words, &alignment.second));
    let low = |of: fn(&Side) -> f32| of(&first).min(of(&second));
    let high = |of: fn(&Side) -> f32| of(&first).max(of(&second));
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
        shared(|word| word.kind == Kind::Number),
        numbers.0.min(numbers.1),
        numbers.0.max(numbers.1),
        names.0.min(names.1),
        names.0.max(names.1),
        code(&a.words, &alignment.first).max(code(&b.words, &alignment.second)),
        differing,
        inversions(a, alignment),
        lengths.0.min(lengths.1) / lengths.0.max(lengths.1).max(1.0),
        lengths.0.min(lengths.1),
        question(a, b),
        logic(&a.words, &alignment.first) + logic(&b.words, &alignment.second),
        shared(|word| word.named || word.kind == Kind::Code),
        bonds(Bond::Opposite),
    ];
    for &at in COUNT_PLACES.iter() {
        row[at] = row[at].ln_1p();
    }
    row
}

#[allow(clippy::cast_precision_loss, reason = "counts of some hundred words at most")]
fn side(words: &[Word], links: &[Link]) -> Side {
    let mut side = Side::default();
    let all: f32 = words.iter().map(|word| word.weight).sum();
    // The three heaviest; of the same weight, those that stand first.
    let mut heaviest = [(0.0, 0.0); 3];
    let mut content = 0_usize;
    for (word, link) in words.iter().zip(links) {
        side.covered += word.weight * link.score;
        if link.said() {
            side.said += word.weight;
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

/// What kind of thing is asked for, by its cues; the first cue found decides, so that "how often" is not "how".
const QUESTIONS: [(&str, &[&str]); 10] = [
    ("often", &["how often", "how frequently", "how many times", "how regularly"]),
    ("duration", &["how long", "how much time", "duration", "how many hours", "how many minutes", "how many days"]),
    ("count", &["how many", "number of", "count"]),
    ("amount", &["how much", "what does it cost", "price", "cost"]),
    ("cause", &["why", "reason", "cause", "how come"]),
    ("person", &["who ", "whom", "which company", "which person"]),
    ("place", &["where"]),
    ("moment", &["when ", "what time", "which year", "which month", "what year", "which date", "what date"]),
    ("choice", &["which ", "what is the best", "recommend", "suggest"]),
    ("method", &["how ", "way to", "steps", "process", "explain"]),
];

/// The cues that begin with a letter, each with its kind.
static CUES: LazyLock<[Vec<(&str, usize)>; 256]> = LazyLock::new(|| {
    let mut cues = std::array::from_fn(|_| Vec::new());
    for (kind, (_, its)) in QUESTIONS.iter().enumerate() {
        for cue in *its {
            if let Some(&letter) = cue.as_bytes().first() {
                cues[usize::from(letter)].push((*cue, kind));
            }
        }
    }
    cues
});

/// The first of the kinds whose cues a prompt has.
fn kind_of_question(plain: &str) -> Option<usize> {
    let plain = plain.as_bytes();
    let mut first = QUESTIONS.len();
    for (at, &letter) in plain.iter().enumerate() {
        for (cue, kind) in &CUES[usize::from(letter)] {
            if *kind < first && plain[at..].starts_with(cue.as_bytes()) {
                first = *kind;
            }
        }
    }
    (first < QUESTIONS.len()).then_some(first)
}

/// 1 where both prompts ask the same kind of question, 0 where they ask different ones, one half where one asks none.
fn question(a: &Reading, b: &Reading) -> f32 {
    match (kind_of_question(&a.plain), kind_of_question(&b.plain)) {
        (Some(one), Some(other)) if one == other => 1.0,
        (Some(_), Some(_)) => 0.0,
        _ => 0.5,
    }
}
