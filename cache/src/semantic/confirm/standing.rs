//! Which pairs are asked about.

use crate::semantic::{CheckVerdict, Verdict};

/// A guard that is less sure than this has found next to nothing that the two prompts share: such a pair is not worth a
/// question.
const DOUBT_FLOOR: f32 = 0.05;

/// What a second opinion is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asks {
    /// Pairs that the guard doubts: confirmed, they are hits.
    #[default]
    Doubts,
    /// Those that it is sure of too: refused, they are none.
    All,
}

/// Where a pair stands after the guard's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As sure as it must be.
    Sure,
    /// Nothing contradicts, and not enough agrees.
    Doubt,
    /// Contradicted, or not alike at all.
    Refused,
}

impl Standing {
    /// Of a verdict that is held against this threshold.
    #[must_use]
    pub fn of(verdict: &Verdict, threshold: f32) -> Self {
        let contradicts = verdict.checks.iter().any(|check| check.verdict == CheckVerdict::Contradicts);
        // What contradicts is no answer under any threshold.
        if contradicts || verdict.similarity <= 0.0 {
            Self::Refused
        } else if verdict.similarity >= threshold {
            Self::Sure
        } else if verdict.similarity >= DOUBT_FLOOR {
            Self::Doubt
        } else {
            Self::Refused
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantic::{Check, Reason};

    fn verdict(similarity: f32, check: CheckVerdict) -> Verdict {
        let check = Check { name: Reason::Number, verdict: check, detail: String::new() };
        Verdict { similarity, reason: None, checks: vec![check] }
    }

    #[test]
    fn a_contradiction_is_refused_however_similar() {
        for similarity in [0.0, 0.05, 0.5, 0.85, 1.0] {
            assert_eq!(Standing::of(&verdict(similarity, CheckVerdict::Contradicts), 0.85), Standing::Refused);
        }
    }

    #[test]
    fn what_nothing_contradicts_stands_by_its_similarity() {
        let of = |similarity| Standing::of(&verdict(similarity, CheckVerdict::Differs), 0.85);
        assert_eq!([of(0.0), of(0.049), of(-1.0)], [Standing::Refused; 3]);
        assert_eq!([of(0.05), of(0.84)], [Standing::Doubt; 2]);
        assert_eq!([of(0.85), of(1.0)], [Standing::Sure; 2]);
        assert_eq!(Standing::of(&verdict(0.0, CheckVerdict::Same), 0.0), Standing::Refused);
        assert_eq!(Standing::of(&verdict(f32::NAN, CheckVerdict::Same), 0.5), Standing::Refused);
    }
}
