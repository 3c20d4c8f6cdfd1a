//! The report: every figure of a command, written as JSON, as HTML and as text.

mod chart;
pub(crate) mod html;
mod html_frontier;
pub(crate) mod text;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::frontier::Found;
use crate::machine::Machine;
use crate::measure::{Measurement, Settings};
use crate::scenario::Scenario;
use crate::system::{DIRECT, System};

/// All that a command found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) tool: &'static str,
    pub(crate) version: &'static str,
    pub(crate) command: &'static str,
    /// Seconds since 1970.
    pub(crate) finished_unix: u64,
    pub(crate) machine: Machine,
    pub(crate) config: Config,
    pub(crate) systems: Vec<SystemReport>,
    pub(crate) frontier: Vec<FrontierReport>,
    pub(crate) does_not_show: Vec<&'static str>,
}

/// How it was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Config {
    pub(crate) warmup_s: f64,
    pub(crate) duration_s: f64,
    pub(crate) threads: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) timeout_s: f64,
    pub(crate) model: Option<String>,
    pub(crate) scenario: Scenario,
    pub(crate) latency_is: &'static str,
}

/// One system: every round, and the medians over those with a figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SystemReport {
    pub(crate) system: System,
    pub(crate) median: Option<Median>,
    /// Against the system named `direct`: median of the differences round by round.
    pub(crate) added: Option<Added>,
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) rounds: Vec<Measurement>,
}

/// Medians over the rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Median {
    pub(crate) rounds: usize,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) achieved_rate: f64,
    /// (process name, CPU microseconds a request)
    pub(crate) cpu_us_per_request: Vec<(String, f64)>,
    /// (percentile, microseconds)
    pub(crate) curve: Vec<(f64, f64)>,
}

/// Latency added to the direct path, microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Added {
    pub(crate) rounds: usize,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}

/// The frontiers of one system.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FrontierReport {
    pub(crate) system: System,
    pub(crate) bounds: Vec<Bound>,
    pub(crate) probes: Vec<ProbeReport>,
}

/// The frontier for one bound.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Bound {
    pub(crate) added_p99_ms: f64,
    #[serde(flatten)]
    pub(crate) found: Found,
}

/// One try of one rate.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProbeReport {
    pub(crate) rate: f64,
    pub(crate) failed: u64,
    pub(crate) direct_failed: u64,
    pub(crate) added_p99_ms: Option<f64>,
    pub(crate) generator_kept: bool,
}

const DOES_NOT_SHOW: [&str; 6] = [
    "Generator, provider and the system under load share this machine's cores and its loopback: each slows the others, and a network of its own would add what loopback does not have.",
    "Added latency is a difference of percentiles of two runs, not the percentile of a difference: the direct path leaves more of the machine free than a run through a gateway.",
    "CPU time is counted in clock ticks over whole process trees and divided by the requests that were done; what the kernel does for them outside their time (soft interrupts) is not in it.",
    "A simulated provider answers evenly; a real one varies by seconds, which hides what a gateway adds.",
    "All requests of a thread share a few kept-alive connections, the last used first; thousands of clients with a connection each are another load.",
    "A run of seconds or minutes shows no leak, no log rotation, no day and night.",
];

impl Report {
    pub(crate) fn new(command: &'static str, settings: &Settings, mut systems: Vec<SystemReport>) -> Report {
        let direct = systems.iter().position(|system| system.system.name == DIRECT);
        if let Some(direct) = direct.map(|at| systems[at].rounds.clone()) {
            for system in systems.iter_mut().filter(|system| system.system.name != DIRECT) {
                system.added = added(&system.rounds, &direct);
            }
        }
        let mut scenario = settings.scenario.clone();
        // A report is passed around; the key is not.
        scenario.key = scenario.key.map(|_| "(hidden)".to_owned());
        let streams = scenario.mix.iter().all(|item| item.value.kind == crate::scenario::Kind::Stream);
        Report {
            tool: "peerway-loadtest",
            version: env!("CARGO_PKG_VERSION"),
            command,
            finished_unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            machine: Machine::read(),
            config: Config {
                warmup_s: settings.warmup.as_secs_f64(),
                duration_s: settings.duration.as_secs_f64(),
                threads: settings.threads,
                max_in_flight: settings.max_in_flight,
                timeout_s: settings.timeout.as_secs_f64(),
                model: settings.model.clone(),
                scenario,
                latency_is: if streams {
                    "time to the first token of a stream, from when the request was due"
                } else {
                    "time to the last byte of a plain answer, from when the request was due"
                },
            },
            systems,
            frontier: Vec::new(),
            does_not_show: DOES_NOT_SHOW.to_vec(),
        }
    }
}

impl SystemReport {
    pub(crate) fn new(system: System, rounds: Vec<Measurement>) -> SystemReport {
        SystemReport {
            system,
            median: medians(&rounds),
            added: None,
            sent: rounds.iter().map(|round| round.sent).sum(),
            failed: rounds.iter().map(|round| round.failed).sum(),
            rounds,
        }
    }

    /// The sentence of the first round without a figure, if there is one.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.rounds.iter().find(|round| !round.verdict.kept).map(|round| round.verdict.says.as_str())
    }

    /// The last round with a figure.
    pub(crate) fn last_kept(&self) -> Option<&Measurement> {
        self.rounds.iter().rev().find(|round| round.verdict.kept)
    }

    /// Failures by class over all rounds.
    pub(crate) fn failures(&self) -> Vec<(String, u64)> {
        let mut all = std::collections::BTreeMap::new();
        for (class, count) in self.rounds.iter().flat_map(|round| &round.failures) {
            *all.entry(class.clone()).or_insert(0) += count;
        }
        all.into_iter().collect()
    }
}

fn medians(rounds: &[Measurement]) -> Option<Median> {
    let kept: Vec<_> = rounds.iter().filter_map(|round| Some((round, round.latency.as_ref()?))).collect();
    let over = |value: &dyn Fn(&Measurement) -> Option<f64>| {
        median(kept.iter().filter_map(|(round, _)| value(round)).collect())
    };
    let names = kept.first()?.0.processes.iter().map(|process| process.name.clone());
    let cpu = names.filter_map(|name| {
        let value = over(&|round| round.processes.iter().find(|process| process.name == name)?.cpu_us_per_request)?;
        Some((name, value))
    });
    let points = kept.first()?.0.curve.iter().enumerate();
    Some(Median {
        rounds: kept.len(),
        p50_us: median(kept.iter().map(|(_, latency)| latency.p50_us as f64).collect())?,
        p99_us: median(kept.iter().map(|(_, latency)| latency.p99_us as f64).collect())?,
        p999_us: median(kept.iter().map(|(_, latency)| latency.p999_us as f64).collect())?,
        achieved_rate: over(&|round| Some(round.achieved_rate))?,
        cpu_us_per_request: cpu.collect(),
        curve: points
            .filter_map(|(at, (percentile, _))| {
                Some((*percentile, over(&|round| Some(round.curve.get(at)?.1 as f64))?))
            })
            .collect(),
    })
}

fn added(rounds: &[Measurement], direct: &[Measurement]) -> Option<Added> {
    let pairs: Vec<_> = rounds
        .iter()
        .zip(direct)
        .filter_map(|(system, direct)| system.latency.as_ref().zip(direct.latency.as_ref()))
        .collect();
    let over = |value: fn(&crate::histogram::Percentiles) -> u64| {
        median(pairs.iter().map(|(system, direct)| value(system) as f64 - value(direct) as f64).collect())
    };
    Some(Added {
        rounds: pairs.len(),
        p50_us: over(|latency| latency.p50_us)?,
        p99_us: over(|latency| latency.p99_us)?,
        p999_us: over(|latency| latency.p999_us)?,
    })
}

/// The median; of an even number, the mean of the middle two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

#[cfg(test)]
pub(crate) mod tests;
