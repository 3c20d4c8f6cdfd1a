//! A prompt as the guard looks at it.

use super::numbers::{canonical, month, spelled};
use super::scan::{JOINED, Kind, Token, tokens};
use super::shorthand::expand;
use super::synonyms::Places;
use super::vocabulary::{Role, common, is_unit, role, speaks_english, unit};
use crate::semantic::embed::{DIM, normalise, pieces, table};
use crate::semantic::lexicon::{WordNumber, lexicon};

/// One word with all that the guard asks of it.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    /// In lower case, shorthand written out, numbers in one notation.
    pub(crate) text: String,
    /// The form that stands in a dictionary.
    pub(crate) base: String,
    pub(crate) places: Places,
    /// Whether it is a unit of measure.
    pub(crate) unit: bool,
    pub(crate) kind: Kind,
    pub(crate) role: Role,
    /// Capitalised where a sentence does not ask for it.
    pub(crate) named: bool,
    pub(crate) entry: Option<WordNumber>,
    /// How much the word says, 0 to 1.
    pub(crate) weight: f32,
    /// Length 1.
    pub(crate) vector: [f32; DIM],
}

/// A prompt, read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) words: Vec<Word>,
    /// Lower case, white space as single blanks.
    pub(crate) plain: String,
    /// What stands in quotation marks, lower case, without marks at its ends.
    pub(crate) quotes: Vec<String>,
    /// Whether the lists and tables of this room, which are English, apply.
    pub(crate) english: bool,
    /// The embedding of the whole.
    pub(crate) vector: [f32; DIM],
}

impl Reading {
    pub(crate) fn of(text: &str) -> Self {
        let words = words(&tokens(text));
        let mut vector = [0.0; DIM];
        for word in &words {
            for (sum, part) in vector.iter_mut().zip(&word.vector) {
                *sum += word.weight * part;
            }
        }
        normalise(&mut vector);
        let plain = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        Self { english: is_english(text, &words), quotes: quotes(&plain), words, plain, vector }
    }
}

/// English letters, and no more function words of another language than of English.
fn is_english(text: &str, words: &[Word]) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let latin = text.chars().filter(char::is_ascii_alphabetic).count();
    let (mut english, mut foreign) = (0_usize, 0_usize);
    for word in words.iter().filter(|word| word.kind == Kind::Word) {
        match speaks_english(&word.text) {
            Some(true) => english += 1,
            Some(false) => foreign += 1,
            None => {}
        }
    }
    latin * 20 >= letters * 19 && english >= foreign
}

fn quotes(plain: &str) -> Vec<String> {
    const PAIRS: &[(char, char)] = &[('"', '"'), ('“', '”'), ('«', '»'), ('„', '“'), ('`', '`')];
    let mut found = Vec::new();
    let mut rest = plain;
    while let Some((at, open)) = rest.char_indices().find(|(_, c)| PAIRS.iter().any(|(open, _)| open == c)) {
        let after = &rest[at + open.len_utf8()..];
        let closing = |c: char| PAIRS.iter().any(|(o, close)| *o == open && *close == c);
        let Some(end) = after.find(closing) else { break };
        let inside = after[..end].trim_matches(|c: char| !c.is_alphanumeric());
        if !inside.is_empty() {
            found.push(inside.to_owned());
        }
        rest = after[end..].get(after[end..].chars().next().map_or(0, char::len_utf8)..).unwrap_or("");
    }
    found
}

fn words(tokens: &[Token]) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let lower: Vec<String> = tokens.iter().map(|token| token.text.to_lowercase()).collect();
    let plain: Vec<&str> = lower.iter().map(String::as_str).collect();
    let mut at = 0;
    while at < tokens.len() {
        at += read(tokens, &plain, at, &mut found);
    }
    found
}

/// Reads the token at `at`; how many tokens that took.
fn read(tokens: &[Token], lower: &[&str], at: usize, found: &mut Vec<Word>) -> usize {
    let token = &tokens[at];
    let word = lower[at];
    if token.kind == Kind::Number {
        return number(tokens, at, found);
    }
    if token.kind == Kind::Operator {
        found.push(make(word, Kind::Operator, false));
        return 1;
    }
    if word == "half"
        && lower.get(at + 1) == Some(&"past")
        && let Some((taken, hour)) = spelled(&lower[at + 2..])
    {
        found.push(make(&format!("{hour}:30"), Kind::Number, false));
        return taken + 2;
    }
    if word == "half" {
        found.push(make("0.5", Kind::Number, false));
        return 1;
    }
    if let Some((taken, value)) = spelled(&lower[at..]) {
        // A lone "one" is more often a pronoun than a number.
        let kind = if taken == 1 && word == "one" { Kind::Word } else { Kind::Number };
        found.push(make(&value.to_string(), kind, false));
        return taken;
    }
    let after_number = at > 0 && (tokens[at - 1].kind == Kind::Number);
    if let Some(unit) = unit(word).filter(|_| after_number || matches!(token.before, '°')) {
        if unit == "thousand" && token.before == JOINED {
            if let Some(last) = found.last_mut() {
                last.text = last.text.parse::<f64>().map_or_else(|_| last.text.clone(), |n| (n * 1000.0).to_string());
            }
        } else {
            found.push(make(unit, Kind::Word, false));
        }
        return 1;
    }
    let proper = token.text.starts_with(char::is_uppercase);
    if word == "may" && proper && !token.opens {
        found.push(make("may-month", Kind::Word, true));
        return 1;
    }
    if let Some(long) = expand(word) {
        found.extend(long.iter().map(|part| {
            make(part, if part.starts_with(|c: char| c.is_ascii_digit()) { Kind::Number } else { Kind::Word }, false)
        }));
        return 1;
    }
    let base = clitic(word, found);
    let base = if token.kind == Kind::Word && lexicon().find(base).is_none() && table().number(base).is_none() {
        common(base).unwrap_or(base)
    } else {
        base
    };
    if let Some(next) = lower.get(at + 1).filter(|next| is_particle(next)) {
        let stem = lexicon().find(base);
        let phrase = lexicon().phrase(base, next).or_else(|| {
            let forms = [base.trim_end_matches('s'), base.trim_end_matches("ed"), base.trim_end_matches("ing")];
            stem.and(forms.iter().find_map(|form| lexicon().phrase(form, next)))
        });
        if let Some(entry) = phrase {
            let mut merged = make(base, Kind::Word, false);
            merged.text = format!("{base} {next}");
            merged.entry = Some(entry);
            merged.base = lexicon().text(entry).unwrap_or(base).to_owned();
            merged.places = Places::of(&merged.text, &merged.base);
            merged.role = Role::Content;
            merged.weight = merged.weight.max(0.5);
            found.push(merged);
            return 2;
        }
    }
    found.push(make(base, token.kind, proper && !token.opens));
    1
}

/// Takes "'s", "'ve" and the like off a word; "n't" becomes a word of its own.
fn clitic<'w>(word: &'w str, found: &mut Vec<Word>) -> &'w str {
    if let Some(base) = word.strip_suffix("n't") {
        found.push(make("not", Kind::Word, false));
        return base;
    }
    ["'s", "'ve", "'re", "'ll", "'d", "'m", "s'"].iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word)
}

fn is_particle(word: &str) -> bool {
    matches!(word, "off" | "on" | "up" | "down" | "out" | "in" | "back" | "away" | "over" | "through")
}

/// Numbers, fractions and dates of digits.
fn number(tokens: &[Token], at: usize, found: &mut Vec<Word>) -> usize {
    let digits = |i: usize| tokens.get(i).filter(|token| token.kind == Kind::Number).map(|token| token.text.as_str());
    let slash = |i: usize| tokens.get(i).is_some_and(|token| token.before == '/');
    if let (Some(first), Some(second), true) = (digits(at), digits(at + 1), slash(at + 1)) {
        if let (Some(year), true) = (digits(at + 2), slash(at + 2)) {
            let name = second.parse().ok().and_then(month);
            found.push(make(&canonical(first), Kind::Number, false));
            found.push(make(name.unwrap_or(second), if name.is_some() { Kind::Word } else { Kind::Number }, false));
            found.push(make(&canonical(year), Kind::Number, false));
            return 3;
        }
        if first == "1" && second == "2" {
            found.push(make("0.5", Kind::Number, false));
            return 2;
        }
    }
    found.push(make(&canonical(&tokens[at].text), Kind::Number, false));
    1
}

fn make(text: &str, kind: Kind, named: bool) -> Word {
    let (role, entry) = match kind {
        Kind::Word => (role(text), lexicon().find(text)),
        Kind::Code => (Role::Content, lexicon().find(text)),
        Kind::Number | Kind::Operator => (Role::Content, None),
    };
    let table = table();
    let pieces = pieces(text);
    let mut vector = [0.0; DIM];
    for &piece in &pieces {
        table.add(piece, table.weight(piece).max(0.05), &mut vector);
    }
    normalise(&mut vector);
    let said = match pieces.as_slice() {
        [one] => table.weight(*one),
        _ => 0.95,
    };
    let weight = match (kind, role) {
        (Kind::Number, _) => 0.7,
        (Kind::Operator, _) => 0.3,
        (_, Role::Filler) => 0.03,
        (_, Role::Weak) => 0.15,
        (_, Role::Direction) => 0.05,
        (_, Role::Content) => said.max(0.3),
        _ => 0.35,
    };
    let base = entry.and_then(|entry| lexicon().text(entry)).unwrap_or(text).to_owned();
    let places = Places::of(text, &base);
    let unit = is_unit(&base);
    Word { text: text.to_owned(), base, places, unit, kind, role, named, entry, weight, vector }
}
