//! A cluster of health boards in memory, under load, before a provider that can fail for all nodes or for some. Messages
//! go through the wire's codec and take their time; a lost packet is a message that comes later, as over QUIC, and a
//! cut link is a message that does not come. Everything follows from the seed.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use peerway_cluster::health::messages::{Digest, News};
use peerway_cluster::health::{Admission, Board, Fault, Observation, Probe, Settings, Target, TargetStatus};
use peerway_cluster::identity::NodeId;
use peerway_cluster::wire;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const DEADLINE: u64 = 1_000_000;
const AGAIN: u64 = 100_000;
const COMPARE: u64 = 2_000_000;
pub const SECOND: u64 = 1_000_000;

pub fn node(number: usize) -> NodeId {
    format!("node-{number}").parse().unwrap()
}

pub fn target(model: &str) -> Target {
    Target { provider: "p".into(), key: "k".into(), model: model.into() }
}

/// How the provider answers a node.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Ok,
    Fails(Fault, Option<Duration>),
    /// This part of the calls fails.
    Flaky(f64),
}

#[derive(Clone, Debug)]
enum Wire {
    News(Vec<u8>),
    Digest(Vec<u8>),
}

#[derive(Debug)]
enum Event {
    Call(usize),
    End { node: usize, began: u64, fault: Fault, retry_after: Option<Duration>, probe: Option<Probe> },
    Deliver { from: usize, to: usize, seq: u64, message: Wire, upto: Option<u64> },
    Ack { from: usize, to: usize, seq: u64, agrees: bool, upto: Option<u64> },
    Late { from: usize, to: usize, seq: u64 },
    Flush(usize),
    Tick,
}

struct Peer {
    told: u64,
    busy: Option<u64>,
    not_before: u64,
    compare_at: u64,
}

pub struct SimNode {
    pub board: Board,
    pub is_alive: bool,
    peers: BTreeMap<usize, Peer>,
    /// Calls a second.
    pub rate: f64,
    pub under_way: usize,
    pub let_through: Vec<u64>,
    pub failed: Vec<u64>,
    pub skipped: usize,
    pub probes: Vec<u64>,
}

pub struct Sim {
    pub now: u64,
    pub nodes: Vec<SimNode>,
    pub answers: Vec<Answer>,
    /// How long a call takes.
    pub latency: u64,
    /// How long a failing one takes.
    pub failing_latency: u64,
    pub delay: (u64, u64),
    pub loss: f64,
    pub cut: BTreeSet<(usize, usize)>,
    pub messages: u64,
    target: Target,
    rng: StdRng,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    pending: BTreeMap<u64, Event>,
    order: u64,
}

fn at(us: u64) -> Duration {
    Duration::from_micros(us)
}

impl Sim {
    pub fn new(nodes: usize, seed: u64, settings: Settings, cluster_rate: f64) -> Sim {
        let rate = cluster_rate / nodes as f64;
        let mut sim = Sim {
            now: 0,
            nodes: (0..nodes)
                .map(|number| SimNode {
                    board: Board::new(node(number), 1, settings),
                    is_alive: true,
                    peers: (0..nodes)
                        .filter(|other| *other != number)
                        .map(|other| (other, Peer { told: 0, busy: None, not_before: 0, compare_at: 0 }))
                        .collect(),
                    rate,
                    under_way: 0,
                    let_through: Vec::new(),
                    failed: Vec::new(),
                    skipped: 0,
                    probes: Vec::new(),
                })
                .collect(),
            answers: vec![Answer::Ok; nodes],
            latency: 20_000,
            failing_latency: 2_000,
            delay: (200, 2_000),
            loss: 0.01,
            cut: BTreeSet::new(),
            messages: 0,
            target: target("m"),
            rng: StdRng::seed_from_u64(seed),
            events: BinaryHeap::new(),
            pending: BTreeMap::new(),
            order: 0,
        };
        for number in 0..nodes {
            sim.next_call(number);
        }
        sim.push(SECOND, Event::Tick);
        sim
    }

    fn push(&mut self, due: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((due, self.order)));
        self.pending.insert(self.order, event);
    }

    /// A Poisson process.
    fn next_call(&mut self, number: usize) {
        let rate = self.nodes[number].rate;
        if rate > 0.0 {
            let gap = -(1.0 - self.rng.random::<f64>()).ln() / rate;
            let due = self.now + (gap * 1e6) as u64;
            self.push(due, Event::Call(number));
        }
    }

    /// A node begins to send, or changes how much.
    pub fn set_rate(&mut self, number: usize, rate: f64) {
        let was = std::mem::replace(&mut self.nodes[number].rate, rate);
        if was == 0.0 {
            self.next_call(number);
        }
    }

    pub fn all(&mut self, answer: Answer) {
        self.answers.fill(answer);
    }

    pub fn kill(&mut self, number: usize) {
        self.nodes[number].is_alive = false;
    }

    pub fn status(&self, number: usize) -> TargetStatus {
        let statuses = self.nodes[number].board.statuses(at(self.now));
        statuses.into_iter().find(|status| status.target == self.target).expect("the target is known")
    }

    /// No calls go there but probes.
    pub fn is_down(&self, number: usize) -> bool {
        self.nodes[number].board.target(at(self.now), &self.target).weight() == 0.0
    }

    pub fn breakers(&self) -> Vec<&'static str> {
        (0..self.nodes.len())
            .filter(|number| self.nodes[*number].is_alive)
            .map(|number| self.status(number).breaker)
            .collect()
    }

    pub fn in_flight(&self) -> usize {
        self.nodes.iter().map(|node| node.under_way).sum()
    }

    pub fn failed_since(&self, since: u64) -> usize {
        self.nodes.iter().flat_map(|node| &node.failed).filter(|at| **at >= since).count()
    }

    /// When probes of all nodes began.
    pub fn probes(&self) -> Vec<u64> {
        let mut probes: Vec<u64> = self.nodes.iter().flat_map(|node| node.probes.iter().copied()).collect();
        probes.sort_unstable();
        probes
    }

    pub fn run_for(&mut self, duration: u64) {
        let until = self.now + duration;
        self.run_until(until, |_| false);
    }

    /// Runs until then or until the condition holds; true if it does.
    pub fn run_until(&mut self, until: u64, mut reached: impl FnMut(&Sim) -> bool) -> bool {
        while let Some(Reverse((due, order))) = self.events.peek().copied() {
            if due > until {
                break;
            }
            self.events.pop();
            self.now = due;
            let event = self.pending.remove(&order).unwrap();
            self.happen(event);
            if reached(self) {
                return true;
            }
        }
        self.now = until;
        false
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Call(number) => {
                self.next_call(number);
                self.call(number);
            }
            Event::End { node, began, fault, retry_after, probe } => {
                self.nodes[node].under_way -= 1;
                if fault == Fault::Provider {
                    self.nodes[node].failed.push(self.now);
                }
                let seen = Observation { retry_after, ..Observation::ended(fault, at(self.now - began)) };
                let entry = self.nodes[node].board.target(at(self.now), &self.target);
                entry.observe(at(self.now), &seen);
                drop(probe);
                self.flush(node);
            }
            Event::Deliver { from, to, seq, message, upto } => {
                if !self.nodes[to].is_alive {
                    return;
                }
                let board = &self.nodes[to].board;
                let heard = match message {
                    Wire::News(bytes) => board.hear(at(self.now), &node(from), &wire::decode::<News>(&bytes).unwrap()),
                    Wire::Digest(bytes) => {
                        board.compare(at(self.now), &node(from), &wire::decode::<Digest>(&bytes).unwrap())
                    }
                };
                let delay = self.delay();
                self.push(self.now + delay, Event::Ack { from, to, seq, agrees: heard.agrees, upto });
                self.flush(to);
            }
            Event::Ack { from, to, seq, agrees, upto } => {
                let peer = self.nodes[from].peers.get_mut(&to).unwrap();
                if peer.busy == Some(seq) {
                    peer.busy = None;
                    match upto {
                        Some(upto) => peer.told = upto,
                        None if !agrees => peer.told = 0,
                        None => {}
                    }
                    self.flush(from);
                }
            }
            Event::Late { from, to, seq } => {
                let now = self.now;
                let peer = self.nodes[from].peers.get_mut(&to).unwrap();
                if peer.busy == Some(seq) {
                    peer.busy = None;
                    peer.not_before = now + AGAIN;
                    self.push(now + AGAIN, Event::Flush(from));
                }
            }
            Event::Flush(number) => self.flush(number),
            Event::Tick => {
                let alive: Vec<usize> = (0..self.nodes.len()).filter(|number| self.nodes[*number].is_alive).collect();
                for number in &alive {
                    let live: Vec<NodeId> =
                        alive.iter().filter(|other| *other != number).map(|other| node(*other)).collect();
                    self.nodes[*number].board.tick(at(self.now), &live);
                    self.flush(*number);
                }
                self.push(self.now + SECOND, Event::Tick);
            }
        }
    }

    fn call(&mut self, number: usize) {
        if !self.nodes[number].is_alive {
            return;
        }
        let entry = self.nodes[number].board.target(at(self.now), &self.target);
        let probe = match entry.admit(at(self.now)) {
            Admission::Go => None,
            Admission::Probe(probe) => {
                self.nodes[number].probes.push(self.now);
                Some(probe)
            }
            Admission::Closed(_) => {
                self.nodes[number].skipped += 1;
                return;
            }
        };
        if probe.is_none() {
            self.nodes[number].let_through.push(self.now);
        }
        self.nodes[number].under_way += 1;
        let (fault, retry_after) = match self.answers[number] {
            Answer::Ok => (Fault::None, None),
            Answer::Fails(fault, retry_after) => (fault, retry_after),
            Answer::Flaky(part) if self.rng.random_bool(part) => (Fault::Provider, None),
            Answer::Flaky(_) => (Fault::None, None),
        };
        let latency = if fault == Fault::None { self.latency } else { self.failing_latency };
        let latency = self.rng.random_range(latency / 2..=latency * 3 / 2);
        let began = self.now;
        self.push(self.now + latency, Event::End { node: number, began, fault, retry_after, probe });
        self.flush(number);
    }

    fn delay(&mut self) -> u64 {
        let mut delay = self.rng.random_range(self.delay.0..=self.delay.1);
        while self.rng.random_bool(self.loss) {
            delay += 30_000;
        }
        delay
    }

    fn flush(&mut self, from: usize) {
        let (now, others) = (self.now, self.nodes[from].peers.keys().copied().collect::<Vec<_>>());
        for to in others {
            let SimNode { board, peers, is_alive, .. } = &mut self.nodes[from];
            let peer = peers.get_mut(&to).unwrap();
            if !*is_alive || peer.busy.is_some() || peer.not_before > now {
                continue;
            }
            let (message, upto) = match board.news(at(now), peer.told) {
                Some((news, upto)) if news.reports.is_empty() => {
                    peer.told = upto;
                    continue;
                }
                Some((news, upto)) => (Wire::News(wire::encode(&news).unwrap().to_vec()), Some(upto)),
                None if peer.compare_at <= now => {
                    peer.compare_at = now + COMPARE;
                    (Wire::Digest(wire::encode(&board.digest()).unwrap().to_vec()), None)
                }
                None => continue,
            };
            self.order += 1;
            let seq = self.order;
            peer.busy = Some(seq);
            self.messages += 1;
            let delay = self.delay();
            if !self.cut.contains(&(from, to)) {
                self.push(now + delay, Event::Deliver { from, to, seq, message, upto });
            }
            self.push(now + DEADLINE, Event::Late { from, to, seq });
        }
    }
}
