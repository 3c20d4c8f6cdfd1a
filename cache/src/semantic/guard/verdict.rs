//! What the guard answers.

use std::fmt;

/// Why the guard refuses, or what a check looks at: a closed list, fit for a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// Text in quotation marks differs.
    Quoted,
    /// A name out of code differs.
    Identifier,
    /// A number or a date differs.
    Number,
    /// The same number of another unit.
    Unit,
    /// A version differs.
    Version,
    /// A named person, place or product differs.
    Entity,
    /// A natural or programming language differs.
    Language,
    /// One prompt negates.
    Negation,
    /// if against unless.
    Condition,
    /// A word and its opposite: enable, disable.
    Antonym,
    /// From A to B against from B to A.
    Direction,
    /// The same words with their parts swapped.
    Order,
    /// more against fewer, the fastest against the cheapest.
    Comparison,
    /// all against only, first against last.
    Scope,
    /// before against after, today against yesterday.
    Time,
    /// Another thing to be done: explain, translate.
    Task,
    /// One prompt asks for more than the other.
    Constraint,
    /// A word stands where the other prompt has another one of another meaning.
    Substitution,
    /// Nothing contradicts, and not enough agrees.
    Doubt,
    /// Not English: only the same words count.
    NotEnglish,
    /// Too long to compare.
    TooLong,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 21] = [
        Self::Quoted,
        Self::Identifier,
        Self::Number,
        Self::Unit,
        Self::Version,
        Self::Entity,
        Self::Language,
        Self::Negation,
        Self::Condition,
        Self::Antonym,
        Self::Direction,
        Self::Order,
        Self::Comparison,
        Self::Scope,
        Self::Time,
        Self::Task,
        Self::Constraint,
        Self::Substitution,
        Self::Doubt,
        Self::NotEnglish,
        Self::TooLong,
    ];

    /// The reason's name in headers, metrics and the explain call.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quoted => "quoted",
            Self::Identifier => "identifier",
            Self::Number => "number",
            Self::Unit => "unit",
            Self::Version => "version",
            Self::Entity => "entity",
            Self::Language => "language",
            Self::Negation => "negation",
            Self::Condition => "condition",
            Self::Antonym => "antonym",
            Self::Direction => "direction",
            Self::Order => "order",
            Self::Comparison => "comparison",
            Self::Scope => "scope",
            Self::Time => "time",
            Self::Task => "task",
            Self::Constraint => "constraint",
            Self::Substitution => "substitution",
            Self::Doubt => "doubt",
            Self::NotEnglish => "not_english",
            Self::TooLong => "too_long",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckVerdict {
    /// Both prompts say the same, or neither says anything.
    Same,
    /// They differ in a way that may be harmless.
    Differs,
    /// They differ in a way that makes the stored answer wrong.
    Contradicts,
}

impl CheckVerdict {
    /// The verdict's name in the explain call.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::Contradicts => "contradicts",
        }
    }
}

/// One check and what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: Reason,
    /// What was found.
    pub verdict: CheckVerdict,
    /// The words it was found in, empty where there is nothing to tell.
    pub detail: String,
}

/// How surely the answer to one prompt serves another, and why not.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The calibrated confidence, 0 to 1; 0 after a contradiction.
    pub similarity: f32,
    /// Why it is low, if it is.
    pub reason: Option<Reason>,
    /// Every check with what it found.
    pub checks: Vec<Check>,
}

impl Verdict {
    pub(super) fn same() -> Self {
        Self { similarity: 1.0, reason: None, checks: Vec::new() }
    }

    /// The same verdict with the prompts the other way round.
    pub(super) fn turned(mut self) -> Self {
        for check in &mut self.checks {
            if let Some((first, second)) = check.detail.split_once(" | ") {
                check.detail = format!("{second} | {first}");
            }
        }
        self
    }

    pub(super) fn refused(reason: Reason, checks: Vec<Check>) -> Self {
        Self { similarity: 0.0, reason: Some(reason), checks }
    }
}
