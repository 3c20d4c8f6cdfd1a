//! When each request is due: a fixed timetable that no answer can move.
//!
//! Request `i` of the whole run is due at `i / rate` seconds. The threads share the
//! timetable by turns (thread `t` of `T` has the requests `t`, `t + T`, ...), so the
//! rate stays even whatever the number of threads.

use std::time::Duration;

/// One departure: the request's number in the whole run and when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Departure {
    pub(crate) index: u64,
    pub(crate) due: Duration,
}

/// One thread's part of the timetable.
#[derive(Debug)]
pub(crate) struct Timetable {
    rate: f64,
    step: u64,
    next: u64,
    total: u64,
}

impl Timetable {
    /// The part of thread `thread` of `threads` in a timetable of `rate` a second over `span`.
    pub(crate) fn new(rate: f64, span: Duration, thread: usize, threads: usize) -> Timetable {
        Timetable { rate, step: threads as u64, next: thread as u64, total: departures(rate, span) }
    }

    /// The next departure, whenever it is.
    pub(crate) fn next(&self) -> Option<Departure> {
        (self.next < self.total)
            .then(|| Departure { index: self.next, due: Duration::from_secs_f64(self.next as f64 / self.rate) })
    }

    /// Takes the next departure if it is due at `now` (time since the start).
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<Departure> {
        let departure = self.next().filter(|departure| departure.due <= now)?;
        self.next += self.step;
        Some(departure)
    }
}

/// How many requests a timetable of `rate` over `span` holds.
pub(crate) fn departures(rate: f64, span: Duration) -> u64 {
    (rate * span.as_secs_f64()).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_the_whole_timetable_without_gap_or_double() {
        let span = Duration::from_secs(2);
        let mut all = Vec::new();
        for thread in 0..3 {
            let mut part = Timetable::new(333.0, span, thread, 3);
            while let Some(departure) = part.take_due(span) {
                all.push(departure);
            }
        }
        all.sort_by_key(|departure| departure.index);
        assert_eq!(all.len(), 666);
        for (i, departure) in all.iter().enumerate() {
            assert_eq!(departure.index, i as u64);
            assert!((departure.due.as_secs_f64() - i as f64 / 333.0).abs() < 1e-8);
        }
    }

    #[test]
    fn nothing_departs_early_and_all_that_was_missed_departs_at_once() {
        let mut part = Timetable::new(1000.0, Duration::from_secs(1), 0, 1);
        assert_eq!(part.take_due(Duration::ZERO).map(|d| d.index), Some(0));
        assert_eq!(part.take_due(Duration::from_micros(999)), None);
        let late = Duration::from_micros(5500);
        let due: Vec<_> = std::iter::from_fn(|| part.take_due(late)).collect();
        assert_eq!(due.iter().map(|d| d.due.as_millis()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }
}
