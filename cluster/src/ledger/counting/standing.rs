//! What people may see of the counting: who is counted, who has shares, what is waited for, what is locked in whom.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Counting, WindowFrom};
use crate::actor::Actor;
use crate::ledger::allowance::CounterId;
use crate::ledger::share::share;
use crate::ledger::statement::Word;

/// One actor that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub actor: Actor,
    /// From which windows on it has shares, as far as this actor heard.
    pub active_from: Option<WindowFrom>,
    /// From which window start on it has none.
    pub gone_from: Option<i64>,
    /// True when it was heard to count this actor.
    pub counts_us: bool,
}

/// Why an actor is not active yet. Until it is, it lives on transfers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// Nobody has begun: so many of those who may have met, so many must.
    Quorum {
        /// Nodes that may begin and have met this one, itself included.
        met: usize,
        /// How many it takes.
        needed: usize,
    },
    /// Nobody who has begun was heard of or is still there, and this one may not begin.
    Cluster,
    /// These have not said that they count this actor, nor that they are gone. A dead one among them must be forgotten.
    Words(BTreeSet<Actor>),
    /// Its own statements are not durable yet.
    Journal,
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitsFor::Quorum { met, needed } => write!(f, "{met} of {needed} nodes that must meet to begin have met"),
            WaitsFor::Cluster => {
                f.write_str("no node that has begun and is still there was met, and this one is not a founder")
            }
            WaitsFor::Words(actors) => {
                f.write_str("not counted yet by")?;
                actors.iter().try_for_each(|actor| write!(f, " {actor}"))
            }
            WaitsFor::Journal => f.write_str("its statements are not durable yet"),
        }
    }
}

/// What a person must look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// This actor has shares that were divided without us: two groups began apart, and both had the whole limit.
    TwoBeginnings(Actor),
    /// Peers know statements of this actor that its journal does not: its data directory is an old copy, or in use twice.
    RolledBack,
    /// This actor was forgotten while it lives: no share in windows that start at this unix second or later.
    Forgotten(i64),
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alarm::TwoBeginnings(other) => write!(
                f,
                "{other} began apart from this node: limits of windows that had begun before they met may be used twice; \
                 give both the same cluster.founders"
            ),
            Alarm::RolledBack => f.write_str(
                "peers know statements of this node that its journal does not: its data directory is an old copy or in \
                 use twice; shares are withheld, start it as a new incarnation",
            ),
            Alarm::Forgotten(from) => write!(
                f,
                "this node was forgotten while it lives: it has no share in windows that start at unix second {from} or \
                 later; start it as a new incarnation"
            ),
        }
    }
}

/// Where an actor stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which actor.
    pub actor: Actor,
    /// From which windows on it has shares.
    pub active_from: Option<WindowFrom>,
    /// From which window start on it has none, because it leaves.
    pub leaves_from: Option<i64>,
    /// Why it is not active; none when it is, or leaves.
    pub waits_for: Option<WaitsFor>,
    /// Everybody it counts, itself included.
    pub counted: Vec<Peer>,
    /// What a person must look at.
    pub alarms: Vec<Alarm>,
    /// Records that the journal has not confirmed.
    pub unconfirmed: usize,
}

impl Counting {
    /// Where this actor stands.
    pub fn standing(&self) -> Standing {
        Standing {
            actor: self.actor.clone(),
            active_from: self.public.active_from,
            leaves_from: self.own.leaves_from,
            waits_for: self.waits_for(),
            counted: self.own.counts().into_iter().flatten().map(|actor| self.peer(actor)).collect(),
            alarms: self.alarms(),
            unconfirmed: self.pending.len(),
        }
    }

    /// What a person must look at.
    pub fn alarms(&self) -> Vec<Alarm> {
        let rivals = self.rivals.iter().cloned().map(Alarm::TwoBeginnings);
        let rolled_back = self.rolled_back.then_some(Alarm::RolledBack);
        let forgotten = self.own.forgotten_from.map(Alarm::Forgotten);
        rivals.chain(rolled_back).chain(forgotten).collect()
    }

    /// Who has how much of `limit`, as far as this actor knows: what is locked in those of them that do not answer. An
    /// actor that counts more than this one knows has less. When those who live have nothing in a window to come, nobody
    /// will have anything there to give.
    pub fn shares(&self, counter: &CounterId, limit: u64) -> BTreeMap<Actor, u64> {
        let counted = self.counted(counter.window_start);
        let has_share = |actor: &&Actor| self.word_of(actor).is_some_and(|word| word.shares_in(counter.window_start));
        let holders = counted.iter().filter(has_share);
        holders.map(|actor| (actor.clone(), share(counter, limit, actor, &counted))).collect()
    }

    fn peer(&self, actor: &Actor) -> Peer {
        let word = self.word_of(actor);
        Peer {
            actor: actor.clone(),
            active_from: word.and_then(|word| word.active_from),
            gone_from: word.and_then(Word::gone_from),
            counts_us: word.and_then(Word::counts).is_some_and(|counted| counted.contains(&self.actor)),
        }
    }

    fn waits_for(&self) -> Option<WaitsFor> {
        if self.public.active_from.is_some() || self.own.gone_from().is_some() {
            return None;
        }
        if self.own.active_from.is_some() {
            return Some(WaitsFor::Journal);
        }
        let founder = self.begin.is_founder(&self.actor.node);
        let begun = !self.own.statements.is_empty();
        let (met, needed) = self.begin.quorum(if begun { self.known.iter() } else { self.met.iter() });
        if founder && met < needed {
            return Some(WaitsFor::Quorum { met, needed });
        }
        if !begun {
            return Some(WaitsFor::Cluster);
        }
        let silent = |other: &&Actor| {
            **other != self.actor && self.heard.get(*other).is_none_or(|word| word.allows(&self.actor).is_none())
        };
        let silent: BTreeSet<Actor> = self.known.iter().filter(silent).cloned().collect();
        if !silent.is_empty() || self.is_vouched_for() {
            return Some(WaitsFor::Words(silent));
        }
        // All whom it must count are gone, and none of them has counted it.
        let (met, needed) = self.present_quorum();
        Some(if founder { WaitsFor::Quorum { met, needed } } else { WaitsFor::Cluster })
    }
}
