//! One outage under load: the load on one side, the script of the fault on the other, and what both saw.

use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;

use super::control::Control;
use super::fault::{Fault, Means};
use super::rig::{KEY, Rig, Setup, caller};
use super::{BREAKS, Timing};
use crate::generator::{self, Load, Moment, Plan};
use crate::mix::{Mix, scramble};
use crate::recorder::Recorder;
use crate::scenario::Scenario;
use crate::system::System;

/// Connections of clients are many, and none waits for longer than this.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);
pub(super) const MAX_IN_FLIGHT: usize = 8192;

/// A call that reached the provider while it was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) node: usize,
    /// Since the start of the timetable.
    pub(super) at: Duration,
}

/// What the provider that broke counted itself.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) hits: u64,
    pub(super) calls: Vec<Call>,
}

/// All that was seen of one outage.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) recorder: Recorder,
    /// When the fault began and ended, since the start of the timetable.
    pub(super) began: Duration,
    pub(super) ended: Duration,
    /// Calls to all providers, as the nodes count them.
    pub(super) attempts: u64,
    /// Calls to the broken provider that failed, as the nodes count them.
    pub(super) failed_attempts: u64,
    /// `None` of a provider that was killed.
    pub(super) counted: Option<Counted>,
    /// What each node says of the broken provider, before the load's end and before the fault.
    pub(super) states: [Vec<State>; 2],
}

/// What a node says of the broken provider.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) breaker: String,
    pub(super) weight: f64,
}

/// The clock of the timetable.
#[derive(Clone, Copy, Debug)]
struct Start {
    instant: Instant,
    unix_us: u64,
}

/// Puts a fresh rig under load while its first provider has the fault.
pub(super) fn run(fault: Fault, setup: &Setup, timing: &Timing) -> Result<Seen> {
    let control = Control::new()?;
    let mut rig = Rig::start(setup, &control)?;
    let plan = plan(&rig, timing)?;
    let (tell, told) = mpsc::sync_channel(1);
    let nodes = rig.nodes.clone();
    let (recorder, script) = std::thread::scope(|scope| {
        let (rig, control) = (&mut rig, &control);
        let script = scope.spawn(move || script(fault, timing, rig, control, &told));
        let mut tell = Some(tell);
        let recorder = generator::run(&plan, &mut |moment, _| {
            let (Moment::Begin(at) | Moment::Tick(at) | Moment::End(at)) = moment;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(at);
            if let (Some(tell), Some(instant)) = (tell.take(), Instant::now().checked_sub(at)) {
                // The script has ended only if it failed, which is told below.
                let _ = tell.send(Start { instant, unix_us: now.as_micros() as u64 });
            }
        });
        // A load that did not begin must not be waited for.
        drop(tell);
        (recorder, script.join())
    });
    let script = script.map_err(|_| anyhow::anyhow!("the script of the fault ended in a panic; this is a bug"))?;
    let Script { began, ended, counted, states } = script.with_context(|| format!("the fault `{}`", fault.name()))?;
    let (mut attempts, mut failed_attempts) = (0, 0);
    let control = Control::new()?;
    for node in &nodes {
        let page = control.get(node.admin, "/metrics")?;
        let (all, failed) = upstream_attempts(&String::from_utf8_lossy(&page));
        attempts += all;
        failed_attempts += failed;
    }
    Ok(Seen { recorder: recorder?, began, ended, attempts, failed_attempts, counted, states })
}

fn plan(rig: &Rig, timing: &Timing) -> Result<Plan> {
    let kind = if timing.streams { "stream" } else { "miss" };
    let scenario =
        format!("{{ key: {KEY}, model: smart, mix: [ {{ kind: {kind}, prompt_bytes: 200, max_tokens: 64 }} ] }}");
    let scenario = Scenario::parse("outage", &scenario)?;
    let urls = rig.nodes.iter().map(|node| format!("http://{}", node.http)).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Plan {
        targets: System::new("peerway", urls).targets(&scenario)?,
        mix: Mix::prepare(&scenario, None, scramble(now.as_nanos() as u64))?,
        load: Load::Open { rate: timing.rate },
        warmup: Duration::ZERO,
        duration: timing.whole,
        threads: 1,
        max_in_flight: MAX_IN_FLIGHT,
        timeout: CLIENT_PATIENCE,
        keeps_fates: true,
    })
}

struct Script {
    began: Duration,
    ended: Duration,
    counted: Option<Counted>,
    states: [Vec<State>; 2],
}

fn script(
    fault: Fault,
    timing: &Timing,
    rig: &mut Rig,
    control: &Control,
    told: &mpsc::Receiver<Start>,
) -> Result<Script> {
    let start = told.recv().context("the load did not begin")?;
    let until = |moment: Duration| {
        std::thread::sleep((start.instant + moment).saturating_duration_since(Instant::now()));
    };
    until(timing.begins.saturating_sub(Duration::from_millis(200)));
    let before = states(rig, control)?;
    until(timing.begins);
    // The provider's record begins with the fault.
    control.post(rig.breaks, "/reset", "")?;
    let began = start.instant.elapsed();
    match fault.means() {
        Means::Kill => rig.kill()?,
        Means::Rules(rules) => drop(control.post(rig.breaks, "/faults", rules)?),
    }
    until(timing.ends);
    let after = states(rig, control)?;
    let counted = match fault.means() {
        Means::Kill => {
            rig.restart()?;
            None
        }
        Means::Rules(_) => {
            let mut calls = calls(&control.json(rig.breaks, "/requests?last=100000")?, &start, began);
            let hits = hits(&control.json(rig.breaks, "/faults")?);
            // What came between the reset and the rules was still answered.
            calls.drain(..calls.len().saturating_sub(hits as usize));
            control.post(rig.breaks, "/faults", "[]")?;
            Some(Counted { hits, calls })
        }
    };
    Ok(Script { began, ended: start.instant.elapsed(), counted, states: [before, after] })
}

fn states(rig: &Rig, control: &Control) -> Result<Vec<State>> {
    let state = |node: &super::rig::Node| {
        let status = control.json(node.admin, "/cluster/status")?;
        let mut providers = status["providers"].as_array().into_iter().flatten();
        let found = providers.find(|provider| provider["name"] == BREAKS && provider["model"] == BREAKS);
        let found =
            found.with_context(|| format!("http://{}/cluster/status says nothing of `{BREAKS}`", node.admin))?;
        let breaker = found["breaker"].as_str().unwrap_or_default().to_owned();
        Ok(State { breaker, weight: found["weight"].as_f64().unwrap_or_default() })
    };
    rig.nodes.iter().map(state).collect()
}

/// The calls in the provider's record since the fault began.
fn calls(record: &Value, start: &Start, began: Duration) -> Vec<Call> {
    let call = |request: &Value| {
        let at = request["received_us"].as_u64()?.checked_sub(start.unix_us)?;
        Some(Call { node: caller(request["headers"]["authorization"].as_str()?)?, at: Duration::from_micros(at) })
    };
    let requests = record["requests"].as_array().into_iter().flatten();
    let mut calls: Vec<Call> = requests.filter_map(call).filter(|call| call.at >= began).collect();
    calls.sort_by_key(|call| call.at);
    calls
}

fn hits(faults: &Value) -> u64 {
    faults["faults"].as_array().into_iter().flatten().filter_map(|rule| rule["hits"].as_u64()).sum()
}

/// All attempts of a node, and the failed ones at the provider that breaks.
fn upstream_attempts(page: &str) -> (u64, u64) {
    let lines = page.lines().filter_map(|line| line.strip_prefix("peerway_upstream_attempts_total{"));
    let samples = lines.filter_map(|line| {
        let (labels, count) = line.split_once("} ")?;
        Some((labels, count.trim().parse::<f64>().ok()? as u64))
    });
    samples.fold((0, 0), |(all, failed), (labels, count)| {
        let is_failed = labels.contains(&format!("provider=\"{BREAKS}\"")) && !labels.contains("result=\"ok\"");
        (all + count, failed + if is_failed { count } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_read_from_a_page_of_metrics() {
        let page = "# TYPE x counter\npeerway_upstream_attempts_total{provider=\"breaks\",result=\"ok\"} 40\n\
                    peerway_upstream_attempts_total{provider=\"breaks\",result=\"transport\"} 7\n\
                    peerway_upstream_attempts_total{provider=\"steady\",result=\"transport\"} 1\nother 3\n";
        assert_eq!(upstream_attempts(page), (48, 7));
    }

    #[test]
    fn calls_of_the_record_are_those_since_the_fault_began() {
        let request = |at: u64, key: &str| serde_json::json!({ "received_us": at, "headers": { "authorization": format!("Bearer {key}") } });
        let record = serde_json::json!({ "requests": [
            request(1_000_900, "sk-of-node-1"), request(1_002_000, "sk-of-node-2"), request(1_001_000, "sk-of-node-0"), request(1_003_000, "sk-other"),
        ] });
        let start = Start { instant: Instant::now(), unix_us: 1_000_000 };
        let found = calls(&record, &start, Duration::from_millis(1));
        assert_eq!(found.iter().map(|call| (call.node, call.at.as_millis())).collect::<Vec<_>>(), [(0, 1), (2, 2)]);
    }
}
