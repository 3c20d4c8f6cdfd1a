//! Content words: opposites, other tasks, other languages, a word in another's place, and words that only one prompt has.

use std::sync::LazyLock;

use super::super::align::{Bond, Link, stands_for};
use super::{Check, CheckVerdict, Pair, Reason, check, outcome, sides, unsaid};
use crate::semantic::fixed::{FixedMap, Words, words};
use crate::semantic::text::{Kind, Role, Word, opposed, prefixed};

/// A word whose opposite the other prompt has, and which the other prompt does not say.
pub(super) fn antonym(pair: &Pair<'_>) -> Check {
    let (a, b) = (&pair.alignment.first, &pair.alignment.second);
    let opposite = |links: &[Link], back: &[Link], words: &[Word], others: &[Word]| {
        links
            .iter()
            .enumerate()
            .find(|(_, link)| link.bond == Bond::Opposite && back.get(link.partner).is_some_and(|other| !other.said()))
            .map(|(at, link)| format!("{} | {}", words[at].text, others[link.partner].text))
    };
    let found = opposite(a, b, &pair.a.words, &pair.b.words);
    // exothermic, endothermic: two forms of one word, whatever stands around them.
    let (first, second) = unsaid(pair);
    let turned = || {
        first.iter().find_map(|&at| {
            let word = &pair.a.words[at];
            let other = second.iter().map(|&at| &pair.b.words[at]).find(|other| prefixed(&word.text, &other.text))?;
            Some(format!("{} | {}", word.text, other.text))
        })
    };
    if let Some(turned) = turned() {
        return check(Reason::Antonym, outcome(pair.frame >= SAME_MATTER, true), turned);
    }
    let found = found.or_else(|| if pair.close { pointing_apart(pair) } else { None });
    check(Reason::Antonym, outcome(pair.close && found.is_some(), found.is_some()), found.unwrap_or_default())
}

/// Words that only one side has, small ones too, of which one points the other way than the other.
fn pointing_apart(pair: &Pair<'_>) -> Option<String> {
    let open = |words: &'_ [Word], links: &[Link]| -> Vec<Word> {
        words.iter().zip(links).filter(|(_, link)| !link.said()).map(|(word, _)| word.clone()).collect()
    };
    let (first, second) = (open(&pair.a.words, &pair.alignment.first), open(&pair.b.words, &pair.alignment.second));
    first.iter().find_map(|word| {
        let other = second.iter().find(|other| opposed(word, other))?;
        Some(format!("{} | {}", word.text, other.text))
    })
}

static LANGUAGES: LazyLock<Words<'static>> = LazyLock::new(|| {
    words(
        " english french spanish german italian portuguese dutch polish czech russian ukrainian turkish greek arabic hebrew hindi urdu bengali chinese mandarin cantonese japanese korean vietnamese thai swedish norwegian danish finnish hungarian romanian bulgarian serbian croatian latin welsh irish gaelic catalan basque swahili persian farsi tamil indonesian malay python java javascript typescript ruby rust go c c++ c# kotlin swift scala php perl haskell erlang elixir bash powershell sql r matlab julia lua dart clojure fortran cobol groovy zig ",
    )
});

/// Natural and programming languages that only one prompt has, on both sides.
pub(super) fn language(pair: &Pair<'_>) -> Check {
    let (first, second) = listed_only(pair, &LANGUAGES);
    let differs = !first.is_empty() || !second.is_empty();
    check(
        Reason::Language,
        outcome(!first.is_empty() && !second.is_empty(), differs),
        if differs { format!("{} | {}", first.join(", "), second.join(", ")) } else { String::new() },
    )
}

/// Things of one kind: where each prompt names another one of them, they ask about other things, however they are put.
static KINDS: LazyLock<FixedMap<&str, u32>> = LazyLock::new(|| {
    let lists = [
        " area perimeter circumference volume radius diameter hypotenuse ",
        " mean median mode variance deviation ",
        " red blue green yellow orange purple pink brown black white grey gray ",
        " spring summer autumn winter ",
        " dog cat horse rabbit hamster parrot goldfish cow sheep goat chicken duck ",
        " knee ankle hip shoulder elbow wrist neck ",
        " guitar violin piano flute drum trumpet saxophone cello clarinet harp ",
        " beef pork lamb chicken turkey salmon tuna shrimp tofu ",
        " android iphone windows macos linux ",
        " boat bicycle motorcycle bus truck ",
        " breakfast lunch dinner ",
        " iron copper gold silver zinc aluminium aluminum nickel lead ",
        " mercury venus mars jupiter saturn uranus neptune pluto ",
    ];
    let mut kinds = FixedMap::default();
    for (number, list) in lists.into_iter().enumerate() {
        for word in list.split_ascii_whitespace() {
            *kinds.entry(word).or_default() |= 1 << number;
        }
    }
    kinds
});

/// The kinds of things that only one prompt names, a bit for each.
fn kinds_only(words: &[Word], links: &[Link]) -> u32 {
    let open = words.iter().zip(links).filter(|(_, link)| !link.said());
    open.filter_map(|(word, _)| KINDS.get(word.text.as_str())).fold(0, |all, its| all | its)
}

/// The words of a list that only one prompt has, on each side.
fn listed_only(pair: &Pair<'_>, list: &Words<'_>) -> (Vec<String>, Vec<String>) {
    let open = |words: &[Word], links: &[Link]| -> Vec<String> {
        let found = words.iter().zip(links).filter(|(word, link)| !link.said() && list.contains(word.text.as_str()));
        found.map(|(word, _)| word.text.clone()).collect()
    };
    (open(&pair.a.words, &pair.alignment.first), open(&pair.b.words, &pair.alignment.second))
}

const TASKS: &[(&str, &str)] = &[
    ("explain", " explain describe elucidate clarify "),
    ("summarise", " summarize summarise summary shorten condense recap "),
    ("translate", " translate translation "),
    ("reply", " reply respond answer "),
    ("classify", " classify categorize label rate "),
    ("correct", " proofread correct fix debug repair "),
    ("convert", " convert port "),
    ("rewrite", " rewrite rephrase paraphrase reword "),
    ("review", " review critique evaluate "),
    ("test", " tests quiz "),
    ("compare", " compare versus "),
    ("cancel", " cancel terminate "),
    ("list", " list enumerate "),
    ("optimise", " optimize optimise speed "),
    ("quiz", " quiz "),
    ("essay", " essay "),
    ("poem", " poem haiku limerick sonnet "),
    ("story", " story tale "),
];

/// The task that a word names; of a word in two lists, the first list's.
static TASK_OF: LazyLock<FixedMap<&str, &str>> = LazyLock::new(|| {
    let mut tasks = FixedMap::default();
    for (task, list) in TASKS {
        for word in list.split_ascii_whitespace() {
            tasks.entry(word).or_insert(*task);
        }
    }
    tasks
});

/// The share of words in common from which two tasks are about the same thing.
const SAME_MATTER: f32 = 0.35;

/// The prompt's first words name what is to be done.
pub(super) fn task(pair: &Pair<'_>) -> Check {
    let of = |words: &[Word]| words.iter().take(4).find_map(|word| TASK_OF.get(word.text.as_str()).copied());
    let (first, second) = (of(&pair.a.words), of(&pair.b.words));
    let differs = first != second;
    let both = first.is_some() && second.is_some();
    let wrong = differs && both && pair.frame >= SAME_MATTER;
    let detail = if differs { format!("{} | {}", first.unwrap_or(""), second.unwrap_or("")) } else { String::new() };
    check(Reason::Task, outcome(wrong, differs), detail)
}

/// How near a word's best partner may at least be, not to count as another word in its place.
const NEAR: f32 = 0.5;

/// In close prompts: content words on both sides that the other does not say.
pub(super) fn substitution(pair: &Pair<'_>) -> Check {
    let (first, second) = unsaid(pair);
    let far = |places: &[usize], links: &[Link]| {
        places.iter().any(|&at| links[at].score < NEAR || links[at].bond == Bond::Sibling)
    };
    let wrong = pair.close
        && !first.is_empty()
        && !second.is_empty()
        && (far(&first, &pair.alignment.first) || far(&second, &pair.alignment.second));
    let differs = !first.is_empty() || !second.is_empty();
    let replaced = replaced(pair);
    let other =
        kinds_only(&pair.a.words, &pair.alignment.first) & kinds_only(&pair.b.words, &pair.alignment.second) != 0;
    let detail = if replaced.is_empty() || wrong { texts(pair, &first, &second) } else { replaced.clone() };
    check(Reason::Substitution, outcome(wrong || other || !replaced.is_empty(), differs), detail)
}

/// Word for word the same, but for a few places where another word stands.
fn replaced(pair: &Pair<'_>) -> String {
    let (a, b) = (&pair.a.words, &pair.b.words);
    if a.len() != b.len() || !pair.close {
        return String::new();
    }
    let places: Vec<(&Word, &Word)> = a.iter().zip(b).filter(|(one, other)| one.base != other.base).take(5).collect();
    if places.len() > 4 {
        return String::new();
    }
    let another = |(one, other): &&(&Word, &Word)| {
        one.role != Role::Filler && other.role != Role::Filler && !stands_for(one, other)
    };
    // The same words in other places are a matter of order, which has its own check.
    let moved = places.iter().all(|(one, _)| places.iter().any(|(_, other)| one.base == other.base));
    if moved {
        return String::new();
    }
    places.iter().find(another).map(|(one, other)| format!("{} | {}", one.text, other.text)).unwrap_or_default()
}

/// In close prompts: content that only one side has, while the other has nothing of its own.
pub(super) fn constraint(pair: &Pair<'_>) -> Check {
    let (first, second) = unsaid(pair);
    let weight = |words: &[Word], places: &[usize]| {
        places.iter().filter(|&&at| words[at].kind != Kind::Operator).map(|&at| words[at].weight).sum::<f32>()
    };
    let (a, b) = (weight(&pair.a.words, &first), weight(&pair.b.words, &second));
    let verdict = if first.is_empty() && second.is_empty() {
        CheckVerdict::Same
    } else {
        outcome(pair.close && a.min(b) == 0.0 && a.max(b) > 0.6, true)
    };
    check(Reason::Constraint, verdict, texts(pair, &first, &second))
}

fn texts(pair: &Pair<'_>, first: &[usize], second: &[usize]) -> String {
    let of = |words: &'_ [Word], places: &[usize]| places.iter().map(|&at| words[at].text.clone()).collect::<Vec<_>>();
    let (a, b) = (of(&pair.a.words, first), of(&pair.b.words, second));
    sides(&a.iter().map(String::as_str).collect::<Vec<_>>(), &b.iter().map(String::as_str).collect::<Vec<_>>())
}
