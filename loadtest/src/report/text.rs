//! The report as a few lines on the terminal.

use super::{Report, SystemReport};
use crate::frontier::{Found, LimitedBy};
use crate::output::{mib, millis, say};

pub(crate) fn print(report: &Report) {
    let machine = &report.machine;
    say("");
    say(&format!("{} cores, {}, Linux {}", machine.cores, machine.cpu, machine.kernel));
    say(&format!("latency: {}", report.config.latency_is));
    if !report.systems.is_empty() {
        say(&format!(
            "{:<16} {:>8} {:>10} {:>10} {:>10} {:>11} {:>11} {:>9} {:>9}",
            "system", "req/s", "p50", "p99", "p99.9", "added p50", "added p99", "requests", "failures"
        ));
    }
    for system in &report.systems {
        say(&row(system));
        details(system);
    }
    for frontier in &report.frontier {
        for bound in &frontier.bounds {
            say(&format!(
                "{:<16} added p99 <= {:>4} ms: {}",
                frontier.system.name,
                bound.added_p99_ms,
                sentence(&bound.found)
            ));
        }
    }
}

fn row(system: &SystemReport) -> String {
    let name = &system.system.name;
    let Some(median) = &system.median else {
        return format!("{name:<16} no figure: {}", system.trouble().unwrap_or("no request was answered"));
    };
    let added =
        |value: fn(&super::Added) -> f64| system.added.as_ref().map_or("-".into(), |added| millis(value(added)));
    format!(
        "{name:<16} {:>8.0} {:>10} {:>10} {:>10} {:>11} {:>11} {:>9} {:>9}",
        median.achieved_rate,
        millis(median.p50_us),
        millis(median.p99_us),
        millis(median.p999_us),
        added(|added| added.p50_us),
        added(|added| added.p99_us),
        system.sent,
        system.failed
    )
}

fn details(system: &SystemReport) {
    for (class, count) in system.failures() {
        say(&format!("  failed: {class} {count}"));
    }
    if let Some(trouble) = system.trouble().filter(|_| system.median.is_some()) {
        say(&format!("  a round without a figure: {trouble}"));
    }
    let Some(last) = system.last_kept().or(system.rounds.last()) else { return };
    for kind in &last.kinds {
        if let (Some(first), Some(whole)) = (&kind.first_token, &kind.whole) {
            say(&format!(
                "  streams: first token p50 {} p99 {}, whole p50 {} p99 {}, {} events",
                millis(first.p50_us as f64),
                millis(first.p99_us as f64),
                millis(whole.p50_us as f64),
                millis(whole.p99_us as f64),
                kind.events
            ));
        }
        if let Some(event) = &kind.event_on_the_way {
            say(&format!(
                "  events: on the way p50 {} us, p99 {} us, p99.9 {} us, max {} us",
                event.p50_us, event.p99_us, event.p999_us, event.max_us
            ));
        }
    }
    let only_streams = last.kinds.iter().all(|kind| kind.events > 0);
    let events: u64 = last.kinds.iter().map(|kind| kind.events).sum();
    let cpu = system.median.iter().flat_map(|median| &median.cpu_us_per_request);
    for (name, cpu) in cpu {
        let rss = last.processes.iter().find(|process| process.name == *name);
        let rss = rss.map_or(String::new(), |process| {
            let [before, max, after] =
                [process.rss_before_bytes, process.rss_max_bytes, process.rss_after_bytes].map(mib);
            format!(", RSS before {before}, max {max}, after {after}")
        });
        let an_event = if only_streams && events > 0 {
            format!(" ({:.2} us an event)", cpu * last.done as f64 / events as f64)
        } else {
            String::new()
        };
        say(&format!("  {name}: {cpu:.1} us CPU a request{an_event}{rss}"));
    }
    if let Some(busy) = last.machine_busy.filter(|busy| *busy > BUSY) {
        say(&format!("  the machine was {:.0} % busy: what waits for a core is in these latencies", busy * 100.0));
    }
}

/// Beyond this share of busy cores, latencies are those of a full machine.
pub(crate) const BUSY: f64 = 0.85;

/// A frontier as a sentence.
pub(crate) fn sentence(found: &Found) -> String {
    let limit = match found.limited_by {
        LimitedBy::System => "",
        LimitedBy::Generator => "; above, the generator was the limit, so this is a lower bound",
        LimitedBy::Provider => "; above, the provider was the limit, so this is a lower bound",
        LimitedBy::Asked => "; no higher rate was asked for, so this is a lower bound",
    };
    match (found.rate, found.limited_by) {
        (Some(rate), _) => format!("{rate:.0} requests a second{limit}"),
        (None, LimitedBy::Generator) => "no figure: the generator was the limit".to_owned(),
        (None, LimitedBy::Provider) => "no figure: the provider was the limit".to_owned(),
        (None, _) => "not held at any rate that was tried".to_owned(),
    }
}
