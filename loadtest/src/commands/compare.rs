//! One or several systems under the same load, in turns.

use anyhow::Result;

use crate::cli::Common;
use crate::generator::Load;
use crate::measure::{Settings, measure};
use crate::output;
use crate::report::{Report, SystemReport};
use crate::system::System;

/// Measures each system `rounds` times, interleaved (A B C A B C ...), so that what
/// drifts on the machine drifts for all. True when every figure could be given.
pub(crate) fn compare(
    command: &'static str,
    settings: &Settings,
    systems: &[System],
    load: Load,
    rounds: usize,
    common: &Common,
) -> Result<bool> {
    for system in systems {
        system.check_processes()?;
    }
    let mut measured = vec![Vec::new(); systems.len()];
    for round in 1..=rounds.max(1) {
        for (system, measured) in systems.iter().zip(&mut measured) {
            output::heading(&format!(
                "{} (round {round} of {}): {}",
                system.name,
                rounds.max(1),
                system.urls.join(" ")
            ));
            let measurement = measure(settings, system, load)?;
            if !measurement.verdict.kept {
                output::alarm(&measurement.verdict.says);
            }
            measured.push(measurement);
        }
    }
    let reports = systems.iter().cloned().zip(measured).map(|(system, rounds)| SystemReport::new(system, rounds));
    let report = Report::new(command, settings, reports.collect());
    finish_all(&report, common)
}

fn finish_all(report: &Report, common: &Common) -> Result<bool> {
    super::finish(report, common)?;
    Ok(report.systems.iter().all(|system| system.rounds.iter().all(|round| round.verdict.kept)))
}
