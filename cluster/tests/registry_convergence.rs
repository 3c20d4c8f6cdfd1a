//! Whatever the network does to their messages, all nodes end up with the same registry, and it is the right one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod registry_support;

use std::collections::BTreeMap;

use crdts::{CvRDT as _, LWWReg, Orswot, VClock};
use peerway_cluster::registry::clock::Stamp;
use peerway_cluster::registry::{Content, Record, RecordKey, Registry, Time, Versions};
use proptest::prelude::*;
use registry_support::{Net, START_MS, actor, key, node, records, registry, team};

#[derive(Clone, Debug)]
enum Step {
    Put(usize, u8, u8),
    Remove(usize, u8),
    Add(usize, u8),
    Drop(usize, u8),
    Cut(usize, usize),
    Heal,
    Restart(usize),
    Wait(u64),
}

fn steps(nodes: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..nodes, 0..6u8, any::<u8>()).prop_map(|(node, key, value)| Step::Put(node, key, value)),
        2 => (0..nodes, 0..6u8).prop_map(|(node, key)| Step::Remove(node, key)),
        2 => (0..nodes, 0..3u8).prop_map(|(node, member)| Step::Add(node, member)),
        1 => (0..nodes, 0..3u8).prop_map(|(node, member)| Step::Drop(node, member)),
        2 => (0..nodes, 0..nodes).prop_map(|(from, to)| Step::Cut(from, to)),
        1 => Just(Step::Heal),
        1 => (0..nodes).prop_map(Step::Restart),
        4 => (1..400u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..50)
}

fn worlds() -> impl Strategy<Value = (usize, Vec<Step>, Vec<i64>, u64)> {
    (3usize..=5).prop_flat_map(|nodes| {
        let skews = prop::collection::vec(-120_000i64..120_000, nodes);
        (Just(nodes), steps(nodes), skews, any::<u64>())
    })
}

/// Plays the steps; hands back the cluster, and of every name the write that must hold.
fn play(nodes: usize, steps: &[Step], skews: &[i64], seed: u64) -> (Net, BTreeMap<RecordKey, Record>) {
    let mut net = Net::new(nodes, seed);
    (net.loss, net.double, net.delay_ms) = (0.15, 0.1, 120);
    for (node, skew) in net.nodes.iter_mut().zip(skews) {
        node.skew_ms = *skew;
    }
    let mut holds: BTreeMap<RecordKey, Record> = BTreeMap::new();
    for step in steps {
        let changes = match *step {
            Step::Put(node, id, value) => vec![net.put(node, key(&format!("k{id}")), &[value])],
            Step::Remove(node, id) => net.remove(node, key(&format!("k{id}"))).into_iter().collect(),
            Step::Add(node, member) => {
                let wall_ms = net.now(node).wall_ms;
                let changes =
                    net.nodes[node].registry.add_member(wall_ms, &team("red"), &format!("m{member}")).unwrap();
                net.save(node);
                changes
            }
            Step::Drop(node, member) => {
                let wall_ms = net.now(node).wall_ms;
                let changes =
                    net.nodes[node].registry.remove_member(wall_ms, &team("red"), &format!("m{member}")).unwrap();
                net.save(node);
                changes
            }
            Step::Cut(from, to) => {
                net.cut.insert((from, to));
                vec![]
            }
            Step::Heal => {
                net.cut.clear();
                vec![]
            }
            Step::Restart(node) => {
                net.restart(node);
                vec![]
            }
            Step::Wait(ms) => {
                net.run(ms);
                vec![]
            }
        };
        for change in changes {
            let latest = holds.entry(change.record.key.clone()).or_insert_with(|| change.record.clone());
            if change.record.stamp > latest.stamp {
                *latest = change.record;
            }
        }
    }
    (net, holds)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_nodes_settle_on_the_latest_writes((nodes, steps, skews, seed) in worlds()) {
        let (mut net, holds) = play(nodes, &steps, &skews, seed);
        net.cut.clear();
        net.settle(60_000);
        let expected: Vec<Record> = holds.into_values().collect();
        prop_assert_eq!(records(&net.nodes[0].registry), expected);
        for node in &net.nodes {
            prop_assert!(node.refused.is_empty(), "{:?}", node.refused);
        }
    }

    #[test]
    fn the_same_seed_is_the_same_run((nodes, steps, skews, seed) in worlds()) {
        let trace = |_| {
            let (mut net, _) = play(nodes, &steps, &skews, seed);
            net.run(2_000);
            net.trace.finalize()
        };
        prop_assert_eq!(trace(1), trace(2));
    }
}

#[test]
fn of_two_edits_during_a_partition_the_later_holds_everywhere() {
    for (skew, winner) in [(0, "right"), (60_000, "left")] {
        let mut net = Net::new(3, 1);
        net.nodes[0].skew_ms = skew;
        net.put(2, key("shared"), b"before");
        net.settle(5_000);
        net.split(&[0]);
        let left = net.put(0, key("shared"), b"left");
        net.run(10);
        let right = net.put(1, key("shared"), b"right");
        net.run(3_000);
        assert_eq!(net.nodes[0].registry.get(&key("shared")), Some(&b"left"[..]));
        assert_eq!(net.nodes[2].registry.get(&key("shared")), Some(&b"right"[..]));
        net.cut.clear();
        let took = net.settle(5_000);
        println!("healed in {took} ms");
        assert_eq!(left.record.stamp > right.record.stamp, winner == "left");
        for node in &net.nodes {
            assert_eq!(node.registry.get(&key("shared")), Some(winner.as_bytes()));
        }
    }
}

#[test]
fn an_edit_of_what_was_seen_is_later_also_when_the_clock_is_behind() {
    let mut net = Net::new(2, 1);
    net.nodes[1].skew_ms = -200_000;
    net.put(0, key("k"), b"first");
    net.settle(5_000);
    net.put(1, key("k"), b"second");
    net.settle(5_000);
    assert_eq!(net.nodes[0].registry.get(&key("k")), Some(&b"second"[..]));
}

// The oracles: the same operations on the types of the crate `crdts`.

#[derive(Clone, Debug)]
enum Act {
    Put(usize, u8, u8),
    Remove(usize, u8),
    /// A part of the records of one node goes to another, in some order, perhaps twice.
    Copy(usize, usize, u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (0..4usize, 0..4u8, any::<u8>()).prop_map(|(node, key, value)| Act::Put(node, key, value)),
        1 => (0..4usize, 0..4u8).prop_map(|(node, key)| Act::Remove(node, key)),
        4 => (0..4usize, 0..4usize, any::<u64>()).prop_map(|(from, to, which)| Act::Copy(from, to, which)),
    ];
    prop::collection::vec(act, 1..80)
}

type Oracle = BTreeMap<RecordKey, LWWReg<Option<Vec<u8>>, Stamp>>;

fn tell(oracle: &mut Oracle, record: &Record) {
    let register = LWWReg { val: record.content.value().map(<[u8]>::to_vec), marker: record.stamp.clone() };
    let held = oracle.entry(record.key.clone()).or_insert_with(|| register.clone());
    held.validate_merge(&register).unwrap();
    held.merge(register);
}

fn some_of(records: Vec<Record>, which: u64) -> Vec<Record> {
    let mut some: Vec<Record> = records
        .into_iter()
        .enumerate()
        .filter(|(at, _)| which >> (at % 64) & 1 == 1)
        .map(|(_, record)| record)
        .collect();
    if which & 2 != 0 {
        some.reverse();
    }
    let again = some.first().cloned().filter(|_| which & 4 != 0);
    some.extend(again);
    some
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn registers_agree_with_the_oracle_at_every_step(acts in acts()) {
        let mut registries: Vec<Registry> = (0..4).map(registry).collect();
        let mut oracles = vec![Oracle::new(); 4];
        for (step, act) in acts.into_iter().enumerate() {
            let wall_ms = START_MS + step as u64 / 3;
            let at = match act {
                Act::Put(at, id, value) => {
                    let change = registries[at].put(wall_ms, key(&format!("k{id}")), &[value]).unwrap();
                    tell(&mut oracles[at], &change.record);
                    at
                }
                Act::Remove(at, id) => {
                    if let Some(change) = registries[at].remove(wall_ms, key(&format!("k{id}"))).unwrap() {
                        tell(&mut oracles[at], &change.record);
                    }
                    at
                }
                Act::Copy(from, to, which) => {
                    let some = some_of(records(&registries[from]), which);
                    for record in &some {
                        tell(&mut oracles[to], record);
                    }
                    let before: Vec<Record> = records(&registries[to]);
                    let merged = registries[to].merge(wall_ms, &node(from), some);
                    prop_assert!(merged.refused.is_empty() && merged.doubled.is_empty());
                    prop_assert_eq!(merged.changes.is_empty(), before == records(&registries[to]));
                    to
                }
            };
            let held: Oracle = records(&registries[at]).iter().fold(Oracle::new(), |mut held, record| {
                tell(&mut held, record);
                held
            });
            prop_assert_eq!(&held, &oracles[at]);
        }
    }

    #[test]
    fn sets_agree_with_the_oracle_at_every_step(
        acts in prop::collection::vec((0..3usize, 0..3u8, 0..3usize, 0..4u8), 1..60),
    ) {
        let set = team("red/blue");
        let mut registries: Vec<Registry> = (0..3).map(registry).collect();
        let mut oracles: Vec<Orswot<String, usize>> = vec![Orswot::new(); 3];
        for (step, (at, what, from, member)) in acts.into_iter().enumerate() {
            use crdts::CmRDT as _;
            let wall_ms = START_MS + step as u64 / 2;
            let member = format!("m/{member}");
            match what {
                0 => {
                    registries[at].add_member(wall_ms, &set, &member).unwrap();
                    let add = oracles[at].add(member, oracles[at].read_ctx().derive_add_ctx(at));
                    oracles[at].apply(add);
                }
                1 => {
                    registries[at].remove_member(wall_ms, &set, &member).unwrap();
                    let context = oracles[at].contains(&member).derive_rm_ctx();
                    let remove = oracles[at].rm(member, context);
                    oracles[at].apply(remove);
                }
                _ => {
                    let theirs = records(&registries[from]);
                    registries[at].merge(wall_ms, &node(from), theirs);
                    let theirs = oracles[from].clone();
                    oracles[at].merge(theirs);
                }
            }
            let expected = oracles[at].read().val;
            let members = registries[at].members(&set);
            prop_assert_eq!(members.len(), expected.len(), "{:?} {:?}", members, expected);
            prop_assert!(expected.iter().all(|member| members.contains(member.as_str())));
            prop_assert!(registries[at].members(&team("red")).is_empty());
        }
    }

    #[test]
    fn versions_compare_like_the_oracle(
        one in prop::collection::btree_map(0..4usize, 1..5u64, 0..4),
        other in prop::collection::btree_map(0..4usize, 1..5u64, 0..4),
    ) {
        let versions = |map: &BTreeMap<usize, u64>| -> Versions {
            map.iter().map(|(number, ms)| (actor(*number), Time { ms: *ms, counter: 0 })).collect()
        };
        let clock = |map: &BTreeMap<usize, u64>| VClock { dots: map.clone() };
        prop_assert_eq!(versions(&one).covers_all(&versions(&other)), clock(&one) >= clock(&other));
    }
}

#[test]
fn a_stamp_used_twice_is_reported_and_settled_alike() {
    let stamp = Stamp { time: Time { ms: START_MS, counter: 0 }, actor: actor(9) };
    let record = |value: &[u8]| Record { key: key("k"), stamp: stamp.clone(), content: Content::Value(value.into()) };
    let outcome = |first: &[u8], second: &[u8]| {
        let mut registry = registry(0);
        registry.merge(START_MS, &node(9), vec![record(first)]);
        let merged = registry.merge(START_MS, &node(9), vec![record(second)]);
        assert_eq!(merged.doubled, [key("k")]);
        (registry.get(&key("k")).unwrap().to_vec(), registry.digest().clone())
    };
    assert_eq!(outcome(b"one", b"two"), outcome(b"two", b"one"));
    let mut registry = registry(0);
    registry.merge(START_MS, &node(9), vec![record(b"one")]);
    assert!(registry.merge(START_MS, &node(9), vec![record(b"one")]).doubled.is_empty());
}
