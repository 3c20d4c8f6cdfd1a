//! Small words that turn a question round: not, unless, only, more, before. They count where the rest is close.

use super::{Check, Pair, Reason, check, outcome, sides};
use crate::semantic::text::{Role, Word};

/// Negations must come in the same number where the prompts are close.
pub(super) fn negation(pair: &Pair<'_>) -> Check {
    let (first, second) = (of(&pair.a.words, Role::Negation), of(&pair.b.words, Role::Negation));
    let differs = first.len() % 2 != second.len() % 2;
    check(
        Reason::Negation,
        outcome(pair.close && differs, differs),
        if differs { sides(&first, &second) } else { String::new() },
    )
}

pub(super) fn condition(pair: &Pair<'_>) -> Check {
    let unless = |words: &[Word]| words.iter().any(|word| word.text == "unless");
    let differs = unless(&pair.a.words) != unless(&pair.b.words);
    check(Reason::Condition, outcome(pair.close && differs, differs), if differs { "if | unless" } else { "" })
}

pub(super) fn comparison(pair: &Pair<'_>) -> Check {
    let (mut first, mut second) = exclusive(pair, Role::Comparison);
    if pair.close {
        let (a, b) = super::unsaid(pair);
        let superlative = |words: &'_ [Word], places: &[usize]| -> Vec<usize> {
            places.iter().copied().filter(|&at| words[at].text.len() > 4 && words[at].text.ends_with("est")).collect()
        };
        first.extend(superlative(&pair.a.words, &a).iter().map(|&at| pair.a.words[at].text.as_str()));
        second.extend(superlative(&pair.b.words, &b).iter().map(|&at| pair.b.words[at].text.as_str()));
    }
    both(pair, Reason::Comparison, &first, &second)
}

/// The share of words in common from which an "only" on one side contradicts.
const NARROWED: f32 = 0.45;

pub(super) fn scope(pair: &Pair<'_>) -> Check {
    let (first, second) = exclusive(pair, Role::Scope);
    let only = |words: &[&str]| words.iter().any(|word| matches!(*word, "only" | "except" | "excluding"));
    let differs = !first.is_empty() || !second.is_empty();
    // "only" narrows a question even where a good deal of the rest is put in other words.
    let narrowed = pair.frame >= NARROWED && (only(&first) || only(&second));
    let wrong = narrowed || (pair.close && !first.is_empty() && !second.is_empty());
    check(Reason::Scope, outcome(wrong, differs), sides(&first, &second))
}

pub(super) fn time(pair: &Pair<'_>) -> Check {
    let (first, second) = exclusive(pair, Role::Time);
    both(pair, Reason::Time, &first, &second)
}

fn both(pair: &Pair<'_>, name: Reason, first: &[&str], second: &[&str]) -> Check {
    let differs = !first.is_empty() || !second.is_empty();
    check(name, outcome(pair.close && !first.is_empty() && !second.is_empty(), differs), sides(first, second))
}

fn of(words: &[Word], role: Role) -> Vec<&str> {
    words.iter().filter(|word| word.role == role).map(|word| word.text.as_str()).collect()
}

/// The words of a role that only one prompt has.
fn exclusive<'p>(pair: &Pair<'p>, role: Role) -> (Vec<&'p str>, Vec<&'p str>) {
    let only = |words: &'p [Word], links: &[super::super::align::Link]| -> Vec<&'p str> {
        words
            .iter()
            .zip(links)
            .filter(|(word, link)| word.role == role && !link.said())
            .map(|(word, _)| word.text.as_str())
            .collect()
    };
    (only(&pair.a.words, &pair.alignment.first), only(&pair.b.words, &pair.alignment.second))
}
