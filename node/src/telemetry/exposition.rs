//! The Prometheus text format, version 0.0.4, written by hand: forty lines, no registry, values read from wherever
//! they are counted. (Libraries for OpenMetrics name counter families without `_total`, which `promtool check
//! metrics` then reports as metrics without help.)

use std::fmt::{Display, Write};

/// A page of metrics that is being written.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Page {
    /// Starts a family; its samples follow.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{label}=\"", if index == 0 { '{' } else { ',' });
            for c in text.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// One series of a histogram. `buckets` are counts a bucket (not cumulative), the last one above every bound.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], bounds: &[f64], buckets: &[u64], sum: f64) {
        let bucket = format!("{name}_bucket");
        let mut total = 0;
        for (index, count) in buckets.iter().enumerate() {
            total += count;
            let bound = bounds.get(index).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            let with_bound: Vec<(&str, &str)> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.sample(&bucket, &with_bound, total);
        }
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, total);
    }

    pub fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_text_format() {
        let mut page = Page::default();
        page.family("x_total", Kind::Counter, "Things.");
        page.sample("x_total", &[("a", "q\"\\\n"), ("b", "")], 3);
        page.family("y_seconds", Kind::Histogram, "Time.");
        page.histogram("y_seconds", &[], &[0.1, 1.0], &[1, 0, 2], 7.5);
        assert_eq!(
            page.finish(),
            "# HELP x_total Things.\n# TYPE x_total counter\nx_total{a=\"q\\\"\\\\\\n\",b=\"\"} 3\n\
             # HELP y_seconds Time.\n# TYPE y_seconds histogram\ny_seconds_bucket{le=\"0.1\"} 1\n\
             y_seconds_bucket{le=\"1\"} 1\ny_seconds_bucket{le=\"+Inf\"} 3\ny_seconds_sum 7.5\ny_seconds_count 3\n"
        );
    }
}
