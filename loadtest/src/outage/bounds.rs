//! What an outage may cost, and a line for each bound that was broken.

use std::time::Duration;

use super::Timing;
use super::fault::{Fault, RETRY_AFTER};
use super::figures::{AT_A_TIME, Figures};
use super::run::{Seen, State};

const SUCCESS: f64 = 0.999;
const AMPLIFICATION: f64 = 1.1;
/// A node may learn of an opening so late.
const NEWS: Duration = AT_A_TIME;
/// Of the interval: what a call takes to reach the provider varies.
const DISTANCE: f64 = 0.95;
/// Of a weight: it follows the latency, which is never quite the same.
const WEIGHT: f64 = 0.95;

/// The bounds that were broken.
pub(super) fn broken(fault: Fault, figures: &Figures, seen: &Seen, timing: &Timing) -> Vec<String> {
    match fault {
        Fault::ClientFaults => unmoved(figures, seen),
        _ => kept_apart(fault, figures, seen, timing),
    }
}

fn kept_apart(fault: Fault, figures: &Figures, seen: &Seen, timing: &Timing) -> Vec<String> {
    let mut broken = Vec::new();
    let succeeded = figures.succeeded as f64 / figures.sent.max(1) as f64;
    // A stream that has begun cannot be had from elsewhere: its client shares the fate of the call.
    let lost = figures.sent - figures.succeeded;
    let too_few = if timing.streams { lost > figures.failed_calls } else { succeeded < SUCCESS };
    if too_few {
        let least = SUCCESS * 100.0;
        broken.push(format!(
            "{:.3} % of the requests succeeded, at least {least} % should ({})",
            succeeded * 100.0,
            named(figures)
        ));
    }
    if figures.amplification > AMPLIFICATION {
        broken.push(format!("{:.3} upstream calls a request, at most {AMPLIFICATION} may be", figures.amplification));
    }
    if let Some(counted) = &seen.counted
        && counted.hits != figures.failed_calls
    {
        broken.push(format!(
            "the provider counts {} failing calls, the nodes {}: the figures are not to be trusted",
            counted.hits, figures.failed_calls
        ));
    }
    let Some(skipped) = &figures.skipped else {
        broken.push("the provider was never skipped".to_owned());
        return broken;
    };
    if skipped.last > NEWS {
        broken.push(format!(
            "a node sent {} ms after the first opening, at most {} may pass",
            skipped.last.as_millis(),
            NEWS.as_millis()
        ));
    }
    if skipped.beyond() > 0 {
        broken.push(format!("{} calls failed beyond the threshold and what was in flight", skipped.beyond()));
    }
    // Of a provider that is full there is no probe: when its pause is over calls go until it turns one away.
    let (most, interval) = match fault {
        Fault::Full => ((timing.rate * NEWS.as_secs_f64()) as usize, RETRY_AFTER),
        _ => (1, timing.probe_interval),
    };
    if skipped.at_a_time > most {
        broken.push(format!("{} calls at a time tried the provider, {most} may be", skipped.at_a_time));
    }
    if let Some(least) = skipped.least_distance.filter(|least| *least < interval.mul_f64(DISTANCE)) {
        broken.push(format!("it was tried again after {} ms, the interval is {interval:?}", least.as_millis()));
    }
    if fault == Fault::Full && seen.states[1].iter().any(|state| state.breaker != "closed") {
        broken.push("a breaker opened, although the provider was only full".to_owned());
    }
    broken
}

/// What clients do wrong moves nothing.
fn unmoved(figures: &Figures, seen: &Seen) -> Vec<String> {
    let mut broken = Vec::new();
    let refused: u64 = figures.failures.values().sum();
    if let Some(skipped) = &figures.skipped {
        broken
            .push(format!("the provider was skipped {} ms after the first client's fault", skipped.after.as_millis()));
    }
    let is_known =
        |failure: &crate::failure::Failure| matches!(failure, crate::failure::Failure::Status(400 | 404 | 422));
    if !figures.failures.keys().all(is_known) || refused == 0 {
        broken.push(format!("clients were to see 400, 404 and 422 only, but there was {}", named(figures)));
    }
    if seen.attempts != figures.sent {
        broken.push(format!("{} calls were made for {} requests", seen.attempts, figures.sent));
    }
    for (node, (before, after)) in seen.states[0].iter().zip(&seen.states[1]).enumerate() {
        let moved = |state: &State| state.breaker != "closed";
        if moved(after) || after.weight < before.weight * WEIGHT {
            broken.push(format!("node-{}: from {before:?} to {after:?}", node + 1));
        }
    }
    broken
}

fn named(figures: &Figures) -> String {
    let named = figures.failures.iter().map(|(failure, count)| format!("{failure}: {count}"));
    named.collect::<Vec<_>>().join(", ")
}
