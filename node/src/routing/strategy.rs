//! The strategies: in which order the targets of a route are tried. Pure functions of what is known of them and of
//! draws between 0 and 1.
//!
//! An order is drawn by weight without putting back: target i gets `-ln(u) / weight` for a uniform `u`, and the least
//! comes first (Efraimidis and Spirakis, 2006). So the first place falls to each in proportion to its weight, the second
//! to each of the others likewise, and so on; the same formula with a hash for `u` is how sessions stick.

use crate::config::Strategy;

use super::{Facts, Standing};

/// Latencies within this factor of the best count as equal.
const AS_FAST: f64 = 1.1;
/// With `fastest`, one in so many requests goes by weight, as what is never asked is never measured.
const EXPLORE: f64 = 1.0 / 20.0;

/// A target, as far as a strategy looks at it.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) weight: f64,
    pub(super) facts: Facts,
    /// What the request may cost there, in nano-USD. None: nobody knows.
    pub(super) cost: Option<u64>,
}

/// All of the candidates, the first to be tried first.
pub(super) fn order(strategy: Strategy, candidates: &[Candidate], draw: &mut dyn FnMut() -> f64) -> Vec<usize> {
    let explores = strategy == Strategy::Fastest && draw() < EXPLORE;
    let mut order = by_weight(candidates.iter().map(|candidate| weight(strategy, candidate)), draw);
    // Sorting is stable: what is equal stays as it was drawn.
    match strategy {
        Strategy::Weighted | Strategy::Adaptive => {}
        Strategy::Fastest if explores => {}
        Strategy::Fastest => {
            let known = candidates.iter().filter_map(|candidate| candidate.facts.latency);
            let as_fast = known.min().unwrap_or_default().mul_f64(AS_FAST);
            order.sort_by_key(|&index| candidates[index].facts.latency.filter(|latency| *latency > as_fast));
        }
        Strategy::Cheapest => order.sort_by_key(|&index| candidates[index].cost.unwrap_or(u64::MAX)),
        Strategy::LeastInFlight => {
            let load = |index: usize| (f64::from(candidates[index].facts.in_flight) + 1.0) / candidates[index].weight;
            if let [one, two, ..] = order.as_mut_slice()
                && load(*two) < load(*one)
            {
                std::mem::swap(one, two);
            }
        }
    }
    order
}

/// What a candidate is drawn by.
pub(super) fn weight(strategy: Strategy, candidate: &Candidate) -> f64 {
    if strategy == Strategy::Adaptive { candidate.weight * candidate.facts.health } else { candidate.weight }
}

/// An order in which the first place falls to each in proportion to its weight, and so on down.
pub(super) fn by_weight(weights: impl IntoIterator<Item = f64>, draw: &mut dyn FnMut() -> f64) -> Vec<usize> {
    let mut scores: Vec<(f64, usize)> =
        weights.into_iter().enumerate().map(|(index, weight)| (score(draw(), weight), index)).collect();
    scores.sort_by(|one, two| one.0.total_cmp(&two.0));
    scores.into_iter().map(|(_, index)| index).collect()
}

/// The least score comes first. `uniform` is in 0..1.
pub(super) fn score(uniform: f64, weight: f64) -> f64 {
    // 1 - u is never 0, whose logarithm is none.
    -(1.0 - uniform).ln() / weight
}

/// Each candidate's chance of the first place, for strategies that go by weight alone; what is down has none.
pub(super) fn shares(strategy: Strategy, candidates: &[Candidate]) -> Option<Vec<f64>> {
    if !matches!(strategy, Strategy::Weighted | Strategy::Adaptive) {
        return None;
    }
    let weights = candidates.iter().map(|candidate| match candidate.facts.standing {
        Standing::Down(_) => 0.0,
        Standing::Up | Standing::ProbeDue => weight(strategy, candidate),
    });
    let weights: Vec<f64> = weights.collect();
    let total: f64 = weights.iter().sum();
    (total > 0.0).then(|| weights.into_iter().map(|weight| weight / total).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{Just, any, prop_assert_eq, prop_oneof, proptest};
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn candidate(weight: f64) -> Candidate {
        Candidate { weight, facts: Facts::default(), cost: None }
    }

    /// How often each candidate was first in 20,000 orders.
    fn firsts(strategy: Strategy, candidates: &[Candidate]) -> Vec<f64> {
        let mut rng = StdRng::seed_from_u64(7);
        let mut firsts = vec![0; candidates.len()];
        for _ in 0..20_000 {
            firsts[order(strategy, candidates, &mut || rng.random())[0]] += 1;
        }
        firsts.into_iter().map(|count| f64::from(count) / 20_000.0).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        let is_close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.015);
        assert!(is_close && found.len() == expected.len(), "{found:?} is not {expected:?}");
    }

    #[test]
    fn weighted_goes_by_weight_and_by_nothing_else() {
        let mut candidates = [candidate(70.0), candidate(20.0), candidate(10.0)];
        candidates[0].facts.health = 0.01;
        candidates[0].facts.in_flight = 1_000;
        close(&firsts(Strategy::Weighted, &candidates), &[0.7, 0.2, 0.1]);
    }

    #[test]
    fn adaptive_goes_by_weight_and_health() {
        let mut candidates = [candidate(1.0), candidate(1.0), candidate(2.0)];
        candidates[0].facts.health = 0.25;
        candidates[2].facts.health = 0.375;
        close(&firsts(Strategy::Adaptive, &candidates), &[0.125, 0.5, 0.375]);
    }

    #[test]
    fn fastest_goes_by_latency_and_looks_at_the_others_now_and_then() {
        let mut candidates = [candidate(1.0), candidate(1.0), candidate(3.0), candidate(1.0)];
        for (candidate, milliseconds) in candidates.iter_mut().zip([900, 200, 215, 2_000]) {
            candidate.facts.latency = Some(Duration::from_millis(milliseconds));
        }
        let explored = EXPLORE / 6.0;
        let rest = 1.0 - EXPLORE;
        let expected = [explored, explored + rest / 4.0, 3.0 * explored + rest * 0.75, explored];
        close(&firsts(Strategy::Fastest, &candidates), &expected);
        candidates[3].facts.latency = None;
        let unmeasured = firsts(Strategy::Fastest, &candidates)[3];
        assert!(unmeasured > 0.15, "what was not measured is asked: {unmeasured}");
    }

    #[test]
    fn cheapest_goes_by_price_and_leaves_the_unknown_to_the_end() {
        let mut candidates = [candidate(1.0), candidate(1.0), candidate(1.0), candidate(1.0)];
        for (candidate, cost) in candidates.iter_mut().zip([Some(9), None, Some(3), Some(3)]) {
            candidate.cost = cost;
        }
        close(&firsts(Strategy::Cheapest, &candidates), &[0.0, 0.0, 0.5, 0.5]);
        let mut rng = StdRng::seed_from_u64(1);
        let order = order(Strategy::Cheapest, &candidates, &mut || rng.random());
        assert_eq!(order[2..], [0, 1]);
    }

    #[test]
    fn least_in_flight_takes_the_lesser_of_two() {
        let mut candidates = [candidate(1.0), candidate(1.0), candidate(1.0)];
        for (candidate, in_flight) in candidates.iter_mut().zip([5, 0, 9]) {
            candidate.facts.in_flight = in_flight;
        }
        // The least is first whenever it is one of the two, the most never is.
        close(&firsts(Strategy::LeastInFlight, &candidates), &[1.0 / 3.0, 2.0 / 3.0, 0.0]);
    }

    /// What the second choice is for: with many targets and many requests under way, the fullest has little more than
    /// the others.
    #[test]
    fn two_choices_keep_the_fullest_low() {
        let fullest = |strategy| {
            let mut rng = StdRng::seed_from_u64(3);
            let mut candidates = vec![candidate(1.0); 50];
            for _ in 0..500 {
                let first = order(strategy, &candidates, &mut || rng.random())[0];
                candidates[first].facts.in_flight += 1;
            }
            candidates.iter().map(|candidate| candidate.facts.in_flight).max().unwrap()
        };
        let (two, one) = (fullest(Strategy::LeastInFlight), fullest(Strategy::Weighted));
        assert!(two <= 13 && one >= two + 3, "{two} against {one} at an average of 10");
    }

    fn any_strategy() -> impl proptest::strategy::Strategy<Value = Strategy> {
        prop_oneof![
            Just(Strategy::Weighted),
            Just(Strategy::Adaptive),
            Just(Strategy::Fastest),
            Just(Strategy::Cheapest),
            Just(Strategy::LeastInFlight)
        ]
    }

    proptest! {
        #[test]
        fn every_candidate_has_one_place(
            strategy in any_strategy(),
            seed: u64,
            facts in proptest::collection::vec(
                (1e-9..1e9f64, 1e-6..=1.0f64, any::<Option<u16>>(), any::<u32>(), any::<Option<u64>>()),
                0..20,
            ),
        ) {
            let candidates: Vec<Candidate> = facts.into_iter().map(|(weight, health, latency, in_flight, cost)| {
                let latency = latency.map(|ms| Duration::from_millis(ms.into()));
                Candidate { weight, facts: Facts { health, latency, in_flight, ..Facts::default() }, cost }
            }).collect();
            let mut rng = StdRng::seed_from_u64(seed);
            let mut places = order(strategy, &candidates, &mut || rng.random());
            places.sort_unstable();
            prop_assert_eq!(places, (0..candidates.len()).collect::<Vec<_>>());
        }
    }
}
