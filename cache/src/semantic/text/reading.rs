//! A prompt as the guard looks at it.

use std::borrow::Cow;
use std::sync::Arc;

use super::asks::Asks;
use super::numbers::{canonical, month, spelled};
use super::polarity::Ways;
use super::scan::{JOINED, Kind, Token, tokens};
use super::shorthand::expand;
use super::slips::{corrected, is_known};
use super::synonyms::Places;
use super::vocabulary::{Role, common, is_unit, role, speaks_english, unit};
use crate::semantic::embed::{DIM, normalise, pieces, table};
use crate::semantic::fixed::FixedMap;
use crate::semantic::lexicon::{WordNumber, lexicon};

/// One word with all that the guard asks of it; the same one wherever it stands again.
pub(crate) type Word = Arc<Form>;

/// What is known of a word.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// In lower case, shorthand written out, numbers in one notation.
    pub(crate) text: String,
    /// The form that stands in a dictionary.
    pub(crate) base: Cow<'static, str>,
    pub(crate) places: Places,
    /// Which way it points.
    pub(crate) ways: Ways,
    /// Whether it is a unit of measure.
    pub(crate) unit: bool,
    pub(crate) kind: Kind,
    pub(crate) role: Role,
    /// Capitalised where a sentence does not ask for it.
    pub(crate) named: bool,
    pub(crate) entry: Option<WordNumber>,
    /// Whether no list has it, so that it may be a slip.
    pub(crate) unknown: bool,
    /// How much the word says, 0 to 1.
    pub(crate) weight: f32,
    /// Length 1.
    pub(crate) vector: [f32; DIM],
    /// Which of the different words of its prompt it is.
    pub(crate) number: usize,
}

/// A prompt, read.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) words: Vec<Word>,
    /// Which part of the prompt each word stands in: a sentence, or what a word like "if" begins.
    pub(crate) parts: Vec<usize>,
    /// What kinds of things are asked for, and by which words.
    pub(crate) asks: Asks,
    /// Where each of its different words stands first.
    pub(crate) different: Vec<usize>,
    /// Lower case, white space as single blanks.
    pub(crate) plain: String,
    /// What stands in quotation marks, lower case, without marks at its ends.
    pub(crate) quotes: Vec<String>,
    /// Whether a word was corrected.
    pub(crate) slips: bool,
    /// Whether the lists and tables of this room, which are English, apply.
    pub(crate) english: bool,
    /// The embedding of the whole.
    pub(crate) vector: [f32; DIM],
}

impl Reading {
    pub(crate) fn of(text: &str) -> Self {
        let tokens = tokens(text);
        let lower: Vec<String> = tokens.iter().map(|token| token.text.to_lowercase()).collect();
        let lower_as_meant: Vec<&str> = tokens.iter().zip(&lower).map(|(token, lower)| meant(token, lower)).collect();
        let slips = lower.iter().zip(&lower_as_meant).any(|(lower, meant)| lower != meant);
        let lower = lower_as_meant;
        let mut reader = Reader { tokens: &tokens, lower: &lower, ..Reader::default() };
        let mut at = 0;
        while at < tokens.len() {
            at += reader.read(at);
        }
        let Reader { words, parts, different, .. } = reader;
        let mut vector = [0.0; DIM];
        for word in &words {
            for (sum, part) in vector.iter_mut().zip(&word.vector) {
                *sum += word.weight * part;
            }
        }
        normalise(&mut vector);
        let plain = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        Self {
            english: is_english(text, &words),
            quotes: quotes(&plain),
            asks: Asks::of(&words, &parts),
            words,
            parts,
            different,
            plain,
            slips,
            vector,
        }
    }
}

/// A token's word, or what it is a slip of; names may be any word.
fn meant<'t>(token: &Token, lower: &'t str) -> &'t str {
    let is_name = token.text.starts_with(char::is_uppercase) && !token.opens;
    if token.kind != Kind::Word || is_name {
        return lower;
    }
    corrected(lower.strip_suffix("'s").unwrap_or(lower)).unwrap_or(lower)
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

/// What has been read so far.
#[derive(Default)]
struct Reader<'t> {
    tokens: &'t [Token],
    /// The tokens in lower case.
    lower: &'t [&'t str],
    words: Vec<Word>,
    parts: Vec<usize>,
    part: usize,
    /// Whether a word like "if" began this part.
    in_clause: bool,
    different: Vec<usize>,
    /// Words that were read before.
    known: FixedMap<(&'t str, Kind, bool), Word>,
}

impl<'t> Reader<'t> {
    /// Reads the token at `at`; how many tokens that took.
    fn read(&mut self, at: usize) -> usize {
        let (token, lower) = (&self.tokens[at], self.lower);
        let word = lower[at];
        let begins = at > 0 && (token.opens && !self.tokens[at - 1].opens || begins_part(word));
        // "If it rains, ..." ends at its comma.
        let ends = self.in_clause && token.after_comma;
        self.part += usize::from(begins || ends);
        self.in_clause = begins_part(word) || (self.in_clause && !begins && !ends);
        if let Some(taken) = courtesy(&lower[at..]) {
            return taken;
        }
        if token.kind == Kind::Number {
            return self.number(at);
        }
        if token.kind == Kind::Operator {
            self.push(word, Kind::Operator);
            return 1;
        }
        if word == "half"
            && lower.get(at + 1) == Some(&"past")
            && let Some((taken, hour)) = spelled(&lower[at + 2..])
        {
            self.push(&format!("{hour}:30"), Kind::Number);
            return taken + 2;
        }
        if word == "half" {
            self.push("0.5", Kind::Number);
            return 1;
        }
        if let Some((taken, value)) = spelled(&lower[at..]) {
            // A lone "one" is more often a pronoun than a number.
            let kind = if taken == 1 && word == "one" { Kind::Word } else { Kind::Number };
            self.push(&value.to_string(), kind);
            return taken;
        }
        let after_number = at > 0 && (self.tokens[at - 1].kind == Kind::Number);
        if let Some(unit) = unit(word).filter(|_| after_number || matches!(token.before, '°')) {
            if unit == "thousand" && token.before == JOINED {
                // The number before it, which nothing else holds yet.
                if let Some(last) = self.words.last_mut().and_then(Arc::get_mut)
                    && let Ok(number) = last.text.parse::<f64>()
                {
                    last.text = (number * 1000.0).to_string();
                }
            } else {
                self.push(unit, Kind::Word);
            }
            return 1;
        }
        let proper = token.text.starts_with(char::is_uppercase);
        if word == "may" && proper && !token.opens {
            self.add(Form::of("may-month", Kind::Word, true));
            return 1;
        }
        if let Some(long) = expand(word) {
            for part in long {
                let is_number = part.starts_with(|c: char| c.is_ascii_digit());
                self.push(part, if is_number { Kind::Number } else { Kind::Word });
            }
            return 1;
        }
        let base = self.clitic(word);
        if let Some(next) = lower.get(at + 1).filter(|next| is_particle(next))
            && (*next != "in" || goes_in(base) || self.tokens.get(at + 2).is_none_or(|after| after.opens))
            && let Some(verb) = verb_of_two(base, token.kind, next)
        {
            self.add(verb);
            return 2;
        }
        self.push_settled(base, token.kind, proper && !token.opens);
        1
    }

    fn push(&mut self, text: &str, kind: Kind) {
        self.add(Form::of(text, kind, false));
    }

    fn add(&mut self, form: Form) -> Word {
        let word = Arc::new(Form { number: self.different.len(), ..form });
        self.different.push(self.words.len());
        self.put(word.clone());
        word
    }

    fn put(&mut self, word: Word) {
        self.words.push(word);
        self.parts.push(self.part);
    }

    /// A word as it stands, or what it is a slip of.
    fn push_settled(&mut self, base: &'t str, kind: Kind, named: bool) {
        if let Some(word) = self.known.get(&(base, kind, named)) {
            let word = word.clone();
            self.put(word);
            return;
        }
        let (text, entry) = settle(base, kind);
        let word = self.add(Form::with_entry(text, kind, named, entry));
        self.known.insert((base, kind, named), word);
    }

    /// Takes "'s", "'ve" and the like off a word; "n't" becomes a word of its own.
    fn clitic(&mut self, word: &'t str) -> &'t str {
        if let Some(base) = word.strip_suffix("n't") {
            self.push("not", Kind::Word);
            return base;
        }
        if !word.contains('\'') {
            return word;
        }
        ["'s", "'ve", "'re", "'ll", "'d", "'m", "s'"]
            .iter()
            .find_map(|ending| word.strip_suffix(ending))
            .unwrap_or(word)
    }

    /// Numbers, fractions and dates of digits.
    fn number(&mut self, at: usize) -> usize {
        let tokens = self.tokens;
        let digits =
            |i: usize| tokens.get(i).filter(|token| token.kind == Kind::Number).map(|token| token.text.as_str());
        let slash = |i: usize| tokens.get(i).is_some_and(|token| token.before == '/');
        if let (Some(first), Some(second), true) = (digits(at), digits(at + 1), slash(at + 1)) {
            if let (Some(year), true) = (digits(at + 2), slash(at + 2)) {
                let name = second.parse().ok().and_then(month);
                self.push(&canonical(first), Kind::Number);
                self.push(name.unwrap_or(second), if name.is_some() { Kind::Word } else { Kind::Number });
                self.push(&canonical(year), Kind::Number);
                return 3;
            }
            if first == "1" && second == "2" {
                self.push("0.5", Kind::Number);
                return 2;
            }
        }
        self.push(&canonical(&tokens[at].text), Kind::Number);
        1
    }
}

/// Words that begin a part of a sentence with a matter of its own.
pub(crate) fn begins_part(word: &str) -> bool {
    matches!(
        word,
        "if" | "unless"
            | "because"
            | "when"
            | "while"
            | "although"
            | "though"
            | "but"
            | "until"
            | "whereas"
            | "after"
            | "before"
            | "once"
            | "without"
            | "despite"
            | "during"
            | "provided"
            | "assuming"
            | "whenever"
    )
}

/// How many words a phrase takes that is only polite.
fn courtesy(words: &[&str]) -> Option<usize> {
    const PHRASES: &[&[&str]] = &[
        &["if", "it's", "no", "trouble"],
        &["if", "it", "is", "no", "trouble"],
        &["if", "it's", "not", "too", "much", "trouble"],
        &["if", "it", "isn't", "too", "much", "trouble"],
        &["if", "that's", "not", "too", "much", "trouble"],
        &["if", "you", "don't", "mind"],
        &["if", "i", "may", "ask"],
        &["if", "possible"],
        &["if", "at", "all", "possible"],
        &["if", "you", "can"],
        &["if", "you", "could"],
        &["when", "you", "have", "a", "moment"],
        &["when", "you", "get", "a", "chance"],
        &["when", "you", "have", "time"],
        &["if", "you", "have", "a", "moment"],
        &["if", "you", "have", "a", "minute"],
        &["when", "you", "have", "a", "minute"],
        &["no", "rush"],
        &["no", "hurry"],
        &["much", "appreciated"],
        &["any", "help", "is", "appreciated"],
        &["any", "help", "would", "be", "appreciated"],
        &["i", "would", "be", "grateful", "if"],
        &["i'd", "be", "grateful", "if"],
        &["i'd", "be", "grateful", "to", "know"],
        &["i", "was", "wondering", "if"],
        &["i", "was", "wondering", "whether"],
        &["i", "wonder", "if"],
        &["would", "you", "mind"],
        &["hope", "you're", "well"],
        &["i", "hope", "you", "are", "well"],
        &["have", "a", "nice", "day"],
        &["have", "a", "great", "day"],
    ];
    if !matches!(words.first()?, &("if" | "when" | "no" | "much" | "any" | "i" | "i'd" | "would" | "hope" | "have")) {
        return None;
    }
    let found = PHRASES.iter().filter(|phrase| words.starts_with(phrase));
    found.map(|phrase| phrase.len()).max()
}

fn is_particle(word: &str) -> bool {
    matches!(word, "off" | "on" | "up" | "down" | "out" | "in" | "back" | "away" | "over" | "through")
}

/// Verbs that mean something else with "in" behind them; others only stand, lie or come in something.
fn goes_in(verb: &str) -> bool {
    ["log", "sign", "check", "plug", "fill", "break", "trade", "hand"].iter().any(|known| verb.starts_with(known))
}

/// The word, or the function word that an unknown word is a slip of, with its place in the lexicon.
fn settle(base: &str, kind: Kind) -> (&str, Option<WordNumber>) {
    let entry = lexicon().find(base);
    if kind == Kind::Word
        && entry.is_none()
        && table().number(base).is_none()
        && let Some(known) = common(base)
    {
        return (known, lexicon().find(known));
    }
    (base, entry)
}

/// A verb of two words: turn off.
fn verb_of_two(base: &str, kind: Kind, particle: &str) -> Option<Form> {
    let (base, stem) = settle(base, kind);
    let entry = lexicon().phrase(base, particle).or_else(|| {
        let forms = [base.trim_end_matches('s'), base.trim_end_matches("ed"), base.trim_end_matches("ing")];
        stem.and(forms.iter().find_map(|form| lexicon().phrase(form, particle)))
    })?;
    let first = Form::of(base, Kind::Word, false);
    let text = format!("{base} {particle}");
    let base = lexicon().text(entry).map_or(first.base, Cow::Borrowed);
    Some(Form {
        places: Places::of(&text, &base),
        ways: Ways::of(&text, &base),
        text,
        base,
        entry: Some(entry),
        role: Role::Content,
        weight: first.weight.max(0.5),
        ..first
    })
}

impl Form {
    fn of(text: &str, kind: Kind, named: bool) -> Self {
        let entry = match kind {
            Kind::Word | Kind::Code => lexicon().find(text),
            Kind::Number | Kind::Operator => None,
        };
        Self::with_entry(text, kind, named, entry)
    }

    fn with_entry(text: &str, kind: Kind, named: bool, entry: Option<WordNumber>) -> Self {
        let role = if kind == Kind::Word { role(text) } else { Role::Content };
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
        let base = match entry.and_then(|entry| lexicon().text(entry)) {
            Some(base) => Cow::Borrowed(base),
            None => Cow::Owned(text.to_owned()),
        };
        let unknown = entry.is_none() && !is_known(text);
        let (places, ways, unit) = (Places::of(text, &base), Ways::of(text, &base), is_unit(&base));
        Self {
            text: text.to_owned(),
            base,
            places,
            ways,
            unit,
            kind,
            role,
            named,
            entry,
            unknown,
            weight,
            vector,
            number: 0,
        }
    }
}
