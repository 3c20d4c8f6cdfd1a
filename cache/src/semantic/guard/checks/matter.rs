//! Where much is the same and still not enough: another thing to do with the same code, long prompts of one setting.

use super::{Check, Pair, Reason, check, outcome, sides, unsaid};

/// How much of the words around the same numbers or code must be said on both sides.
const SAME_TASK: f32 = 0.3;
/// How much of a part may be unsaid on both sides.
const OTHER_PART: f32 = 0.85;

/// About the same numbers or code: what is to be done with them must be said on both sides.
pub(super) fn task(pair: &Pair<'_>) -> Check {
    let (a, b) = pair.parts;
    let about_things = a.things.min(b.things) >= 4 && a.things * 2 >= a.words && b.things * 2 >= b.words;
    let unsaid_part = a.part.min(b.part) > OTHER_PART;
    let wrong = about_things && a.words.min(b.words) > 0 && (a.plain.min(b.plain) < SAME_TASK || unsaid_part);
    check(Reason::Task, outcome(wrong, false), if wrong { words(pair) } else { String::new() })
}

/// How much of the shorter prompt, word for word and in order, makes the longer one the same with something added.
const CONTAINED: f32 = 0.85;
/// Beyond so many words the shares that [`Pair`] counts are enough.
const MOST_WORDS: usize = 60;
/// The weight of words that add something.
const ADDED: f32 = 0.6;

/// One prompt stands in the other word for word, and that one has content beside it.
pub(super) fn added(pair: &Pair<'_>) -> Check {
    let (a, b) = (&pair.a.words, &pair.b.words);
    let (shorter, length) = (a.len().min(b.len()), a.len().max(b.len()));
    let (first, second) = unsaid(pair);
    let weight = |words: &[super::Word], places: &[usize]| places.iter().map(|&at| words[at].weight).sum::<f32>();
    let (one, other) = (weight(a, &first), weight(b, &second));
    let (of_longer, of_shorter) = if a.len() > b.len() { (one, other) } else { (other, one) };
    #[allow(clippy::cast_precision_loss, reason = "some sixty words at most")]
    let wrong = (4..length).contains(&shorter)
        && length <= MOST_WORDS
        && of_longer > ADDED
        && of_shorter == 0.0
        && in_order(a, b) as f32 >= CONTAINED * shorter as f32;
    check(Reason::Constraint, outcome(wrong, false), if wrong { words(pair) } else { String::new() })
}

/// How many words stand in both in one order.
fn in_order(a: &[super::Word], b: &[super::Word]) -> usize {
    let mut row = vec![0_usize; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (at, other) in b.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if word.base == other.base { diagonal + 1 } else { above.max(row[at]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

/// How many content words make a prompt long.
const LONG: usize = 18;
/// How much of two long prompts each must say of the other.
const SAME_STORY: f32 = 0.55;

/// Two long prompts share a setting sooner than a question: each must say most of the other.
pub(super) fn long(pair: &Pair<'_>) -> Check {
    let (a, b) = pair.parts;
    let wrong = a.words.min(b.words) >= LONG && a.plain.min(b.plain) < SAME_STORY;
    check(Reason::Constraint, outcome(wrong, false), if wrong { words(pair) } else { String::new() })
}

fn words(pair: &Pair<'_>) -> String {
    let (first, second) = unsaid(pair);
    let of = |words: &'_ [super::Word], places: &[usize]| {
        places.iter().map(|&at| words[at].text.clone()).collect::<Vec<_>>()
    };
    let (first, second) = (of(&pair.a.words, &first), of(&pair.b.words, &second));
    sides(&first.iter().map(String::as_str).collect::<Vec<_>>(), &second.iter().map(String::as_str).collect::<Vec<_>>())
}
