//! What the exchange promises: revocations within a second, no trust in wrong clocks, and no traffic but for what differs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod registry_support;

use peerway_cluster::registry::clock::{MAX_AHEAD_MS, Stamp};
use peerway_cluster::registry::digest::Buckets;
use peerway_cluster::registry::exchange::{HELLO_MS, PUSH_AGAIN_MS, SyncMessage};
use peerway_cluster::registry::messages::{Interval, Push, Records, Want};
use peerway_cluster::registry::page::Cursor;
use peerway_cluster::registry::record::MAX_VALUE;
use peerway_cluster::registry::state::REMOVAL_AGE_MS;
use peerway_cluster::registry::{
    Content, Limits, Record, RecordKey, RecordKind, RefusedRecord, Registry, RegistryError, Time, Versions,
};
use peerway_cluster::wire;
use registry_support::{Net, START_MS, SimNode, actor, key, node, records, registry, team};

/// How long after `start` each node knew of the removal of `revoked`, but for the one that revoked it.
fn known_after(net: &Net, start: u64, revoked: &RecordKey, by: usize) -> Vec<u64> {
    let when = |node: &SimNode| {
        let known = |change: &Record| change.key == *revoked && change.content == Content::Removed;
        node.changes.iter().find(|(_, change)| known(&change.record)).map(|(when, _)| when.saturating_sub(start))
    };
    let others = net.nodes.iter().enumerate().filter(|(number, _)| *number != by);
    others.map(|(number, node)| when(node).unwrap_or_else(|| panic!("{number} does not know"))).collect()
}

#[test]
fn a_revocation_is_known_everywhere_within_a_second() {
    let mut worst = Vec::new();
    for seed in 0..40 {
        let mut net = Net::new(5, seed);
        net.put(0, key("stolen"), b"{}");
        net.settle(10_000);
        (net.loss, net.double, net.delay_ms) = (0.2, 0.1, 40);
        // The revoking node does not reach one of the others at all, and hears nothing from another.
        net.cut.extend([(1, 3), (4, 1)]);
        let start = net.now_ms;
        net.remove(1, key("stolen"));
        net.run(3_000);
        worst.extend(known_after(&net, start, &key("stolen"), 1).into_iter().max());
    }
    worst.sort_unstable();
    println!(
        "20 % loss, 40 ms, two cut links, 40 seeds: last node knows after {} ms (median), {} ms (worst)",
        worst[20], worst[39]
    );
    assert!(worst[39] <= 1_000, "{worst:?}");
}

#[test]
fn a_revocation_overtakes_a_backlog() {
    let mut net = Net::new(3, 1);
    net.put(0, key("zz-stolen"), b"{}");
    net.settle(5_000);
    net.split(&[2]);
    // 6 MiB: a dozen pages for the node that was away.
    for number in 0..200 {
        net.put(0, team(&format!("team-{number:03}")), &[b'x'; 32 * 1024]);
    }
    net.remove(0, key("zz-stolen"));
    net.run(4_000);
    net.cut.clear();
    let start = net.now_ms;
    net.settle(10_000);
    let revoked_at = known_after(&net, start, &key("zz-stolen"), 0)[1];
    let first = &net.nodes[2].changes.iter().find(|(when, _)| *when > start).unwrap().1.record;
    println!("known {revoked_at} ms after the partition healed, all in {} ms", net.now_ms - start);
    assert!(first.is_revocation(), "{first:?}");
    assert!(revoked_at <= 1_000);
}

#[test]
fn revocations_come_first_in_everything() {
    let mut one = registry(0);
    for number in 0..10 {
        one.put(START_MS + number, team(&format!("a-{number}")), b"value").unwrap();
        one.put(START_MS + number, key(&format!("z-{number}")), b"value").unwrap();
    }
    for number in 0..10 {
        one.remove(START_MS + 20 + number, key(&format!("z-{number}"))).unwrap();
    }
    let revoked_first = |records: &[Record]| {
        let revocations = records.iter().take_while(|record| record.is_revocation()).count();
        assert_eq!(revocations, records.iter().filter(|record| record.is_revocation()).count());
        revocations
    };
    let own = one.own_writes(Time::default(), usize::MAX).unwrap();
    assert_eq!(revoked_first(&own.records), 10);
    let page = one.page(Buckets::ALL, &Versions::default(), None, usize::MAX);
    assert_eq!((revoked_first(&page.records), page.records.len()), (10, 20));
    let mut shuffled = page.records;
    shuffled.reverse();
    let changes = registry(1).merge(START_MS, &node(0), shuffled).changes;
    assert_eq!(revoked_first(&changes.into_iter().map(|change| change.record).collect::<Vec<_>>()), 10);
    let latest = one.urgent(&Versions::default(), 250);
    assert_eq!(latest.iter().map(|record| record.key.id.as_str()).collect::<Vec<_>>(), ["z-9", "z-8", "z-7"]);
    assert!(one.urgent(one.versions(), usize::MAX).is_empty());
}

#[test]
fn pages_hold_everything_once_and_fit_into_their_message() {
    let mut one = registry(0);
    for number in 0..30 {
        one.put(START_MS, key(&format!("k{number}")), &vec![7; if number % 3 == 0 { MAX_VALUE } else { 10 }]).unwrap();
        one.put(START_MS, key(&format!("gone-{number}")), b"").unwrap();
        one.remove(START_MS, key(&format!("gone-{number}"))).unwrap();
    }
    for max_bytes in [1, 3_000, 512 * 1024] {
        let (mut after, mut seen, mut pages): (Option<Cursor>, Vec<RecordKey>, usize) = (None, Vec::new(), 0);
        loop {
            let page = one.page(Buckets::ALL, &Versions::default(), after.as_ref(), max_bytes);
            seen.extend(page.records.iter().map(|record| record.key.clone()));
            let next = page.next.clone();
            wire::encode(&Records { session: 1, after, records: page.records, next: page.next }).unwrap();
            pages += 1;
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 60, "{pages} pages");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 60);
    }
    let half = Buckets(u64::MAX >> 32);
    let some = one.page(half, &Versions::default(), None, usize::MAX).records.len();
    let rest = one.page(Buckets(!half.0), &Versions::default(), None, usize::MAX).records.len();
    assert_eq!(some + rest, 60);
    assert!(some > 10 && rest > 10, "{some} {rest}");
}

#[test]
fn own_writes_are_cut_by_time_and_nothing_is_left_out() {
    let mut one = registry(0);
    for number in 0..20 {
        one.put(START_MS + number, key(&format!("k{number}")), &[0; 1000]).unwrap();
    }
    one.put(START_MS + 30, key("k3"), b"again").unwrap();
    let (mut since, mut seen) = (Time::default(), Vec::new());
    while let Some(writes) = one.own_writes(since, 4_000) {
        assert!(writes.upto > since && writes.records.len() <= 4);
        seen.extend(writes.records.into_iter().map(|record| record.key));
        since = writes.upto;
    }
    assert_eq!(seen.len(), 20);
    assert_eq!(since, one.versions().of(one.actor()));
}

#[test]
fn a_clock_far_ahead_is_refused_by_name_and_never_wins() {
    let mut net = Net::new(3, 1);
    net.put(0, key("k"), b"good");
    net.settle(5_000);
    net.nodes[2].skew_ms = MAX_AHEAD_MS as i64 + 60_000;
    net.put(2, key("k"), b"from the future");
    net.put(2, key("other"), b"from the future");
    net.run(5_000);
    for node in &net.nodes[..2] {
        assert_eq!(node.registry.get(&key("k")), Some(&b"good"[..]));
        assert_eq!(node.registry.get(&key("other")), None);
        let Some(refused @ RefusedRecord::Ahead { peer, author, ahead, .. }) = node.refused.first() else {
            panic!("not refused")
        };
        assert_eq!((peer.as_str(), author.node.as_str()), ("node-2", "node-2"));
        assert!(ahead.by_ms > MAX_AHEAD_MS);
        let text = refused.to_string();
        assert!(text.contains("from peer node-2") && text.contains("set the clock"), "{text}");
    }
    // Nothing that the others write is touched by it, and their clocks are their own.
    let change = net.put(0, key("k"), b"better");
    assert!(change.record.stamp.time.ms <= net.now(0).wall_ms + 10);
    net.run(2_000);
    assert_eq!(net.nodes[1].registry.get(&key("k")), Some(&b"better"[..]));
    // Put right, the node says what is wrong instead of writing what nobody would take.
    net.nodes[2].skew_ms = 0;
    let wall_ms = net.now(2).wall_ms;
    let refused = net.nodes[2].registry.put(wall_ms, key("k"), b"again").unwrap_err();
    assert!(matches!(refused, RegistryError::Ahead(_)), "{refused}");
}

#[test]
fn what_a_peer_says_it_has_seen_of_the_future_hides_nothing() {
    let mut one = registry(0);
    let far = Time { ms: u64::MAX, counter: 0 };
    one.adopt(START_MS, &[(actor(1), far)].into_iter().collect());
    assert!(one.versions().is_empty());
    // Nor does a push in somebody else's name.
    let mut net = Net::new(3, 1);
    net.run(500);
    let now = net.now(0);
    let interval = Interval { actor: actor(2), since: Time::default(), upto: Time { ms: now.wall_ms, counter: 0 } };
    let push = Push { records: vec![], interval: Some(interval) };
    let SimNode { registry, exchange, .. } = &mut net.nodes[0];
    exchange.handle(now, registry, &node(1), SyncMessage::Push(push));
    assert_eq!(net.nodes[0].registry.versions().of(&actor(2)), Time::default());
}

/// What a node says it has seen of another, after this push of that other.
fn seen_after(records: Vec<Record>, since: u64, upto: u64) -> Time {
    let mut net = Net::new(2, 1);
    net.run(500);
    let now = net.now(0);
    let time = |ms| Time { ms: START_MS + ms, counter: 0 };
    net.nodes[0].registry.adopt(now.wall_ms, &[(actor(1), time(100))].into_iter().collect());
    let interval = Some(Interval { actor: actor(1), since: time(since), upto: time(upto) });
    let SimNode { registry, exchange, .. } = &mut net.nodes[0];
    let push = SyncMessage::Push(Push { records, interval });
    exchange.handle(now, registry, &node(1), push);
    registry.versions().of(&actor(1))
}

#[test]
fn a_push_moves_what_was_seen_only_when_nothing_is_missing() {
    let record = |ms| Record {
        key: key("k"),
        stamp: Stamp { time: Time { ms, counter: 0 }, actor: actor(1) },
        content: Content::Value(b"x"[..].into()),
    };
    let ms = |time: Time| time.ms - START_MS;
    assert_eq!(ms(seen_after(vec![record(START_MS + 120)], 100, 120)), 120);
    assert_eq!(ms(seen_after(vec![record(START_MS + 120)], 90, 120)), 120, "twice is no harm");
    assert_eq!(ms(seen_after(vec![record(START_MS + 120)], 110, 120)), 100, "one push between was lost");
    assert_eq!(ms(seen_after(vec![record(START_MS + 9_000_000)], 100, 120)), 100, "one record was refused");
}

#[test]
fn a_lost_push_is_sent_again_before_the_next_comparison() {
    let mut net = Net::new(2, 1);
    net.run(2 * HELLO_MS + 100);
    net.cut_between(0, 1);
    net.put(0, key("k"), b"x");
    net.run(20);
    net.cut.clear();
    net.run(2 * PUSH_AGAIN_MS);
    assert!(net.now_ms < 3 * HELLO_MS);
    assert!(net.nodes[1].registry.get(&key("k")).is_some());
}

fn filled(nodes: usize, count: usize) -> Net {
    let mut net = Net::new(nodes, 1);
    let wall_ms = net.now(0).wall_ms;
    for number in 0..count {
        net.nodes[0].registry.put(wall_ms, key(&format!("key-{number}")), &[b'v'; 200]).unwrap();
    }
    net.settle(20_000);
    net.run(2_000);
    net.sent.clear();
    net.records_sent = 0;
    net
}

#[test]
fn only_what_differs_is_moved() {
    let mut net = filled(3, 2_000);
    net.run(60_000);
    println!("3 nodes with 2,000 records in step, one minute: {:?}, {} records", net.sent, net.records_sent);
    assert_eq!(net.records_sent, 0);
    assert_eq!(net.sent["registry.hello"], 180);
    assert_eq!(net.sent.len(), 2, "hello and its answer");

    net.records_sent = 0;
    net.put(1, key("key-7"), b"changed");
    net.settle(1_000);
    net.run(5_000);
    println!("one change: {} records moved", net.records_sent);
    assert_eq!(net.records_sent, 2, "one to each peer");

    // Ten edits on each side of a partition. The pushes that got lost are not counted.
    net.split(&[0]);
    for number in 0..10 {
        net.put(0, key(&format!("key-{number}")), b"left");
        net.put(1, key(&format!("key-{}", 100 + number)), b"right");
    }
    net.run(10_000);
    net.records_sent = 0;
    net.cut.clear();
    net.settle(5_000);
    net.run(5_000);
    println!("10 + 10 edits in a partition of 2,000 records: {} records moved after it healed", net.records_sent);
    // The left ten to two nodes, the right ten to one; a push and a fetch may carry the same ones.
    assert!((30..=90).contains(&net.records_sent), "{}", net.records_sent);
}

#[test]
fn a_new_node_fetches_everything_once() {
    let mut net = filled(3, 2_000);
    let fresh = Net::new(4, 2).nodes.pop().unwrap();
    net.nodes.push(fresh);
    let took = net.settle(20_000);
    println!("an empty node took 2,000 records in {took} ms, {} records moved, {:?}", net.records_sent, net.sent);
    assert_eq!(net.records_sent, 2_000);
}

#[test]
fn nodes_that_have_seen_the_same_and_hold_different_things_are_mended() {
    let mut net = filled(2, 200);
    // A record that is covered by what both have seen, but that only one has.
    let stamp = Stamp { time: Time { ms: START_MS - 1, counter: 0 }, actor: actor(0) };
    let lost = Record { key: key("lost"), stamp, content: Content::Value(b"x"[..].into()) };
    let wall_ms = net.now(1).wall_ms;
    net.nodes[1].registry.merge(wall_ms, &node(0), vec![lost]);
    assert_eq!(net.nodes[0].registry.versions(), net.nodes[1].registry.versions());
    assert!(!net.alike());
    net.settle(5_000);
    println!("mended with {} records of 200", net.records_sent);
    assert!(net.nodes[0].registry.get(&key("lost")).is_some());
    assert!(net.records_sent < 20, "{}", net.records_sent);
}

#[test]
fn removals_are_forgotten_when_all_have_seen_them_and_not_before() {
    let mut net = Net::new(3, 1);
    let all = [node(0), node(1), node(2)];
    net.put(0, key("gone"), b"x");
    net.put(0, key("kept"), b"x");
    net.settle(5_000);
    net.split(&[2]);
    net.remove(0, key("gone"));
    net.run(3_000);
    let forget = |net: &mut Net, number: usize, later: u64| {
        let mut now = net.now(number);
        now.wall_ms += later;
        let SimNode { registry, exchange, .. } = &mut net.nodes[number];
        exchange.forget_removals(now, registry, &all)
    };
    assert_eq!(forget(&mut net, 0, 2 * REMOVAL_AGE_MS), 0, "one has not seen it");
    net.cut.clear();
    net.settle(5_000);
    net.run(5_000);
    assert_eq!(forget(&mut net, 0, REMOVAL_AGE_MS / 2), 0, "not old enough");
    for number in 0..3 {
        assert_eq!(forget(&mut net, number, 2 * REMOVAL_AGE_MS), 1);
        assert_eq!(net.nodes[number].registry.len(), 1);
    }
    let unsaved = net.nodes[0].registry.take_unsaved().unwrap();
    assert_eq!(unsaved.dropped, [key("gone")]);
    net.run(5_000);
    assert!(net.alike() && net.nodes.iter().all(|node| node.registry.record(&key("gone")).is_none()));
}

#[test]
fn everything_is_bounded() {
    let limits = Limits { records: 3, bytes: 100_000 };
    let mut one = Registry::new(actor(0), limits);
    let too_large = one.put(START_MS, key("k"), &vec![0; MAX_VALUE + 1]).unwrap_err();
    assert!(matches!(too_large, RegistryError::TooLarge { len, .. } if len == MAX_VALUE + 1));
    one.put(START_MS, key("k"), &vec![0; MAX_VALUE]).unwrap();
    assert!(matches!(one.put(START_MS, key("l"), &vec![0; MAX_VALUE]), Err(RegistryError::Full { .. })), "bytes");
    one.put(START_MS, key("k"), b"small").unwrap();
    one.put(START_MS, key("l"), &vec![0; MAX_VALUE]).unwrap();
    one.put(START_MS, key("m"), b"").unwrap();
    assert!(matches!(one.put(START_MS, key("n"), b""), Err(RegistryError::Full { records: 3, .. })), "records");
    one.put(START_MS, key("m"), b"what is there may be changed").unwrap();
    one.remove(START_MS, key("unknown here")).expect("a revocation is never refused for want of room");

    // Twice as much of what others wrote, and not a record more.
    let mut other = registry(1);
    for number in 0..5 {
        other.put(START_MS, team(&format!("t{number}")), b"x").unwrap();
    }
    let merged = one.merge(START_MS, &node(1), records(&other));
    assert_eq!((merged.changes.len(), merged.refused.len(), one.len()), (2, 3, 6));
    assert!(merged.refused[0].to_string().contains("from peer node-1"), "{}", merged.refused[0]);
    let before = one.digest().clone();
    let stamp = other.record(&team("t0")).unwrap().stamp;
    let huge = Record { key: key("k"), stamp, content: Content::Value(vec![0; MAX_VALUE + 1].into()) };
    let merged = one.merge(START_MS, &node(1), vec![huge]);
    assert!(matches!(merged.refused[..], [RefusedRecord::TooLarge { .. }]) && *one.digest() == before);

    for bad in ["", "a\nb", &"x".repeat(513)] {
        assert!(RecordKey::new(RecordKind::KEY, bad).is_err(), "{bad}");
    }
    let mut sets = registry(2);
    assert!(sets.add_member(START_MS, &team("t"), &"x".repeat(129)).is_err());
    sets.add_member(START_MS, &team(&"t".repeat(128)), &"x".repeat(128)).unwrap();
}

#[test]
fn the_bytes_of_a_registry_never_lose_count() {
    let mut one = registry(0);
    for round in 0..3 {
        for number in 0..20 {
            one.put(START_MS + round, key(&format!("k{number}")), &vec![0; number * 10]).unwrap();
            if number % 4 == 0 {
                one.remove(START_MS + round, key(&format!("k{number}"))).unwrap();
            }
        }
    }
    assert_eq!(one.bytes(), records(&one).iter().map(Record::size).sum::<usize>());
    assert_eq!(one.of_kind(RecordKind::KEY).count(), 15);
    assert_eq!(one.of_kind(RecordKind::TEAM).count(), 0);
}

#[test]
fn names_that_are_none_never_become_records() {
    let want =
        Want { session: 1, buckets: Buckets(1), seen: Versions::default(), after: Some(Cursor::Rest(key("aXa"))) };
    let mut bytes = wire::encode(&want).unwrap().to_vec();
    assert_eq!(wire::decode::<Want>(&bytes).unwrap(), want);
    *bytes.iter_mut().find(|byte| **byte == b'X').unwrap() = b'\n';
    assert!(wire::decode::<Want>(&bytes).is_err());
}
