//! The frontier's part of the page.

use super::chart::{Bar, bars, escape};
use super::{FrontierReport, html, text};

pub(super) fn section(report: &FrontierReport) -> String {
    let bar = |(at, bound): (usize, &super::Bound)| Bar {
        label: format!("added p99 ≤ {} ms", bound.added_p99_ms),
        colour: at,
        value: bound.found.rate.unwrap_or(0.0),
        text: bound.found.rate.map_or("no figure".to_owned(), |rate| format!("{rate:.0} req/s")),
    };
    let chart = bars("frontier", &report.bounds.iter().enumerate().map(bar).collect::<Vec<_>>());
    let sentences: String = report
        .bounds
        .iter()
        .map(|bound| {
            format!("<li>added p99 ≤ {} ms: {}</li>", bound.added_p99_ms, escape(&text::sentence(&bound.found)))
        })
        .collect();
    let rows: String = report
        .probes
        .iter()
        .map(|probe| {
            format!(
                "<tr><td>{:.0}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                probe.rate,
                probe.added_p99_ms.map_or("-".to_owned(), |added| format!("{added:.2} ms")),
                probe.failed,
                probe.direct_failed,
                if probe.generator_kept { "kept" } else { "not kept" }
            )
        })
        .collect();
    html::section(
        &format!("Frontier of {}", report.system.name),
        "The highest rate with no failure and an added p99 within the bound. A rate that did not hold was tried once more; found by doubling and bisection to 6 %.",
        &format!(
            "{chart}<ul>{sentences}</ul><table><tr><th>rate tried<th>added p99<th>failures<th>direct failures<th>generator</tr>{rows}</table>"
        ),
    )
}
