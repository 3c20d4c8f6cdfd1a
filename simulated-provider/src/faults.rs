//! The rules in force, with the counts that `share` and `first` need.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

use crate::random;
use crate::rule::{Effect, Rule};

#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    /// Spares the lock while there are no rules, which is the case under load.
    any: AtomicBool,
    armed: RwLock<Arc<Vec<Armed>>>,
}

#[derive(Debug)]
struct Armed {
    rule: Rule,
    fitting: AtomicU64,
    drawn: AtomicU64,
    hits: AtomicU64,
}

/// A rule and how many requests it has acted on.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    rule: Rule,
    hits: u64,
}

impl Faults {
    pub(crate) fn new(seed: u64, rules: Vec<Rule>) -> Self {
        let faults = Self { seed, any: AtomicBool::new(false), armed: RwLock::default() };
        faults.replace(rules);
        faults
    }

    pub(crate) fn replace(&self, rules: Vec<Rule>) {
        let zero = AtomicU64::default;
        let armed: Vec<_> =
            rules.into_iter().map(|rule| Armed { rule, fitting: zero(), drawn: zero(), hits: zero() }).collect();
        self.any.store(!armed.is_empty(), Ordering::Relaxed);
        *self.armed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(armed);
    }

    pub(crate) fn show(&self) -> Vec<Shown> {
        let armed = self.armed.read().unwrap_or_else(PoisonError::into_inner).clone();
        armed.iter().map(|armed| Shown { rule: armed.rule.clone(), hits: armed.hits.load(Ordering::Relaxed) }).collect()
    }

    /// What is to happen to this request: the effect of the first rule that takes it.
    pub(crate) fn pick(&self, path: &str, key: &str, model: Option<&str>) -> Option<Effect> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let armed = self.armed.read().unwrap_or_else(PoisonError::into_inner).clone();
        armed.iter().enumerate().find(|(index, armed)| armed.takes(self.seed, *index, path, key, model)).map(
            |(_, armed)| {
                armed.hits.fetch_add(1, Ordering::Relaxed);
                armed.rule.effect.clone()
            },
        )
    }
}

impl Armed {
    fn takes(&self, seed: u64, index: usize, path: &str, key: &str, model: Option<&str>) -> bool {
        let wanted = &self.rule.matching;
        if wanted.path.as_deref().is_some_and(|wanted| wanted != path)
            || wanted.key.as_deref().is_some_and(|wanted| wanted != key)
            || wanted.model.is_some() && wanted.model.as_deref() != model
        {
            return false;
        }
        if let Some(share) = wanted.share {
            let fitting = self.fitting.fetch_add(1, Ordering::Relaxed);
            // Each rule draws from its own sequence, or two rules with one share would take the same requests.
            if random::unit_at(seed.wrapping_add((index as u64) << 32), fitting) >= share {
                return false;
            }
        }
        wanted.first.is_none_or(|first| self.drawn.fetch_add(1, Ordering::Relaxed) < first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::parse_rules;

    fn faults(text: &str) -> Faults {
        Faults::new(5, parse_rules(text).unwrap())
    }

    #[test]
    fn first_takes_the_first_fitting_ones_only() {
        let faults = faults(r#"[{"match":{"model":"a","first":2},"do":{"status":500}}]"#);
        let pick = |model| faults.pick("/v1/chat/completions", "k", Some(model)).is_some();
        assert_eq!([pick("b"), pick("a"), pick("b"), pick("a"), pick("a")], [false, true, false, true, false]);
        assert_eq!(faults.show()[0].hits, 2);
    }

    #[test]
    fn share_takes_its_share_and_the_same_one_again() {
        let run = || {
            let faults = faults(r#"[{"match":{"share":0.1},"do":{"status":500}}]"#);
            (0..10_000).map(|_| faults.pick("/", "", None).is_some()).collect::<Vec<_>>()
        };
        let first = run();
        let taken = first.iter().filter(|taken| **taken).count();
        assert!((900..1100).contains(&taken), "{taken}");
        assert_eq!(first, run());
    }

    #[test]
    fn key_and_path_narrow() {
        let faults = faults(
            r#"[{"match":{"key":"k1","path":"/v1/models"},"do":{"status":401}},{"match":{"key":"k2"},"do":{"status":402}}]"#,
        );
        let pick = |path, key| faults.pick(path, key, None).and_then(|effect| effect.status);
        assert_eq!(pick("/v1/models", "k1"), Some(401));
        assert_eq!(pick("/other", "k1"), None);
        assert_eq!(pick("/other", "k2"), Some(402));
    }
}
