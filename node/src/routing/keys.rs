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

    use rand::RngExt as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::gateway::Plan;
    use crate::routing::{Facts, Unobserved};

    fn target(model: &str, keys: Value) -> Target {
        let config = json!({"providers": [{"name": "p", "type": "openai", "keys": keys}],
            "routes": [{"model": "route", "targets": [{"provider": "p", "model": model}]}]});
        let plan = Plan::compile(&serde_json::from_value(config).unwrap(), 1).unwrap();
        plan.routes.resolve("route").unwrap().targets().next().unwrap().clone()
    }

    fn drawn<'t>(target: &'t Target, failed: &[Arc<str>]) -> Option<Option<&'t UpstreamKey>> {
        choose(target, failed, None, &Unobserved, &mut || rand::rng().random())
    }

    #[test]
    fn keys_are_drawn_by_weight() {
        let target = target(
            "gpt-5",
            json!([
                {"id": "a", "value": "sk-a", "weight": 6}, {"id": "b", "value": "sk-b", "weight": 3},
                {"id": "c", "value": "sk-c", "weight": 1},
                {"id": "other", "value": "sk-o", "weight": 90, "models": ["o3*"]},
            ]),
        );
        let mut shares: BTreeMap<Arc<str>, f64> = BTreeMap::new();
        let times = 20_000;
        for _ in 0..times {
            let key = drawn(&target, &[]).unwrap().unwrap();
            *shares.entry(Arc::clone(&key.id)).or_default() += 1.0 / f64::from(times);
        }
        assert_eq!(shares.len(), 3, "a key is for its models only: {shares:?}");
        // Six standard deviations of the widest share are 0.021.
        for (id, share) in [("a", 0.6), ("b", 0.3), ("c", 0.1)] {
            assert!((shares[id] - share).abs() < 0.021, "{id}: {shares:?}");
        }
    }

    #[test]
    fn a_failed_key_is_left_out_until_none_is_left() {
        let keys = || json!([{"id": "a", "value": "sk-a"}, {"id": "b", "value": "sk-b", "models": ["gpt-*"]}]);
        let failed: [Arc<str>; 2] = ["a".into(), "b".into()];
        let gpt = target("gpt-5", keys());
        assert_eq!(&*drawn(&gpt, &failed[..1]).unwrap().unwrap().id, "b");
        assert!(drawn(&gpt, &failed).is_none());
        assert!(drawn(&target("o3", keys()), &failed[..1]).is_none(), "no key for the model is no key");
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
    fn what_is_half_open_is_tried_and_what_is_down_is_not() {
        let target = target("gpt-5", json!([{"id": "a", "value": "sk-a"}, {"id": "b", "value": "sk-b"}]));
        let only = |failed: &[Arc<str>], standing: Standing| {
            let observed = One("b", standing);
            let keys = (0..50).map(|_| choose(&target, failed, None, &observed, &mut || rand::rng().random()));
            let mut keys: Vec<String> = keys.map(|key| key.unwrap().unwrap().id.to_string()).collect();
            keys.dedup();
            keys
        };
        assert_eq!(only(&[], Standing::Down("it is".to_owned())), ["a"]);
        assert_eq!(only(&[], Standing::ProbeDue), ["b"]);
        assert_eq!(only(&["a".into()], Standing::Down("it is".to_owned())), ["b"], "for want of another");
    }
}
