//! One measurement: a system under one load, from the plan to the figures.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::generator::{self, Load, Moment, Plan};
use crate::histogram::Percentiles;
use crate::mix::{Mix, scramble};
use crate::output;
use crate::recorder::{Recorder, Second};
use crate::scenario::Scenario;
use crate::system::System;
use crate::verdict::{Evidence, Verdict, judge};
use crate::watch::{Process, Watch};

/// How a measurement is made; the same for all systems of a comparison.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) scenario: Scenario,
    /// Goes before the scenario's model; a system's own goes before this one.
    pub(crate) model: Option<String>,
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
    pub(crate) threads: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) timeout: Duration,
}

/// The figures of one measurement. `latency` and `curve` are missing when the
/// generator did not keep its rate.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    pub(crate) verdict: Verdict,
    pub(crate) asked_rate: Option<f64>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) achieved_rate: f64,
    pub(crate) sent: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) unsent: u64,
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) warmup_failures: BTreeMap<String, u64>,
    pub(crate) latency: Option<Percentiles>,
    /// (percentile, microseconds)
    pub(crate) curve: Vec<(f64, u64)>,
    pub(crate) kinds: Vec<KindFigures>,
    pub(crate) targets: Vec<TargetFigures>,
    pub(crate) generator_lateness: Option<Percentiles>,
    pub(crate) connections: u64,
    pub(crate) machine_busy: Option<f64>,
    pub(crate) processes: Vec<Process>,
    pub(crate) timeline: Vec<SecondFigures>,
}

/// One kind of request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct KindFigures {
    pub(crate) kind: String,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) whole: Option<Percentiles>,
    pub(crate) first_token: Option<Percentiles>,
    pub(crate) events: u64,
    /// An event's time from the provider to here, where the provider stamps its events.
    pub(crate) event_on_the_way: Option<Percentiles>,
}

/// One target.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TargetFigures {
    pub(crate) url: String,
    pub(crate) done: u64,
    pub(crate) failed: u64,
}

/// One second of the run, the warm-up included.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SecondFigures {
    pub(crate) second: usize,
    pub(crate) sent: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) p50_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
}

/// Puts `system` under `load`.
pub(crate) fn measure(settings: &Settings, system: &System, load: Load) -> Result<Measurement> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let salt = scramble(now.as_nanos() as u64);
    let model = system.model.as_deref().or(settings.model.as_deref());
    let mut scenario = settings.scenario.clone();
    scenario.key = system.key.clone().or(scenario.key);
    let plan = Plan {
        targets: system.targets(&scenario)?,
        mix: Mix::prepare(&scenario, model, salt)?,
        load,
        warmup: settings.warmup,
        duration: settings.duration,
        threads: settings.threads,
        max_in_flight: settings.max_in_flight,
        timeout: settings.timeout,
        keeps_fates: false,
    };
    let mut watch = Watch::new(&system.all_watched());
    let mut told = 0;
    let recorder = generator::run(&plan, &mut |moment, recorded| match moment {
        Moment::Begin(at) => watch.begin(at),
        Moment::Tick(at) => {
            watch.sample(at);
            if at.as_secs() > told {
                told = at.as_secs();
                progress(&recorded(), told as usize - 1, settings.warmup);
            }
        }
        Moment::End(at) => watch.end(at),
    })
    .with_context(|| format!("the measurement of `{}`", system.name))?;
    Ok(figures(&plan, system, &recorder, &watch))
}

fn progress(recorded: &Recorder, second: usize, warmup: Duration) {
    let fresh = Second::new();
    let last = recorded.seconds.get(second).unwrap_or(&fresh);
    let at = |percentile| last.at(percentile).map_or("-".to_owned(), |us| output::millis(us as f64));
    let line = format!(
        "{:>5} s{}  sent {:>6}  done {:>6}  in flight {:>5}  failures {:>4}  p50 {:>9}  p99 {:>9}",
        second + 1,
        if second < warmup.as_secs() as usize { " warm-up" } else { "        " },
        last.sent,
        last.done,
        recorded.in_flight,
        last.failed,
        at(50.0),
        at(99.0)
    );
    if last.failed > 0 { output::alarm(&line) } else { output::note(&line) }
}

fn figures(plan: &Plan, system: &System, recorder: &Recorder, watch: &Watch) -> Measurement {
    let span = plan.duration.max(recorder.last_sent.saturating_sub(plan.warmup)).as_secs_f64().max(1e-9);
    let achieved = recorder.sent as f64 / span;
    let (asked_rate, concurrency) = match plan.load {
        Load::Open { rate } => (Some(rate), None),
        Load::Closed { concurrency } => (None, Some(concurrency)),
    };
    let lateness = recorder.lateness.percentiles();
    let verdict = judge(&Evidence {
        asked: asked_rate.unwrap_or(0.0),
        achieved,
        lateness_p99: Duration::from_micros(lateness.as_ref().map_or(0, |lateness| lateness.p99_us)),
        unsent: recorder.unsent,
        cap: plan.max_in_flight,
    });
    let headline = recorder.headline();
    let kind = |kind: &crate::recorder::KindRecord| KindFigures {
        kind: kind.name.to_owned(),
        done: kind.done,
        failed: kind.failed,
        whole: kind.whole.percentiles().filter(|_| verdict.kept),
        first_token: kind.first.percentiles().filter(|_| verdict.kept),
        events: kind.events,
        event_on_the_way: kind.on_the_way.percentiles().filter(|_| verdict.kept),
    };
    let target = |(url, (done, failed)): (&String, &(u64, u64))| TargetFigures {
        url: url.clone(),
        done: *done,
        failed: *failed,
    };
    let second = |(second, figures): (usize, &Second)| SecondFigures {
        second,
        sent: figures.sent,
        done: figures.done,
        failed: figures.failed,
        p50_us: figures.at(50.0),
        p99_us: figures.at(99.0),
    };
    let named = |failures: &BTreeMap<crate::failure::Failure, u64>| {
        failures.iter().map(|(failure, count)| (failure.to_string(), *count)).collect()
    };
    Measurement {
        asked_rate,
        concurrency,
        achieved_rate: achieved,
        sent: recorder.sent,
        done: recorder.done(),
        failed: recorder.failed(),
        unsent: recorder.unsent,
        failures: named(&recorder.failures),
        warmup_failures: named(&recorder.warmup_failures),
        latency: headline.percentiles().filter(|_| verdict.kept),
        curve: if verdict.kept { headline.curve() } else { Vec::new() },
        kinds: recorder.kinds.iter().map(kind).collect(),
        targets: system.urls.iter().zip(&recorder.targets).map(target).collect(),
        generator_lateness: lateness,
        connections: recorder.connections,
        machine_busy: watch.machine_busy(),
        processes: watch.processes(recorder.done()),
        timeline: recorder.seconds.iter().enumerate().map(second).collect(),
        verdict,
    }
}
