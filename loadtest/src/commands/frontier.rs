//! The highest rate that each system holds, for several bounds of added latency.

use anyhow::Result;

use crate::cli::Common;
use crate::frontier::{Probe, Search};
use crate::generator::Load;
use crate::measure::{Measurement, Settings, measure};
use crate::output;
use crate::report::{Bound, FrontierReport, ProbeReport, Report};
use crate::system::System;

/// The bounds of added p99, milliseconds.
const BOUNDS_MS: [f64; 3] = [1.0, 5.0, 10.0];

/// What one pair of measurements at one rate showed.
#[derive(Clone, Copy, Debug)]
struct Pair {
    generator_kept: bool,
    direct_failed: u64,
    failed: u64,
    added_p99_ms: f64,
}

impl Pair {
    fn probe(&self, bound_ms: f64) -> Probe {
        match self {
            Pair { direct_failed: 1.., .. } => Probe::ProviderLimit,
            // Failures of the system count as its own even when the generator suffered with it.
            Pair { failed: 1.., .. } => Probe::Exceeded,
            Pair { generator_kept: false, .. } => Probe::GeneratorLimit,
            Pair { added_p99_ms, .. } if *added_p99_ms > bound_ms => Probe::Exceeded,
            _ => Probe::Held,
        }
    }

    fn of(direct: &Measurement, system: &Measurement) -> Pair {
        let p99 = |measurement: &Measurement| measurement.latency.as_ref().map(|latency| latency.p99_us as f64 / 1e3);
        let added = p99(system).zip(p99(direct)).map(|(system, direct)| system - direct);
        Pair {
            generator_kept: direct.verdict.kept && system.verdict.kept,
            direct_failed: direct.failed,
            // What the cap held back while the generator was on time is the system's queue.
            failed: system.failed + system.unsent,
            added_p99_ms: added.unwrap_or(f64::INFINITY),
        }
    }
}

/// Searches for each system and bound; what one bound has measured, the next one uses.
pub(crate) fn frontier(
    settings: &Settings,
    direct: &System,
    systems: &[System],
    start: f64,
    max: f64,
    common: &Common,
) -> Result<bool> {
    for system in systems.iter().chain([direct]) {
        system.check_processes()?;
    }
    let mut reports = Vec::new();
    for system in systems {
        let mut pairs: Vec<(f64, Vec<Pair>)> = Vec::new();
        let mut bounds = Vec::new();
        for bound_ms in BOUNDS_MS {
            let mut search = Search::new(start, max);
            while let Some(rate) = search.next() {
                search.tell(rate, probe(settings, direct, system, &mut pairs, rate, bound_ms)?);
            }
            bounds.push(Bound { added_p99_ms: bound_ms, found: search.found() });
        }
        pairs.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let probes = pairs.iter().flat_map(|(rate, pairs)| pairs.iter().map(|pair| report(*rate, pair)));
        reports.push(FrontierReport { system: system.clone(), bounds, probes: probes.collect() });
    }
    let mut whole = Report::new("frontier", settings, Vec::new());
    whole.frontier = reports;
    super::finish(&whole, common)?;
    Ok(true)
}

/// One rate against one bound. A rate that does not hold is tried once more, since on
/// a shared machine one hiccup would otherwise decide; a second failure stands.
fn probe(
    settings: &Settings,
    direct: &System,
    system: &System,
    pairs: &mut Vec<(f64, Vec<Pair>)>,
    rate: f64,
    bound_ms: f64,
) -> Result<Probe> {
    let at = pairs.iter().position(|(probed, _)| *probed == rate).unwrap_or_else(|| {
        pairs.push((rate, Vec::new()));
        pairs.len() - 1
    });
    let tries = &mut pairs[at].1;
    for attempt in 0..2 {
        if tries.len() <= attempt {
            output::heading(&format!("{} at {rate:.0} requests a second, try {}", system.name, attempt + 1));
            let load = Load::Open { rate };
            let base = measure(settings, direct, load)?;
            let pair = Pair::of(&base, &measure(settings, system, load)?);
            output::note(&format!("      added p99 {:.2} ms, failures {}", pair.added_p99_ms, pair.failed));
            tries.push(pair);
        }
        if tries[attempt].probe(bound_ms) == Probe::Held {
            return Ok(Probe::Held);
        }
    }
    Ok(tries[1].probe(bound_ms))
}

fn report(rate: f64, pair: &Pair) -> ProbeReport {
    ProbeReport {
        rate,
        failed: pair.failed,
        direct_failed: pair.direct_failed,
        added_p99_ms: Some(pair.added_p99_ms).filter(|added| added.is_finite()),
        generator_kept: pair.generator_kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_judged_by_what_went_wrong_first() {
        let good = Pair { generator_kept: true, direct_failed: 0, failed: 0, added_p99_ms: 3.0 };
        assert_eq!((good.probe(5.0), good.probe(1.0)), (Probe::Held, Probe::Exceeded));
        assert_eq!(Pair { failed: 1, ..good }.probe(5.0), Probe::Exceeded);
        assert_eq!(Pair { generator_kept: false, ..good }.probe(5.0), Probe::GeneratorLimit);
        assert_eq!(Pair { direct_failed: 1, failed: 1, ..good }.probe(5.0), Probe::ProviderLimit);
    }
}
