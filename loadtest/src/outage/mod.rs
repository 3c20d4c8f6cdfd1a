//! What an outage of a provider costs the clients of a cluster, under load, for each way to break.
//!
//! [`rig`] starts three nodes and two providers, [`run`] puts them under load while the script of a [`fault`] goes on,
//! [`figures`] says what it came to, [`bounds`] whether that is too much, [`table`] prints it.

mod bounds;
mod control;
mod fault;
mod figures;
mod rig;
mod run;
mod table;

pub(crate) use fault::Fault;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::output;
use crate::verdict::{Evidence, judge};
use rig::Setup;

/// The provider that breaks, and the name of its model.
const BREAKS: &str = "breaks";
/// The one that stands in.
const STEADY: &str = "steady";
/// Failures in a row that open a breaker.
const FAILURES: usize = 5;
const LATENCY: Duration = Duration::from_millis(50);
const CLIENT_FAULTS: f64 = 10_000.0;
const UNHURRIED: Duration = Duration::from_secs(30);

/// How the nodes are loaded, and when the provider breaks.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    /// Requests a second, over all nodes.
    pub(crate) rate: f64,
    /// Since the start of the load.
    pub(crate) begins: Duration,
    pub(crate) ends: Duration,
    pub(crate) whole: Duration,
    pub(crate) probe_interval: Duration,
    /// Streams are asked for.
    pub(crate) streams: bool,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) faults: Vec<Fault>,
    pub(crate) timing: Timing,
    pub(crate) peerway: PathBuf,
    pub(crate) provider: PathBuf,
    pub(crate) folder: PathBuf,
    /// The provider's timeouts.
    pub(crate) patience: Duration,
}

/// Runs the faults one after the other; an error when a bound was broken, false when the generator could not keep its rate.
pub(crate) fn outage(order: &Order) -> Result<bool> {
    let (mut rows, mut broken, mut kept) = (Vec::new(), Vec::new(), true);
    for fault in &order.faults {
        let timing = timing(*fault, &order.timing);
        let setup = Setup {
            peerway: order.peerway.clone(),
            provider: order.provider.clone(),
            folder: order.folder.join(fault.name()),
            latency: LATENCY,
            // Nothing is to run out of time where nothing is slow.
            patience: if *fault == Fault::ClientFaults { UNHURRIED } else { order.patience },
            probe_interval: timing.probe_interval,
        };
        output::heading(&format!("{}: {} requests a second for {:?}", fault.name(), timing.rate, timing.whole));
        let seen = run::run(*fault, &setup, &timing)?;
        let verdict = judge(&Evidence {
            asked: timing.rate,
            achieved: seen.recorder.sent as f64 / timing.whole.as_secs_f64(),
            lateness_p99: Duration::from_micros(seen.recorder.lateness.percentiles().map_or(0, |late| late.p99_us)),
            unsent: seen.recorder.unsent,
            cap: run::MAX_IN_FLIGHT,
        });
        if !verdict.kept {
            output::alarm(&format!("{}: {}", fault.name(), verdict.says));
            kept = false;
        }
        let figures = figures::figures(&seen, &timing);
        let lines = bounds::broken(*fault, &figures, &seen, &timing);
        let care = if verdict.kept { "" } else { " (with care: the generator could not keep its rate)" };
        broken.extend(lines.into_iter().map(|line| format!("{}: {line}{care}", fault.name())));
        rows.push((*fault, figures));
    }
    table::head();
    rows.iter().for_each(|(fault, figures)| table::row(*fault, figures));
    broken.iter().for_each(|line| output::say(&format!("BROKEN {line}")));
    match broken.len() {
        0 => Ok(kept),
        count => bail!("{count} bounds were broken"),
    }
}

/// Clients' faults go on until there were so many.
fn timing(fault: Fault, timing: &Timing) -> Timing {
    match fault {
        Fault::ClientFaults => {
            let ends = timing.begins + Duration::from_secs_f64(CLIENT_FAULTS / timing.rate);
            Timing { ends, whole: ends + Duration::from_secs(1), ..timing.clone() }
        }
        _ => timing.clone(),
    }
}
