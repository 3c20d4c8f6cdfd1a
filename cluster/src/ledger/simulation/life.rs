//! Crashes, restarts, joins, leaves, deaths, the word of operators, and data directories put back from old copies.

use super::node::Node;
use super::oracle::Checked;
use super::rng::Rng;
use super::world::{World, actor};
use crate::actor::Actor;
use crate::identity::Incarnation;
use crate::ledger::allowance::{Allowance, CounterId};
use crate::ledger::counting::{Begin, Counting};
use crate::ledger::event::{Event, Message, Urgency};
use crate::ledger::ledger::LedgerConfig;
use crate::ledger::mutation::{Mutation, mutated};

const MOST_NODES: usize = 14;
const MOST_STAYING: usize = 9;
const MOST_DEAD: usize = 3;

impl World {
    /// The process is gone; of what was not synced a part is on disk, in order.
    pub(super) fn crash(&mut self, rng: &mut Rng, at: usize) {
        let kept = rng.index(self.nodes[at].disk.buffered() + 1);
        self.stop(at, kept);
    }

    fn stop(&mut self, at: usize, kept: usize) {
        if self.nodes[at].process.is_none() {
            return;
        }
        self.note(|| format!("{at} stops"));
        self.tally.note("stops");
        let node = &mut self.nodes[at];
        node.open_at_crash = node.disk.open_now();
        let done = node.disk.sync(kept);
        node.disk.lose_buffer();
        let Some(process) = node.process.take() else { return };
        for (counter, above) in process.data_plane.above() {
            self.oracle.lost_above(node.who, counter, above);
        }
        for (guard, dispatched) in process.running {
            self.oracle.died(node.who, &dispatched);
            // A process that is gone drops nothing.
            std::mem::forget(guard);
        }
        self.oracle.parts.rest(node.who, process.ledger.shares);
        self.note_forgotten(&done);
    }

    /// Its actor never comes back.
    pub(super) fn kill(&mut self, at: usize) {
        self.stop(at, 0);
        self.note(|| format!("{at} is gone for good"));
        self.nodes[at].gone = true;
        self.oracle.lives.end(self.nodes[at].who, false);
    }

    pub(super) fn restart_somebody(&mut self, rng: &mut Rng) -> Checked {
        let wanted = self.with(|node| node.process.is_none() || node.ousted);
        let Some(at) = rng.pick(&wanted) else { return Ok(()) };
        if self.nodes[at].is_down() {
            return self.start(at);
        }
        if !self.nodes[at].gone {
            self.kill(at);
        }
        if self.may_begin_again() && self.has_room() && rng.percent(50) { self.return_as_another(at) } else { Ok(()) }
    }

    /// A fresh node takes the name of one that is gone.
    fn return_as_another(&mut self, at: usize) -> Checked {
        self.note(|| format!("{at} comes back with an empty disk"));
        self.tally.note("new incarnations");
        let (old, begin) = (self.nodes[at].actor.clone(), self.nodes[at].begin.clone());
        let reused = mutated(Mutation::ActorReused);
        let incarnation = Incarnation(old.incarnation.0 + u64::from(!reused));
        let actor = Actor { incarnation, ..old };
        let who = if reused { self.nodes[at].who } else { self.oracle.begin(&actor, false) };
        self.nodes[at] = Node::new(actor, who, begin, &self.allowances);
        self.start(at)
    }

    /// True when those that may begin and know of no beginning could not be one of their own, one more included. It is
    /// what [`Begin`] asks of those who run a cluster.
    fn may_begin_again(&self) -> bool {
        let knows = |node: &&Node| node.has_begun();
        let (know, quorum) = self.begin.quorum(self.nodes.iter().filter(knows).map(|node| &node.actor));
        match &self.begin {
            Begin::Founders(founders) => founders.len() - know < quorum,
            Begin::Expect(nodes) => know >= *nodes,
            Begin::Alone => self.nodes[0].has_begun(),
        }
    }

    fn has_room(&self) -> bool {
        let leaves = |node: &Node| node.counting().is_some_and(|counting| counting.own.gone_from().is_some());
        self.nodes.len() < MOST_NODES && self.with(|node| !node.gone && !leaves(node)).len() < MOST_STAYING
    }

    pub(super) fn somebody_joins(&mut self) -> Checked {
        // Where names are random, nodes beyond the plan may be mistaken for the missing half of a beginning.
        let planned = match self.begin {
            Begin::Expect(nodes) => self.nodes.len() < 2 * nodes - 1,
            Begin::Alone | Begin::Founders(_) => true,
        };
        if planned && self.has_room() { self.join() } else { Ok(()) }
    }

    /// One more node, with a name that was never used.
    pub(super) fn join(&mut self) -> Checked {
        let at = self.nodes.len();
        self.tally.note("joins");
        let actor = actor(at, 1);
        // Who joins one that began alone has been told of it.
        let begin = match (&self.begin, self.nodes.first()) {
            (Begin::Alone, Some(first)) => Begin::Founders([first.actor.node.clone()].into()),
            (begin, _) => begin.clone(),
        };
        let who = self.oracle.begin(&actor, false);
        self.nodes.push(Node::new(actor, who, begin, &self.allowances));
        self.start(at)
    }

    /// Starts a node from its disk, with the registry's limits of the moment, and lets all meet that can.
    pub(super) fn start(&mut self, at: usize) -> Checked {
        self.generations += 1;
        let who = self.nodes[at].who;
        self.note(|| format!("{at} starts as life {who}"));
        let used_through = self.nodes[at].disk.used_through();
        let process = self.nodes[at].start(self.generations);
        self.oracle.lives.lives_again(process.ledger.actor());
        if !self.oracle.lives.get(who).astray {
            self.oracle.parts.restored(who, &process.ledger.shares, used_through);
        }
        let open = std::mem::take(&mut self.nodes[at].open_at_crash);
        self.oracle.recovered(&self.nodes[at], &open)?;
        let limits: Vec<Allowance> = self.nodes[at].limits.values().copied().collect();
        for allowance in limits {
            self.happen(None, at, Event::LimitChanged(allowance))?;
        }
        self.count(None, at, Counting::tick)?;
        (0..self.nodes.len()).try_for_each(|other| self.meet(at, other))
    }

    /// One leaves, or one that has said so goes.
    pub(super) fn somebody_leaves(&mut self, rng: &mut Rng) -> Checked {
        let left = |node: &Node| node.counting().is_some_and(|counting| counting.public.leaves_from.is_some());
        if let Some(at) = rng.pick(&self.with(left)) {
            return self.go(rng, at);
        }
        let active = self.with(Node::is_active);
        match rng.pick(&active) {
            // When the last one leaves little more happens; most runs should go on.
            Some(at) if active.len() > 1 || rng.percent(5) => {
                self.count(Some(rng), at, |counting, now| counting.leave(now))
            }
            _ => Ok(()),
        }
    }

    /// Ends its requests, hands its rights over as if the heir had asked for all of them, and closes its journal.
    fn go(&mut self, rng: &mut Rng, at: usize) -> Checked {
        self.note(|| format!("{at} leaves"));
        self.tally.note("leavers");
        self.finish_all(at)?;
        let heirs: Vec<usize> = self.up().into_iter().filter(|&other| other != at).collect();
        if let Some(heir) = rng.pick(&heirs) {
            let heir = self.nodes[heir].actor.clone();
            let open: Vec<CounterId> =
                self.nodes[at].ledger().into_iter().flat_map(|ledger| ledger.counters().keys().copied()).collect();
            for counter in open {
                let message = Message::Ask { counter, want: u64::MAX, seen: 0, urgency: Urgency::Last };
                let to = self.nodes[at].actor.clone();
                self.happen(Some(rng), at, Event::Peer { from: heir.clone(), to, message })?;
            }
        }
        self.sweep(None, at, true)?;
        self.happen(None, at, Event::Close)?;
        self.sync(at, usize::MAX);
        if self.nodes[at].process.is_none() {
            // It crashed meanwhile, and goes after it has come back.
            return Ok(());
        }
        self.oracle.closed(&self.nodes[at])?;
        self.stop(at, 0);
        self.nodes[at].gone = true;
        self.oracle.lives.end(self.nodes[at].who, true);
        Ok(())
    }

    pub(super) fn somebody_dies(&mut self, rng: &mut Rng, at: usize) -> Checked {
        let dead = self.with(|node| node.gone && !self.oracle.lives.get(node.who).left);
        // When nobody is left that has shares, little more happens; most runs should go on.
        let goes_on = self.with(Node::is_active).iter().any(|&other| other != at);
        if dead.len() >= MOST_DEAD || (!goes_on && !rng.percent(2)) || self.nodes[at].gone {
            return Ok(());
        }
        self.tally.note("deaths");
        self.kill(at);
        Ok(())
    }

    /// An operator has a dead actor forgotten, or, when rash, any.
    pub(super) fn somebody_is_forgotten(&mut self, rng: &mut Rng, at: usize) -> Checked {
        let mut actors = self.oracle.lives.dead();
        if rng.percent(80) {
            actors.retain(|actor| !self.oracle.lives.is_forgotten(actor));
        }
        let operator = self.nodes[at].actor.clone();
        if self.oracle.lives.is_taken_for_dead(&operator) {
            return Ok(());
        }
        if self.mix.rash_operators && rng.percent(15) {
            // Two halves that have each other forgotten go on apart, as two beginnings do: only one side forgets.
            let not_here = |node: &&Node| {
                !node.gone && node.actor != operator && !self.oracle.lives.has_forgotten_others(&node.actor)
            };
            actors = self.nodes.iter().filter(not_here).map(|node| node.actor.clone()).collect();
        }
        let Some(actor) = rng.pick(&actors) else { return Ok(()) };
        self.note(|| format!("{at} is to forget {actor}"));
        let alive = self.up().into_iter().find(|&other| self.nodes[other].actor == actor);
        self.oracle.lives.one_forgets_another(&operator, &actor, alive.is_some());
        if let Some(other) = alive {
            // That it cannot be reached is why it is taken for dead.
            self.isolate(other);
        }
        self.count(Some(rng), at, |counting, now| counting.forget(&actor, now).unwrap_or_default())
    }

    /// A data directory is copied, or the copy put in its place.
    pub(super) fn copy_or_put_back(&mut self, rng: &mut Rng, at: usize) -> Checked {
        if rng.percent(70) || self.nodes[at].gone || self.nodes[at].ousted || !self.nodes[at].disk.has_old_copy() {
            if !self.nodes[at].gone {
                self.nodes[at].disk.make_copy();
            }
            return Ok(());
        }
        self.crash(rng, at);
        self.tally.note("old copies put back");
        self.note(|| format!("the data directory of {at} is put back from an older copy"));
        let node = &mut self.nodes[at];
        self.oracle.lives.end(node.who, false);
        node.who = self.oracle.begin(&node.actor, true);
        node.disk.put_copy_back();
        let copied = node.disk.recover(&node.actor, &node.begin, LedgerConfig::default());
        node.open_at_crash = self.oracle.went_astray(node.who, &copied);
        self.start(at)
    }

    /// Everybody tells everybody, and all that is written is durable, until there is nothing more to say.
    pub(super) fn talk(&mut self) -> Checked {
        for _ in 0..6 {
            let before = self.oracle.parts.changes();
            for from in self.up() {
                self.sync(from, usize::MAX);
                let astray = self.oracle.lives.get(self.nodes[from].who).astray;
                for to in self.up() {
                    // Told one by one: what it hears from one it may tell the next.
                    let Some(counting) = self.nodes[from].counting().filter(|_| from != to && !astray) else {
                        continue;
                    };
                    let news = counting.gossip();
                    self.hear(None, to, &news)?;
                }
                self.tell_shares(from)?;
            }
            self.pass(1_000);
            self.oracle.check_parts(&self.nodes)?;
            if self.oracle.parts.changes() == before {
                break;
            }
        }
        Ok(())
    }
}
