//! A cluster of registries in memory: every message goes through the wire's codec and may be lost, doubled, delayed,
//! overtaken or cut off. Everything follows from the seed.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

use std::collections::{BTreeMap, BTreeSet};

use peerway_cluster::identity::{Incarnation, NodeId};
use peerway_cluster::registry::exchange::{Exchange, Now, SyncMessage};
use peerway_cluster::registry::{
    Actor, Change, Limits, Record, RecordKey, RecordKind, RefusedRecord, Registry, Versions,
};
use peerway_cluster::wire::{self, Message};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// 2026-11-21, in milliseconds.
pub const START_MS: u64 = 1_795_219_200_000;
const TICK_MS: u64 = 50;

pub fn node(number: usize) -> NodeId {
    format!("node-{number}").parse().unwrap()
}

pub fn actor(number: usize) -> Actor {
    Actor { node: node(number), incarnation: Incarnation(7) }
}

pub fn key(id: &str) -> RecordKey {
    RecordKey::new(RecordKind::KEY, id).unwrap()
}

pub fn team(id: &str) -> RecordKey {
    RecordKey::new(RecordKind::TEAM, id).unwrap()
}

pub fn registry(number: usize) -> Registry {
    Registry::new(actor(number), Limits::default())
}

/// All records, removals too.
pub fn records(registry: &Registry) -> Vec<Record> {
    let all = peerway_cluster::registry::digest::Buckets::ALL;
    let mut records = registry.page(all, &Default::default(), None, usize::MAX).records;
    records.sort_by(|one, other| one.key.cmp(&other.key));
    records
}

pub struct SimNode {
    pub registry: Registry,
    pub exchange: Exchange,
    /// How far its wall clock is off.
    pub skew_ms: i64,
    /// When each change was seen.
    pub changes: Vec<(u64, Change)>,
    pub refused: Vec<RefusedRecord>,
    /// What is on its disk.
    pub saved: (Vec<Record>, Versions),
}

struct Packet {
    due: u64,
    order: u64,
    from: usize,
    to: usize,
    message: SyncMessage,
}

pub struct Net {
    pub nodes: Vec<SimNode>,
    /// From one node to another nothing gets through.
    pub cut: BTreeSet<(usize, usize)>,
    pub loss: f64,
    pub double: f64,
    pub delay_ms: u64,
    pub now_ms: u64,
    /// How many of each message were sent, and records in them.
    pub sent: BTreeMap<&'static str, usize>,
    pub records_sent: usize,
    /// Grows with every message: equal on equal runs.
    pub trace: blake3::Hasher,
    rng: StdRng,
    packets: Vec<Packet>,
    order: u64,
}

fn through_wire<M: Message + PartialEq + std::fmt::Debug>(message: &M) -> (&'static str, Vec<u8>) {
    let bytes = wire::encode(message).unwrap();
    assert_eq!(wire::decode::<M>(&bytes).unwrap(), *message);
    (M::KIND.as_str(), bytes.to_vec())
}

impl Net {
    pub fn new(nodes: usize, seed: u64) -> Net {
        let nodes = (0..nodes).map(|number| SimNode {
            registry: registry(number),
            exchange: Exchange::default(),
            skew_ms: 0,
            changes: Vec::new(),
            refused: Vec::new(),
            saved: Default::default(),
        });
        Net {
            nodes: nodes.collect(),
            cut: BTreeSet::new(),
            loss: 0.0,
            double: 0.0,
            delay_ms: 5,
            now_ms: 0,
            sent: BTreeMap::new(),
            records_sent: 0,
            trace: blake3::Hasher::new(),
            rng: StdRng::seed_from_u64(seed),
            packets: Vec::new(),
            order: 0,
        }
    }

    pub fn now(&self, number: usize) -> Now {
        let wall_ms = (START_MS + self.now_ms).saturating_add_signed(self.nodes[number].skew_ms);
        Now { wall_ms, steady_ms: self.now_ms }
    }

    pub fn put(&mut self, number: usize, key: RecordKey, value: &[u8]) -> Change {
        let wall_ms = self.now(number).wall_ms;
        let change = self.nodes[number].registry.put(wall_ms, key, value).unwrap();
        self.save(number);
        self.tick(number);
        change
    }

    pub fn remove(&mut self, number: usize, key: RecordKey) -> Option<Change> {
        let wall_ms = self.now(number).wall_ms;
        let change = self.nodes[number].registry.remove(wall_ms, key).unwrap();
        self.save(number);
        self.tick(number);
        change
    }

    /// A node writes its own changes to disk before it tells of them.
    pub fn save(&mut self, number: usize) {
        let SimNode { registry, saved, .. } = &mut self.nodes[number];
        *saved = (records(registry), registry.versions().clone());
    }

    /// A node ends and starts again with what it has on disk: whatever it heard since its last own write is lost.
    pub fn restart(&mut self, number: usize) {
        let wall_ms = self.now(number).wall_ms;
        let (records, versions) = self.nodes[number].saved.clone();
        let mut registry = registry(number);
        assert!(registry.merge(wall_ms, &node(number), records).refused.is_empty());
        registry.adopt(wall_ms, &versions);
        self.nodes[number].registry = registry;
        self.nodes[number].exchange = Exchange::default();
    }

    /// Both ways.
    pub fn cut_between(&mut self, one: usize, other: usize) {
        self.cut.extend([(one, other), (other, one)]);
    }

    pub fn split(&mut self, side: &[usize]) {
        for one in 0..self.nodes.len() {
            for other in 0..self.nodes.len() {
                if side.contains(&one) != side.contains(&other) {
                    self.cut.insert((one, other));
                }
            }
        }
    }

    pub fn tick(&mut self, number: usize) {
        let live: Vec<NodeId> = (0..self.nodes.len()).filter(|other| *other != number).map(node).collect();
        let now = self.now(number);
        let SimNode { registry, exchange, .. } = &mut self.nodes[number];
        for outgoing in exchange.tick(now, registry, &live) {
            self.send(number, &outgoing.to, outgoing.message);
        }
    }

    fn send(&mut self, from: usize, to: &NodeId, message: SyncMessage) {
        let to = (0..self.nodes.len()).find(|number| node(*number) == *to).unwrap();
        let (kind, bytes) = match &message {
            SyncMessage::Push(message) => {
                self.records_sent += message.records.len();
                through_wire(message)
            }
            SyncMessage::Records(message) => {
                self.records_sent += message.records.len();
                through_wire(message)
            }
            SyncMessage::Pushed(message) => through_wire(message),
            SyncMessage::Hello(message) => through_wire(message),
            SyncMessage::Summary(message) => through_wire(message),
            SyncMessage::Want(message) => through_wire(message),
        };
        *self.sent.entry(kind).or_default() += 1;
        self.trace.update(&self.now_ms.to_le_bytes());
        self.trace.update(&bytes);
        let copies = 1 + usize::from(self.rng.random_bool(self.double));
        for _ in 0..copies {
            if self.cut.contains(&(from, to)) || self.rng.random_bool(self.loss) {
                continue;
            }
            let due = self.now_ms + self.rng.random_range(1..=self.delay_ms);
            self.order += 1;
            self.packets.push(Packet { due, order: self.order, from, to, message: message.clone() });
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.now_ms += 1;
            let (mut due, later): (Vec<Packet>, Vec<Packet>) =
                std::mem::take(&mut self.packets).into_iter().partition(|packet| packet.due <= self.now_ms);
            self.packets = later;
            due.sort_by_key(|packet| (packet.due, packet.order));
            for packet in due {
                self.deliver(packet);
            }
            for number in 0..self.nodes.len() {
                // Nodes do not tick in step.
                if (self.now_ms + number as u64 * 13).is_multiple_of(TICK_MS) {
                    self.tick(number);
                }
            }
        }
    }

    fn deliver(&mut self, packet: Packet) {
        let Packet { from, to, message, .. } = packet;
        let (now, sender) = (self.now(to), node(from));
        let SimNode { registry, exchange, changes, refused, .. } = &mut self.nodes[to];
        let handled = exchange.handle(now, registry, &sender, message);
        changes.extend(handled.changes.into_iter().map(|change| (self.now_ms, change)));
        refused.extend(handled.refused);
        if let Some(answer) = handled.answer {
            self.send(to, &sender, answer);
        }
        for outgoing in handled.send {
            self.send(to, &outgoing.to, outgoing.message);
        }
    }

    /// True when all hold the same and have seen the same.
    pub fn alike(&self) -> bool {
        let first = &self.nodes[0].registry;
        self.nodes
            .iter()
            .all(|node| node.registry.digest() == first.digest() && node.registry.versions() == first.versions())
    }

    /// Lets time pass until all are alike; says how long it took.
    pub fn settle(&mut self, at_most_ms: u64) -> u64 {
        let start = self.now_ms;
        while !self.alike() {
            assert!(self.now_ms - start < at_most_ms, "not alike after {at_most_ms} ms");
            self.run(10);
        }
        for node in &self.nodes {
            assert_eq!(records(&node.registry), records(&self.nodes[0].registry));
        }
        self.now_ms - start
    }
}
