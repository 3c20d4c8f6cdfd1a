//! The guard: two prompts to one number, the calibrated confidence that the answer to the first answers the second.
//!
//! Deterministic checks come first ([`checks`]): a contradiction makes the similarity 0 and names its reason. What no check
//! contradicts is weighed by a logistic table over readable features (`features`, `weights`), trained and calibrated by
//! `cache/semantic/train/fit.py`. Doubt is a miss. The judgement is symmetric, and a text always answers itself.
//!
//! - `align`: which word of one prompt stands for which of the other.
//! - `kindred`: which pairs of words are worth a look.
//! - `parts`: how much of each prompt, and of each of its sentences, the other covers.
//! - `checks`: what makes two prompts different, each with its reason.
//! - `features`: what is weighed.
//! - `weights`: the trained table.
//! - `verdict`: the answer.

mod align;
mod checks;
mod features;
mod kindred;
mod parts;
mod verdict;
mod weights;

pub use verdict::{Check, CheckVerdict, Reason, Verdict};

use super::text::Reading;
use align::Alignment;
use checks::Pair;

pub use features::NAMES as FEATURE_NAMES;
use unicode_normalization::UnicodeNormalization as _;

/// The longest prompt that is compared, in bytes: beyond it only the same text is a hit.
pub const LONGEST_PROMPT: usize = 4 * 1024;
/// The most words that are compared with each other.
const MOST_WORDS: usize = 400;

/// Judges whether the answer to one prompt serves another.
///
/// Stateless and cheap to make; the tables it reads are loaded once in a process, at first use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guard {
    /// Whether the cosine of a candidate is weighed too.
    weighs_cosine: bool,
}

/// The vector space of all-MiniLM-L6-v2 as it was published, the one model whose cosines there is a table for.
const MINILM: &str = "local:384/8087e9bf97c265f8";

impl Guard {
    /// A guard over the tables in the binary.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A guard of candidates that the embedder of this space finds. With all-MiniLM-L6-v2 on, their cosine is weighed
    /// beside what the guard sees itself.
    #[must_use]
    pub fn of_space(space: &str) -> Self {
        Self { weighs_cosine: space == MINILM }
    }

    /// How surely the answer to `first` is a correct and complete answer to `second`.
    ///
    /// Takes the text of the last turn of each; what came before must already be the same. Never panics, and takes
    /// bounded time whatever the texts are.
    #[must_use]
    pub fn judge(&self, first: &str, second: &str) -> Verdict {
        if first == second {
            return Verdict::same();
        }
        self.judge_read(&Prompt::read(first), &Prompt::read(second))
    }

    /// Like [`Guard::judge`], of prompts that were read before.
    #[must_use]
    pub fn judge_read(&self, first: &Prompt, second: &Prompt) -> Verdict {
        judge(first, second, None)
    }

    /// Like [`Guard::judge_read`], of a candidate and the cosine that it was found by.
    #[must_use]
    pub fn judge_found(&self, first: &Prompt, second: &Prompt, cosine: f32) -> Verdict {
        judge(first, second, self.weighs_cosine.then_some(cosine))
    }

    /// What the table weighs for two prompts, by [`FEATURE_NAMES`]; for training, and to explain a verdict.
    #[must_use]
    pub fn features(&self, first: &str, second: &str) -> Vec<f32> {
        let (first, second) = if first <= second { (first, second) } else { (second, first) };
        let (a, b) = (Reading::of(first), Reading::of(second));
        let alignment = Alignment::of(&a, &b);
        let pair = Pair::of(&a, &b, &alignment);
        features::of(&pair, &checks::run(&pair)).to_vec()
    }
}

fn judge(first: &Prompt, second: &Prompt, cosine: Option<f32>) -> Verdict {
    if first.text == second.text {
        return Verdict::same();
    }
    let (Some(a), Some(b)) = (&first.reading, &second.reading) else {
        return Verdict::refused(Reason::TooLong, Vec::new());
    };
    // One order for every pair, so that the judgement is the same both ways.
    if first.text <= second.text { compare(a, b, cosine) } else { compare(b, a, cosine).turned() }
}

/// A prompt, read once to be judged against many.
#[derive(Debug)]
pub struct Prompt {
    text: Box<str>,
    /// None where it is too long to compare.
    reading: Option<Reading>,
}

impl Prompt {
    /// Reads the text of a last turn.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self { text: text.into(), reading: (text.len() <= LONGEST_PROMPT).then(|| Reading::of(text)) }
    }
}

/// Below this the verdict carries [`Reason::Doubt`], whatever threshold the caller holds it against.
const SURE: f32 = 0.85;

fn compare(a: &Reading, b: &Reading, cosine: Option<f32>) -> Verdict {
    if a.words.len() > MOST_WORDS || b.words.len() > MOST_WORDS {
        return Verdict::refused(Reason::TooLong, Vec::new());
    }
    if a.words.is_empty() || b.words.is_empty() || !a.english || !b.english {
        return strict(a, b);
    }
    let alignment = Alignment::of(a, b);
    let pair = Pair::of(a, b, &alignment);
    let checks = checks::run(&pair);
    if let Some(reason) = checks.iter().find(|check| check.verdict == CheckVerdict::Contradicts).map(|check| check.name)
    {
        return Verdict::refused(reason, checks);
    }
    let features = features::of(&pair, &checks);
    let similarity = match cosine {
        None => weights::confidence(&features),
        Some(cosine) => weights::confidence_of_found(&features::with_cosine(&features, cosine)),
    };
    Verdict { similarity, reason: (similarity < SURE).then_some(Reason::Doubt), checks }
}

/// Where the tables do not apply (another language, another script), only the same words in the same order are a hit.
fn strict(a: &Reading, b: &Reading) -> Verdict {
    let letters = |reading: &Reading| {
        reading.plain.chars().filter(|c| !c.is_whitespace() && !is_closing_mark(*c)).collect::<String>()
    };
    let (text, other) = (letters(a), letters(b));
    // Who types without accents leaves all of them out.
    let without = |text: &str| text.nfd().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).collect::<String>();
    let typed_without = text.is_ascii() != other.is_ascii() && without(&text) == without(&other);
    if !text.is_empty() && (text == other || typed_without) {
        return Verdict { similarity: 0.98, reason: None, checks: Vec::new() };
    }
    Verdict::refused(Reason::NotEnglish, Vec::new())
}

/// Marks at the end of a sentence, which people leave out.
fn is_closing_mark(c: char) -> bool {
    matches!(c, '.' | ',' | '!' | '?' | '¿' | '¡' | '。' | '？' | '！' | '、' | '，' | '।' | '؟')
}
