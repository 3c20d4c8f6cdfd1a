//! From what was seen of an outage to its figures; pure.
//!
//! A request whose answer took more than one attempt, or that failed after one, met the broken provider. The first one that
//! asked only the healthy provider tells when the first breaker opened.

use std::collections::BTreeMap;
use std::time::Duration;

use super::run::{Call, Seen};
use super::{BREAKS, FAILURES, STEADY, Timing};
use crate::failure::Failure;
use crate::histogram::Latency;
use crate::recorder::Fate;

/// What an outage came to.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) sent: u64,
    pub(super) succeeded: u64,
    pub(super) failures: BTreeMap<Failure, u64>,
    /// Calls to providers for each request of a client.
    pub(super) amplification: f64,
    /// All failed calls to the broken provider.
    pub(super) failed_calls: u64,
    /// `None` when it was never skipped.
    pub(super) skipped: Option<Skipped>,
    /// p50 and p99 of clients, microseconds, before, during and after.
    pub(super) latencies: [Option<(u64, u64)>; 3],
}

/// What followed from the first opening.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Skipped {
    /// After the fault began.
    pub(super) after: Duration,
    /// Calls until then and until the news was everywhere.
    pub(super) first_calls: usize,
    /// Of those: under way when the first breaker opened.
    pub(super) under_way: usize,
    /// Of those: begun later, by nodes that did not know yet.
    pub(super) begun_later: usize,
    /// How long after the first opening the last of them began.
    pub(super) last: Duration,
    /// The calls that tried the provider while it was left alone.
    pub(super) probes: usize,
    /// The most of them at a time: with less than [`AT_A_TIME`] between one and the next.
    pub(super) at_a_time: usize,
    /// Between the first ones of two such times.
    pub(super) least_distance: Option<Duration>,
    /// From the end of the fault to the first client that was served by the provider.
    pub(super) back: Option<Duration>,
}

impl Skipped {
    /// Calls beyond the threshold, what was under way, and what began before the news came.
    pub(super) fn beyond(&self) -> usize {
        self.first_calls.saturating_sub(FAILURES + self.under_way + self.begun_later)
    }
}

/// News are everywhere after this.
pub(super) const AT_A_TIME: Duration = Duration::from_millis(300);

/// The figures of an outage.
pub(super) fn figures(seen: &Seen, timing: &Timing) -> Figures {
    let fates = seen.recorder.fates.as_deref().unwrap_or_default();
    let succeeded = fates.iter().filter(|fate| fate.result.is_ok()).count() as u64;
    let sent = fates.len() as u64 + seen.recorder.unsent;
    let phase = |from: Duration, to: Duration| {
        let mut latency = Latency::new();
        let due = fates.iter().filter(|fate| (from..to).contains(&fate.due));
        due.for_each(|fate| latency.record(fate.end.saturating_sub(fate.due)));
        (latency.count() > 0).then(|| (latency.at(50.0), latency.at(99.0)))
    };
    let calls = match &seen.counted {
        Some(counted) => counted.calls.clone(),
        None => calls_of_clients(fates, seen),
    };
    Figures {
        sent,
        succeeded,
        failures: seen.recorder.failures.clone(),
        amplification: seen.attempts as f64 / sent.max(1) as f64,
        failed_calls: seen.failed_attempts,
        skipped: skipped(fates, &calls, seen, timing),
        // The first second is that of the first connections.
        latencies: [
            phase(Duration::from_secs(1), seen.began),
            phase(seen.began, seen.ended),
            phase(seen.ended, Duration::MAX),
        ],
    }
}

/// The calls to a provider that cannot tell them itself.
fn calls_of_clients(fates: &[Fate], seen: &Seen) -> Vec<Call> {
    let during = fates.iter().filter(|fate| fate.end >= seen.began && fate.sent < seen.ended);
    let calls_of = |fate: &Fate| vec![Call { node: fate.target, at: fate.sent }; failed_attempts(fate) as usize];
    let mut calls: Vec<Call> = during.flat_map(calls_of).collect();
    calls.sort_by_key(|call| call.at);
    calls
}

fn skipped(fates: &[Fate], calls: &[Call], seen: &Seen, timing: &Timing) -> Option<Skipped> {
    let during = seen.began..seen.ended;
    let skips = fates.iter().filter(|fate| during.contains(&fate.sent) && is_skip(fate));
    let opened = skips.map(|fate| fate.sent).min()?;
    let settled = opened + timing.probe_interval / 2;
    let (first, probes): (Vec<&Call>, Vec<&Call>) = calls.iter().partition(|call| call.at <= settled);
    let met = || fates.iter().filter(|fate| failed_attempts(fate) > 0);
    let under_way = met().filter(|fate| (fate.sent..=fate.end).contains(&opened)).count();
    let times: Vec<&[&Call]> = probes.chunk_by(|a, b| b.at.saturating_sub(a.at) < AT_A_TIME).collect();
    let distances = times.windows(2).map(|pair| pair[1][0].at.saturating_sub(pair[0][0].at));
    let back = fates.iter().filter(|fate| fate.sent >= seen.ended && fate.result.is_ok() && is_from(fate, BREAKS));
    Some(Skipped {
        after: opened.saturating_sub(seen.began),
        first_calls: first.len(),
        under_way,
        begun_later: met().filter(|fate| fate.sent > opened && fate.sent <= settled).count(),
        last: first.last().map_or(Duration::ZERO, |call| call.at.saturating_sub(opened)),
        probes: probes.len(),
        at_a_time: times.iter().map(|calls| calls.len()).max().unwrap_or(0),
        least_distance: distances.min(),
        back: back.map(|fate| fate.sent.saturating_sub(seen.ended)).min(),
    })
}

/// Calls for it that came to nothing: all but the last, which its answer is from.
fn failed_attempts(fate: &Fate) -> u32 {
    fate.told.attempts.saturating_sub(u32::from(fate.result.is_ok()))
}

/// The healthy provider was asked at once.
fn is_skip(fate: &Fate) -> bool {
    is_from(fate, STEADY) && fate.told.attempts == 1
}

fn is_from(fate: &Fate, provider: &str) -> bool {
    fate.told.provider.as_ref().is_some_and(|from| from == provider)
}

#[cfg(test)]
mod tests {
    use super::super::run::{Counted, State};
    use super::*;
    use crate::generator::Told;
    use crate::recorder::Recorder;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn fate(node: usize, sent: u64, end: u64, attempts: u32, provider: &'static str) -> Fate {
        let told = Told { attempts, provider: Some(http::HeaderValue::from_static(provider)) };
        Fate { target: node, due: ms(sent), sent: ms(sent), end: ms(end), told, result: Ok(()) }
    }

    fn seen(fates: Vec<Fate>, counted: Option<Counted>) -> Seen {
        let mut recorder = Recorder::new(&[("miss", false)], 3, Duration::ZERO).with_fates();
        recorder.fates = Some(fates);
        let state = vec![State { breaker: "closed".to_owned(), weight: 1.0 }];
        Seen {
            recorder,
            began: ms(2_000),
            ended: ms(9_000),
            attempts: 33,
            failed_attempts: 5,
            counted,
            states: [state.clone(), state],
        }
    }

    fn timing() -> Timing {
        Timing {
            rate: 100.0,
            begins: ms(2_000),
            ends: ms(9_000),
            whole: ms(12_000),
            probe_interval: ms(2_000),
            streams: false,
        }
    }

    #[test]
    fn an_outage_is_told_from_what_clients_saw() {
        let fates = vec![
            fate(0, 1_500, 1_550, 1, BREAKS),
            // Under way as it dies, and fails at once.
            fate(1, 1_990, 2_100, 3, STEADY),
            fate(0, 2_010, 2_070, 2, STEADY),
            fate(1, 2_020, 2_070, 1, STEADY),
            // Another node does not know yet.
            fate(2, 2_060, 2_110, 2, STEADY),
            fate(2, 2_200, 2_250, 1, STEADY),
            // Two tries.
            fate(0, 4_100, 4_160, 2, STEADY),
            fate(2, 6_200, 6_260, 2, STEADY),
            fate(2, 9_500, 9_550, 1, BREAKS),
        ];
        let found = figures(&seen(fates, None), &timing());
        assert_eq!((found.sent, found.succeeded), (9, 9));
        assert!((found.amplification - 33.0 / 9.0).abs() < 1e-9);
        let expected = Skipped {
            after: ms(20),
            first_calls: 4,
            under_way: 2,
            begun_later: 1,
            last: ms(40),
            probes: 2,
            at_a_time: 1,
            least_distance: Some(ms(2_100)),
            back: Some(ms(500)),
        };
        assert_eq!(found.skipped, Some(expected));
        let p50s = found.latencies.map(|phase| phase.map(|(p50, _)| p50 / 1_000));
        assert_eq!(p50s, [Some(50), Some(50), Some(50)]);
    }

    #[test]
    fn the_providers_own_record_goes_before_what_clients_saw() {
        let fates =
            vec![fate(0, 2_100, 3_100, 2, STEADY), fate(1, 3_090, 3_140, 1, STEADY), fate(2, 3_095, 4_150, 2, STEADY)];
        let at = |node, at| Call { node, at: ms(at) };
        let calls = (0..9)
            .map(|number| at(0, 2_100 + number))
            .chain([at(2, 3_100), at(1, 5_200), at(0, 5_300), at(1, 7_300)])
            .collect();
        let found = figures(&seen(fates, Some(Counted { hits: 11, calls })), &timing()).skipped.unwrap();
        assert_eq!((found.first_calls, found.under_way, found.begun_later, found.beyond()), (10, 1, 1, 3));
        assert_eq!(found.last, ms(10));
        assert_eq!((found.probes, found.at_a_time, found.least_distance), (3, 2, Some(ms(2_100))));
    }

    #[test]
    fn what_is_never_skipped_has_no_opening() {
        let found = figures(&seen(vec![fate(0, 2_100, 2_200, 1, BREAKS)], None), &timing());
        assert_eq!(found.skipped, None);
    }
}
