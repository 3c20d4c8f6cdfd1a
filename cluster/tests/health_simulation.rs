//! What a cluster of boards promises when a provider fails, over many seeds: how many calls an outage costs, how soon
//! nobody calls any more, how often it is tried, and that one node with a bad way out harms nobody else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod health_support;

use std::time::Duration;

use health_support::{Answer, SECOND, Sim, node, target};
use peerway_cluster::health::breaker::Phase;
use peerway_cluster::health::entry::Barred;
use peerway_cluster::health::messages::{Cool, News, Report, Said, Why};
use peerway_cluster::health::{Admission, Fault, Observation, Settings};

const CLUSTER_RATE: f64 = 500.0;
const DOWN: Answer = Answer::Fails(Fault::Provider, None);

/// More with `SEEDS=1000`.
fn seeds() -> std::ops::Range<u64> {
    0..std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(5)
}

fn settings() -> Settings {
    Settings::default()
}

fn interval() -> u64 {
    settings().probe_interval.as_micros() as u64
}

/// The worst over the seeds.
#[derive(Debug, Default)]
struct Worst {
    /// Calls that failed beyond the threshold and those in flight when the first breaker opened.
    beyond: i64,
    failed: usize,
    /// From the first breaker that opened to the last call that another node let through.
    last_call: u64,
    /// Between two probes of the cluster.
    closest_probes: u64,
    recovered: u64,
}

fn outage(nodes: usize, seed: u64, failing_latency: u64, worst: &mut Worst) {
    let mut sim = Sim::new(nodes, seed, settings(), CLUSTER_RATE);
    sim.failing_latency = failing_latency;
    sim.run_for(5 * SECOND);
    let begun = sim.now;
    sim.all(DOWN);
    assert!(
        sim.run_until(begun + 60 * SECOND, |sim| (0..nodes).any(|number| sim.is_down(number))),
        "seed {seed}: nobody notices"
    );
    let (opened, in_flight) = (sim.now, sim.in_flight());
    sim.run_for(30 * SECOND);
    assert!(sim.breakers().iter().all(|breaker| *breaker != "closed"), "seed {seed}: {:?}", sim.breakers());

    let failed = sim.failed_since(begun) - sim.probes().len();
    let last_call = sim.nodes.iter().filter_map(|node| node.let_through.last()).max().unwrap().saturating_sub(opened);
    let allowed = settings().failures as usize + in_flight;
    worst.beyond = worst.beyond.max(failed as i64 - allowed as i64);
    worst.failed = worst.failed.max(failed);
    worst.last_call = worst.last_call.max(last_call);
    let probes = sim.probes();
    assert!(probes.len() >= 4, "seed {seed}: {probes:?}");
    let closest = probes.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    worst.closest_probes = if worst.closest_probes == 0 { closest } else { worst.closest_probes.min(closest) };

    let back = sim.now;
    sim.all(Answer::Ok);
    let closed = sim.run_until(back + 20 * SECOND, |sim| !(0..nodes).any(|number| sim.is_down(number)));
    assert!(closed, "seed {seed}: {:?}", sim.breakers());
    worst.recovered = worst.recovered.max(sim.now - back);
    sim.run_for(10 * SECOND);
    assert!(sim.breakers().iter().all(|breaker| *breaker == "closed"), "seed {seed}: it stays closed");
}

#[test]
fn an_outage_costs_the_cluster_what_it_costs_one_node() {
    for nodes in [3, 10] {
        for (what, latency) in [("refuses", 1_000), ("fails after 30 ms", 30_000), ("hangs for 2 s", 2_000_000)] {
            let mut worst = Worst::default();
            for seed in seeds() {
                outage(nodes, seed, latency, &mut worst);
            }
            println!(
                "{nodes} nodes, {CLUSTER_RATE}/s, a provider that {what}, worst of {} seeds: {} calls failed, {} beyond \
                 threshold and in flight; last call {:.1} ms after the first breaker opened; probes at least {:.2} s apart; \
                 all closed {:.2} s after it is back",
                seeds().end,
                worst.failed,
                worst.beyond,
                worst.last_call as f64 / 1e3,
                worst.closest_probes as f64 / 1e6,
                worst.recovered as f64 / 1e6,
            );
            assert!(worst.last_call <= 300_000, "{worst:?}");
            // Calls that begin while the news is on its way are in flight too: it takes a few milliseconds, or some tens
            // where a packet is lost, and a call begins every two.
            assert!(worst.beyond <= 15, "{worst:?}");
            assert!(worst.last_call <= 100_000, "{worst:?}");
            assert!(worst.closest_probes >= interval() - 50_000, "{worst:?}");
            assert!(worst.recovered <= 2 * interval() + SECOND, "{worst:?}");
        }
    }
}

#[test]
fn a_node_with_a_bad_way_out_takes_the_provider_from_nobody_else() {
    for nodes in [3, 10] {
        for seed in seeds() {
            let mut sim = Sim::new(nodes, seed, settings(), CLUSTER_RATE);
            // Some calls fail everywhere, as they do.
            sim.all(Answer::Flaky(0.005));
            sim.run_for(5 * SECOND);
            sim.answers[0] = DOWN;
            assert!(sim.run_until(sim.now + 5 * SECOND, |sim| sim.is_down(0)), "seed {seed}");
            let kept_back = |sim: &Sim| -> usize { sim.nodes[1..].iter().map(|node| node.skipped).sum() };
            // Who had a failure of its own in the very moment may believe the node once.
            let before = kept_back(&sim);
            sim.run_for(20 * SECOND);
            let once = kept_back(&sim) - before;
            assert!(once as f64 <= CLUSTER_RATE * 2.0 * settings().probe_interval.as_secs_f64(), "seed {seed}: {once}");
            let before = kept_back(&sim);
            sim.run_for(60 * SECOND);
            let lasting = kept_back(&sim) - before;
            assert!(lasting as f64 <= CLUSTER_RATE * 60.0 * 0.01, "seed {seed}: {lasting} calls were kept back");
            assert!(sim.nodes[0].failed.len() < 100, "seed {seed}: node 0 goes on calling");
        }
    }
}

#[test]
fn an_idle_node_does_not_believe_one_peer_but_two() {
    for seed in seeds() {
        let mut sim = Sim::new(4, seed, settings(), 0.0);
        sim.set_rate(0, 100.0);
        sim.answers[0] = DOWN;
        sim.run_for(3 * SECOND);
        assert_eq!((sim.status(0).breaker, sim.status(3).breaker), ("open", "closed"), "seed {seed}");
        sim.answers[1] = DOWN;
        sim.set_rate(1, 10.0);
        assert!(sim.run_until(sim.now + 5 * SECOND, |sim| sim.is_down(3)), "seed {seed}");
        assert_eq!(sim.nodes[1].failed.len(), 1, "seed {seed}: one failure and one peer are enough");
        assert!(sim.nodes[3].failed.is_empty());
    }
}

#[test]
fn when_the_node_whose_turn_it_is_dies_another_one_tries() {
    for seed in seeds() {
        let mut sim = Sim::new(5, seed, settings(), CLUSTER_RATE);
        sim.run_for(3 * SECOND);
        sim.all(DOWN);
        sim.run_for(3 * SECOND);
        for _ in 0..3 {
            let before = sim.probes().len();
            assert!(sim.run_until(sim.now + 3 * interval(), |sim| sim.probes().len() > before), "seed {seed}");
            let prober = (0..5).max_by_key(|number| sim.nodes[*number].probes.last().copied()).unwrap();
            sim.kill(prober);
        }
        sim.all(Answer::Ok);
        let closed = |sim: &Sim| !(0..5).any(|number| sim.nodes[number].is_alive && sim.is_down(number));
        assert!(sim.run_until(sim.now + 3 * interval(), closed), "seed {seed}: {:?}", sim.breakers());
    }
}

#[test]
fn whoever_was_cut_off_learns_of_it_afterwards() {
    for seed in seeds() {
        let mut sim = Sim::new(3, seed, settings(), CLUSTER_RATE);
        sim.run_for(3 * SECOND);
        sim.set_rate(2, 0.0);
        for other in 0..2 {
            sim.cut.extend([(2, other), (other, 2)]);
        }
        sim.answers[0] = DOWN;
        sim.answers[1] = DOWN;
        sim.run_for(5 * SECOND);
        assert_eq!(sim.status(2).breaker, "closed", "seed {seed}");
        sim.cut.clear();
        assert!(sim.run_until(sim.now + 5 * SECOND, |sim| sim.is_down(2)), "seed {seed}");
    }
}

#[test]
fn a_full_provider_is_not_asked_by_every_node() {
    for nodes in [3, 10] {
        let mut most = 0;
        for seed in seeds() {
            let mut sim = Sim::new(nodes, seed, settings(), CLUSTER_RATE);
            sim.run_for(5 * SECOND);
            sim.all(Answer::Fails(Fault::Capacity, Some(Duration::from_secs(4))));
            let full = sim.now;
            sim.run_for(SECOND / 2);
            let late = |sim: &Sim| -> usize {
                let calls = sim.nodes.iter().flat_map(|node| &node.let_through);
                calls.filter(|at| **at > full + 100_000).count()
            };
            assert_eq!(late(&sim), 0, "seed {seed}");
            most = most.max(sim.nodes.iter().flat_map(|node| &node.let_through).filter(|at| **at >= full).count());
            assert!(sim.breakers().iter().all(|breaker| *breaker == "closed"), "seed {seed}: full is not broken");
            for number in 0..nodes {
                let believed = sim.status(number).believed_rate.expect("it is known to be full");
                assert!((200.0..450.0).contains(&believed), "seed {seed}: node {number} believes in {believed}/s");
            }
            sim.all(Answer::Ok);
            sim.run_for(10 * SECOND);
            sim.run_for(60 * SECOND);
            let sent: usize =
                sim.nodes.iter().map(|node| node.let_through.iter().filter(|at| **at > sim.now - SECOND).count()).sum();
            assert!(sent > 400, "seed {seed}: it is taken up again: {sent}/s");
        }
        println!(
            "{nodes} nodes, {CLUSTER_RATE}/s, a provider that is full: at most {most} calls, of which one per node would be {nodes}"
        );
    }
}

#[test]
fn ten_thousand_faults_of_clients_move_nothing() {
    let mut sim = Sim::new(3, 1, settings(), 0.0);
    let now = Duration::from_secs(5);
    let board = &sim.nodes[0].board;
    let entry = board.target(now, &target("m"));
    for _ in 0..10 {
        entry.observe(now, &Observation::ended(Fault::None, Duration::from_millis(50)));
    }
    board.tick(now, &[node(1), node(2)]);
    let settled = |board: &peerway_cluster::health::Board| {
        // Smoothing goes on by itself.
        for second in 6..60 {
            board.tick(Duration::from_secs(second), &[node(1), node(2)]);
        }
        let status =
            board.statuses(Duration::from_secs(60)).into_iter().find(|status| status.target == target("m")).unwrap();
        let weight = (status.weight * 1e6).round();
        (status.breaker, status.success, status.latency, weight, status.cools_for, status.believed_rate)
    };
    let before = settled(board);
    for number in 0..10_000 {
        let took = Duration::from_millis(number % 97);
        entry.observe(Duration::from_secs(60), &Observation::ended(Fault::Client, took));
    }
    assert!(matches!(entry.admit(Duration::from_secs(60)), Admission::Go));
    assert_eq!(settled(board), before);
    assert_eq!(board.news(Duration::from_secs(60), 0), None, "and there is nothing to tell");
    sim.run_for(SECOND);
}

#[test]
fn a_bad_peer_opens_no_breaker_and_takes_little_memory() {
    let sim = Sim::new(3, 1, settings(), 0.0);
    let (board, now) = (&sim.nodes[0].board, Duration::from_secs(5));
    let entry = board.target(now, &target("m"));
    let said = Said {
        phase: Phase::Open,
        failures: u32::MAX,
        first_hand: true,
        probes: 7,
        failed_probes: 9,
        recoveries: 3,
        cool: None,
        believed: 1,
        sent: u32::MAX,
    };
    let report = |model: String, version, said| Report { provider: "p".into(), key: "k".into(), model, version, said };
    let mut version = 0;
    for round in 0..1_000 {
        let reports = (0..64).map(|number| {
            version += 1;
            report(format!("m{round}-{number}"), version, said)
        });
        let mut reports: Vec<Report> = reports.collect();
        reports[0] = report("m".into(), version + 1, said);
        reports[1] = report("x".repeat(100_000), version + 2, said);
        version += 3;
        board.hear(now, &node(1), &News { epoch: 1, reports });
    }
    assert!(board.statuses(now).len() <= 4096 / 2, "{}", board.statuses(now).len());
    assert!(matches!(entry.admit(now), Admission::Go), "one peer's word opens nothing");
    let rest = Said { believed: 0, phase: Phase::Closed, failures: 0, first_hand: false, ..said };
    let mut cooled = |why| {
        version += 1;
        let cool = Some(Cool { left_ms: u32::MAX, why });
        let reports = vec![report("m".into(), version, Said { cool, ..rest })];
        board.hear(now, &node(1), &News { epoch: 1, reports });
    };
    cooled(Why::Key);
    assert_eq!(entry.barred(now), None, "its key may be another one");
    cooled(Why::Capacity);
    assert_eq!(entry.barred(now), Some(Barred::Capacity));
    let Admission::Closed(closed) = entry.admit(now) else { panic!("it is believed of a pause") };
    assert!(closed.again_in <= Duration::from_secs(60), "but for a minute only: {closed:?}");
    // Own targets find a place in spite of it.
    let own = board.target(now, &target("mine"));
    assert!(board.statuses(now).iter().any(|status| status.target == *own.target()));
}

#[test]
fn what_there_is_to_tell_of_outlasts_made_up_names() {
    let sim = Sim::new(1, 1, settings(), 0.0);
    let (board, now) = (&sim.nodes[0].board, Duration::from_secs(5));
    // It has not answered since the node began, so it is not proven either.
    let down = board.target(now, &target("down"));
    for _ in 0..settings().failures {
        down.observe(now, &Observation::ended(Fault::Provider, Duration::from_millis(5)));
    }
    drop(down);
    for number in 0..20_000 {
        board.target(now, &target(&format!("made-up-{number}")));
    }
    assert!(board.statuses(now).len() <= 4096);
    assert!(matches!(board.target(now, &target("down")).admit(now), Admission::Closed(_)), "its breaker is open still");
}

#[test]
fn a_key_with_another_value_is_not_the_one_that_was_refused() {
    let sim = Sim::new(1, 1, settings(), 0.0);
    let (board, now) = (&sim.nodes[0].board, Duration::from_secs(5));
    let (one, other) = (board.target(now, &target("one")), board.target(now, &target("other")));
    let refused = Observation::ended(Fault::Key, Duration::from_millis(5));
    one.observe(now, &Observation { is_whole_key: true, ..refused });
    other.observe(now, &refused);
    let is_out =
        |entry: &std::sync::Arc<peerway_cluster::health::Entry>| matches!(entry.admit(now), Admission::Closed(_));
    assert!(is_out(&one) && is_out(&other));
    board.renew_key(now, "p", "another");
    board.renew_key(now, "q", "k");
    assert!(is_out(&one) && is_out(&other));
    board.renew_key(now, "p", "k");
    assert!(!is_out(&one) && !is_out(&other));
    // Full is full, whatever the key's value.
    one.observe(now, &Observation::ended(Fault::Capacity, Duration::from_millis(5)));
    board.renew_key(now, "p", "k");
    assert!(is_out(&one));
}
