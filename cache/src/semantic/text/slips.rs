//! What a word that nobody knows was meant to be: the one common word that a slip or two of the fingers away is.
//!
//! Only words that no list has are looked at, so one known word never becomes another.

use std::sync::LazyLock;

use super::shorthand::expand;
use super::spelling::{is_swap, mistyped};
use super::vocabulary::{Role, role};
use super::wordlist::is_word;
use crate::semantic::embed::table;
use crate::semantic::lexicon::lexicon;

/// The shortest word that may have lost, won or changed a letter; shorter ones only have two letters swapped.
const SHORTEST: usize = 5;
/// The shortest word that two slips may be corrected in.
const LONG: usize = 9;
/// Contractions are written without their mark more often than with other slips.
const CONTRACTIONS: &[&str] =
    &["doesnt", "didnt", "isnt", "wasnt", "wont", "cant", "dont", "shouldnt", "havent", "whats", "cannot"];

/// Words of computing that are younger than the lists.
const YOUNG: &[&str] = &[
    "admin",
    "android",
    "angular",
    "ansible",
    "async",
    "backend",
    "bitcoin",
    "blockchain",
    "boolean",
    "chatbot",
    "cron",
    "crontab",
    "database",
    "dataframe",
    "devops",
    "django",
    "docker",
    "elasticsearch",
    "emoji",
    "enum",
    "ethereum",
    "flexbox",
    "frontend",
    "github",
    "gitlab",
    "grafana",
    "javascript",
    "kafka",
    "kotlin",
    "kubectl",
    "kubernetes",
    "laravel",
    "linux",
    "localhost",
    "macos",
    "microservice",
    "microservices",
    "middleware",
    "mongodb",
    "mysql",
    "nginx",
    "numpy",
    "pandas",
    "podcast",
    "postgres",
    "postgresql",
    "prometheus",
    "pytest",
    "pytorch",
    "redis",
    "regex",
    "router",
    "serverless",
    "signup",
    "smartphone",
    "sqlite",
    "struct",
    "subnet",
    "svelte",
    "terraform",
    "tuple",
    "typescript",
    "ubuntu",
    "webhook",
    "whatsapp",
    "wifi",
    "xcode",
    "yaml",
];

/// The common words of one first letter, by the letters that they have.
#[derive(Debug, Default)]
struct Shelf {
    letters: Vec<u32>,
    words: Vec<&'static str>,
}

/// The common words: whole in the model's vocabulary, and known to the lexicon or a function word.
static SHELVES: LazyLock<[Shelf; 26]> = LazyLock::new(|| {
    let mut shelves: [Shelf; 26] = std::array::from_fn(|_| Shelf::default());
    let is_plain = |word: &str| word.len() > 2 && word.bytes().all(|letter| letter.is_ascii_lowercase());
    let known = |word: &str| role(word) != Role::Content || lexicon().find(word).is_some();
    let words = table().words().filter(|word| is_plain(word) && known(word));
    for word in words.chain(CONTRACTIONS.iter().chain(YOUNG).copied()) {
        if let Some(shelf) = shelf_of(word.as_bytes()[0]) {
            shelves[shelf].letters.push(letters(word));
            shelves[shelf].words.push(word);
        }
    }
    shelves
});

fn shelf_of(letter: u8) -> Option<usize> {
    letter.is_ascii_lowercase().then(|| usize::from(letter - b'a'))
}

/// Which letters a word has, a bit for each.
fn letters(word: &str) -> u32 {
    word.bytes().filter_map(shelf_of).fold(0, |mask, letter| mask | 1 << letter)
}

/// Whether a word needs no correction: it is in a list, or is no plain word at all.
pub(super) fn is_known(word: &str) -> bool {
    word.len() < 3
        || !word.bytes().all(|letter| letter.is_ascii_lowercase())
        || table().number(word).is_some()
        || role(word) != Role::Content
        || expand(word).is_some()
        || lexicon().find(word).is_some()
        || YOUNG.contains(&word)
        || is_word(word)
        || is_made_of_words(word)
}

/// Whether a word is made of two known ones, or of a known one with a beginning: webhook, refactor.
fn is_made_of_words(word: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "re", "un", "pre", "non", "anti", "auto", "co", "de", "dis", "inter", "micro", "mis", "multi", "out", "over",
        "sub", "super", "under",
    ];
    let known = |part: &str| part.len() > 3 && (table().number(part).is_some() || lexicon().find(part).is_some());
    (2..word.len()).any(|at| {
        let (first, second) = word.split_at(at);
        known(second) && (known(first) || BEGINNINGS.contains(&first))
    })
}

/// The common word that an unknown one is a slip of; none where there are several, or none near enough.
///
/// Two letters swapped are the likeliest slip, and one slip is likelier than two.
pub(super) fn corrected(word: &str) -> Option<&'static str> {
    if is_known(word) {
        return None;
    }
    let bytes = word.as_bytes();
    let its = letters(word);
    // The first letter is seldom wrong, but may have changed places with the second.
    let shelves = [shelf_of(bytes[0]), shelf_of(bytes[1]).filter(|_| bytes[0] != bytes[1])].into_iter().flatten();
    let near: Vec<&'static str> = shelves
        .enumerate()
        .flat_map(|(turn, shelf)| {
            let shelf = &SHELVES[shelf];
            let near = shelf.letters.iter().zip(&shelf.words).filter(move |(mask, _)| (*mask ^ its).count_ones() <= 4);
            near.map(|(_, word)| *word).filter(move |known| turn == 0 || role(known) != Role::Content)
        })
        .filter(|known| known.len().abs_diff(word.len()) <= 2)
        .collect();
    // Two letters swapped, one lost or doubled, one hit wrong, and two of these.
    let is_short = word.len() < SHORTEST;
    let is_swapped = |known: &str| is_swap(word, known) && (word.len() > 3 || role(known) != Role::Content);
    likeliest(&near, |known| is_swapped(known) && known.as_bytes()[0] == bytes[0])
        .or_else(|| likeliest(&near, is_swapped))
        .or_else(|| likeliest(&near, |known| !is_short && known.len() != word.len() && mistyped(word, known, 1)))
        .or_else(|| likeliest(&near, |known| !is_short && mistyped(word, known, 1)))
        .or_else(|| likeliest(&near, |known| known.len() >= LONG && mistyped(word, known, 2)))
        .flatten()
}

/// How much rarer all others must be, by the logarithm of their ranks, for one of several words to be the one meant.
const RARER: f32 = 0.1;

/// What a word counts as that the vocabulary does not have.
const YOUNG_RANK: f32 = 0.8;

/// Of some words the one that is meant, if there are any: none where several are as common.
fn likeliest(words: &[&'static str], is_it: impl Fn(&str) -> bool) -> Option<Option<&'static str>> {
    let rank = |word: &str| table().number(word).map_or(YOUNG_RANK, |number| table().weight(number));
    let mut found: Vec<(f32, &str)> =
        words.iter().copied().filter(|word| is_it(word)).map(|word| (rank(word), word)).collect();
    found.sort_by(|(one, word), (other, its)| one.total_cmp(other).then(word.cmp(its)));
    let (first, word) = *found.first()?;
    Some(found.get(1).is_none_or(|(second, _)| second - first >= RARER).then_some(word))
}

#[cfg(test)]
mod tests {
    use super::corrected;

    #[test]
    fn a_slip_is_the_one_common_word_near_it() {
        for (slip, meant) in [
            ("pyhton", "python"),
            ("hwo", "how"),
            ("waht", "what"),
            ("circumfrence", "circumference"),
            ("temprature", "temperature"),
            ("dosent", "doesnt"),
            ("resignaton", "resignation"),
        ] {
            assert_eq!(corrected(slip), Some(meant), "{slip}");
        }
    }

    #[test]
    fn known_words_and_names_stay_what_they_are() {
        for word in ["form", "from", "python", "deploying", "kubectl", "nginx", "grafana", "é", "k8s", "xq", "zzzzzzz"]
        {
            assert_eq!(corrected(word), None, "{word}");
        }
    }
}
