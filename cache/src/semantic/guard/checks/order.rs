//! The same words in another order: from A to B against from B to A, Disney buys Pixar against Pixar buys Disney.

use super::{Check, Pair, Reason, check, outcome};
use crate::semantic::fixed::Words;
use crate::semantic::text::{Kind, Reading, Role, Word};

/// How far behind "from" or "to" its thing may stand.
const REACH: usize = 4;

/// What stands behind "from" in one prompt must not stand behind "to" in the other.
pub(super) fn direction(pair: &Pair<'_>) -> Check {
    let (a, b) = (&pair.a.words, &pair.b.words);
    let crossed = |one: &[Word], other: &[Word]| -> Option<String> {
        let (from, to) = (behind(one, &["from"]), behind(other, &["to", "into"]));
        if from.is_empty() || to.is_empty() {
            return None;
        }
        let (to, also_to, also_from): (Words<'_>, Words<'_>, Words<'_>) = (
            to.into_iter().collect(),
            behind(one, &["to", "into"]).into_iter().collect(),
            behind(other, &["from"]).into_iter().collect(),
        );
        let is_crossed = |word: &str| to.contains(word) && !also_to.contains(word) && !also_from.contains(word);
        from.into_iter().find(|word| is_crossed(word)).map(str::to_owned)
    };
    // "to" with another thing of the two, where both prompts name both: 50 euros to francs.
    let turned = || -> Option<String> {
        let (one, other) = (first_behind(a, "to")?, first_behind(b, "to")?);
        let says = |words: &[Word], text: &str| words.iter().any(|word| word.text == text);
        (one != other
            && pair.close
            && says(a, other)
            && says(b, one)
            && !behind(a, &["to"]).contains(&other)
            && !behind(b, &["to"]).contains(&one))
        .then(|| format!("{one}, {other}"))
    };
    let found = crossed(a, b).or_else(|| crossed(b, a)).or_else(turned);
    check(Reason::Direction, outcome(found.is_some(), false), found.unwrap_or_default())
}

fn behind<'w>(words: &'w [Word], markers: &[&str]) -> Vec<&'w str> {
    let mut found = Vec::new();
    for (at, _) in words.iter().enumerate().filter(|(_, word)| markers.contains(&word.text.as_str())) {
        let after = words[at + 1..].iter().take(REACH).take_while(|word| {
            word.role != Role::Direction
                && !matches!(word.text.as_str(), "and" | "by" | "on" | "in" | "for" | "with" | "at")
        });
        found.extend(
            after.filter(|word| word.role == Role::Content && word.kind != Kind::Number).map(|word| word.text.as_str()),
        );
    }
    found
}

fn first_behind<'w>(words: &'w [Word], marker: &str) -> Option<&'w str> {
    let last = words.iter().rposition(|word| word.text == marker)?;
    words[last + 1..]
        .iter()
        .take(REACH)
        .find(|word| word.role == Role::Content && word.kind != Kind::Number)
        .map(|word| word.text.as_str())
}

/// Two parts that changed places while all the rest stays where it is, unless the two stand in one list.
pub(super) fn swap(pair: &Pair<'_>) -> Check {
    let found = swapped(pair.a, pair.b).or_else(|| taught_by(pair));
    check(Reason::Order, outcome(found.is_some(), false), found.unwrap_or_default())
}

fn swapped(a: &Reading, b: &Reading) -> Option<String> {
    let (a, b) = (&a.words, &b.words);
    if a.len() != b.len() {
        return None;
    }
    let moved: Vec<usize> = (0..a.len()).filter(|&at| a[at].text != b[at].text).collect();
    let (&first, &last) = (moved.first()?, moved.last()?);
    let half = moved.len() / 2;
    if !moved.len().is_multiple_of(2) || moved.len() > 8 {
        return None;
    }
    // The words that moved into the first half's places are those that left the second half's, in any order.
    let texts = |words: &[Word], places: &[usize]| {
        let mut texts: Vec<String> = places.iter().map(|&at| words[at].text.clone()).collect();
        texts.sort();
        texts
    };
    if texts(a, &moved) != texts(b, &moved) || (texts(a, &moved[..half]) != texts(b, &moved[half..])) {
        return None;
    }
    if moved.iter().any(|&at| matches!(a[at].role, Role::Filler | Role::Direction | Role::Time)) {
        return None;
    }
    let listed =
        a[first..=last].iter().enumerate().any(|(at, word)| matches!(word.text.as_str(), "and" | "or") && at <= 3);
    let numbers = moved.iter().all(|&at| a[at].kind == Kind::Number);
    let harmless = listed || (numbers && moved.len() > 2);
    (!harmless).then(|| format!("{}, {}", a[first].text, a[last].text))
}

/// "Who taught Aristotle" against "who was taught by Aristotle": the same words, and only one has "by".
fn taught_by(pair: &Pair<'_>) -> Option<String> {
    let content = |words: &[Word]| -> Vec<String> {
        words
            .iter()
            .filter(|word| word.role == Role::Content || word.text == "who")
            .map(|word| word.text.clone())
            .collect()
    };
    let by = |words: &[Word]| words.iter().any(|word| word.text == "by");
    let opens = |words: &[Word]| words.first().is_some_and(|word| word.text == "who");
    let (a, b) = (&pair.a.words, &pair.b.words);
    (opens(a) && opens(b) && by(a) != by(b) && content(a) == content(b)).then(|| "by".to_owned())
}
