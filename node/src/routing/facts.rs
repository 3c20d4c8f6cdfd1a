//! What a node has seen of its upstreams, as far as a choice between them depends on it.

use std::sync::Arc;
use std::time::Duration;

use super::Target;

/// Whether a target may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    #[default]
    Up,
    /// Its breaker is half open, and one request is wanted to try it.
    ProbeDue,
    /// Not asked while there is another one. Why, in a few words.
    Down(String),
}

/// What is known of a target, or of one key at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub standing: Standing,
    /// Above zero and at most 1: how much of its weight it is worth.
    pub health: f64,
    /// None: not measured yet.
    pub latency: Option<Duration>,
    /// Requests of this node that it has not answered yet.
    pub in_flight: u32,
}

impl Default for Facts {
    /// Of what nothing is known: nothing speaks against it.
    fn default() -> Self {
        Self { standing: Standing::Up, health: 1.0, latency: None, in_flight: 0 }
    }
}

impl Facts {
    /// What a target is worth with these keys, each with its weight. It is up while one of them is; the figures are of
    /// those that are as good as the best.
    pub fn of_keys(keys: impl IntoIterator<Item = (f64, Self)>) -> Self {
        let mut best: Option<(Self, f64)> = None;
        for (weight, facts) in keys {
            let rank = |facts: &Self| match facts.standing {
                Standing::Up => 2,
                Standing::ProbeDue => 1,
                Standing::Down(_) => 0,
            };
            match &mut best {
                Some((sum, total)) if rank(sum) == rank(&facts) => {
                    let whole = *total + weight;
                    sum.health = (sum.health * *total + facts.health * weight) / whole;
                    sum.latency = match (sum.latency, facts.latency) {
                        (Some(one), Some(two)) => Some(one.mul_f64(*total / whole) + two.mul_f64(weight / whole)),
                        (one, two) => one.or(two),
                    };
                    sum.in_flight = sum.in_flight.saturating_add(facts.in_flight);
                    *total = whole;
                }
                Some((sum, _)) if rank(sum) > rank(&facts) => {}
                _ => best = Some((facts, weight)),
            }
        }
        let none = || Standing::Down("none of its keys may be used for the model".to_owned());
        best.map_or_else(|| Self { standing: none(), ..Self::default() }, |(facts, _)| facts)
    }
}

/// Where facts come from.
pub trait Observed: std::fmt::Debug + Send + Sync {
    /// Of one key at a target; of the target itself where the provider needs no key.
    fn of_key(&self, target: &Target, key: Option<&Arc<str>>) -> Facts;

    /// Of a target with the keys that may be used for its model.
    fn of_target(&self, target: &Target) -> Facts {
        if target.upstream.key_count() == 0 {
            return self.of_key(target, None);
        }
        let keys = target.upstream.keys().iter().filter(|key| key.fits(&target.model));
        Facts::of_keys(keys.map(|key| (key.weight(), self.of_key(target, Some(&key.id)))))
    }
}

/// Nothing has been seen of any target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observed for Unobserved {
    fn of_key(&self, _: &Target, _: Option<&Arc<str>>) -> Facts {
        Facts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_as_good_as_its_best_keys() {
        let down = Facts { standing: Standing::Down("refused".to_owned()), health: 0.1, ..Facts::default() };
        let slow = Facts { health: 0.5, latency: Some(Duration::from_millis(300)), in_flight: 3, ..Facts::default() };
        let fast = Facts { health: 1.0, latency: Some(Duration::from_millis(100)), in_flight: 1, ..Facts::default() };
        let target = Facts::of_keys([(1.0, down.clone()), (1.0, slow), (3.0, fast)]);
        assert_eq!(target.standing, Standing::Up);
        assert_eq!((target.health, target.in_flight), (0.875, 4));
        assert_eq!(target.latency, Some(Duration::from_millis(150)));
        assert_eq!(Facts::of_keys([(1.0, down.clone()), (2.0, down.clone())]).standing, down.standing);
        let probe = Facts { standing: Standing::ProbeDue, ..Facts::default() };
        assert_eq!(Facts::of_keys([(1.0, down), (1.0, probe)]).standing, Standing::ProbeDue);
        assert!(matches!(Facts::of_keys([]).standing, Standing::Down(_)), "nobody could ask it");
    }
}
