//! The report as one self-contained page, light or dark as the reader has it.

use super::chart::{Axis, Bar, COLOURS, Line, bars, escape, linear, lines, logarithmic};
use super::{Report, SystemReport, text};
use crate::output::{mib, millis};

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let machine = &report.machine;
    let mut body = format!(
        "<h1>Peerway load test: {}</h1><p class=sub>{} · {} cores, {} · Linux {} · finished {} UTC · version {}</p>",
        escape(report.command),
        escape(&load(report)),
        machine.cores,
        escape(&machine.cpu),
        escape(&machine.kernel),
        utc(report.finished_unix),
        report.version
    );
    for system in &report.systems {
        for (at, round) in system.rounds.iter().enumerate().filter(|(_, round)| !round.verdict.kept) {
            let name = escape(&system.system.name);
            body += &format!("<p class=banner>{name}, round {}: {}</p>", at + 1, escape(&round.verdict.says));
        }
    }
    if !report.systems.is_empty() {
        body += &cards(report);
        body += &section("Latency by percentile", report.config.latency_is, &(legend(report) + &percentiles(report)));
        body += &over_time(report);
        body += &section(
            "CPU time a request",
            "User and system time of whole process trees in the measured span, divided by the requests that were done; medians over the rounds.",
            &cpu(report),
        );
        body += &section(
            "Memory",
            "Resident memory of whole process trees in the last round: the most, with before and after.",
            &memory(report),
        );
        body += &section("All rounds", "What was measured, each round for itself.", &rounds(report));
        body += &streams(report);
    }
    for frontier in &report.frontier {
        body += &super::html_frontier::section(frontier);
    }
    let limits: String = report.does_not_show.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
    body += &section("What these figures do not show", "", &format!("<ul>{limits}</ul>"));
    let config = serde_json::to_string_pretty(&report.config).unwrap_or_default();
    body += &section("How it was measured", "", &format!("<pre>{}</pre>", escape(&config)));
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\"><meta name=color-scheme content=\"light dark\"><title>Peerway load test</title><style>{}</style></head><body><main>{body}</main></body></html>",
        include_str!("page.css")
    )
}

pub(super) fn section(title: &str, note: &str, content: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!("<p class=note>{}</p>", escape(note)) };
    format!("<section><h2>{}</h2>{note}{content}</section>", escape(title))
}

fn load(report: &Report) -> String {
    let first = report.systems.first().and_then(|system| system.rounds.first());
    let pace = match first.map(|round| (round.asked_rate, round.concurrency)) {
        Some((Some(rate), _)) => format!("{rate:.0} requests a second"),
        Some((None, Some(callers))) => format!("closed loop, {callers} callers"),
        _ => "rates searched".to_owned(),
    };
    format!("{pace} for {} s after {} s of warm-up", report.config.duration_s, report.config.warmup_s)
}

fn cards(report: &Report) -> String {
    let card = |(at, system): (usize, &SystemReport)| {
        let mut inner = format!("<h3>{}</h3>", escape(&system.system.name));
        match &system.median {
            Some(median) => {
                inner += &format!(
                    "<b>{}</b><span>p99 · p50 {} · p99.9 {}</span>",
                    millis(median.p99_us),
                    millis(median.p50_us),
                    millis(median.p999_us)
                );
                if median.rounds < system.rounds.len() {
                    inner += &format!("<span>from {} of {} rounds</span>", median.rounds, system.rounds.len());
                }
                if let Some(added) = &system.added {
                    inner += &format!("<span>added p50 {} · p99 {}</span>", millis(added.p50_us), millis(added.p99_us));
                }
            }
            None => inner += "<b>no figure</b><span>the generator could not keep its rate</span>",
        }
        let class = if system.failed == 0 { "good" } else { "bad" };
        inner += &format!("<span class={class}>{} failed of {} requests</span>", system.failed, system.sent);
        format!("<div class=card style=\"--c:var(--c{})\">{inner}</div>", at % COLOURS)
    };
    format!("<div class=cards>{}</div>", report.systems.iter().enumerate().map(card).collect::<String>())
}

fn legend(report: &Report) -> String {
    let entry = |(at, system): (usize, &SystemReport)| {
        format!("<span><i style=\"background:var(--c{})\"></i>{}</span>", at % COLOURS, escape(&system.system.name))
    };
    format!("<div class=legend>{}</div>", report.systems.iter().enumerate().map(entry).collect::<String>())
}

fn percentiles(report: &Report) -> String {
    let nines = |percentile: f64| -(1.0 - percentile / 100.0).max(1e-9).log10();
    let ticks = [50.0, 75.0, 90.0, 99.0, 99.9, 99.99].map(|at| (nines(at), format!("{at} %"))).to_vec();
    let curves =
        || report.systems.iter().enumerate().filter_map(|(at, system)| Some((at, system, system.median.as_ref()?)));
    let values = || curves().flat_map(|(_, _, median)| median.curve.iter().map(|(_, us)| us / 1e3));
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    if high == 0.0 {
        return "<p class=note>No figure.</p>".to_owned();
    }
    let all: Vec<Line> = curves()
        .map(|(at, system, median)| Line {
            name: system.system.name.clone(),
            colour: at,
            points: median.curve.iter().map(|(at, us)| (nines(*at), (us / 1e3).log10())).collect(),
        })
        .collect();
    let x = Axis { label: "percentile of requests".to_owned(), ticks };
    lines(&x, &logarithmic("latency", low, high, |ms| format!("{ms} ms")), &all)
}

fn over_time(report: &Report) -> String {
    let last =
        || report.systems.iter().enumerate().filter_map(|(at, system)| Some((at, system, system.rounds.last()?)));
    // What ends after the last request left is a rest of a second, not a rate.
    let asked = (report.config.warmup_s + report.config.duration_s).floor() as usize;
    let seconds = last().map(|(_, _, round)| round.timeline.len().min(asked)).max().unwrap_or(0);
    let x = linear("seconds since the start, warm-up included", seconds as f64, |s| format!("{s:.0}"));
    let chart =
        |value: &dyn Fn(&crate::measure::SecondFigures) -> Option<f64>, y: &dyn Fn(f64, f64) -> Axis, log: bool| {
            let all: Vec<Line> = last()
                .map(|(at, system, round)| Line {
                    name: system.system.name.clone(),
                    colour: at,
                    points: round
                        .timeline
                        .iter()
                        .take(seconds)
                        .filter_map(|second| Some((second.second as f64 + 0.5, value(second)?)))
                        .collect(),
                })
                .collect();
            let values = || all.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
            let axis = y(values().fold(f64::INFINITY, f64::min).min(1e9), values().fold(0.0, f64::max));
            let scaled = |line: &Line| Line {
                points: line.points.iter().map(|(x, y)| (*x, if log { y.max(1e-9).log10() } else { *y })).collect(),
                ..line.clone()
            };
            legend(report) + &lines(&x, &axis, &all.iter().map(scaled).collect::<Vec<_>>())
        };
    let rate =
        chart(&|second| Some(second.done as f64), &|_, most| linear("answers", most, |v| format!("{v:.0}")), false);
    let p99 = chart(
        &|second| Some(second.p99_us? as f64 / 1e3),
        &|low, high| logarithmic("p99", low, high, |ms| format!("{ms} ms")),
        true,
    );
    section("Answers a second", "The last round of each system, warm-up included.", &rate)
        + &section("p99 of each second", "By when the answer ended; streams count by their first token.", &p99)
}

fn cpu(report: &Report) -> String {
    let mut all = Vec::new();
    for (at, system) in report.systems.iter().enumerate() {
        for (name, cpu) in system.median.iter().flat_map(|median| &median.cpu_us_per_request) {
            let label =
                if *name == system.system.name { name.clone() } else { format!("{}: {name}", system.system.name) };
            all.push(Bar { label, colour: at, value: *cpu, text: format!("{cpu:.1} us") });
        }
    }
    bars("CPU microseconds a request", &all)
}

fn memory(report: &Report) -> String {
    let mut all = Vec::new();
    for (at, system) in report.systems.iter().enumerate() {
        for process in system.rounds.last().iter().flat_map(|round| &round.processes) {
            let name = &process.name;
            let label =
                if *name == system.system.name { name.clone() } else { format!("{}: {name}", system.system.name) };
            let [before, max, after] = [process.rss_before_bytes, process.rss_max_bytes, process.rss_after_bytes];
            let text = format!("{} ({} / {})", mib(max), mib(before), mib(after)).replacen(" MiB /", " /", 1);
            all.push(Bar { label, colour: at, value: max as f64, text });
        }
    }
    bars("resident memory", &all)
}

fn rounds(report: &Report) -> String {
    let mut rows = String::new();
    for system in &report.systems {
        for (at, round) in system.rounds.iter().enumerate() {
            let figure = |value: fn(&crate::histogram::Percentiles) -> u64| {
                round.latency.as_ref().map_or("-".to_owned(), |latency| millis(value(latency) as f64))
            };
            let failures: Vec<String> =
                round.failures.iter().map(|(class, count)| format!("{class} {count}")).collect();
            let failed = if round.failed == 0 {
                "0".to_owned()
            } else {
                format!("<span class=bad>{}</span>", escape(&failures.join(", ")))
            };
            let lateness = round.generator_lateness.as_ref().map_or(0, |lateness| lateness.p99_us);
            let busy = round.machine_busy.map_or("-".to_owned(), |busy| {
                let class = if busy > text::BUSY { " class=bad" } else { "" };
                format!("<span{class}>{:.0} %</span>", busy * 100.0)
            });
            rows += &format!(
                "<tr><td>{}</td><td>{}</td><td>{:.0}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{failed}</td><td>{}</td><td>{busy}</td></tr>",
                escape(&system.system.name),
                at + 1,
                round.achieved_rate,
                figure(|l| l.p50_us),
                figure(|l| l.p90_us),
                figure(|l| l.p99_us),
                figure(|l| l.p999_us),
                figure(|l| l.max_us),
                round.sent,
                millis(lateness as f64),
            );
        }
    }
    format!(
        "<table><tr><th>system<th>round<th>req/s<th>p50<th>p90<th>p99<th>p99.9<th>max<th>sent<th>failed<th>generator late, p99<th>machine busy</tr>{rows}</table>"
    )
}

fn streams(report: &Report) -> String {
    let mut rows = String::new();
    for system in &report.systems {
        for kind in system.last_kept().iter().flat_map(|round| &round.kinds) {
            let figures = |found: &Option<crate::histogram::Percentiles>| match found {
                Some(found) => [found.p50_us, found.p99_us, found.p999_us].map(|us| millis(us as f64)),
                None => ["-"; 3].map(str::to_owned),
            };
            let cells: String = figures(&kind.first_token)
                .iter()
                .chain(&figures(&kind.whole))
                .chain(&figures(&kind.event_on_the_way))
                .map(|cell| format!("<td>{cell}</td>"))
                .collect();
            rows += &format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{cells}<td>{}</td></tr>",
                escape(&system.system.name),
                escape(&kind.kind),
                kind.done,
                kind.failed,
                kind.events
            );
        }
    }
    let table = format!(
        "<table><tr><th>system<th>kind<th>done<th>failed<th>first token p50<th>p99<th>p99.9<th>whole p50<th>p99<th>p99.9<th>event on its way p50<th>p99<th>p99.9<th>events</tr>{rows}</table>"
    );
    section("By kind of request", "The last round of each system in which the generator kept its rate.", &table)
}

/// Seconds since 1970 as a date and time (the civil-from-days algorithm).
fn utc(unix: u64) -> String {
    let (days, second) = (unix / 86_400 + 719_468, unix % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, year + era * 400) } else { (month - 9, year + era * 400 + 1) };
    format!("{year}-{month:02}-{date:02} {:02}:{:02}", second / 3600, second % 3600 / 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_right() {
        assert_eq!(super::utc(0), "1970-01-01 00:00");
        assert_eq!(super::utc(1_709_210_096), "2024-02-29 12:34");
        assert_eq!(super::utc(1_798_761_599), "2026-12-31 23:59");
    }
}
