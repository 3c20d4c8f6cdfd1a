//! Which of the provider's keys is sent to a target.

use std::sync::Arc;

use super::{Observed, Session, Standing, Target, strategy};
use crate::provider::UpstreamKey;

/// A key for the target's model, leaving out those that have failed this request: the session's own, else one drawn by
/// weight and health. One whose breaker is half open is tried first, in a session only if it is the session's own; keys
/// that are down are taken only when no other is left. `None` inside: the provider needs no key. `None` outside: no key
/// is left.
pub(super) fn choose<'t>(
    target: &'t Target,
    failed: &[Arc<str>],
    session: Option<&Session>,
    observed: &dyn Observed,
    draw: &mut dyn FnMut() -> f64,
) -> Option<Option<&'t UpstreamKey>> {
    let upstream = &*target.upstream;
    if upstream.key_count() == 0 {
        return failed.is_empty().then_some(None);
    }
    let mut keys = upstream.keys().iter().filter(|key| key.fits(&target.model) && !failed.contains(&key.id));
    let (first, second) = (keys.next()?, keys.next());
    let Some(second) = second else { return Some(Some(first)) };
    let keys: Vec<&UpstreamKey> = [first, second].into_iter().chain(keys).collect();
    let facts: Vec<_> = keys.iter().map(|key| observed.of_key(target, Some(&key.id))).collect();
    let order = match session {
        Some(session) => session.order(keys.iter().map(|key| ([&*upstream.name, &*key.id], key.weight()))),
        None => strategy::by_weight(keys.iter().zip(&facts).map(|(key, facts)| key.weight() * facts.health), draw),
    };
    let stands = |index: &&usize, standing: &Standing| facts[**index].standing == *standing;
    let may_probe = if session.is_some() { 1 } else { order.len() };
    let chosen = order
        .iter()
        .take(may_probe)
        .find(|index| stands(index, &Standing::ProbeDue))
        .or_else(|| order.iter().find(|index| stands(index, &Standing::Up)))
        .or_else(|| order.iter().find(|index| stands(index, &Standing::ProbeDue)))
        .or(order.first())?;
    Some(Some(keys[*chosen]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use serde_json::json;

    use super::*;
    use crate::gateway::Plan;
    use crate::routing::{Facts, Unobserved};

    fn target(keys: serde_json::Value) -> Target {
        let config = json!({"providers": [{"name": "p", "type": "openai", "keys": keys}]});
        let plan = Plan::compile(&serde_json::from_value(config).unwrap(), 1).unwrap();
        let route = plan.routes.resolve("p/gpt-5").unwrap();
        route.targets().next().unwrap().clone()
    }

    fn drawn(target: &Target, failed: &[&str], observed: &dyn Observed) -> BTreeMap<String, f64> {
        let failed: Vec<Arc<str>> = failed.iter().map(|id| Arc::from(*id)).collect();
        let mut rng = StdRng::seed_from_u64(5);
        let mut drawn = BTreeMap::new();
        for _ in 0..10_000 {
            if let Some(Some(key)) = choose(target, &failed, None, observed, &mut || rng.random()) {
                *drawn.entry(key.id.to_string()).or_default() += 1e-4;
            }
        }
        drawn
    }

    /// One key stands so, the others are up.
    #[derive(Debug)]
    struct One(&'static str, Standing);

    impl Observed for One {
        fn of_key(&self, _: &Target, key: Option<&Arc<str>>) -> Facts {
            let standing = if key.is_some_and(|key| **key == *self.0) { self.1.clone() } else { Standing::Up };
            Facts { standing, ..Facts::default() }
        }
    }

    #[test]
    fn keys_are_drawn_by_weight_among_those_for_the_model() {
        let target = target(json!([
            {"id": "a", "value": "sk-a", "weight": 6}, {"id": "b", "value": "sk-b", "weight": 3},
            {"id": "c", "value": "sk-c"}, {"id": "other", "value": "sk-o", "weight": 90, "models": ["o3*"]},
        ]));
        let shares = drawn(&target, &[], &Unobserved);
        assert_eq!(shares.len(), 3, "{shares:?}");
        for (id, share) in [("a", 0.6), ("b", 0.3), ("c", 0.1)] {
            assert!((shares[id] - share).abs() < 0.03, "{id}: {shares:?}");
        }
        assert_eq!(drawn(&target, &["a", "b"], &Unobserved).len(), 1, "what has failed is left out");
        assert!(drawn(&target, &["a", "b", "c"], &Unobserved).is_empty());
    }

    #[test]
    fn what_is_half_open_is_tried_and_what_is_down_is_not() {
        let target = target(json!([{"id": "a", "value": "sk-a"}, {"id": "b", "value": "sk-b"}]));
        let only = |standing: Standing| drawn(&target, &[], &One("b", standing)).into_keys().collect::<Vec<_>>();
        assert_eq!(only(Standing::Down("it is".to_owned())), ["a"]);
        assert_eq!(only(Standing::ProbeDue), ["b"]);
        assert_eq!(drawn(&target, &["a"], &One("b", Standing::Down(String::new()))).len(), 1, "for want of another");
    }
}
