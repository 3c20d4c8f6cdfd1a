//! What holds of a board whatever calls come to and peers say.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

use std::time::Duration;

use peerway_cluster::health::breaker::Phase;
use peerway_cluster::health::messages::{Cool, News, Report, Said, Why};
use peerway_cluster::health::{Admission, Board, Fault, Observation, Quota, Settings, Target};
use peerway_cluster::identity::NodeId;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Call(Fault, u64, Option<u64>),
    Hear(u8, Said),
    Quota(f32, Option<f32>),
    Tick,
}

fn said() -> impl Strategy<Value = Said> {
    let phase = prop_oneof![Just(Phase::Closed), Just(Phase::Recovering), Just(Phase::Open)];
    let cool = prop::option::of(
        (any::<u32>(), any::<bool>())
            .prop_map(|(left_ms, full)| Cool { left_ms, why: if full { Why::Capacity } else { Why::Key } }),
    );
    (phase, any::<u32>(), any::<bool>(), 0u32..4, 0u32..4, 0u32..4, cool, any::<u32>(), any::<u32>()).prop_map(
        |(phase, failures, first_hand, probes, failed_probes, recoveries, cool, believed, sent)| Said {
            phase,
            failures,
            first_hand,
            probes,
            failed_probes,
            recoveries,
            cool,
            believed,
            sent,
        },
    )
}

fn step(faults: &'static [Fault], peers: u8) -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u64..3_000).prop_map(Step::Wait),
        (prop::sample::select(faults), 0u64..5_000, prop::option::of(0u64..1_000_000))
            .prop_map(|(fault, took, pause)| Step::Call(fault, took, pause)),
        (0..peers, said()).prop_map(|(peer, said)| Step::Hear(peer, said)),
        (any::<f32>(), prop::option::of(any::<f32>())).prop_map(|(left, rate)| Step::Quota(left, rate)),
        Just(Step::Tick),
    ]
}

fn peer(number: u8) -> NodeId {
    format!("peer-{number}").parse().unwrap()
}

/// Runs the steps; looks at the board after each.
fn run(steps: &[Step], mut look: impl FnMut(&Board, Duration, &Step)) {
    let board = Board::new("here".parse().unwrap(), 1, Settings::default());
    let target = Target { provider: "p".into(), key: "k".into(), model: "m".into() };
    let live: Vec<NodeId> = (0..3).map(peer).collect();
    let mut now = Duration::from_secs(10);
    for (version, step) in steps.iter().enumerate() {
        let entry = board.target(now, &target);
        match step {
            Step::Wait(ms) => now += Duration::from_millis(*ms),
            Step::Call(fault, took, pause) => {
                let probe = entry.admit(now);
                let retry_after = pause.map(Duration::from_millis);
                let seen = Observation { retry_after, ..Observation::ended(*fault, Duration::from_millis(*took)) };
                entry.observe(now, &seen);
                drop(probe);
            }
            Step::Hear(from, said) => {
                let report = Report {
                    provider: "p".into(),
                    key: "k".into(),
                    model: "m".into(),
                    version: version as u64 + 1,
                    said: *said,
                };
                board.hear(now, &peer(*from), &News { epoch: 1, reports: vec![report] });
            }
            Step::Quota(left, rate) => {
                entry.quota(now, &Quota { left: *left, resets_in: None, calls_per_second: *rate });
            }
            Step::Tick => board.tick(now, &live),
        }
        look(&board, now, step);
    }
}

const ALL: &[Fault] = &[Fault::None, Fault::Client, Fault::Key, Fault::Capacity, Fault::Provider];
const NO_PROVIDER: &[Fault] = &[Fault::None, Fault::Client, Fault::Key, Fault::Capacity];

proptest! {
    #[test]
    fn weights_and_words_stay_in_bounds(steps in prop::collection::vec(step(ALL, 3), 1..120)) {
        run(&steps, |board, now, _| {
            for status in board.statuses(now) {
                assert!((0.0..=1.0).contains(&status.weight), "{status:?}");
                let usable = status.breaker == "closed" && status.cools_for.is_none();
                assert_eq!(status.weight > 0.0, usable, "never 0 for a target that can be used: {status:?}");
                assert!(status.success.is_none_or(|success| (0.0..=1.0).contains(&success)), "{status:?}");
                assert!(status.cools_for.is_none_or(|(left, _)| left <= Duration::from_secs(600)), "{status:?}");
                assert!(!status.reason.is_empty());
            }
            if let Some((news, upto)) = board.news(now, 0) {
                assert!(news.reports.iter().all(|report| report.version <= upto && report.said.failures <= 5));
            }
        });
    }

    #[test]
    fn one_peers_word_and_no_failure_here_open_nothing(steps in prop::collection::vec(step(NO_PROVIDER, 1), 1..120)) {
        run(&steps, |board, now, _| {
            for status in board.statuses(now) {
                assert_eq!(status.breaker, "closed", "{status:?}");
                assert!(status.success.is_none_or(|success| success == 1.0), "{status:?}");
            }
        });
    }

    #[test]
    fn faults_of_clients_change_nothing(
        before in prop::collection::vec(step(ALL, 3), 0..60), after in prop::collection::vec(0u64..5_000, 1..60),
    ) {
        let faults = after.iter().map(|took| Step::Call(Fault::Client, *took, None));
        let steps: Vec<Step> = before.iter().cloned().chain(faults).collect();
        let (mut seen, mut told) = (None, None);
        let mut done = 0;
        run(&steps, |board, now, _| {
            done += 1;
            // A call that is let through may be a probe, so only what says something of the target is compared.
            let statuses = board.statuses(now).into_iter().map(|s| (s.success, s.latency, s.weight, s.cools_for, s.believed_rate));
            let statuses: Vec<_> = statuses.collect();
            let closed = board.statuses(now).iter().all(|status| status.breaker == "closed");
            let news = board.news(now, 0).map(|(_, upto)| upto).filter(|_| closed);
            if done > before.len() && closed {
                assert_eq!(seen.get_or_insert_with(|| statuses.clone()), &statuses);
                assert_eq!(*told.get_or_insert(news), news);
            }
        });
    }

    #[test]
    fn an_open_target_is_tried_once_an_interval(gaps in prop::collection::vec(0u64..2_000, 1..200)) {
        let board = Board::new("here".parse().unwrap(), 1, Settings::default());
        let target = Target { provider: "p".into(), key: "k".into(), model: "m".into() };
        let mut now = Duration::from_secs(10);
        let entry = board.target(now, &target);
        for _ in 0..5 {
            entry.observe(now, &Observation::ended(Fault::Provider, Duration::ZERO));
        }
        let mut last = now;
        for gap in gaps {
            now += Duration::from_millis(gap);
            match entry.admit(now) {
                Admission::Probe(probe) => {
                    prop_assert!(now - last >= Settings::default().probe_interval);
                    last = now;
                    // Some come to nothing.
                    if gap % 3 > 0 {
                        entry.observe(now, &Observation::ended(Fault::Provider, Duration::ZERO));
                    }
                    drop(probe);
                }
                Admission::Closed(_) => {}
                Admission::Go => prop_assert!(false, "the breaker is open"),
            }
        }
    }
}
