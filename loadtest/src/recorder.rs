//! What a run recorded: histograms and counts, one recorder per thread, merged at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::failure::Failure;
use crate::generator::Told;
use crate::histogram::Latency;

/// One finished request.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) kind: usize,
    pub(crate) target: usize,
    /// When it was due, since the start of the timetable.
    pub(crate) due: Duration,
    /// When it left, likewise.
    pub(crate) sent: Duration,
    /// When the first output (streams) came, likewise.
    pub(crate) first: Option<Duration>,
    /// When the last byte came, likewise.
    pub(crate) end: Duration,
    pub(crate) events: u64,
    /// How long each stamped event was on its way.
    pub(crate) on_the_way: Vec<Duration>,
    pub(crate) told: Told,
    pub(crate) result: Result<(), Failure>,
}

/// What became of one request; times are since the start of the timetable.
#[derive(Clone, Debug)]
pub(crate) struct Fate {
    pub(crate) target: usize,
    pub(crate) due: Duration,
    pub(crate) sent: Duration,
    pub(crate) end: Duration,
    pub(crate) told: Told,
    pub(crate) result: Result<(), Failure>,
}

/// Figures of one kind of request.
#[derive(Clone, Debug)]
pub(crate) struct KindRecord {
    pub(crate) name: &'static str,
    pub(crate) stream: bool,
    pub(crate) whole: Latency,
    pub(crate) first: Latency,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) events: u64,
    /// From when the provider let an event go to when it was here; empty when the provider does not say.
    pub(crate) on_the_way: Latency,
}

/// Figures of one second of the run, by when things happened.
#[derive(Clone, Debug)]
pub(crate) struct Second {
    pub(crate) sent: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    latency: Histogram<u32>,
}

/// All that one thread (or, merged, the run) recorded. Histograms hold only the
/// requests that were due after the warm-up; the seconds hold all.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    warmup: Duration,
    pub(crate) kinds: Vec<KindRecord>,
    pub(crate) lateness: Latency,
    pub(crate) seconds: Vec<Second>,
    pub(crate) failures: BTreeMap<Failure, u64>,
    pub(crate) warmup_failures: BTreeMap<Failure, u64>,
    /// Requests done and failed, by target.
    pub(crate) targets: Vec<(u64, u64)>,
    pub(crate) sent: u64,
    pub(crate) unsent: u64,
    pub(crate) in_flight: u64,
    pub(crate) last_sent: Duration,
    pub(crate) connections: u64,
    /// Every request, where that was asked for; those of one thread in the order of their ends.
    pub(crate) fates: Option<Vec<Fate>>,
}

impl Recorder {
    pub(crate) fn new(kinds: &[(&'static str, bool)], targets: usize, warmup: Duration) -> Recorder {
        let kind = |&(name, stream): &(&'static str, bool)| KindRecord {
            name,
            stream,
            whole: Latency::new(),
            first: Latency::new(),
            done: 0,
            failed: 0,
            events: 0,
            on_the_way: Latency::new(),
        };
        Recorder {
            warmup,
            kinds: kinds.iter().map(kind).collect(),
            lateness: Latency::new(),
            seconds: Vec::new(),
            failures: BTreeMap::new(),
            warmup_failures: BTreeMap::new(),
            targets: vec![(0, 0); targets],
            sent: 0,
            unsent: 0,
            in_flight: 0,
            last_sent: Duration::ZERO,
            connections: 0,
            fates: None,
        }
    }

    /// The same, which also keeps what became of each request.
    pub(crate) fn with_fates(self) -> Recorder {
        Recorder { fates: Some(Vec::new()), ..self }
    }

    /// A request that was due at `due` leaves at `now`.
    pub(crate) fn sent(&mut self, due: Duration, now: Duration) {
        self.in_flight += 1;
        self.second(now).sent += 1;
        if due >= self.warmup {
            self.sent += 1;
            self.last_sent = self.last_sent.max(now);
        }
    }

    /// The request was taken up by its task: how late was it?
    pub(crate) fn taken_up(&mut self, due: Duration, now: Duration) {
        if due >= self.warmup {
            self.lateness.record(now.saturating_sub(due));
        }
    }

    /// A request that was due could not leave, since too many are in flight.
    pub(crate) fn held_back(&mut self, due: Duration) {
        if due >= self.warmup {
            self.unsent += 1;
        }
    }

    pub(crate) fn finished(&mut self, finished: &Finished) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(fates) = &mut self.fates {
            let Finished { target, due, sent, end, ref told, result, .. } = *finished;
            fates.push(Fate { target, due, sent, end, told: told.clone(), result });
        }
        let measured = finished.due >= self.warmup;
        let whole = finished.end.saturating_sub(finished.due);
        let first = finished.first.map(|first| first.saturating_sub(finished.due));
        let second = self.second(finished.end);
        if let Err(failure) = finished.result {
            second.failed += 1;
            let failures = if measured { &mut self.failures } else { &mut self.warmup_failures };
            *failures.entry(failure).or_default() += 1;
            if measured {
                self.kinds[finished.kind].failed += 1;
                self.targets[finished.target].1 += 1;
            }
            return;
        }
        second.done += 1;
        // This histogram grows as it needs; only a count beyond its u32 could fail.
        let _ = second.latency.record(micros(first.unwrap_or(whole)));
        if !measured {
            return;
        }
        self.targets[finished.target].0 += 1;
        let kind = &mut self.kinds[finished.kind];
        kind.done += 1;
        kind.events += finished.events;
        kind.whole.record(whole);
        if let Some(first) = first {
            kind.first.record(first);
        }
        finished.on_the_way.iter().for_each(|delay| kind.on_the_way.record(*delay));
    }

    /// Adds what another thread of the same run recorded.
    pub(crate) fn merge(&mut self, other: &Recorder) {
        for (mine, theirs) in self.kinds.iter_mut().zip(&other.kinds) {
            mine.whole.merge(&theirs.whole);
            mine.first.merge(&theirs.first);
            mine.done += theirs.done;
            mine.failed += theirs.failed;
            mine.events += theirs.events;
            mine.on_the_way.merge(&theirs.on_the_way);
        }
        self.lateness.merge(&other.lateness);
        for (at, theirs) in other.seconds.iter().enumerate() {
            self.second(Duration::from_secs(at as u64)).merge(theirs);
        }
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
        for (failure, count) in &other.warmup_failures {
            *self.warmup_failures.entry(*failure).or_default() += count;
        }
        for (mine, theirs) in self.targets.iter_mut().zip(&other.targets) {
            mine.0 += theirs.0;
            mine.1 += theirs.1;
        }
        if let (Some(mine), Some(theirs)) = (&mut self.fates, &other.fates) {
            mine.extend_from_slice(theirs);
        }
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.in_flight += other.in_flight;
        self.last_sent = self.last_sent.max(other.last_sent);
        self.connections += other.connections;
    }

    /// Requests that ended well, after the warm-up.
    pub(crate) fn done(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.done).sum()
    }

    /// Requests that failed, after the warm-up.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The headline: whole plain answers, or the first token when all kinds stream.
    pub(crate) fn headline(&self) -> Latency {
        let only_streams = self.kinds.iter().all(|kind| kind.stream);
        let mut all = Latency::new();
        for kind in self.kinds.iter().filter(|kind| only_streams || !kind.stream) {
            all.merge(if only_streams { &kind.first } else { &kind.whole });
        }
        all
    }

    fn second(&mut self, at: Duration) -> &mut Second {
        let at = usize::try_from(at.as_secs()).unwrap_or(usize::MAX).min(MAX_SECONDS - 1);
        while self.seconds.len() <= at {
            self.seconds.push(Second::new());
        }
        &mut self.seconds[at]
    }
}

/// The timeline ends here; what comes later counts to its last second.
pub(crate) const MAX_SECONDS: usize = 4 * 3600;

impl Second {
    pub(crate) fn new() -> Second {
        #[expect(clippy::expect_used, reason = "constant, valid arguments: 2 significant digits are within 0..=5")]
        let latency = Histogram::new(2).expect("2 significant digits are valid");
        Second { sent: 0, done: 0, failed: 0, latency }
    }

    pub(crate) fn merge(&mut self, other: &Second) {
        self.sent += other.sent;
        self.done += other.done;
        self.failed += other.failed;
        // Both grow as they need, so adding cannot fail.
        let _ = self.latency.add(&other.latency);
    }

    /// The latency at `percentile`, microseconds; `None` when nothing was done.
    pub(crate) fn at(&self, percentile: f64) -> Option<u64> {
        (!self.latency.is_empty()).then(|| self.latency.value_at_percentile(percentile))
    }
}

fn micros(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(kind: usize, due_ms: u64, end_ms: u64, result: Result<(), Failure>) -> Finished {
        Finished {
            kind,
            target: 0,
            due: Duration::from_millis(due_ms),
            sent: Duration::from_millis(due_ms),
            first: (kind == 1).then(|| Duration::from_millis(due_ms + 5)),
            end: Duration::from_millis(end_ms),
            events: 3,
            on_the_way: vec![Duration::from_micros(70); 2],
            told: Told::default(),
            result,
        }
    }

    #[test]
    fn the_warm_up_is_in_the_timeline_but_not_in_the_figures() {
        let mut recorder = Recorder::new(&[("miss", false), ("stream", true)], 1, Duration::from_secs(1));
        recorder.finished(&finished(0, 500, 600, Ok(())));
        recorder.finished(&finished(0, 600, 700, Err(Failure::Connect)));
        recorder.finished(&finished(0, 1000, 1040, Ok(())));
        recorder.finished(&finished(1, 1000, 1900, Ok(())));
        recorder.finished(&finished(1, 1100, 2100, Err(Failure::StreamCut)));
        assert_eq!((recorder.done(), recorder.failed()), (2, 1));
        assert_eq!(recorder.warmup_failures[&Failure::Connect], 1);
        assert_eq!(recorder.seconds.iter().map(|s| (s.done, s.failed)).collect::<Vec<_>>(), [(1, 1), (2, 0), (0, 1)]);
        assert!(recorder.seconds[0].at(50.0).is_some_and(|us| us.abs_diff(100_000) < 1000));
        // Streams do not blur the headline.
        assert_eq!(recorder.headline().count(), 1);
        assert!(recorder.headline().at(50.0).abs_diff(40_000) < 100);
        assert!(recorder.kinds[1].first.at(50.0).abs_diff(5_000) < 10);
        assert_eq!((recorder.kinds[1].on_the_way.count(), recorder.kinds[1].on_the_way.at(99.0)), (2, 70));
        assert_eq!(recorder.targets, [(2, 1)]);
    }

    #[test]
    fn threads_merged_are_one_run() {
        let kinds = [("miss", false), ("stream", true)];
        let mut recorders = [0; 3].map(|_| Recorder::new(&kinds, 1, Duration::ZERO));
        for i in 0..300u64 {
            let result = if i % 10 == 0 { Err(Failure::Status(503)) } else { Ok(()) };
            let event = finished((i % 2) as usize, i * 10, i * 10 + 20 + i, result);
            // Each thread has both kinds.
            for recorder in [2, usize::from(i % 3 == 0)] {
                recorders[recorder].sent(event.due, event.due);
                recorders[recorder].taken_up(event.due, event.due + Duration::from_micros(i));
                recorders[recorder].finished(&event);
            }
        }
        let [mut one, two, whole] = recorders;
        one.merge(&two);
        let histograms = |r: &Recorder| {
            let kinds = r.kinds.iter().flat_map(|kind| [kind.whole.percentiles(), kind.first.percentiles()]);
            kinds.chain([r.lateness.percentiles(), r.headline().percentiles()]).collect::<Vec<_>>()
        };
        assert_eq!(histograms(&one), histograms(&whole));
        assert_eq!((one.failures.clone(), one.sent, one.in_flight), (whole.failures.clone(), 300, 0));
        let seconds =
            |r: &Recorder| r.seconds.iter().map(|s| (s.sent, s.done, s.failed, s.at(99.0))).collect::<Vec<_>>();
        assert_eq!(seconds(&one), seconds(&whole));
    }
}
