//! Which words mean the same, the opposite, or belong to one family: a compact table derived from WordNet 3.0.
//!
//! `cache/semantic/train/lexicon.py` writes it; its licence is beside it. Only words and numbers of senses are kept: two
//! words that share a sense are synonyms, two whose senses share a parent are siblings (red and blue, Austria and Italy).

use std::sync::LazyLock;

use super::fixed::FixedMap;

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
    numbers: FixedMap<&'static str, WordNumber>,
    texts: Vec<&'static str>,
    /// The bytes of the longest text.
    longest: usize,
    senses: Lists,
    parents: Lists,
    antonyms: Lists,
    derived: Lists,
    bases: FixedMap<WordNumber, WordNumber>,
}

/// A short list for each word, all in one piece of memory.
#[derive(Debug, Default)]
struct Lists {
    ends: Vec<u32>,
    items: Vec<u16>,
}

impl Lists {
    fn push(&mut self, list: impl IntoIterator<Item = u16>) {
        self.items.extend(list);
        self.ends.push(u32::try_from(self.items.len()).unwrap_or(u32::MAX));
    }

    /// For each of so many words the others of its pairs.
    fn of_pairs(words: usize, pairs: &[(u16, u16)]) -> Self {
        let mut both: Vec<(u16, u16)> = pairs.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect();
        both.sort_unstable();
        let mut lists = Self::default();
        let mut rest = both.as_slice();
        for word in 0..words {
            let (its, others) = rest.split_at(rest.partition_point(|(first, _)| usize::from(*first) <= word));
            lists.push(its.iter().map(|(_, other)| *other));
            rest = others;
        }
        lists
    }

    fn of(&self, word: WordNumber) -> &[u16] {
        let word = usize::from(word);
        let end = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        let start = word.checked_sub(1).map_or(0, end);
        self.items.get(start..end(word)).unwrap_or_default()
    }
}

impl Lexicon {
    fn read(file: &'static [u8]) -> Option<Self> {
        let mut file = Reader(file.strip_prefix(b"PWL1")?);
        let words = file.u32()? as usize;
        let senses = file.u32()?;
        let mut numbers = FixedMap::with_capacity_and_hasher(words, Default::default());
        let mut texts = Vec::with_capacity(words);
        for number in 0..words {
            let length = file.u8()?;
            let text = std::str::from_utf8(file.bytes(length.into())?).ok()?;
            numbers.insert(text, u16::try_from(number).ok()?);
            texts.push(text);
        }
        let mut of_words = Lists::default();
        for _ in 0..words {
            let count = file.u8()?;
            of_words.push((0..count).map(|_| file.u16()).collect::<Option<Vec<_>>>()?);
        }
        let above = (0..senses).map(|_| file.u16()).collect::<Option<Vec<_>>>()?;
        let mut parents = Lists::default();
        for number in 0..words {
            let senses = of_words.of(u16::try_from(number).ok()?);
            let parent = |sense: &u16| above.get(usize::from(*sense)).copied().filter(|&parent| parent != NONE);
            let mut its: Vec<u16> = senses.iter().filter_map(parent).collect();
            its.sort_unstable();
            its.dedup();
            parents.push(its);
        }
        let antonyms = Lists::of_pairs(words, &file.pairs()?);
        let derived = Lists::of_pairs(words, &file.pairs()?);
        let bases = file.pairs()?.into_iter().collect();
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        Some(Self { numbers, texts, longest, senses: of_words, parents, antonyms, derived, bases })
    }

    /// The number of the text that these parts make.
    fn number(&self, parts: &[&str]) -> Option<WordNumber> {
        let mut joined = [0_u8; 256];
        let mut length = 0;
        for part in parts {
            let end = length + part.len();
            joined.get_mut(length..end).filter(|_| end <= self.longest)?.copy_from_slice(part.as_bytes());
            length = end;
        }
        self.numbers.get(std::str::from_utf8(&joined[..length]).ok()?).copied()
    }

    /// The word's number, in whatever form it stands: plural, past, comparative, British or American spelling.
    pub(crate) fn find(&self, word: &str) -> Option<WordNumber> {
        if let Some(&number) = self.numbers.get(word) {
            let base = self.bases.get(&number).copied().unwrap_or(number);
            // A form that has senses of its own ("left") stays itself.
            let regular = || if word.ends_with("ing") || OWN_FORMS.contains(&word) { None } else { self.regular(word) };
            return Some(if self.senses.of(number).is_empty() { base } else { regular().unwrap_or(number) });
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
            let direct = self.number(&[stem, base]);
            let single = || {
                let mut letters = stem.chars().rev();
                let doubled = base.is_empty() && *ending != "s" && letters.next() == letters.next();
                doubled
                    .then(|| self.number(&[&stem[..stem.len() - stem.chars().next_back().map_or(0, char::len_utf8)]]))
                    .flatten()
            };
            direct.or_else(single)
        })
    }

    pub(crate) fn text(&self, word: WordNumber) -> Option<&'static str> {
        self.texts.get(usize::from(word)).copied()
    }

    /// A verb of two words: turn off.
    pub(crate) fn phrase(&self, first: &str, second: &str) -> Option<WordNumber> {
        self.number(&[first, " ", second])
    }

    /// How two words stand to each other; symmetric.
    pub(crate) fn kinship(&self, first: WordNumber, second: WordNumber) -> Kinship {
        let meet = |a: &[u16], b: &[u16]| a.iter().any(|one| b.contains(one));
        let (a, b) = (self.senses.of(first), self.senses.of(second));
        let (above_a, above_b) = (self.parents.of(first), self.parents.of(second));
        if first == second {
            Kinship::Synonym
        } else if self.antonyms.of(first).contains(&second) {
            Kinship::Antonym
        } else if self.derived.of(first).contains(&second) {
            Kinship::Family
        } else if meet(a, b) {
            Kinship::Synonym
        } else if meet(above_a, b) || meet(above_b, a) {
            Kinship::ParentOrChild
        } else if meet(above_a, above_b) {
            Kinship::Sibling
        } else {
            Kinship::None
        }
    }

    /// The senses of a word and their parents: words with none in common, that are not [`Lexicon::relatives`], have no
    /// kinship.
    pub(crate) fn meanings(&self, word: WordNumber) -> impl Iterator<Item = u16> {
        self.senses.of(word).iter().chain(self.parents.of(word)).copied()
    }

    /// The word's opposites and the words that it is derived from or that are derived from it.
    pub(crate) fn relatives(&self, word: WordNumber) -> impl Iterator<Item = WordNumber> {
        self.antonyms.of(word).iter().chain(self.derived.of(word)).copied()
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
