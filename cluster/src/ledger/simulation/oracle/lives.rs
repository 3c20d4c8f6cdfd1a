//! Who ever was, under the names that rows and shares have: an actor, and each time that its data directory was put back
//! from an older copy one more, because such a life has forgotten what the one before it did.

use std::collections::{BTreeMap, BTreeSet};

use crate::actor::Actor;

#[derive(Debug)]
pub(in super::super) struct Life {
    pub(in super::super) actor: Actor,
    /// It goes on from an older copy, so what it uses is outside the guarantee until a peer notices.
    pub(in super::super) astray: bool,
    /// It never comes back.
    pub(in super::super) over: bool,
    /// It went in good order.
    pub(in super::super) left: bool,
}

/// What the word of an operator came to.
#[derive(Debug)]
struct Forgotten {
    /// The first window start without a share.
    from: i64,
    /// It lived on after that, or its clock was too far ahead for the margin.
    lived_on: bool,
}

#[derive(Debug, Default)]
pub(in super::super) struct Lives {
    all: Vec<Life>,
    of: BTreeMap<Actor, Vec<usize>>,
    forgotten: BTreeMap<Actor, Forgotten>,
    /// At whom operators had others forgotten, and whom; true when that one was seen alive since. It may take long until
    /// the word is on a disk.
    operators: BTreeSet<Actor>,
    targets: BTreeMap<Actor, bool>,
}

impl Lives {
    pub(in super::super) fn begin(&mut self, actor: &Actor, astray: bool) -> usize {
        let who = self.all.len();
        self.all.push(Life { actor: actor.clone(), astray, over: false, left: false });
        self.of.entry(actor.clone()).or_default().push(who);
        who
    }

    pub(in super::super) fn get(&self, who: usize) -> &Life {
        &self.all[who]
    }

    pub(in super::super) fn end(&mut self, who: usize, left: bool) {
        self.all[who].over = true;
        self.all[who].left = left;
    }

    pub(in super::super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(in super::super) fn of(&self, actor: &Actor) -> &[usize] {
        self.of.get(actor).map_or(&[], Vec::as_slice)
    }

    /// Actors that never come back. Some have left, but who knows whether anybody heard them say so.
    pub(in super::super) fn dead(&self) -> Vec<Actor> {
        let dead = |whos: &Vec<usize>| whos.iter().all(|who| self.all[*who].over);
        self.of.iter().filter(|(_, whos)| dead(whos)).map(|(actor, _)| actor.clone()).collect()
    }

    pub(in super::super) fn one_forgets_another(&mut self, operator: &Actor, target: &Actor, lives: bool) {
        self.operators.insert(operator.clone());
        *self.targets.entry(target.clone()).or_default() |= lives;
    }

    pub(in super::super) fn has_forgotten_others(&self, actor: &Actor) -> bool {
        self.operators.contains(actor)
    }

    pub(in super::super) fn is_taken_for_dead(&self, actor: &Actor) -> bool {
        self.targets.contains_key(actor)
    }

    /// The word is on somebody's disk.
    pub(in super::super) fn forget(&mut self, actor: &Actor, from: i64, lives: bool) {
        let lives = lives || self.targets.get(actor).copied().unwrap_or(false);
        let known = self.forgotten.entry(actor.clone()).or_insert(Forgotten { from, lived_on: lives });
        known.from = from.min(known.from);
        known.lived_on |= lives;
    }

    pub(in super::super) fn lives_again(&mut self, actor: &Actor) {
        if let Some(alive) = self.targets.get_mut(actor) {
            *alive = true;
        }
        if let Some(forgotten) = self.forgotten.get_mut(actor) {
            forgotten.lived_on = true;
        }
    }

    pub(in super::super) fn is_forgotten(&self, actor: &Actor) -> bool {
        self.forgotten.contains_key(actor)
    }

    /// In the window with this start others have its share: whether it may have used it too.
    pub(in super::super) fn forgotten_in(&self, who: usize, window_start: i64) -> Option<bool> {
        let forgotten = self.forgotten.get(&self.all[who].actor)?;
        (forgotten.from <= window_start).then_some(forgotten.lived_on)
    }
}
