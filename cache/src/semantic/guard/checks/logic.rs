//! Small words that turn a question round: not, unless, only, more, before. They count where the rest is close.

use super::super::align::Link;
use super::{Check, CheckVerdict, Pair, Reason, check, outcome, sides};
use crate::semantic::text::{Reading, Role, Word, begins_part};

/// The share of words in common from which a "not" or another tense is the point.
const TURNED: f32 = 0.45;

/// Negations must come in the same number where the prompts are close.
pub(super) fn negation(pair: &Pair<'_>) -> Check {
    let (first, second) = (of(&pair.a.words, Role::Negation), of(&pair.b.words, Role::Negation));
    let differs = first.len() % 2 != second.len() % 2;
    check(
        Reason::Negation,
        outcome(pair.frame >= TURNED && differs, differs),
        if differs { sides(&first, &second) } else { String::new() },
    )
}

pub(super) fn condition(pair: &Pair<'_>) -> Check {
    let unless = |words: &[Word]| words.iter().any(|word| word.text == "unless");
    let differs = unless(&pair.a.words) != unless(&pair.b.words);
    check(Reason::Condition, outcome(pair.close && differs, differs), if differs { "if | unless" } else { "" })
}

/// The share of words in common from which what stands behind "if" or "because" is held against the other's.
const SAME_QUESTION: f32 = 0.35;

/// What stands behind "if" or "because" in one prompt must have something of what stands there in the other.
pub(super) fn circumstance(pair: &Pair<'_>) -> Check {
    let (first, second) = (behind(pair.a, &pair.alignment.first), behind(pair.b, &pair.alignment.second));
    let differ = |(word, its, share): &Behind<'_>| {
        let (_, others, its_share) = second.iter().find(|(other, _, _)| other == word)?;
        (*share > 0.5 && *its_share > 0.5).then(|| sides(its, others))
    };
    let found = first.iter().find_map(differ);
    let wrong = pair.frame >= SAME_QUESTION && found.is_some();
    check(Reason::Condition, outcome(wrong, false), found.filter(|_| wrong).unwrap_or_default())
}

/// A word like "if", what stands behind it and nowhere in the other prompt, and how much of its part that is.
type Behind<'w> = (&'w str, Vec<&'w str>, f32);

fn behind<'w>(reading: &'w Reading, links: &[Link]) -> Vec<Behind<'w>> {
    let words = &reading.words;
    let opens = |at: &usize| begins_part(&words[*at].text);
    let its = |at: usize| {
        let part = (at..words.len()).take_while(|&other| reading.parts[other] == reading.parts[at]);
        let content: Vec<usize> = part.filter(|&at| words[at].role == Role::Content).collect();
        let is_open = |at: &&usize| !links[**at].said() && links[**at].score < NEAR;
        let open: Vec<&usize> = content.iter().filter(is_open).collect();
        let all: f32 = content.iter().map(|&at| words[at].weight).sum();
        let share = open.iter().map(|&&at| words[at].weight).sum::<f32>() / all.max(1e-6);
        (words[at].text.as_str(), open.iter().map(|&&at| words[at].text.as_str()).collect(), share)
    };
    // A question opens with "when", a condition does not.
    (0..words.len()).filter(opens).filter(|at| *at > 0 || words[0].text != "when").map(its).collect()
}

/// How near a word's best partner may at least be, to be something of it.
const NEAR: f32 = 0.6;

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
    let dated = |words: &[&str]| words.iter().any(|word| is_date(word));
    // Another month or day of the week is another one however the rest is put.
    if dated(&first) && dated(&second) {
        return check(Reason::Time, CheckVerdict::Contradicts, sides(&first, &second));
    }
    let (one, other) = (pointers(&pair.a.words), pointers(&pair.b.words));
    if pair.frame >= SAME_QUESTION && !one.is_empty() && !other.is_empty() && one != other {
        return check(Reason::Time, CheckVerdict::Contradicts, sides(&one, &other));
    }
    let (tense, its) = (tenses(&pair.a.words), tenses(&pair.b.words));
    if pair.frame >= TURNED && tense != 0 && its != 0 && tense & its == 0 {
        return check(Reason::Time, CheckVerdict::Contradicts, format!("{} | {}", named(tense), named(its)));
    }
    both(pair, Reason::Time, &first, &second)
}

fn is_date(word: &str) -> bool {
    matches!(
        word,
        "monday"
            | "tuesday"
            | "wednesday"
            | "thursday"
            | "friday"
            | "saturday"
            | "sunday"
            | "january"
            | "february"
            | "march"
            | "april"
            | "may-month"
            | "june"
            | "july"
            | "august"
            | "september"
            | "october"
            | "november"
            | "december"
    )
}

/// This, last or next year, or week, or night.
fn pointers(words: &[Word]) -> Vec<&str> {
    let is_span = |word: &Word| {
        is_date(&word.text)
            || matches!(
                &*word.base,
                "year"
                    | "month"
                    | "week"
                    | "weekend"
                    | "quarter"
                    | "season"
                    | "night"
                    | "morning"
                    | "evening"
                    | "decade"
                    | "century"
                    | "summer"
                    | "winter"
                    | "spring"
                    | "autumn"
                    | "semester"
            )
    };
    let pointer = |word: &Word| match word.text.as_str() {
        "this" | "current" => Some("this"),
        "last" | "previous" | "past" => Some("last"),
        "next" | "coming" | "following" => Some("next"),
        _ => None,
    };
    words.windows(2).filter(|two| is_span(&two[1])).filter_map(|two| pointer(&two[0])).collect()
}

/// Past, and present or future: a bit for each that a verb of the prompt stands in.
fn tenses(words: &[Word]) -> u8 {
    let tense = |word: &Word| match word.text.as_str() {
        "was" | "were" | "did" => 1,
        "is" | "are" | "does" | "will" => 2,
        _ => 0,
    };
    words.iter().map(tense).fold(0, |all, its| all | its)
}

fn named(tenses: u8) -> &'static str {
    match tenses {
        1 => "past",
        2 => "present",
        _ => "both",
    }
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
