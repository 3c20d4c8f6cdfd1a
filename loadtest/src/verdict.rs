//! Whether the generator itself kept its timetable. If not, what it measured says
//! more about the generator than about the system, and no figure is given.

use std::time::Duration;

use serde::Serialize;

/// The generator may be this late at its 99th percentile.
pub(crate) const LATENESS_P99: Duration = Duration::from_millis(10);
/// The least share of the asked rate that must have been sent.
pub(crate) const RATE_SHARE: f64 = 0.99;

/// What the verdict is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// Requests a second that were asked for.
    pub(crate) asked: f64,
    /// Requests a second that were sent.
    pub(crate) achieved: f64,
    /// 99th percentile of (sent - due).
    pub(crate) lateness_p99: Duration,
    /// Requests that were not sent at all, because too many were in flight.
    pub(crate) unsent: u64,
    /// The cap on requests in flight.
    pub(crate) cap: usize,
}

/// Did the generator keep its rate?
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) kept: bool,
    /// One sentence, with the reasons when the rate was not kept.
    pub(crate) says: String,
}

/// Judges a run.
pub(crate) fn judge(evidence: &Evidence) -> Verdict {
    let mut reasons = Vec::new();
    if evidence.unsent > 0 {
        reasons.push(format!(
            "{} requests were not sent because {} were in flight (--max-in-flight)",
            evidence.unsent, evidence.cap
        ));
    }
    if evidence.lateness_p99 > LATENESS_P99 {
        reasons.push(format!(
            "its own lateness had a p99 of {:.1} ms (at most {} ms)",
            evidence.lateness_p99.as_secs_f64() * 1e3,
            LATENESS_P99.as_millis()
        ));
    }
    if evidence.achieved < evidence.asked * RATE_SHARE {
        reasons.push(format!(
            "{:.0} requests a second were sent of the {:.0} asked for",
            evidence.achieved, evidence.asked
        ));
    }
    if reasons.is_empty() {
        return Verdict { kept: true, says: "the generator kept its rate".to_owned() };
    }
    Verdict { kept: false, says: format!("generator could not keep its rate: {}", reasons.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Evidence =
        Evidence { asked: 1000.0, achieved: 998.0, lateness_p99: Duration::from_millis(2), unsent: 0, cap: 64 };

    #[test]
    fn a_small_shortfall_is_a_kept_rate() {
        assert!(judge(&GOOD).kept);
    }

    #[test]
    fn each_reason_alone_takes_the_figure_away_and_is_named() {
        for (evidence, word) in [
            (Evidence { unsent: 1, ..GOOD }, "in flight"),
            (Evidence { lateness_p99: Duration::from_millis(11), ..GOOD }, "lateness"),
            (Evidence { achieved: 980.0, ..GOOD }, "980"),
        ] {
            let verdict = judge(&evidence);
            assert!(!verdict.kept && verdict.says.starts_with("generator could not keep its rate"), "{verdict:?}");
            assert!(verdict.says.contains(word), "{verdict:?}");
        }
    }
}
