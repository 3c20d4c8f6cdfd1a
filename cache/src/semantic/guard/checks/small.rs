//! Small words in one frame that nothing else holds against each other: all against most, when against after.

use std::sync::LazyLock;

use super::{Check, Pair, Reason, check, outcome, sides};
use crate::semantic::fixed::FixedMap;
use crate::semantic::text::Word;

/// The share of words in common from which these small words are the point.
const ALIKE: f32 = 0.4;

/// How many are meant.
const QUANTITIES: &[(&str, &str)] = &[
    ("all", "all every each both everyone everybody everything always"),
    ("some", "some any someone somebody something anyone anybody anything"),
    ("most", "most mostly majority usually"),
    ("many", "many much several numerous lot plenty often"),
    ("few", "few little rarely seldom hardly minority"),
    ("at least", "least"),
    ("no", "no none neither nobody nothing never"),
];

/// On what occasion.
const OCCASIONS: &[(&str, &str)] = &[
    ("when", "if when whenever once provided assuming"),
    ("after", "after following"),
    ("before", "before until"),
    ("while", "while during"),
    ("unless", "unless except without"),
    ("although", "although though despite even"),
];

/// In one frame: another quantity on each side.
pub(super) fn quantity(pair: &Pair<'_>) -> Check {
    apart(pair, Reason::Scope, &QUANTITY, |words, at| {
        // "how many" asks for the number, "more than any" names none.
        at > 0 && matches!(words[at - 1].text.as_str(), "how" | "as" | "so" | "too" | "than")
    })
}

/// In one frame: another occasion on each side, or "even if" against "if".
pub(super) fn occasion(pair: &Pair<'_>) -> Check {
    let even = |words: &[Word]| {
        words
            .windows(2)
            .any(|two| two[0].text == "even" && matches!(two[1].text.as_str(), "if" | "when" | "after" | "without"))
    };
    if pair.frame >= ALIKE && even(&pair.a.words) != even(&pair.b.words) {
        return check(Reason::Condition, outcome(true, true), "if | even if");
    }
    // A question opens with "when".
    apart(pair, Reason::Condition, &OCCASION, |words, at| at == 0 && words[0].text == "when")
}

/// The class of each word; of a word in two, the first.
type Classes = FixedMap<&'static str, &'static str>;

fn by_word(classes: &[(&'static str, &'static str)]) -> Classes {
    let mut by_word = FixedMap::default();
    for (class, list) in classes {
        for word in list.split(' ') {
            by_word.entry(word).or_insert(*class);
        }
    }
    by_word
}

static QUANTITY: LazyLock<Classes> = LazyLock::new(|| by_word(QUANTITIES));
static OCCASION: LazyLock<Classes> = LazyLock::new(|| by_word(OCCASIONS));

fn apart(pair: &Pair<'_>, name: Reason, classes: &Classes, skips: fn(&[Word], usize) -> bool) -> Check {
    let found = |words: &[Word]| -> Vec<&'static str> {
        let class = |at: usize| classes.get(words[at].text.as_str()).copied();
        (0..words.len()).filter(|&at| !skips(words, at)).filter_map(class).collect()
    };
    if pair.frame < ALIKE {
        return check(name, outcome(false, false), "");
    }
    let (first, second) = (found(&pair.a.words), found(&pair.b.words));
    let only = |of: &[&'static str], other: &[&str]| -> Vec<&'static str> {
        of.iter().filter(|class| !other.contains(class)).copied().collect()
    };
    let (one, other) = (only(&first, &second), only(&second, &first));
    let differs = !one.is_empty() && !other.is_empty();
    check(name, outcome(differs, false), if differs { sides(&one, &other) } else { String::new() })
}
