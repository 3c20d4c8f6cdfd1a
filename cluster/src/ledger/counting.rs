//! The counting rules: by whom a limit is divided, without a leader.
//!
//! Every actor divides limits by the actors that *it* counts ([`share`](super::share)). The rules make sure that two
//! actors that have shares in a window always count each other there; then the shares sum to at most the limit, whatever
//! the network loses, repeats, delays or cuts, and whatever the clocks show.
//!
//! 0. An actor without a past has no shares. It may begin with a quorum of those who may ([`Begin`]), or it is a newcomer.
//! 1. It publishes whom it counts. Before it is active that holds for all windows; afterwards each new [`Statement`]
//!    counts more and names the first window start W from which it holds, always in the future.
//! 2. It is *active*, with shares in windows that start at or after the latest W of these, when everybody that it must
//!    count has stated that it counts it, or has left or was forgotten; and somebody who had shares has counted it, or a
//!    quorum of those who may begin is still there, itself one of them. It must count all that have stated anything, all
//!    whom they count, and, when it begins, the founders that it has met. Who has stated nothing yet needs not be counted:
//!    it is as if its messages had been lost, and so a node that fails before it takes part holds up nobody.
//! 3. A leaver states from which window start on it has no share. Others drop it there, and only there.
//! 4. So they do when an operator has a dead actor forgotten. Only an active actor may forget, because its own statement
//!    goes with the word, so that who hears it must wait for the living too.
//!
//! **Why it holds.** Statements of one actor are in an order and only grow. Of two actors that a third counts, the one
//! that it counted later therefore sees the earlier one in the statement that it waits for, must count it and needs its
//! word too. So two active actors count each other, in every window in which both have a share.
//! Going ends nothing of this as long as somebody stays: a leaver's last word tells all whom it counted, and who forgets
//! another is active and must be waited for. Where all are gone the witness is a quorum that begins anew. Two halves of a
//! cluster that each have the other forgotten are two beginnings: forget on one side only.
//!
//! **What W is.** Any unix second after the start of every window that this actor may have used. A window is touched by a
//! statement only if it *starts* at or after W, so the proof runs for each window by itself and W needs not be the
//! boundary of any kind: a minute that starts after W divides anew, the hour, the month and the `forever` around it began
//! before W and stay with those who were active then. W is rounded up to a whole minute, where all windows start; that
//! moves no window to the other side and lets joins of one minute share a statement. "May have used" is what makes clocks
//! harmless: shares are given out only in windows that start at most [`AHEAD`] seconds after the latest second this actor
//! ever saw, and W lies beyond that, also after the clock stepped back or the process started anew.
//!
//! **What is kept.** [`Actions::persist`] must reach the journal in order; [`Counting::persisted`] says that it did. Only
//! then is it published ([`Counting::gossip`]), and only then a share is used or a leaver dropped. Until then what
//! lowers a share already does.

mod begin;
#[cfg(test)]
mod scenarios;
mod standing;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub use self::begin::Begin;
pub use self::standing::{Alarm, Peer, Standing, WaitsFor};
use super::allowance::CounterId;
use super::mutation::{Mutation, mutated};
use super::share::share;
use super::statement::{MAX_ACTORS, News, NewsError, Record, Statement, WindowFrom, Word};
use crate::actor::Actor;

/// How far ahead of its clock, in seconds, an actor gives out shares: so that a window that begins between two ticks, or
/// for a peer whose clock is a little ahead, has its rights at once. A share waits for no longer than this.
pub const AHEAD: i64 = 10;
/// How much further ahead a forgotten actor is dropped, in seconds: its clock may have been ahead of ours when it died.
pub const FORGET_MARGIN: i64 = 300;

const MINUTE: i64 = 60;
/// With so many records on their way to a journal that does not answer, it counts no more actors. That is safe: they wait.
const MAX_PENDING: usize = 256;

/// What a step asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Actions {
    /// To be made durable, in this order; then call [`Counting::persisted`].
    pub persist: Vec<Record>,
}

/// Why an actor was not forgotten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgetError {
    /// It is this one.
    #[error("a node cannot forget itself: let it leave, or forget it at another node")]
    Itself,
    /// Nobody counts it.
    #[error("{0} is not counted here: nothing of a limit is kept for it")]
    Unknown(Actor),
    /// It is gone already.
    #[error("{actor} is gone already: it has no share in windows that start at unix second {from} or later")]
    Gone {
        /// Who.
        actor: Actor,
        /// Since which window start.
        from: i64,
    },
    /// This one has no shares, so that it may not know all who have.
    #[error(
        "this node lives on transfers and may not know all who have a share: forget {0} at a node that has one; \
         where no node ever had, start all with empty data directories"
    )]
    NotActive(Actor),
    /// The journal does not take what is written.
    #[error("cannot forget {0} now: the journal does not keep up; try again when durability is no longer degraded")]
    Journal(Actor),
}

/// The rules for one actor, as a state machine without clock, network or disk.
#[derive(Clone, Debug)]
pub struct Counting {
    actor: Actor,
    begin: Begin,
    /// What this actor said, also what is not durable yet.
    pub(super) own: Word,
    /// The durable part of it: all that others may know.
    pub(super) public: Arc<Word>,
    pub(super) pending: VecDeque<Record>,
    heard: BTreeMap<Actor, Arc<Word>>,
    /// Whom it met before it began, itself included.
    met: BTreeSet<Actor>,
    /// All that must be counted: itself, who was heard to state something, whom those count, and with whom it began.
    known: BTreeSet<Actor>,
    /// Who is gone, and from which window start on: as recorded, and as far as the records are durable.
    noted_gone: BTreeMap<Actor, i64>,
    gone: BTreeMap<Actor, i64>,
    /// The latest second seen, over all lives of this actor.
    clock: i64,
    /// How long it waits for more than a quorum before it begins, and since when it has one.
    patience: i64,
    quorum_since: Option<i64>,
    rivals: BTreeSet<Actor>,
    rolled_back: bool,
}

impl Counting {
    /// An actor without a past.
    pub fn new(actor: Actor, begin: Begin) -> Counting {
        Counting::restore(actor, begin, [], i64::MIN)
    }

    /// An actor as its journal left it. `used_through` is the latest start of a window of which anything was used or
    /// given away, as the journal tells it; `i64::MIN` when nothing was.
    pub fn restore(
        actor: Actor,
        begin: Begin,
        records: impl IntoIterator<Item = Record>,
        used_through: i64,
    ) -> Counting {
        let mut counting = Counting {
            own: Word::default(),
            public: Arc::default(),
            pending: VecDeque::new(),
            heard: BTreeMap::new(),
            met: BTreeSet::from([actor.clone()]),
            known: BTreeSet::from([actor.clone()]),
            noted_gone: BTreeMap::new(),
            gone: BTreeMap::new(),
            clock: used_through,
            patience: 0,
            quorum_since: None,
            rivals: BTreeSet::new(),
            rolled_back: false,
            actor,
            begin,
        };
        for record in records {
            counting.apply(record);
        }
        counting.own = Word::clone(&counting.public);
        counting.known.extend(counting.own.counts().into_iter().flatten().cloned());
        counting.noted_gone = counting.gone.clone();
        counting
    }

    /// With a quorum it waits so many seconds more for the rest of those who may begin. Founders that start together
    /// then divide by all of them from the beginning; who comes after it has no share in windows that have begun.
    pub fn with_patience(mut self, seconds: i64) -> Counting {
        self.patience = seconds;
        self
    }

    /// Time passes. Call it at least every few seconds: windows that start more than [`AHEAD`] after the latest call have
    /// no shares yet.
    pub fn tick(&mut self, now: i64) -> Actions {
        self.advance(now);
        self.count()
    }

    /// Hears what a peer tells. `news.from` must be the peer's authenticated identity.
    pub fn receive(&mut self, news: &News, now: i64) -> Result<Actions, NewsError> {
        self.advance(now);
        if news.from == self.actor {
            return Ok(Actions::default());
        }
        news.check()?;
        let mut fresh = BTreeSet::new();
        for (speaker, word) in &news.words {
            if self.heard.get(speaker).is_none_or(|known| word.adds_to(known)) && word.says_something() {
                fresh.insert(speaker);
                fresh.extend(word.counts().into_iter().flatten());
            }
        }
        fresh.retain(|actor| !self.known.contains(*actor));
        if self.known.len() + fresh.len() > MAX_ACTORS || self.met.len() >= MAX_ACTORS {
            return Err(NewsError::TooMany { from: news.from.clone() });
        }
        let fresh: Vec<Actor> = fresh.into_iter().cloned().collect();
        self.known.extend(fresh);
        self.meet(&news.from);
        let mut actions = Actions::default();
        if let Some(word) = news.words.get(&self.actor) {
            self.hear_of_itself(word, &mut actions);
        }
        for (speaker, word) in &news.words {
            if *speaker == self.actor || !word.says_something() {
                continue;
            }
            match self.heard.get_mut(speaker) {
                None => {
                    self.heard.insert(speaker.clone(), Arc::clone(word));
                }
                Some(known) if word.adds_to(known) => Arc::make_mut(known).merge(word),
                Some(_) => {}
            }
            self.watch_for_rivals(speaker);
        }
        actions.persist.extend(self.count().persist);
        Ok(actions)
    }

    /// The first `count` of the records that were not confirmed yet are durable.
    pub fn persisted(&mut self, count: usize) {
        for record in self.pending.drain(..count.min(self.pending.len())).collect::<Vec<_>>() {
            self.apply(record);
        }
    }

    /// What to tell peers: all that is known, of itself only what is durable.
    pub fn gossip(&self) -> News {
        let mut words = self.heard.clone();
        words.insert(self.actor.clone(), self.published());
        News { from: self.actor.clone(), words }
    }

    /// Leaves for good: no share in windows that start after all that it may have used. It counts nobody more, and must
    /// come back, if it does, as another actor.
    pub fn leave(&mut self, now: i64) -> Actions {
        self.advance(now);
        let mut actions = Actions::default();
        if self.own.leaves_from.is_none() {
            let from = minute_after(self.horizon());
            self.own.leaves_from = Some(from);
            self.emit(Record::Leaves(from), &mut actions);
        }
        actions
    }

    /// Drops a dead actor from future windows, so that its part goes to the living. If it still lives where this one
    /// cannot see it, at most what it has not used of its own rights is spent twice.
    pub fn forget(&mut self, actor: &Actor, now: i64) -> Result<Actions, ForgetError> {
        self.advance(now);
        if *actor == self.actor {
            return Err(ForgetError::Itself);
        }
        if !self.known.contains(actor) {
            return Err(ForgetError::Unknown(actor.clone()));
        }
        if let Some(from) = self.heard.get(actor).and_then(|word| word.gone_from()) {
            return Err(ForgetError::Gone { actor: actor.clone(), from });
        }
        let active = self.public.active_from.is_some() && self.own.gone_from().is_none() && !self.rolled_back;
        if !active && !mutated(Mutation::ForgottenByNewcomer) {
            return Err(ForgetError::NotActive(actor.clone()));
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(ForgetError::Journal(actor.clone()));
        }
        let mut actions = Actions::default();
        let from = minute_after(self.horizon().saturating_add(FORGET_MARGIN));
        self.emit(Record::Forgotten(actor.clone(), from), &mut actions);
        Ok(actions)
    }

    /// By whom it divides in windows with this start; nobody as long as it has said nothing.
    pub fn counted(&self, window_start: i64) -> Cow<'_, BTreeSet<Actor>> {
        let mut stated = self.own.statements.iter();
        let in_force = if mutated(Mutation::ShareRaisedOnJoin) {
            stated.next()
        } else {
            stated.rfind(|statement| statement.from.holds_in(window_start))
        };
        let Some(statement) = in_force else { return Cow::Owned(BTreeSet::new()) };
        let early = if mutated(Mutation::LeaverDroppedEarly) { MINUTE } else { 0 };
        let is_gone =
            |actor: &Actor| self.gone.get(actor).is_some_and(|from| from.saturating_sub(early) <= window_start);
        if statement.counted.iter().any(is_gone) {
            Cow::Owned(statement.counted.iter().filter(|actor| !is_gone(actor)).cloned().collect())
        } else {
            Cow::Borrowed(&statement.counted)
        }
    }

    /// From which windows on it has shares, once that is durable.
    pub fn active_from(&self) -> Option<WindowFrom> {
        self.public.active_from
    }

    /// Its part of `limit` in a window that has begun or is about to. In a window in which it gave something out it never
    /// falls again as long as the limit does not.
    pub fn share(&self, counter: &CounterId, limit: u64) -> u64 {
        if counter.window_start > self.horizon() { 0 } else { self.planned(counter, limit) }
    }

    /// What its part of `limit` would be by what is known today, in any window. Nothing may be used by this.
    pub fn planned(&self, counter: &CounterId, limit: u64) -> u64 {
        let active = self.public.active_from.is_some_and(|from| from.holds_in(counter.window_start));
        if !active || self.own.is_gone_in(counter.window_start) || self.rolled_back {
            return 0;
        }
        share(counter, limit, &self.actor, &self.counted(counter.window_start))
    }

    /// The shortest list of records that restores what is durable, for a snapshot of the journal.
    pub fn records(&self) -> Vec<Record> {
        let word = &self.public;
        let mut records: Vec<Record> = word.statements.iter().cloned().map(Record::Stated).collect();
        records.extend(word.active_from.map(Record::Active));
        records.extend(word.leaves_from.map(Record::Leaves));
        records.extend(word.forgotten_from.map(|from| Record::Forgotten(self.actor.clone(), from)));
        // Only what the journal holds after the statements that came with it.
        let noted = self.heard.iter().filter(|(actor, _)| self.gone.contains_key(*actor));
        let told = noted.filter_map(|(actor, word)| Some((actor, word.forgotten_from?)));
        records.extend(told.map(|(actor, from)| Record::Forgotten(actor.clone(), from)));
        records.extend(self.gone.iter().map(|(actor, from)| Record::Gone(actor.clone(), *from)));
        records
    }

    /// Whom it knows of, and what it heard of each but itself.
    fn word_of(&self, actor: &Actor) -> Option<&Word> {
        if *actor == self.actor { Some(&self.own) } else { self.heard.get(actor).map(Arc::as_ref) }
    }

    pub(super) fn horizon(&self) -> i64 {
        self.clock.saturating_add(AHEAD)
    }

    fn advance(&mut self, now: i64) {
        self.clock = if mutated(Mutation::ClockBelieved) { now } else { self.clock.max(now) };
    }

    /// Of two data directories of one node only the later can still be there.
    fn meet(&mut self, peer: &Actor) {
        if self.own.statements.is_empty() && !self.met.iter().any(|met| met.node == peer.node && met > peer) {
            self.met.retain(|met| met.node != peer.node);
            self.met.insert(peer.clone());
        }
    }

    /// Rules 1 and 2, after anything was learned.
    fn count(&mut self) -> Actions {
        let mut actions = Actions::default();
        self.state(&mut actions);
        // After the statement: who comes back with this on its disk must still count all that came with the word.
        self.note_the_gone(&mut actions);
        actions
    }

    fn state(&mut self, actions: &mut Actions) {
        if self.own.gone_from().is_some() || self.rolled_back || self.pending.len() >= MAX_PENDING {
            return;
        }
        let begun = !self.own.statements.is_empty() || self.heard.values().any(|word| !word.statements.is_empty());
        if !begun {
            if !self.may_begin() || self.is_patient() {
                return;
            }
            let (begin, met) = (&self.begin, self.met.iter());
            self.known.extend(met.filter(|actor| begin.is_founder(&actor.node)).cloned());
        }
        if self.known.len() > self.own.size() {
            let last = self.own.statements.last().map(|statement| statement.from);
            let future = WindowFrom::Second(minute_after(self.horizon()));
            let from = match self.own.active_from {
                None => WindowFrom::Beginning,
                Some(_) => last.map_or(future, |last| last.max(future)),
            };
            let statement = Statement { from, counted: self.known.clone() };
            self.own.state(statement.clone());
            self.emit(Record::Stated(statement), actions);
        }
        if self.own.active_from.is_none()
            && let Some(from) = self.allowed_from()
        {
            self.own.active_from = Some(from);
            self.emit(Record::Active(from), actions);
        }
    }

    fn may_begin(&self) -> bool {
        let (met, needed) = self.begin.quorum(self.met.iter());
        if mutated(Mutation::NewcomerAsFounder) {
            return self.met.len() >= needed;
        }
        self.begin.is_founder(&self.actor.node) && met >= needed
    }

    /// True while others who may begin are likely on their way.
    fn is_patient(&mut self) -> bool {
        let since = *self.quorum_since.get_or_insert(self.clock);
        !self.begin.is_complete(self.met.iter()) && self.clock < since.saturating_add(self.patience)
    }

    /// From which windows on all others allow it shares; none as long as a word is missing.
    fn allowed_from(&self) -> Option<WindowFrom> {
        let (counted, needed) = self.begin.quorum(self.known.iter());
        if self.begin.is_founder(&self.actor.node) && counted < needed {
            return None;
        }
        if !self.is_vouched_for() {
            return None;
        }
        let others = self.known.iter().filter(|other| **other != self.actor);
        others
            .map(|other| self.heard.get(other)?.allows(&self.actor))
            .try_fold(WindowFrom::Beginning, |latest, word| word.map(|from| latest.max(from)))
    }

    /// Somebody who had shares counts it, or it begins with a quorum of those who are still there. Where all whom it must
    /// count have gone before they counted it, another newcomer may stand there just so, and neither knows of the other.
    fn is_vouched_for(&self) -> bool {
        if mutated(Mutation::NobodyVouches) || mutated(Mutation::ForgottenByNewcomer) {
            return true;
        }
        let (present, needed) = self.present_quorum();
        let vouches = |word: &Word| {
            word.active_from.is_some() && word.counts().is_some_and(|counted| counted.contains(&self.actor))
        };
        let founder = self.begin.is_founder(&self.actor.node) || mutated(Mutation::NewcomerAsFounder);
        founder && present >= needed || self.heard.values().any(|word| vouches(word))
    }

    fn present_quorum(&self) -> (usize, usize) {
        let is_gone = |actor: &&Actor| self.word_of(actor).is_some_and(|word| word.gone_from().is_some());
        let present = self.known.iter().filter(|actor| !is_gone(actor));
        let (founders, needed) = self.begin.quorum(present.clone());
        (if mutated(Mutation::NewcomerAsFounder) { present.count() } else { founders }, needed)
    }

    fn hear_of_itself(&mut self, word: &Word, actions: &mut Actions) {
        // Only what was durable was ever told, so a peer that knows more met a life of this actor that the disk forgot.
        self.rolled_back |= word.size() > self.public.size()
            || (word.active_from.is_some() && self.public.active_from.is_none())
            || (word.leaves_from.is_some() && self.public.leaves_from.is_none());
        if let Some(from) = word.forgotten_from
            && self.own.forgotten_from.is_none_or(|known| from < known)
        {
            self.own.forget_from(from);
            self.emit(Record::Forgotten(self.actor.clone(), from), actions);
        }
    }

    /// Two active actors of one beginning always count each other; if not, there were two.
    fn watch_for_rivals(&mut self, other: &Actor) {
        let counts_it = self.own.counts().is_some_and(|counted| counted.contains(other));
        let lives = |word: &Word| word.active_from.is_some() && word.gone_from().is_none();
        // One that forgot whom it counted has met nobody strange.
        if !counts_it && !self.rolled_back && lives(&self.own) && self.heard.get(other).is_some_and(|word| lives(word))
        {
            self.rivals.insert(other.clone());
        }
    }

    /// Who is gone by another's word is kept as such, to be told on: those who heard that word first may not be there any
    /// more, and the actor itself may still live and must hear it.
    fn note_the_gone(&mut self, actions: &mut Actions) {
        let news: Vec<Record> = self
            .heard
            .iter()
            .filter_map(|(actor, word)| Some((actor, word.gone_from()?, word.forgotten_from)))
            .filter(|(actor, from, _)| self.noted_gone.get(actor).is_none_or(|noted| from < noted))
            .map(|(actor, from, forgotten)| match forgotten {
                Some(forgotten) if forgotten == from => Record::Forgotten(actor.clone(), from),
                _ => Record::Gone(actor.clone(), from),
            })
            .take(MAX_PENDING.saturating_sub(self.pending.len()))
            .collect();
        for record in news {
            if let Record::Forgotten(actor, from) | Record::Gone(actor, from) = &record {
                self.noted_gone.insert(actor.clone(), *from);
            }
            self.emit(record, actions);
        }
    }

    fn emit(&mut self, record: Record, actions: &mut Actions) {
        self.pending.push_back(record.clone());
        actions.persist.push(record);
    }

    fn apply(&mut self, record: Record) {
        let public = Arc::make_mut(&mut self.public);
        match record {
            Record::Stated(statement) => public.state(statement),
            Record::Active(from) => public.active_from = Some(from),
            Record::Leaves(from) => public.leaves_from = Some(from),
            Record::Forgotten(actor, from) if actor == self.actor => public.forget_from(from),
            Record::Forgotten(actor, from) => {
                Arc::make_mut(self.heard.entry(actor.clone()).or_default()).forget_from(from);
                drop_from(&mut self.noted_gone, &actor, from);
                drop_from(&mut self.gone, &actor, from);
            }
            Record::Gone(actor, from) => drop_from(&mut self.gone, &actor, from),
        }
    }

    fn published(&self) -> Arc<Word> {
        if mutated(Mutation::ToldBeforeDurable) { Arc::new(self.own.clone()) } else { Arc::clone(&self.public) }
    }
}

fn drop_from(gone: &mut BTreeMap<Actor, i64>, actor: &Actor, from: i64) {
    let known = gone.entry(actor.clone()).or_insert(from);
    *known = from.min(*known);
}

/// The first whole minute after a second.
fn minute_after(second: i64) -> i64 {
    second.div_euclid(MINUTE).saturating_add(1).saturating_mul(MINUTE)
}
