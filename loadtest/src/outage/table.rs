//! The table on the terminal: a line for each fault.

use super::fault::Fault;
use super::figures::Figures;
use crate::output::{millis, say};

pub(super) fn head() {
    say(&format!(
        "{:<14} {:>7} {:>9} {:>6} {:>8} {:>31} {:>9} {:>22} {:>8} {:>21} {:>21} {:>21}",
        "fault",
        "sent",
        "success",
        "ampl.",
        "failing",
        "at first = thr. + flight + news",
        "last call",
        "tries (at once), apart",
        "back",
        "before p50/p99",
        "during",
        "after"
    ));
}

pub(super) fn row(fault: Fault, figures: &Figures) {
    let ms = |time: std::time::Duration| millis(time.as_secs_f64() * 1e6);
    let none = || "-".to_owned();
    let skipped = figures.skipped.as_ref();
    let latencies = figures
        .latencies
        .map(|phase| phase.map_or_else(none, |(p50, p99)| format!("{}/{}", millis(p50 as f64), millis(p99 as f64))));
    let parts = skipped.map_or_else(none, |skipped| {
        let threshold = skipped.first_calls.saturating_sub(skipped.under_way + skipped.begun_later);
        format!("{} = {threshold} + {} + {}", skipped.first_calls, skipped.under_way, skipped.begun_later)
    });
    let probes = skipped
        .map_or_else(none, |skipped| format!("{}, {}", skipped.probes, skipped.least_distance.map_or_else(none, ms)));
    say(&format!(
        "{:<14} {:>7} {:>7.3} % {:>6.3} {:>8} {:>31} {:>9} {:>22} {:>8} {:>21} {:>21} {:>21}",
        fault.name(),
        figures.sent,
        figures.succeeded as f64 / figures.sent.max(1) as f64 * 100.0,
        figures.amplification,
        figures.failed_calls,
        parts,
        skipped.map_or_else(none, |skipped| ms(skipped.last)),
        probes,
        skipped.and_then(|skipped| skipped.back).map_or_else(none, ms),
        latencies[0],
        latencies[1],
        latencies[2],
    ));
}
