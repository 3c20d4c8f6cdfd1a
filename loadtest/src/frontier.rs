//! The search for a frontier: the highest rate that a system holds. Doubling up to
//! the first failure, then bisection. Pure: the caller does the probing.

use serde::Serialize;

/// What probing one rate showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Within the bound, no failures.
    Held,
    /// The system failed requests or went beyond the bound.
    Exceeded,
    /// No figure: the generator could not keep the rate.
    GeneratorLimit,
    /// No figure: the direct path (the provider) failed at this rate.
    ProviderLimit,
}

/// Why a search ended where it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LimitedBy {
    System,
    Generator,
    Provider,
    /// The highest rate that was asked for held.
    Asked,
}

/// A frontier: the highest rate that held (`None`: not even the first), and what is above it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Found {
    pub(crate) rate: Option<f64>,
    pub(crate) limited_by: LimitedBy,
}

/// Bisection stops when the bracket is narrower than this ratio.
const PRECISION: f64 = 1.06;

/// One search, driven by `next` and `tell`.
#[derive(Debug)]
pub(crate) struct Search {
    start: f64,
    max: f64,
    held: Option<f64>,
    broke: Option<(f64, LimitedBy)>,
}

impl Search {
    pub(crate) fn new(start: f64, max: f64) -> Search {
        Search { start: start.min(max), max, held: None, broke: None }
    }

    /// The rate to probe next; `None` when the search is over.
    pub(crate) fn next(&self) -> Option<f64> {
        match (self.held, self.broke) {
            (None, None) => Some(self.start),
            (Some(held), None) => (held < self.max).then(|| (held * 2.0).min(self.max)),
            // Not even the first rate held: look below it, down to a sixteenth.
            (None, Some((broke, _))) => (broke > self.start / 16.0).then(|| (broke / 2.0).round().max(1.0)),
            (Some(held), Some((broke, _))) => {
                let middle = ((held + broke) / 2.0).round();
                (broke / held > PRECISION && middle > held && middle < broke).then_some(middle)
            }
        }
    }

    pub(crate) fn tell(&mut self, rate: f64, probe: Probe) {
        let limited_by = match probe {
            Probe::Held => {
                self.held = Some(self.held.map_or(rate, |held| held.max(rate)));
                return;
            }
            Probe::Exceeded => LimitedBy::System,
            Probe::GeneratorLimit => LimitedBy::Generator,
            Probe::ProviderLimit => LimitedBy::Provider,
        };
        if self.broke.is_none_or(|(broke, _)| rate < broke) {
            self.broke = Some((rate, limited_by));
        }
    }

    pub(crate) fn found(&self) -> Found {
        Found { rate: self.held, limited_by: self.broke.map_or(LimitedBy::Asked, |(_, limited_by)| limited_by) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: f64, max: f64, mut system: impl FnMut(f64) -> Probe) -> (Found, usize) {
        let mut search = Search::new(start, max);
        let mut probes = 0;
        while let Some(rate) = search.next() {
            probes += 1;
            assert!(probes < 40, "the search does not end");
            search.tell(rate, system(rate));
        }
        (search.found(), probes)
    }

    /// A queue: its added p99 explodes towards the capacity.
    fn queue(capacity: f64, bound_ms: f64) -> impl Fn(f64) -> Probe {
        move |rate| {
            let added = if rate >= capacity { f64::INFINITY } else { 0.2 / (1.0 - rate / capacity) };
            if added <= bound_ms { Probe::Held } else { Probe::Exceeded }
        }
    }

    #[test]
    fn finds_the_rate_of_a_queue_within_its_precision_and_wider_bounds_never_give_less() {
        let mut before = 0.0;
        for bound in [1.0, 5.0, 10.0] {
            let truth = 9000.0 * (1.0 - 0.2 / bound);
            let (found, probes) = run(500.0, 100_000.0, queue(9000.0, bound));
            let rate = found.rate.unwrap();
            assert!(rate <= truth && rate >= truth / PRECISION, "bound {bound}: {rate} of {truth}");
            assert!(rate >= before && probes <= 14);
            assert_eq!(found.limited_by, LimitedBy::System);
            before = rate;
        }
    }

    #[test]
    fn says_when_the_generator_or_the_provider_was_the_limit() {
        let generator = run(500.0, 1e5, |rate| if rate > 3000.0 { Probe::GeneratorLimit } else { Probe::Held }).0;
        assert_eq!(generator.limited_by, LimitedBy::Generator);
        assert!((2800.0..=3000.0).contains(&generator.rate.unwrap()));
        let provider = run(500.0, 1e5, |rate| if rate > 700.0 { Probe::ProviderLimit } else { Probe::Held }).0;
        assert_eq!(provider.limited_by, LimitedBy::Provider);
    }

    #[test]
    fn ends_at_the_highest_rate_asked_for_and_when_nothing_holds() {
        assert_eq!(run(500.0, 3000.0, |_| Probe::Held).0, Found { rate: Some(3000.0), limited_by: LimitedBy::Asked });
        let nothing = run(500.0, 3000.0, |_| Probe::Exceeded);
        assert_eq!(nothing.0, Found { rate: None, limited_by: LimitedBy::System });
        assert!(nothing.1 <= 6);
        // A system that holds less than the first rate is still found.
        assert!(run(500.0, 3000.0, queue(200.0, 5.0)).0.rate.unwrap() > 150.0);
    }
}
