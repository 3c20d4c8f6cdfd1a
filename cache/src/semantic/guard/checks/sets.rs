//! Things that a prompt names: quotations, identifiers, numbers and named things. Another one is another question.

use super::{Check, CheckVerdict, Pair, Reason, check, outcome, sides};
use crate::semantic::fixed::Words;
use crate::semantic::text::{Kind, Word};

/// Quoted text must be in the other prompt, quoted or not.
pub(super) fn quoted(pair: &Pair<'_>) -> Check {
    let missing = |quotes: &[String], plain: &str| quotes.iter().any(|quote| !plain.contains(quote.as_str()));
    let (first, second) = (missing(&pair.a.quotes, &pair.b.plain), missing(&pair.b.quotes, &pair.a.plain));
    let detail = if first || second {
        format!("{} | {}", pair.a.quotes.join(", "), pair.b.quotes.join(", "))
    } else {
        String::new()
    };
    check(Reason::Quoted, outcome(first && second, first || second), detail)
}

/// Numbers on both sides that the other has not; versions are numbers behind a name.
pub(super) fn numbers(pair: &Pair<'_>) -> Vec<Check> {
    let (first, second) = &pair.numbers;
    let wrong = !first.is_empty() && !second.is_empty();
    let version = |words: &[Word], at: Option<&usize>| {
        at.and_then(|at| at.checked_sub(1))
            .and_then(|before| words.get(before))
            .is_some_and(|word| word.named || word.kind == Kind::Code)
    };
    let versions = wrong && (version(&pair.a.words, first.first()) || version(&pair.b.words, second.first()));
    let texts = |words: &'_ [Word], places: &[usize]| {
        places.iter().map(|&at| words[at].text.clone()).collect::<Vec<_>>().join(", ")
    };
    let detail = if first.is_empty() && second.is_empty() {
        String::new()
    } else {
        format!("{} | {}", texts(&pair.a.words, first), texts(&pair.b.words, second))
    };
    let differs = !first.is_empty() || !second.is_empty();
    let (number, release) = if versions {
        (CheckVerdict::Differs, CheckVerdict::Contradicts)
    } else {
        (outcome(wrong, differs), CheckVerdict::Same)
    };
    vec![
        check(Reason::Number, number, detail.clone()),
        check(Reason::Version, release, if versions { detail } else { String::new() }),
    ]
}

/// Places of the numbers (and words with digits in them) that only the first list has; a lone 1 is often an article.
pub(super) fn only(words: &[Word], others: &[Word]) -> Vec<usize> {
    let has_digit = |word: &Word| word.text.contains(|c: char| c.is_ascii_digit());
    let numeric =
        |word: &Word| if word.kind == Kind::Number { word.text != "1" } else { word.text.len() > 1 && has_digit(word) };
    let numbers: Vec<usize> = (0..words.len()).filter(|&at| numeric(&words[at])).collect();
    if numbers.is_empty() {
        return numbers;
    }
    // Only what has a digit can be in a number or have one in it.
    let others: Vec<&Word> = others.iter().filter(|word| word.kind == Kind::Number || has_digit(word)).collect();
    let same: Words<'_> = others.iter().map(|word| word.text.as_str()).collect();
    let is_said = |text: &str| {
        same.contains(text)
            || others.iter().any(|other| {
                let (other, is_number) = (other.text.as_str(), other.kind == Kind::Number);
                // A name with its number behind it: OAuth2 says the 2 of OAuth 2.0.
                let ends_name =
                    || is_number && text.strip_suffix(other).is_some_and(|name| name.ends_with(char::is_alphabetic));
                (!is_number && other.contains(text))
                    || (other.len() > 1 && other.len() < text.len() && text.contains(other))
                    || ends_name()
            })
    };
    numbers.into_iter().filter(|&at| !is_said(&words[at].text)).collect()
}

/// Units on both sides that the other has not.
pub(super) fn unit(pair: &Pair<'_>) -> Check {
    let units = |words: &'_ [Word], links: &[super::super::align::Link]| -> Vec<String> {
        words
            .iter()
            .zip(links)
            .filter(|(word, link)| word.kind == Kind::Word && word.unit && !link.said())
            .map(|(word, _)| word.text.clone())
            .collect()
    };
    let (first, second) = (units(&pair.a.words, &pair.alignment.first), units(&pair.b.words, &pair.alignment.second));
    let wrong = pair.close && !first.is_empty() && !second.is_empty();
    let differs = !first.is_empty() || !second.is_empty();
    check(
        Reason::Unit,
        outcome(wrong, differs),
        if differs { format!("{} | {}", first.join(", "), second.join(", ")) } else { String::new() },
    )
}

/// Names out of code on both sides that the other has not; in prompts that are close, operators too.
pub(super) fn identifier(pair: &Pair<'_>) -> Check {
    let open = |words: &'_ [Word], links: &[super::super::align::Link], plain: &str| -> Vec<String> {
        let code = |word: &Word| word.kind == Kind::Code || (word.kind == Kind::Operator && pair.close);
        words
            .iter()
            .zip(links)
            .filter(|(word, link)| {
                code(word) && !link.said() && (word.kind == Kind::Operator || !plain.contains(word.text.as_str()))
            })
            .map(|(word, _)| word.text.clone())
            .collect()
    };
    let first = open(&pair.a.words, &pair.alignment.first, &pair.b.plain);
    let second = open(&pair.b.words, &pair.alignment.second, &pair.a.plain);
    let differs = !first.is_empty() || !second.is_empty();
    let wrong = !first.is_empty() && !second.is_empty();
    check(
        Reason::Identifier,
        outcome(wrong, differs),
        if differs { format!("{} | {}", first.join(", "), second.join(", ")) } else { String::new() },
    )
}

/// Named things on both sides that the other has not.
pub(super) fn entity(pair: &Pair<'_>) -> Check {
    let (first, second) = (named(&pair.a.words, &pair.alignment.first), named(&pair.b.words, &pair.alignment.second));
    let wrong = !first.is_empty() && !second.is_empty();
    check(Reason::Entity, outcome(wrong, !first.is_empty() || !second.is_empty()), sides(&first, &second))
}

/// Names that the other prompt does not say in any form.
pub(in crate::semantic::guard) fn named<'w>(words: &'w [Word], links: &[super::super::align::Link]) -> Vec<&'w str> {
    let open = |(word, link): &(&'w Word, &super::super::align::Link)| {
        word.named && word.role == super::Role::Content && word.kind == Kind::Word && !link.said()
    };
    words.iter().zip(links).filter(open).map(|(word, _)| word.text.as_str()).collect()
}
