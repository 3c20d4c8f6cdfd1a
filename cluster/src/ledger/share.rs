//! Shares: how a limit is divided over the actors that are counted.
//!
//! The remainder goes by one to those who rank lowest in an order that each counter draws anew (rendezvous hashing;
//! Thaler and Ravishankar 1998), so that no actor gets the odd unit everywhere. The order of two actors does not depend
//! on who else is counted. So an actor that counts more never ranks lower, its share never rises by counting more, and
//! actors that all count each other never hold more than the limit together, however many more each of them counts.

use std::collections::BTreeSet;

use super::allowance::CounterId;
use crate::actor::Actor;

const RANK_KEY: &[u8; 32] = b"peerway 2026-11-21 share rank v1";

/// The part of `limit` that is `actor`'s when it counts `counted`: `ceil((limit - rank) / n)`, never below 0. An actor
/// that does not count itself has none.
///
/// Constant work unless the limit does not divide evenly; then one hash for each actor that is counted.
pub fn share(counter: &CounterId, limit: u64, actor: &Actor, counted: &BTreeSet<Actor>) -> u64 {
    if !counted.contains(actor) {
        return 0;
    }
    let n = counted.len() as u64;
    let (whole, remainder) = (limit / n, limit % n);
    // The same as the formula: the first `remainder` ranks have one more.
    whole + u64::from(remainder > 0 && rank(counter, actor, counted) < remainder)
}

fn rank(counter: &CounterId, actor: &Actor, counted: &BTreeSet<Actor>) -> u64 {
    let own = (draw(counter, actor), actor);
    counted.iter().filter(|other| (draw(counter, other), *other) < own).count() as u64
}

fn draw(counter: &CounterId, actor: &Actor) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(RANK_KEY);
    hasher.update(counter.allowance.as_bytes());
    hasher.update(&counter.window_start.to_be_bytes());
    hasher.update(&actor.incarnation.0.to_be_bytes());
    hasher.update(actor.node.as_str().as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::Incarnation;
    use crate::ledger::allowance::AllowanceId;

    fn actor(number: usize) -> Actor {
        Actor { node: format!("node-{number}").parse().unwrap(), incarnation: Incarnation(number as u64) }
    }

    fn actors(count: usize) -> BTreeSet<Actor> {
        (0..count).map(actor).collect()
    }

    fn counter(allowance: u8, window_start: i64) -> CounterId {
        CounterId { allowance: AllowanceId::from_bytes([allowance; 16]), window_start }
    }

    fn by_the_formula(counter: &CounterId, limit: u64, actor: &Actor, counted: &BTreeSet<Actor>) -> u64 {
        let n = counted.len() as u64;
        limit.saturating_sub(rank(counter, actor, counted)).div_ceil(n)
    }

    #[test]
    fn who_does_not_count_itself_has_nothing() {
        assert_eq!(share(&counter(1, 0), 100, &actor(9), &actors(3)), 0);
        assert_eq!(share(&counter(1, 0), 100, &actor(9), &BTreeSet::new()), 0);
    }

    #[test]
    fn alone_it_has_all() {
        for limit in [0, 1, u64::MAX] {
            assert_eq!(share(&counter(1, i64::MIN), limit, &actor(0), &actors(1)), limit);
        }
    }

    /// Two nodes that ranked differently could both take the odd unit, so the order must not change between versions.
    #[test]
    fn the_order_is_for_ever() {
        let order: Vec<u64> =
            actors(5).iter().map(|actor| rank(&counter(3, 1_795_219_200), actor, &actors(5))).collect();
        assert_eq!(order, GOLDEN_ORDER);
    }
    const GOLDEN_ORDER: [u64; 5] = [1, 3, 4, 0, 2];

    #[test]
    fn the_odd_unit_goes_around() {
        let mut got = [0; 5];
        for window in 0..1000 {
            for (index, sum) in got.iter_mut().enumerate() {
                *sum += share(&counter(1, window * 60), 1, &actor(index), &actors(5));
            }
        }
        assert_eq!(got.iter().sum::<u64>(), 1000);
        assert!(got.iter().all(|&sum| (150..250).contains(&sum)), "{got:?}");
    }

    proptest! {
        #[test]
        fn shares_sum_to_the_limit(limit in prop_oneof![0_u64..20, any::<u64>()], n in 1_usize..12, allowance: u8, start: i64) {
            let (counter, counted) = (counter(allowance, start), actors(n));
            let shares: Vec<u64> = counted.iter().map(|actor| share(&counter, limit, actor, &counted)).collect();
            prop_assert_eq!(shares.iter().map(|&share| u128::from(share)).sum::<u128>(), u128::from(limit));
            for (actor, share) in counted.iter().zip(shares) {
                prop_assert_eq!(share, by_the_formula(&counter, limit, actor, &counted));
            }
        }

        /// What the counting rules rest on: all who count each other hold at most the limit, whoever else each counts.
        #[test]
        fn counting_more_never_gives_more(
            limit in 0_u64..50, core in 1_usize..6, extra in prop::collection::vec(prop::collection::btree_set(6_usize..14, 0..6), 6), start: i64
        ) {
            let counter = counter(1, start);
            let mut sum = 0;
            for (number, extra) in extra.iter().enumerate().take(core) {
                let exact = share(&counter, limit, &actor(number), &actors(core));
                let mut more = actors(core);
                more.extend(extra.iter().map(|&other| actor(other)));
                let got = share(&counter, limit, &actor(number), &more);
                prop_assert!(got <= exact);
                sum += got;
            }
            prop_assert!(sum <= limit);
        }
    }
}
