//! Statements: what an actor tells its peers about whom it counts, and how that travels and is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bincode::{Decode, Encode};

use crate::actor::Actor;

/// The most actors that may be counted. Sets only grow, so this also bounds statements, news and memory.
pub const MAX_ACTORS: usize = 1024;

/// From which windows on something holds: those that *start* at or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum WindowFrom {
    /// All windows, also those that have begun and `forever`.
    Beginning,
    /// Windows that start at this unix second or later. `forever` never does.
    Second(i64),
}

impl WindowFrom {
    /// True when it holds in the window with this start.
    pub fn holds_in(self, window_start: i64) -> bool {
        match self {
            WindowFrom::Beginning => true,
            WindowFrom::Second(second) => second <= window_start,
        }
    }
}

impl fmt::Display for WindowFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WindowFrom::Beginning => f.write_str("the beginning"),
            WindowFrom::Second(second) => second.fmt(f),
        }
    }
}

/// "From these windows on I divide limits by these actors." An actor's later statements hold later and count more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// From which windows on.
    pub from: WindowFrom,
    /// Everybody it counts, itself included.
    pub counted: BTreeSet<Actor>,
}

/// All that is known of one actor. Only the actor itself adds to it, except for `forgotten_from`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Its statements, oldest first.
    pub statements: Vec<Statement>,
    /// From which windows on it has shares; none as long as it lives on transfers.
    pub active_from: Option<WindowFrom>,
    /// It has no share in windows that start at this unix second or later, by its own word.
    pub leaves_from: Option<i64>,
    /// The same, because an operator had it forgotten.
    pub forgotten_from: Option<i64>,
}

impl Word {
    /// Whom it counts in all.
    pub fn counts(&self) -> Option<&BTreeSet<Actor>> {
        self.statements.last().map(|last| &last.counted)
    }

    /// The first windows in which it has no share any more.
    pub fn gone_from(&self) -> Option<i64> {
        match (self.leaves_from, self.forgotten_from) {
            (Some(left), Some(forgotten)) => Some(left.min(forgotten)),
            (left, forgotten) => left.or(forgotten),
        }
    }

    /// True when it has no share in the window with this start, because it left or was forgotten.
    pub fn is_gone_in(&self, window_start: i64) -> bool {
        self.gone_from().is_some_and(|from| from <= window_start)
    }

    /// True when it may have a share in the window with this start.
    pub fn shares_in(&self, window_start: i64) -> bool {
        self.active_from.is_some_and(|from| from.holds_in(window_start)) && !self.is_gone_in(window_start)
    }

    /// False for an actor of which nothing is known but that it is there.
    pub(super) fn says_something(&self) -> bool {
        *self != Word::default()
    }

    /// The first windows in which `actor` need not fear this one: it counts `actor` from there on, or is gone.
    pub(super) fn allows(&self, actor: &Actor) -> Option<WindowFrom> {
        let counted = self.statements.iter().find(|statement| statement.counted.contains(actor));
        let gone = self.gone_from().map(WindowFrom::Second);
        counted.map(|statement| statement.from).into_iter().chain(gone).min()
    }

    /// Adds a statement; of two that hold from the same windows on, the later says it all.
    pub(super) fn state(&mut self, statement: Statement) {
        match self.statements.last_mut() {
            Some(last) if last.from == statement.from => *last = statement,
            _ => self.statements.push(statement),
        }
    }

    pub(super) fn forget_from(&mut self, from: i64) {
        self.forgotten_from = Some(self.forgotten_from.map_or(from, |known| known.min(from)));
    }

    /// True when it says something that `known` does not.
    pub(super) fn adds_to(&self, known: &Word) -> bool {
        self.size() > known.size()
            || (self.active_from.is_some() && known.active_from.is_none())
            || (self.leaves_from.is_some() && known.leaves_from.is_none())
            || self.forgotten_from.is_some_and(|from| known.forgotten_from.is_none_or(|known| from < known))
    }

    /// What both know. One writer and sets that only grow: of two lists of statements the one that counts more is later.
    pub(super) fn merge(&mut self, other: &Word) {
        if other.size() > self.size() {
            self.statements.clone_from(&other.statements);
        }
        self.active_from = self.active_from.or(other.active_from);
        self.leaves_from = self.leaves_from.or(other.leaves_from);
        if let Some(from) = other.forgotten_from {
            self.forget_from(from);
        }
    }

    pub(super) fn size(&self) -> usize {
        self.counts().map_or(0, BTreeSet::len)
    }

    fn check(&self, speaker: &Actor) -> Result<(), NewsError> {
        let refuse = |reason| Err(NewsError::Impossible { speaker: speaker.clone(), reason });
        if self.active_from.is_some() && self.statements.is_empty() {
            return refuse("it is active without a statement");
        }
        if self.size() > MAX_ACTORS || self.statements.len() > MAX_ACTORS {
            return refuse("it counts more actors than a cluster may have");
        }
        if self.statements.iter().any(|statement| !statement.counted.contains(speaker)) {
            return refuse("it does not count itself");
        }
        let ordered = self.statements.windows(2).all(|pair| match pair {
            [before, after] => before.from < after.from && before.counted.is_subset(&after.counted),
            _ => true,
        });
        if ordered { Ok(()) } else { refuse("its statements do not grow") }
    }
}

/// What one actor tells another: all it knows of everybody, itself included. It may be lost, repeated and late.
///
/// Who receives it must know `from` from the connection: an actor is believed about itself, and about others as a
/// witness of what they told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Who tells.
    pub from: Actor,
    /// Of whom, and what.
    pub words: BTreeMap<Actor, Arc<Word>>,
}

impl News {
    /// Refuses what no correct peer says, before any of it is believed.
    pub fn check(&self) -> Result<(), NewsError> {
        if self.words.len() > MAX_ACTORS {
            return Err(NewsError::TooMany { from: self.from.clone() });
        }
        self.words.iter().try_for_each(|(speaker, word)| word.check(speaker))
    }
}

/// Why news were not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewsError {
    /// More actors than a cluster may have.
    #[error("{from} tells of more than {MAX_ACTORS} actors: its news are not believed")]
    TooMany {
        /// Who told.
        from: Actor,
    },
    /// Something that a correct actor never says.
    #[error("the news tell of {speaker} that {reason}: none of them are believed")]
    Impossible {
        /// Of whom it was told.
        speaker: Actor,
        /// What is wrong.
        reason: &'static str,
    },
}

/// What the journal keeps of the counting rules. Order matters: a record may lean on those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// This actor states.
    Stated(Statement),
    /// This actor has shares from here on.
    Active(WindowFrom),
    /// This actor has no share in windows that start at this second or later.
    Leaves(i64),
    /// This actor heard that it was forgotten, or an operator had another one forgotten here: no share in windows that
    /// start at this second or later.
    Forgotten(Actor, i64),
    /// This actor heard that another has left or was forgotten.
    Gone(Actor, i64),
}
