//! Charts as inline SVG, drawn by hand: no script, no font, nothing from outside.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;

/// A line of a chart.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    /// The number of its colour.
    pub(super) colour: usize,
    pub(super) points: Vec<(f64, f64)>,
}

/// An axis: what it says, and where its ticks are.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) label: String,
    pub(super) ticks: Vec<(f64, String)>,
}

/// A line chart; both axes span their outermost ticks.
pub(super) fn lines(x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let span = |axis: &Axis| {
        let values = || axis.ticks.iter().map(|(at, _)| *at);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        (low, if high > low { high } else { low + 1.0 })
    };
    let ((x0, x1), (y0, y1)) = (span(x), span(y));
    let right = |at: f64| LEFT + (at - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
    let down = |at: f64| HEIGHT - BOTTOM - (at.clamp(y0, y1) - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM);
    let mut svg = open(HEIGHT, &format!("{} by {}", y.label, x.label));
    for (at, label) in &y.ticks {
        let at = down(*at);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            escape(label)
        );
    }
    for (at, label) in &x.ticks {
        let at = right(*at);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{:.1}"/><text x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 18.0,
            escape(label)
        );
    }
    let _ = write!(
        svg,
        r#"<text class="label" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 6.0,
        escape(&x.label)
    );
    for line in lines.iter().filter(|line| !line.points.is_empty()) {
        let points: Vec<String> =
            line.points.iter().map(|(px, py)| format!("{:.1},{:.1}", right(*px), down(*py))).collect();
        let _ = write!(
            svg,
            r#"<polyline class="s{}" points="{}"><title>{}</title></polyline>"#,
            line.colour % COLOURS,
            points.join(" "),
            escape(&line.name)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// How many colours the page has.
pub(super) const COLOURS: usize = 6;

/// A bar: its label, the number of its colour, its length and what is written behind it.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) colour: usize,
    pub(super) value: f64,
    pub(super) text: String,
}

/// Horizontal bars.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    const ROW: f64 = 28.0;
    const NAMES: f64 = 190.0;
    let most = bars.iter().map(|bar| bar.value).fold(1e-9, f64::max);
    let mut svg = open(bars.len() as f64 * ROW + 8.0, title);
    for (row, bar) in bars.iter().enumerate() {
        let y = row as f64 * ROW + 4.0;
        // Room behind the longest bar for what is written there.
        let length = (bar.value / most * (WIDTH - NAMES - 190.0)).max(2.0);
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text><rect class="b{}" x="{NAMES}" y="{y:.1}" width="{length:.1}" height="18" rx="3"/><text class="value" x="{:.1}" y="{:.1}">{}</text>"#,
            NAMES - 10.0,
            y + 13.5,
            escape(&bar.label),
            bar.colour % COLOURS,
            NAMES + length + 8.0,
            y + 13.5,
            escape(&bar.text)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Round ticks from 0 to at least `most`.
pub(super) fn linear(label: &str, most: f64, unit: fn(f64) -> String) -> Axis {
    let rough = (most / 5.0).max(1e-6);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(rough);
    let count = (most / step).ceil().max(1.0) as usize;
    Axis {
        label: label.to_owned(),
        ticks: (0..=count).map(|tick| (tick as f64 * step, unit(tick as f64 * step))).collect(),
    }
}

/// Ticks at 1, 2 and 5 of each power of ten, as far as the values reach; positions are log10.
pub(super) fn logarithmic(label: &str, low: f64, high: f64, unit: fn(f64) -> String) -> Axis {
    let (low, high) = (low.max(1e-9), high.max(low * 1.01));
    let steps: Vec<f64> = (-9..=12).flat_map(|power| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(power))).collect();
    let from = steps.iter().rposition(|step| *step <= low).unwrap_or(0);
    let to = steps.iter().position(|step| *step >= high).unwrap_or(steps.len() - 1);
    Axis { label: label.to_owned(), ticks: steps[from..=to].iter().map(|step| (step.log10(), unit(*step))).collect() }
}

/// Text made safe inside HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn open(height: f64, title: &str) -> String {
    format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{}">"#, escape(title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_around_the_values() {
        let at = |axis: &Axis| axis.ticks.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert_eq!(at(&linear("", 4700.0, |v| v.to_string())), [0.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0]);
        let log: Vec<f64> =
            at(&logarithmic("", 0.7, 30.0, |v| v.to_string())).iter().map(|at| 10f64.powf(*at)).collect();
        assert_eq!(
            log.iter().map(|v| (v * 10.0).round() / 10.0).collect::<Vec<_>>(),
            [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
        );
        assert!(!linear("", 0.0, |v| v.to_string()).ticks.is_empty());
    }

    #[test]
    fn nothing_of_a_name_becomes_markup() {
        let line = Line { name: "<script>".into(), colour: 0, points: vec![(0.0, 0.0), (1.0, 1.0)] };
        let axis = linear("\"x\"", 1.0, |v| v.to_string());
        let svg = lines(&axis, &axis, &[line]);
        assert!(!svg.contains("<script>") && svg.contains("&lt;script&gt;"));
    }
}
