//! Medians and differences over rounds, and the page made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::frontier::LimitedBy;
use crate::histogram::Latency;
use crate::measure::SecondFigures;
use crate::verdict::Verdict;
use crate::watch::Process;

fn round(base_us: u64, kept: bool) -> Measurement {
    let mut latency = Latency::new();
    (0..1000).for_each(|i| latency.record(Duration::from_micros(base_us + i)));
    let says = if kept { "the generator kept its rate" } else { "generator could not keep its rate: test" };
    Measurement {
        verdict: Verdict { kept, says: says.to_owned() },
        asked_rate: Some(100.0),
        concurrency: None,
        achieved_rate: 100.0,
        sent: 1000,
        done: 1000,
        failed: 0,
        unsent: 0,
        failures: BTreeMap::new(),
        warmup_failures: BTreeMap::new(),
        latency: latency.percentiles().filter(|_| kept),
        curve: if kept { latency.curve() } else { Vec::new() },
        kinds: Vec::new(),
        targets: Vec::new(),
        generator_lateness: None,
        connections: 1,
        machine_busy: Some(0.5),
        processes: vec![Process {
            name: "x".into(),
            pids: vec![1],
            cpu_us: base_us * 1000,
            cpu_us_per_request: Some(base_us as f64),
            rss_before_bytes: 1,
            rss_max_bytes: 3,
            rss_after_bytes: 2,
            rss: Vec::new(),
        }],
        timeline: vec![SecondFigures { second: 0, sent: 1, done: 1, failed: 0, p50_us: Some(5), p99_us: Some(9) }],
    }
}

fn report(systems: Vec<(&str, Vec<Measurement>)>) -> Report {
    let settings = Settings {
        scenario: Scenario::parse("x", "key: sk-secret\nmix: [{kind: miss}]").unwrap(),
        model: None,
        warmup: Duration::ZERO,
        duration: Duration::from_secs(1),
        threads: 1,
        max_in_flight: 1,
        timeout: Duration::from_secs(1),
    };
    let systems = systems.into_iter().map(|(name, rounds)| SystemReport::new(System::new(name, vec![]), rounds));
    Report::new("side-by-side", &settings, systems.collect())
}

#[test]
fn added_latency_is_the_median_of_the_differences_of_the_same_round() {
    // The machine drifts by far more than the gateway adds; the differences do not care.
    let direct = vec![round(1000, true), round(30_000, true), round(5000, true)];
    let gateway = vec![round(1200, true), round(30_300, true), round(5100, true)];
    let report = report(vec![("gateway", gateway), ("direct", direct)]);
    let added = report.systems[0].added.as_ref().unwrap();
    assert_eq!((added.rounds, report.systems[1].added.is_none()), (3, true));
    assert!((added.p50_us - 200.0).abs() <= 16.0, "{added:?}");
    let median = report.systems[0].median.as_ref().unwrap();
    assert!((median.p50_us - 5600.0).abs() < 10.0 && median.cpu_us_per_request == [("x".to_owned(), 5100.0)]);
}

#[test]
fn a_round_that_was_not_kept_gives_no_figure() {
    let report = report(vec![
        ("direct", vec![round(1000, true), round(1000, false)]),
        ("gateway", vec![round(1500, true), round(9000, true)]),
        ("none", vec![round(1, false), round(1, false)]),
    ]);
    assert_eq!(report.systems[1].added.as_ref().unwrap().rounds, 1);
    assert!(report.systems[2].median.is_none() && report.systems[2].added.is_none());
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["systems"][2]["rounds"][0]["latency"].is_null());
    let page = html::page(&report);
    assert!(page.contains("no figure") && page.contains("generator could not keep its rate: test"));
}

#[test]
fn the_page_needs_nothing_from_outside_and_tells_no_key() {
    let mut report = report(vec![("<b>direct", vec![round(1000, true)])]);
    let found = Found { rate: Some(900.0), limited_by: LimitedBy::Provider };
    report.frontier.push(FrontierReport {
        system: System::new("gateway", vec![]),
        bounds: vec![Bound { added_p99_ms: 1.0, found }],
        probes: Vec::new(),
    });
    let page = html::page(&report);
    for outside in ["http://", "https://", "<script", "@import", "url(", "<link", "<b>direct", "sk-secret"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("the provider was the limit"));
    assert!(!serde_json::to_string(&report).unwrap().contains("sk-secret"));
}

#[test]
fn the_median_of_an_even_number_is_the_middle() {
    assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
    assert_eq!(median(vec![9.0, 1.0, 3.0]), Some(3.0));
    assert_eq!(median(Vec::new()), None);
}
