//! Which words mean the same, the opposite, or belong to one family: a compact table derived from WordNet 3.0.
//!
//! `cache/semantic/train/lexicon.py` writes it; its licence is beside it. Only words and numbers of senses are kept: two
//! words that share a sense are synonyms, two whose senses share a parent are siblings (red and blue, Austria and Italy).

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

static FILE: &[u8] = include_bytes!("lexicon.bin");
static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::read(FILE).unwrap_or_default());
const NONE: u16 = u16::MAX;
/// Words that look inflected and are not.
const OWN_FORMS: &[&str] = &[
    "news", "means", "species", "series", "customs", "united", "glasses", "goods", "interest", "rest", "water",
    "paper", "number", "letter", "order",
];

/// A word's number in the table.
pub(crate) type WordNumber = u16;

/// The one lexicon of this process; it is read at first use.
pub(crate) fn lexicon() -> &'static Lexicon {
    &LEXICON
}

/// How two words stand to each other, from the closest down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kinship {
    Antonym,
    Family,
    Synonym,
    ParentOrChild,
    Sibling,
    None,
}

#[derive(Debug, Default)]
pub(crate) struct Lexicon {
    numbers: HashMap<&'static str, WordNumber>,
    texts: Vec<&'static str>,
    senses: Vec<Vec<u16>>,
    parents: Vec<u16>,
    antonyms: HashSet<(WordNumber, WordNumber)>,
    derived: HashSet<(WordNumber, WordNumber)>,
    bases: HashMap<WordNumber, WordNumber>,
}

impl Lexicon {
    fn read(file: &'static [u8]) -> Option<Self> {
        let mut file = Reader(file.strip_prefix(b"PWL1")?);
        let words = file.u32()?;
        let senses = file.u32()?;
        let mut numbers = HashMap::with_capacity(words as usize);
        let mut texts = Vec::with_capacity(words as usize);
        for number in 0..words {
            let length = file.u8()?;
            let text = std::str::from_utf8(file.bytes(length.into())?).ok()?;
            numbers.insert(text, u16::try_from(number).ok()?);
            texts.push(text);
        }
        let mut of_words = Vec::with_capacity(words as usize);
        for _ in 0..words {
            let count = file.u8()?;
            of_words.push((0..count).map(|_| file.u16()).collect::<Option<Vec<_>>>()?);
        }
        let parents = (0..senses).map(|_| file.u16()).collect::<Option<Vec<_>>>()?;
        let antonyms = file.pairs()?.into_iter().collect();
        let derived = file.pairs()?.into_iter().collect();
        let bases = file.pairs()?.into_iter().collect();
        Some(Self { numbers, texts, senses: of_words, parents, antonyms, derived, bases })
    }

    /// The word's number, in whatever form it stands: plural, past, comparative, British or American spelling.
    pub(crate) fn find(&self, word: &str) -> Option<WordNumber> {
        if let Some(&number) = self.numbers.get(word) {
            let base = self.bases.get(&number).copied().unwrap_or(number);
            // A form that has senses of its own ("left") stays itself.
            let regular = || if word.ends_with("ing") || OWN_FORMS.contains(&word) { None } else { self.regular(word) };
            return Some(if self.senses(number).is_empty() { base } else { regular().unwrap_or(number) });
        }
        self.regular(word).or_else(|| {
            respell(word)
                .iter()
                .find_map(|spelling| self.numbers.get(spelling.as_str()).copied().or_else(|| self.regular(spelling)))
        })
    }

    /// The base of a regularly inflected form.
    fn regular(&self, word: &str) -> Option<WordNumber> {
        const ENDINGS: &[(&str, &str)] = &[
            ("ies", "y"),
            ("ied", "y"),
            ("ves", "f"),
            ("es", "e"),
            ("es", ""),
            ("s", ""),
            ("ed", "e"),
            ("ed", ""),
            ("ing", "e"),
            ("ing", ""),
            ("iest", "y"),
            ("ier", "y"),
            ("est", "e"),
            ("est", ""),
            ("er", "e"),
            ("er", ""),
        ];
        if word.len() < 4 || word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
            return None;
        }
        ENDINGS.iter().find_map(|(ending, base)| {
            let stem = word.strip_suffix(ending).filter(|stem| stem.len() >= 3)?;
            let direct = self.numbers.get(format!("{stem}{base}").as_str());
            let single = || {
                let mut letters = stem.chars().rev();
                let doubled = base.is_empty() && *ending != "s" && letters.next() == letters.next();
                doubled
                    .then(|| self.numbers.get(&stem[..stem.len() - stem.chars().next_back().map_or(0, char::len_utf8)]))
                    .flatten()
            };
            direct.or_else(single).copied()
        })
    }

    pub(crate) fn text(&self, word: WordNumber) -> Option<&'static str> {
        self.texts.get(usize::from(word)).copied()
    }

    /// A verb of two words: turn off.
    pub(crate) fn phrase(&self, first: &str, second: &str) -> Option<WordNumber> {
        self.numbers.get(format!("{first} {second}").as_str()).copied()
    }

    /// How two words stand to each other; symmetric.
    pub(crate) fn kinship(&self, first: WordNumber, second: WordNumber) -> Kinship {
        let pair = (first.min(second), first.max(second));
        if first == second {
            return Kinship::Synonym;
        }
        if self.antonyms.contains(&pair) {
            return Kinship::Antonym;
        }
        if self.derived.contains(&pair) {
            return Kinship::Family;
        }
        let (a, b) = (self.senses(first), self.senses(second));
        if a.iter().any(|sense| b.contains(sense)) {
            return Kinship::Synonym;
        }
        let parent = |sense: &u16| self.parents.get(usize::from(*sense)).copied().filter(|&parent| parent != NONE);
        if a.iter().filter_map(parent).any(|up| b.contains(&up))
            || b.iter().filter_map(parent).any(|up| a.contains(&up))
        {
            return Kinship::ParentOrChild;
        }
        if a.iter().filter_map(parent).any(|up| b.iter().filter_map(parent).any(|other| other == up)) {
            return Kinship::Sibling;
        }
        Kinship::None
    }

    fn senses(&self, word: WordNumber) -> &[u16] {
        self.senses.get(usize::from(word)).map_or(&[], Vec::as_slice)
    }
}

/// Other spellings of a word: British for American, and the other way round.
fn respell(word: &str) -> Vec<String> {
    const PAIRS: &[(&str, &str)] = &[
        ("our", "or"),
        ("ise", "ize"),
        ("isation", "ization"),
        ("ising", "izing"),
        ("yse", "yze"),
        ("tre", "ter"),
        ("ogue", "og"),
        ("ence", "ense"),
        ("ll", "l"),
        ("gramme", "gram"),
    ];
    PAIRS
        .iter()
        .flat_map(|&(british, american)| [(british, american), (american, british)])
        .filter(|(from, _)| word.contains(from))
        .map(|(from, to)| word.replacen(from, to, 1))
        .collect()
}

struct Reader(&'static [u8]);

impl Reader {
    fn bytes(&mut self, count: usize) -> Option<&'static [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn pairs(&mut self) -> Option<Vec<(u16, u16)>> {
        (0..self.u32()?).map(|_| Some((self.u16()?, self.u16()?))).collect()
    }
}
