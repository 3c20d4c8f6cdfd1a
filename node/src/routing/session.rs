//! Stickiness without state: a session's order of targets and keys is a hash of its id (weighted rendezvous hashing), so
//! every node finds the same one, and when a target goes only its own sessions move.

use blake3::Hash;

use super::strategy::score;

const CONTEXT: &str = "peerway 2026-11 session stickiness";

/// A session, as its client named it, within its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session(Hash);

impl Session {
    /// `tenant` is the virtual key's id, empty where there is none: the same id sent by two tenants is two sessions.
    pub fn new(tenant: &str, id: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        // With its length in front, no tenant's name can run into an id.
        hasher.update(&(tenant.len() as u64).to_le_bytes()).update(tenant.as_bytes()).update(id);
        Self(hasher.finalize())
    }

    /// The order of candidates, each with its name in two parts and its weight.
    pub(super) fn order<'a>(&self, candidates: impl IntoIterator<Item = ([&'a str; 2], f64)>) -> Vec<usize> {
        let scored = candidates.into_iter().map(|(name, weight)| score(self.uniform(name), weight));
        let mut scores: Vec<(f64, usize)> = scored.enumerate().map(|(index, score)| (score, index)).collect();
        scores.sort_by(|one, two| one.0.total_cmp(&two.0));
        scores.into_iter().map(|(_, index)| index).collect()
    }

    /// In 0..1.
    fn uniform(&self, [one, two]: [&str; 2]) -> f64 {
        let mut hasher = blake3::Hasher::new_keyed(self.0.as_bytes());
        hasher.update(&(one.len() as u64).to_le_bytes()).update(one.as_bytes()).update(two.as_bytes());
        let mut bits = [0; 8];
        hasher.finalize_xof().fill(&mut bits);
        // As many bits as a float between 0 and 1 has.
        (u64::from_le_bytes(bits) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn session(id: usize) -> Session {
        Session::new("key", format!("session-{id}").as_bytes())
    }

    /// Which of the targets, numbered by name, each of many sessions sticks to.
    fn homes(targets: &[(usize, f64)], sessions: usize) -> Vec<usize> {
        let names: Vec<String> = targets.iter().map(|(name, _)| format!("m{name}")).collect();
        (0..sessions)
            .map(|id| {
                let named = names.iter().zip(targets).map(|(name, (_, weight))| (["provider", name.as_str()], *weight));
                targets[session(id).order(named)[0]].0
            })
            .collect()
    }

    /// Every node of every later version must find the same target.
    #[test]
    fn the_order_is_part_of_the_protocol() {
        let names = ["a", "b", "c", "d"].map(|model| (["openai", model], 1.0));
        assert_eq!(Session::new("team-key", b"conversation-1").order(names), GOLDEN);
    }

    const GOLDEN: [usize; 4] = [2, 0, 3, 1];

    #[test]
    fn tenants_do_not_share_sessions() {
        assert_ne!(Session::new("a", b"b"), Session::new("", b"ab"));
        assert_ne!(Session::new("a", b"1"), Session::new("b", b"1"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn sessions_spread_by_weight(weights in proptest::collection::vec(1..20u32, 2..6)) {
            let targets: Vec<(usize, f64)> = weights.iter().map(|weight| f64::from(*weight)).enumerate().collect();
            let total: f64 = targets.iter().map(|(_, weight)| weight).sum();
            let sessions = 4_000;
            let mut counts: BTreeMap<usize, f64> = BTreeMap::new();
            for home in homes(&targets, sessions) {
                *counts.entry(home).or_default() += 1.0;
            }
            for (name, weight) in targets {
                let expected = weight / total;
                let share = counts.get(&name).copied().unwrap_or(0.0) / sessions as f64;
                // Four standard deviations of a binomial.
                let allowed = 4.0 * (expected * (1.0 - expected) / sessions as f64).sqrt();
                prop_assert!((share - expected).abs() <= allowed, "{share} is not {expected}");
            }
        }

        #[test]
        fn only_the_sessions_of_what_left_move(weights in proptest::collection::vec(1..20u32, 2..6), left in 0..6usize) {
            let targets: Vec<(usize, f64)> = weights.iter().map(|weight| f64::from(*weight)).enumerate().collect();
            let left = left % targets.len();
            let remaining: Vec<(usize, f64)> = targets.iter().copied().filter(|(name, _)| *name != left).collect();
            for (before, after) in homes(&targets, 500).into_iter().zip(homes(&remaining, 500)) {
                prop_assert!(before == after || before == left);
            }
        }

        #[test]
        fn a_nodes_own_order_of_targets_does_not_matter(id: Vec<u8>, turn in 0..5usize) {
            let session = Session::new("key", &id);
            let mut names = ["a", "b", "c", "d", "e"].map(|model| (["p", model], 1.0));
            let here: Vec<&str> = session.order(names).into_iter().map(|index| names[index].0[1]).collect();
            names.rotate_left(turn);
            let there: Vec<&str> = session.order(names).into_iter().map(|index| names[index].0[1]).collect();
            prop_assert_eq!(here, there);
        }
    }
}
