//! What makes two prompts different, whatever else they share. Each check names its reason and the words it saw.
//!
//! - `sets`: quotations, identifiers, numbers with units and versions, named things.
//! - `logic`: negation, condition, scope, comparison, time.
//! - `matter`: what long prompts, and prompts about one piece of code, have in common besides.
//! - `small`: how many are meant, and on what occasion.
//! - `order`: direction and swapped parts.
//! - `words`: opposites, task, substituted and added words.

mod logic;
mod matter;
mod order;
mod sets;
mod small;
mod words;

pub(super) use sets::named;

use super::align::Alignment;
use super::parts::Parts;
use super::verdict::{Check, CheckVerdict, Reason};
use crate::semantic::fixed::FixedMap;
use crate::semantic::text::{Kind, Reading, Role, Word};

/// Two prompts with their alignment, as a check sees them.
pub(super) struct Pair<'p> {
    pub(super) a: &'p Reading,
    pub(super) b: &'p Reading,
    pub(super) alignment: &'p Alignment,
    /// The share of words, function words included, that both have.
    pub(super) frame: f32,
    /// Whether so much is the same that what is left over is the point.
    pub(super) close: bool,
    /// How much of each prompt the other covers.
    pub(super) parts: (Parts, Parts),
    /// Places of the numbers that only one prompt has.
    pub(super) numbers: (Vec<usize>, Vec<usize>),
}

/// The share of words in common from which two prompts count as one frame with something else in it.
const CLOSE: f32 = 0.55;

impl<'p> Pair<'p> {
    pub(super) fn of(a: &'p Reading, b: &'p Reading, alignment: &'p Alignment) -> Self {
        let frame = frame(a, b);
        let numbers = (sets::only(&a.words, &b.words), sets::only(&b.words, &a.words));
        let parts = (Parts::of(a, &alignment.first), Parts::of(b, &alignment.second));
        Self { a, b, alignment, frame, close: frame >= CLOSE, parts, numbers }
    }
}

/// Runs every check, in the order in which a reason is the more telling.
pub(super) fn run(pair: &Pair<'_>) -> Vec<Check> {
    let mut checks = vec![
        order::direction(pair),
        order::swap(pair),
        logic::negation(pair),
        logic::condition(pair),
        logic::circumstance(pair),
        words::antonym(pair),
        logic::comparison(pair),
        logic::scope(pair),
        small::quantity(pair),
        small::occasion(pair),
        logic::time(pair),
    ];
    checks.extend(sets::numbers(pair));
    checks.extend([
        sets::quoted(pair),
        words::language(pair),
        sets::unit(pair),
        sets::identifier(pair),
        sets::entity(pair),
        words::task(pair),
        matter::task(pair),
        matter::long(pair),
        matter::added(pair),
        words::constraint(pair),
        words::substitution(pair),
    ]);
    checks
}

/// The share of the weight of all words that is said in both prompts.
pub(super) fn said_share(a: &Reading, b: &Reading, alignment: &Alignment) -> f32 {
    let sides = || a.words.iter().zip(&alignment.first).chain(b.words.iter().zip(&alignment.second));
    let all: f32 = sides().map(|(word, _)| word.weight).sum();
    let said: f32 = sides().filter(|(_, link)| link.said()).map(|(word, _)| word.weight).sum();
    if all > 0.0 { said / all } else { 0.0 }
}

/// The share of words, function words included, that both prompts have as they stand.
#[allow(clippy::cast_precision_loss, reason = "some hundred words at most")]
fn frame(a: &Reading, b: &Reading) -> f32 {
    let mut left: FixedMap<&str, usize> = FixedMap::default();
    for word in &b.words {
        *left.entry(&*word.base).or_default() += 1;
    }
    let mut shared = 0_usize;
    for word in &a.words {
        if let Some(count) = left.get_mut(&*word.base).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    shared as f32 / (a.words.len() + b.words.len() - shared).max(1) as f32
}

fn check(name: Reason, verdict: CheckVerdict, detail: impl Into<String>) -> Check {
    Check { name, verdict, detail: detail.into() }
}

/// `Contradicts` if `wrong`, else `Differs` if `other`, else `Same`.
fn outcome(wrong: bool, other: bool) -> CheckVerdict {
    match (wrong, other) {
        (true, _) => CheckVerdict::Contradicts,
        (false, true) => CheckVerdict::Differs,
        (false, false) => CheckVerdict::Same,
    }
}

/// "x | y": what only the first has, and what only the second has.
fn sides(first: &[&str], second: &[&str]) -> String {
    if first.is_empty() && second.is_empty() {
        String::new()
    } else {
        format!("{} | {}", first.join(", "), second.join(", "))
    }
}

/// Content words that the other prompt does not say, on each side.
pub(super) fn unsaid<'p>(pair: &Pair<'p>) -> (Vec<usize>, Vec<usize>) {
    let of = |words: &'p [Word], links: &'p [super::align::Link]| {
        let open = |(at, (word, link)): (usize, (&Word, &super::align::Link))| {
            (word.role == Role::Content && word.kind != Kind::Number && !link.said()).then_some(at)
        };
        words.iter().zip(links).enumerate().filter_map(open).collect::<Vec<_>>()
    };
    (of(&pair.a.words, &pair.alignment.first), of(&pair.b.words, &pair.alignment.second))
}
