//! How a run ends: all faults end, all requests end, everything that is under way arrives, and then all must be in order.

use super::node::Node;
use super::oracle::{self, Checked, ensure};
use super::rng::Rng;
use super::world::World;
use crate::actor::Actor;
use crate::ledger::allowance::CounterId;
use crate::ledger::counter::Counter;
use crate::ledger::counting::Counting;
use crate::ledger::event::{Charge, Event};
use crate::ledger::ledger::Ledger;

/// What a run without a failure came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The living hold all of every limit to come.
    Whole,
    /// Nobody alive had shares and meant to stay, so that nobody could forget the dead.
    NobodyLeft,
}

impl World {
    pub(super) fn quiesce(&mut self) -> Result<End, String> {
        self.note(|| "everything heals".to_owned());
        self.cut.clear();
        self.packets.clear();
        self.news.clear();
        for at in 0..self.nodes.len() {
            self.nodes[at].clock = 0;
            if self.nodes[at].is_down() {
                self.start(at)?;
            }
            self.finish_all(at)?;
        }
        for allowance in self.allowances.clone() {
            for at in 0..self.nodes.len() {
                self.learn_limit(at, allowance)?;
            }
        }
        self.talk()?;
        self.meet_all()?;
        self.settle_down(400)?;
        self.retire_old_copies()?;
        let end = self.forget_the_dead()?;
        self.meet_all()?;
        self.lose_sight_of_the_gone()?;
        self.settle_down(400)?;
        (0..self.nodes.len()).try_for_each(|at| self.finish_all(at))?;
        self.settle_down(10_200)?;
        Ok(end)
    }

    /// By now everybody has met everybody: whoever goes on from an old copy has been noticed by all who can tell.
    fn retire_old_copies(&mut self) -> Checked {
        for at in self.up() {
            let fenced = self.nodes[at].ledger().is_some_and(Ledger::is_fenced);
            if let Some(witness) = oracle::knows_more(self, at)
                && !fenced
            {
                return Err(format!("I5: {witness} knows more of {at} than its journal, and nobody noticed"));
            }
            if fenced || self.nodes[at].ousted || self.oracle.lives.get(self.nodes[at].who).astray {
                self.kill(at);
            }
        }
        Ok(())
    }

    /// An operator has the dead forgotten; then the living must hold all of what is to come.
    fn forget_the_dead(&mut self) -> Result<End, String> {
        let Some(&operator) = self.with(Node::is_active).first() else { return Ok(End::NobodyLeft) };
        for dead in self.oracle.lives.dead() {
            self.count(None, operator, |counting, now| counting.forget(&dead, now).unwrap_or_default())?;
        }
        self.talk()?;
        self.pass(60_000);
        self.tick_all()?;
        self.talk()?;
        oracle::check_the_living_hold_all(self)?;
        Ok(End::Whole)
    }

    /// What membership tells of those that do not answer.
    fn lose_sight_of_the_gone(&mut self) -> Checked {
        let there: Vec<Actor> = self.nodes.iter().filter_map(|node| Some(node.ledger()?.actor().clone())).collect();
        for at in self.up() {
            let peers = self.nodes[at].ledger().into_iter().flat_map(|ledger| &ledger.peers);
            let gone: Vec<Actor> = peers.filter(|peer| !there.contains(peer)).cloned().collect();
            for peer in gone {
                self.happen(None, at, Event::PeerGone(peer))?;
            }
        }
        Ok(())
    }

    /// Delivers everything, every millisecond, for so long.
    fn settle_down(&mut self, ms: u64) -> Checked {
        let end = self.mono_ms + ms;
        while self.mono_ms < end || !self.packets.is_empty() {
            self.deliver_all()?;
            let due = self.nodes.iter().filter_map(|node| Some(node.ledger()?.next_deadline())).min();
            let wait = due.map_or(100, |due| due.saturating_sub(self.mono_ms)).clamp(1, 100);
            self.pass(if self.packets.is_empty() { wait } else { 1 });
            self.tick_all()?;
        }
        Ok(())
    }

    /// I6: what is left anywhere can be spent at any node, to the last unit, and no more.
    pub(super) fn check_liveness(&mut self, seed: u64) -> Checked {
        let mut rng = Rng::new(seed, u64::MAX - 1);
        for allowance in self.allowances.clone() {
            let up = self.up();
            let Some(at) = rng.pick(&up) else { return Ok(()) };
            // All of it within one window.
            let second = self.unix.rem_euclid(60);
            if second > 50 {
                self.settle_down(u64::try_from(61 - second).unwrap_or(0) * 1_000)?;
            }
            let id = allowance.counter(self.now(at).unix);
            // A clock that was ahead for longer than windows are kept has closed this one for its node: safe, but not
            // live.
            if self.nodes.iter().filter_map(Node::ledger).any(|ledger| ledger.is_closed(&id)) {
                continue;
            }
            for turn in 0..3 {
                self.check_that_all_can_be_had(&mut rng, at, id, turn)?;
            }
        }
        Ok(())
    }

    fn check_that_all_can_be_had(&mut self, rng: &mut Rng, at: usize, id: CounterId, turn: usize) -> Checked {
        let limit = self.nodes[at].limits[&id.allowance].limit;
        let most = self.held(at, &id, limit, |counter| counter.rights().max(0));
        let held = self.held(at, &id, limit, |counter| i128::from(counter.available()));
        // An actual above its reservation overdraws its own node; what the others hold is then more than is left.
        let left = held.min(self.oracle.left(&id, limit));
        let amount = [1 + rng.below(left), most + 1, left][turn];
        if amount == 0 {
            return Ok(());
        }
        let Some(reservation) = self.reserve(None, at, vec![Charge { allowance: id.allowance, amount }])? else {
            return Ok(());
        };
        self.settle_down(80)?;
        let granted = self.verdicts.get(&reservation).copied();
        let sound = granted == Some(true) && amount <= most || granted == Some(false) && amount > left;
        ensure(sound, || format!("I6: {amount} of {left} asked for at {at}, granted: {granted:?}, in {id:?}"))?;
        self.finish_all(at)
    }

    /// What `at` could have: its own rights, which may be overdrawn, and what the others may give.
    fn held(&self, at: usize, id: &CounterId, limit: u64, others: fn(&Counter) -> i128) -> u64 {
        let rights = |(index, ledger): (usize, &Ledger<Counting>)| match ledger.counters().get(id) {
            // A counter that nobody touched there still has that node's share.
            None => i128::from(ledger.shares.share(id, limit)),
            Some(counter) if index == at => counter.rights(),
            Some(counter) => others(counter),
        };
        let ledgers = self.nodes.iter().enumerate().filter_map(|(index, node)| Some((index, node.ledger()?)));
        u64::try_from(ledgers.map(rights).sum::<i128>()).unwrap_or(0)
    }
}
