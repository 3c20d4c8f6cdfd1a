//! What kind of thing a prompt asks for, and by which words: "what are the benefits of" asks as "why should I use" does.
//!
//! The words by which something is asked say nothing about its matter, so two prompts that ask for the same kind are
//! compared by what is left.

use std::sync::LazyLock;

use super::reading::Word;
use super::vocabulary::Role;
use crate::semantic::fixed::FixedMap;

/// Kinds in the order in which a sentence is taken to ask for them: "how many hours" is a duration before it is a count.
const KINDS: [(&str, &[&str]); 22] = [
    (
        "drawbacks",
        &[
            "disadvantage|drawback|con|downside|weakness|pitfall of|to|in",
            "speak against",
            "why should|would not use|adopt|choose|pick",
            "reason not use",
        ],
    ),
    (
        "benefits",
        &[
            "advantage|benefit|pro|upside|merit|strength|plus of|to|in",
            "why should|would|do|to use|adopt|choose|pick|prefer|consider|switch to",
            "why use|adopt|choose|pick|consider",
            "reason to|for use|adopt|choose|pick",
            "speak for",
        ],
    ),
    (
        "difference",
        &[
            "difference between",
            "difference",
            "differ from",
            "differ",
            "distinguish from",
            "compare",
            "comparison between|of",
            "versus",
        ],
    ),
    ("often", &["how often|frequently|regularly", "how many time", "at which|what interval|frequency"]),
    (
        "duration",
        &[
            "how long",
            "how much|many time|hour|minute|second|day|week|month|year",
            "duration of",
            "recovery|baking|cooking|travel|waiting time",
        ],
    ),
    ("distance", &["how far", "distance between|from|to", "distance"]),
    ("height", &["how tall|high", "height of"]),
    ("age", &["how old", "age of", "at which|what age"]),
    ("speed", &["how fast|quick|quickly", "speed of"]),
    ("temperature", &["how hot|cold|warm", "what|which temperature", "temperature of"]),
    ("size", &["how big|large|wide|deep|heavy", "what|which size|weight|depth|width"]),
    ("price", &["how much cost|pay|charge", "price|cost|fee of|for", "what cost|pay", "how expensive"]),
    ("count", &["how many", "number of", "count|quantity"]),
    ("amount", &["how much", "amount|quantity of"]),
    (
        "cause",
        &[
            "why",
            "for what|which reason",
            "what|which be reason|cause of|for|why|behind",
            "reason for|why|behind",
            "what cause|make",
            "how come",
        ],
    ),
    ("person", &["who", "whom", "what|which person|man|woman|company|team|artist|author|scientist"]),
    ("place", &["where", "what|which place|city|country|town|page"]),
    (
        "moment",
        &["when", "at what|which hour|time|point|moment|date", "what|which time|year|month|date|day", "date of"],
    ),
    ("command", &["what|which command|query|statement|function|option|setting|formula to|for|that"]),
    ("choice", &["recommend", "suggest", "any good", "what|which be good|best", "what|which best|good"]),
    (
        "method",
        &[
            "how do|does|can|could|should|would|to|might|may",
            "how be|is|are|was|were",
            "what|which process|way|procedure|step|method|technique|trick|approach to|for|of|in",
            "process|way|procedure|step|instruction|method|technique|guide|tutorial|trick to|for|of",
            "walk through",
            "tell|show|teach how",
        ],
    ),
    ("meaning", &["explain", "describe", "define", "definition of", "meaning of", "what mean", "mechanism"]),
];

/// Pairs of kinds that may well be the same question.
const NEIGHBOURS: [(&str, &str); 13] = [
    ("method", "meaning"),
    ("method", "command"),
    ("method", "choice"),
    ("method", "place"),
    ("command", "place"),
    ("benefits", "cause"),
    ("meaning", "cause"),
    ("meaning", "difference"),
    ("count", "amount"),
    ("price", "amount"),
    ("choice", "moment"),
    ("choice", "place"),
    ("place", "person"),
];

/// How many words that say nothing may stand between two words of a cue.
const GAP: usize = 3;

/// What a prompt asks for.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    /// A bit for each kind.
    kinds: u32,
    /// Which words ask, and for which kind.
    words: Vec<(u32, usize)>,
}

impl Asks {
    pub(super) fn of(words: &[Word], parts: &[usize]) -> Self {
        let mut asks = Self::default();
        let mut start = 0;
        for part in parts.chunk_by(|one, other| one == other) {
            asks.read(words, start..start + part.len());
            start += part.len();
        }
        asks
    }

    /// Keeps the first kind that this part of the prompt has a cue of.
    fn read(&mut self, words: &[Word], part: std::ops::Range<usize>) {
        let mut begun: Vec<(u16, usize)> = Vec::new();
        for at in part.clone() {
            let word = &words[at];
            for text in [word.text.as_str(), &*word.base] {
                begun.extend(CUES.begun_by(text).map(|cue| (cue, at)));
            }
        }
        begun.sort_unstable();
        let found = begun.into_iter().find_map(|(cue, at)| {
            let (kind, cue) = &CUES.all[usize::from(cue)];
            matched(words, &part, at, cue).map(|places| (*kind, places))
        });
        if let Some((kind, places)) = found {
            self.kinds |= 1 << kind;
            self.words.extend(places.into_iter().map(|place| (1 << kind, place)));
        }
    }

    /// Whether both ask for something of one kind.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.kinds & other.kinds != 0
    }

    /// Whether each asks for something, and for things of different kinds.
    pub(crate) fn differ(&self, other: &Self) -> bool {
        self.kinds != 0 && other.kinds != 0 && (self.kinds | neighbours(self.kinds)) & other.kinds == 0
    }

    /// The words that ask for what the other asks for too.
    pub(crate) fn shared(&self, other: &Self) -> impl Iterator<Item = usize> {
        let kinds = other.kinds | neighbours(other.kinds);
        self.words.iter().filter(move |(kind, _)| kind & kinds != 0).map(|(_, place)| *place)
    }
}

/// A cue: the words that it may have in each place.
type Cue = Vec<Vec<&'static str>>;

/// All cues in the order of their kinds, and which of them begin with a word.
#[derive(Debug, Default)]
struct Cues {
    all: Vec<(usize, Cue)>,
    by_first: FixedMap<&'static str, Vec<u16>>,
}

impl Cues {
    fn begun_by(&self, word: &str) -> impl Iterator<Item = u16> {
        self.by_first.get(word).into_iter().flatten().copied()
    }
}

static CUES: LazyLock<Cues> = LazyLock::new(|| {
    let mut cues = Cues::default();
    for (kind, (_, list)) in KINDS.iter().enumerate() {
        for cue in *list {
            let cue: Cue = cue.split(' ').map(|words| words.split('|').collect()).collect();
            let number = u16::try_from(cues.all.len()).unwrap_or(u16::MAX);
            for first in &cue[0] {
                cues.by_first.entry(first).or_default().push(number);
            }
            cues.all.push((kind, cue));
        }
    }
    cues
});

/// The neighbours of each kind, a bit for each.
static BESIDE: LazyLock<[u32; KINDS.len()]> = LazyLock::new(|| {
    let mut beside = [0; KINDS.len()];
    let place = |name: &str| KINDS.iter().position(|(known, _)| *known == name);
    for (one, other) in NEIGHBOURS {
        if let (Some(one), Some(other)) = (place(one), place(other)) {
            beside[one] |= 1 << other;
            beside[other] |= 1 << one;
        }
    }
    beside
});

fn neighbours(kinds: u32) -> u32 {
    BESIDE.iter().enumerate().filter(|(kind, _)| kinds & (1 << kind) != 0).fold(0, |all, (_, its)| all | its)
}

/// The places of a cue's words, if it begins at this word.
fn matched(words: &[Word], part: &std::ops::Range<usize>, start: usize, cue: &Cue) -> Option<Vec<usize>> {
    let mut places = Vec::new();
    let mut at = start;
    for wanted in cue {
        let is_wanted = |word: &Word| wanted.iter().any(|one| *one == word.text || *one == &*word.base);
        let skipped = if places.is_empty() {
            0
        } else {
            words[at..part.end]
                .iter()
                .take(GAP)
                .take_while(|word| !is_wanted(word) && matches!(word.role, Role::Filler | Role::Weak))
                .count()
        };
        at += skipped;
        if at >= part.end || !is_wanted(&words[at]) {
            return None;
        }
        places.push(at);
        at += 1;
    }
    Some(places)
}
