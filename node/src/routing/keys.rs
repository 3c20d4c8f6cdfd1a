//! Which of the provider's keys is sent to a target.

use std::sync::Arc;

use super::{Observed, Session, Standing, Target, strategy};
use crate::provider::UpstreamKey;

/// A key for the target's model, leaving out those that have failed this request: the session's own, else one drawn by
/// weight and health. Keys that are down are taken only when no other is left. `None` inside: the provider needs no key.
/// `None` outside: no key is left.
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
    let is_up = |index: &&usize| !matches!(facts[**index].standing, Standing::Down(_));
    let chosen = order.iter().find(is_up).or(order.first())?;
    Some(Some(keys[*chosen]))
}
