//! A cluster of nodes with everything that can go wrong around them: what there is, and which step comes next.

use std::collections::{BTreeMap, BTreeSet};

use super::mix::{Mix, What};
use super::network::Packet;
use super::node::Node;
use super::oracle::{Checked, Oracle};
use super::rng::Rng;
use super::tally::Tally;
use crate::actor::Actor;
use crate::identity::{Incarnation, NodeId};
use crate::ledger::allowance::{Allowance, AllowanceId, Tier, Unit};
use crate::ledger::counting::Begin;
use crate::ledger::event::{Event, Now};
use crate::ledger::reservation::ReservationId;
use crate::ledger::window::WindowKind;

/// 2026-11-20T23:59:50Z.
const BEGIN: i64 = 1_795_219_190;

#[derive(Debug)]
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) oracle: Oracle,
    pub(super) allowances: Vec<Allowance>,
    pub(super) verdicts: BTreeMap<ReservationId, bool>,
    pub(super) trace: Option<Vec<String>>,
    pub(super) mix: Mix,
    /// How the cluster begins.
    pub(super) begin: Begin,
    pub(super) packets: Vec<Packet>,
    pub(super) news: Vec<Packet>,
    /// The ways from a node to another that are closed.
    pub(super) cut: BTreeSet<(usize, usize)>,
    pub(super) unix: i64,
    pub(super) mono_ms: u64,
    pub(super) generations: u64,
    pub(super) tally: Tally,
}

pub(super) fn actor(index: usize, incarnation: u64) -> Actor {
    let node: NodeId = format!("node-{index}").parse().unwrap();
    Actor { node, incarnation: Incarnation(incarnation) }
}

/// One to three, of which the short ones begin anew often enough that there is always something to spend.
fn allowances(rng: &mut Rng) -> Vec<Allowance> {
    let long = [WindowKind::M5, WindowKind::H1, WindowKind::D1, WindowKind::Month, WindowKind::Forever];
    let mut windows = vec![WindowKind::M1];
    windows.extend((0..rng.index(3)).map(|_| long[rng.index(long.len())]));
    let mut allowance = |(ordinal, window): (u32, WindowKind)| Allowance {
        id: AllowanceId::of(Tier::Key, "k", Unit::NanoUsd, window, ordinal),
        unit: Unit::NanoUsd,
        limit: [5, 100, 1_000, 1_000_000][rng.index(4)] + rng.below(7),
        window,
    };
    (0..).zip(windows).map(&mut allowance).collect()
}

impl World {
    pub(super) fn new(seed: u64) -> Result<World, String> {
        let mut rng = Rng::new(seed, u64::MAX);
        let mix = Mix::of(&mut rng);
        let size = 3 + rng.index(5);
        let begin = match rng.below(10) {
            0 => Begin::Alone,
            1 | 2 => Begin::Expect(size / 2 + 1),
            _ => Begin::Founders((0..1 + rng.index(size)).map(|number| actor(number, 1).node).collect()),
        };
        let allowances = allowances(&mut rng);
        let limit = [1, 2, 5, 7, 100, 1_000][rng.index(6)];
        let mut world = World {
            nodes: Vec::new(),
            oracle: Oracle::new(limit),
            allowances,
            verdicts: BTreeMap::new(),
            trace: None,
            mix,
            begin,
            packets: Vec::new(),
            news: Vec::new(),
            cut: BTreeSet::new(),
            unix: BEGIN + rng.below(40 * 86_400) as i64,
            mono_ms: 1_000_000,
            generations: 0,
            tally: Tally::default(),
        };
        world.pass(0);
        for _ in 0..size {
            world.join()?;
        }
        if rng.percent(if world.mix.counting { 30 } else { 80 }) {
            world.talk()?;
        }
        Ok(world)
    }

    pub(super) fn now(&self, node: usize) -> Now {
        Now { unix: self.unix + self.nodes[node].clock, mono_ms: self.mono_ms }
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    pub(super) fn with(&self, wanted: impl Fn(&Node) -> bool) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&at| wanted(&self.nodes[at])).collect()
    }

    pub(super) fn up(&self) -> Vec<usize> {
        self.with(|node| node.process.is_some())
    }

    /// One random thing happens, and then everything must hold.
    pub(super) fn step(&mut self, rng: &mut Rng) -> Checked {
        self.mono_ms += rng.below(4);
        let up = self.up();
        let anybody = rng.index(self.nodes.len());
        let at = rng.pick(&up).unwrap_or(anybody);
        let what = match self.mix.draw(rng) {
            What::Deliver if self.packets.is_empty() && self.news.is_empty() => What::Request,
            what => what,
        };
        match what {
            What::Deliver => self.deliver_one(rng)?,
            What::Gossip => self.gossip(rng, at),
            What::Request => self.request(rng, at)?,
            What::Drain => self.drain(rng, at)?,
            What::Finish => self.finish_one(rng, at)?,
            What::Sweep => {
                let recall = rng.percent(50);
                self.sweep(Some(rng), at, recall)?;
            }
            What::Tick => self.tick(rng, at)?,
            What::Pass => {
                let ms = self.stretch(rng);
                self.pass(ms);
                self.tick(rng, at)?;
            }
            What::Sync => self.write_back(rng, at)?,
            What::Crash => self.crash(rng, at),
            What::Restart => self.restart_somebody(rng)?,
            What::Cut => self.repartition(rng),
            What::Reconnect => self.reconnect(rng, at)?,
            What::LimitChange => self.change_limit(rng, at)?,
            What::ClockStep => self.step_clock(rng, at),
            What::Join => self.somebody_joins()?,
            What::Leave => self.somebody_leaves(rng)?,
            What::Die => self.somebody_dies(rng, at)?,
            What::Forget => self.somebody_is_forgotten(rng, at)?,
            What::OldCopy => self.copy_or_put_back(rng, anybody)?,
        }
        self.oracle.check_parts(&self.nodes)
    }

    fn stretch(&self, rng: &mut Rng) -> u64 {
        let money = if self.mix.rash_operators { [200, 3_000, 25_000, 400_000] } else { [20, 200, 3_000, 25_000] };
        let counting = [1, 7, 20, 45, 60, 60, 180, 900, 3_600, 86_400, 20 * 86_400];
        if self.mix.counting { 1_000 * counting[rng.index(counting.len())] } else { money[rng.index(money.len())] }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        let before = self.mono_ms / 1_000;
        self.mono_ms += ms;
        self.unix += i64::try_from(self.mono_ms / 1_000 - before).unwrap();
        self.oracle.parts.pass(self.unix);
    }

    /// Clocks are apart by less than what forgetting takes for granted, except in runs where that is broken too.
    fn step_clock(&mut self, rng: &mut Rng, at: usize) {
        let near = [0, 0, 7, 61, 120];
        let far = [0, 7, 61, 290, 3_600];
        let seconds = if self.mix.far_clocks { far[rng.index(5)] } else { near[rng.index(5)] };
        self.tally.note("clock steps");
        self.nodes[at].clock = if rng.percent(50) { seconds } else { -seconds };
        self.note(|| format!("the clock of {at} is off by {seconds} s, one way or the other"));
    }

    fn change_limit(&mut self, rng: &mut Rng, at: usize) -> Checked {
        let index = rng.index(self.allowances.len());
        if rng.percent(30) {
            let limit = self.allowances[index].limit;
            self.allowances[index].limit = [limit / 2, limit * 2, limit + 1, limit / 3 + 1][rng.index(4)].min(1 << 40);
        }
        let allowance = self.allowances[index];
        self.tally.note("limits learned");
        self.learn_limit(at, allowance)
    }

    pub(super) fn learn_limit(&mut self, at: usize, allowance: Allowance) -> Checked {
        self.nodes[at].limits.insert(allowance.id, allowance);
        self.happen(None, at, Event::LimitChanged(allowance))
    }
}
