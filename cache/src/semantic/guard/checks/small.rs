//! Small words in one frame that nothing else holds against each other: all against most, when against after.

use super::{Check, Pair, Reason, check, outcome, sides};
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
    apart(pair, Reason::Scope, QUANTITIES, |words, at| {
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
    apart(pair, Reason::Condition, OCCASIONS, |words, at| at == 0 && words[0].text == "when")
}

fn apart(pair: &Pair<'_>, name: Reason, classes: &[(&str, &str)], skips: fn(&[Word], usize) -> bool) -> Check {
    let class_of = |word: &str| classes.iter().position(|(_, list)| list.split(' ').any(|known| known == word));
    let found = |words: &[Word]| -> Vec<usize> {
        (0..words.len()).filter(|&at| !skips(words, at)).filter_map(|at| class_of(&words[at].text)).collect()
    };
    let (first, second) = (found(&pair.a.words), found(&pair.b.words));
    let only = |of: &[usize], other: &[usize]| -> Vec<&str> {
        of.iter().filter(|class| !other.contains(class)).map(|&class| classes[class].0).collect()
    };
    let (one, other) = (only(&first, &second), only(&second, &first));
    let differs = !one.is_empty() && !other.is_empty();
    check(
        name,
        outcome(pair.frame >= ALIKE && differs, false),
        if differs { sides(&one, &other) } else { String::new() },
    )
}
