//! What is left of an answer once every point was looked at: a function of its inputs.

use std::collections::HashSet;

use super::Near;
use super::database::Found;
use super::names::SpaceName;

/// How far beyond 1 a cosine may come out of single precision.
const ROUNDING: f32 = 1e-3;

/// The points that may be believed, the nearest first, and how many were refused: those of another space, those that
/// cannot be read, and those whose cosine is none. What expired or is too far is passed over without a word.
pub(super) fn checked(
    found: Vec<Option<Found>>,
    space: &SpaceName,
    k: usize,
    floor: f32,
    now_ms: u64,
    max_text: usize,
) -> (Vec<Near>, u64) {
    let all = found.len();
    let mut of_space: Vec<Found> = found
        .into_iter()
        .flatten()
        .filter(|found| found.namespace == space.namespace && found.context == space.context)
        .filter(|found| found.cosine.is_finite() && found.cosine.abs() <= 1.0 + ROUNDING)
        .filter(|found| found.text.len() <= max_text)
        .collect();
    let refused = (all - of_space.len()) as u64;
    of_space.sort_by(|one, other| other.cosine.total_cmp(&one.cosine));
    let mut seen = HashSet::new();
    let near = of_space
        .into_iter()
        .filter(|found| found.expires_ms > now_ms && found.cosine >= floor && seen.insert(found.id))
        .take(k)
        .map(|found| Near {
            id: found.id,
            cosine: found.cosine.clamp(-1.0, 1.0),
            text: found.text.into(),
            generation: found.generation,
        })
        .collect();
    (near, refused)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::EntryId;

    fn space(name: &str) -> SpaceName {
        SpaceName { namespace: name.to_owned(), context: "c".to_owned() }
    }

    fn found(number: u8, name: &str, cosine: f32, expires_ms: u64) -> Option<Found> {
        let SpaceName { namespace, context } = space(name);
        let id = EntryId::from([number; 32]);
        Some(Found { id, namespace, context, cosine, text: "how?".to_owned(), generation: 7, expires_ms })
    }

    fn ids(near: &[Near]) -> Vec<u8> {
        near.iter().map(|near| near.id.as_bytes()[0]).collect()
    }

    #[test]
    fn only_living_points_of_the_space_with_a_real_cosine_are_believed() {
        let mut other_context = found(9, "a", 0.9, 10);
        if let Some(found) = &mut other_context {
            found.context = "d".to_owned();
        }
        let mut long = found(8, "a", 0.9, 10);
        if let Some(found) = &mut long {
            found.text = "x".repeat(101);
        }
        let answer = vec![
            found(1, "a", 0.5, 10),
            found(2, "b", 0.9, 10),
            other_context,
            long,
            None,
            found(3, "a", f32::NAN, 10),
            found(4, "a", f32::INFINITY, 10),
            found(5, "a", 1.5, 10),
            found(6, "a", 1.0005, 10),
            found(7, "a", 0.9, 9),
            found(10, "a", 0.2, 10),
            found(1, "a", 0.5, 10),
        ];
        let (near, refused) = checked(answer, &space("a"), 8, 0.3, 9, 100);
        assert_eq!(ids(&near), [6, 1]);
        assert_eq!(near[0].cosine, 1.0);
        assert_eq!(refused, 7);
    }

    proptest! {
        #[test]
        fn never_more_than_asked_for_never_another_space_and_in_order(
            points in prop::collection::vec((any::<u8>(), any::<bool>(), -1.2_f32..1.2, 0_u64..4), 0..40),
            k in 0_usize..10,
        ) {
            let answer: Vec<_> = points
                .iter()
                .map(|&(number, is_ours, cosine, expires)| found(number, if is_ours { "a" } else { "b" }, cosine, expires))
                .collect();
            let (near, _) = checked(answer, &space("a"), k, 0.0, 1, 100);
            prop_assert!(near.len() <= k);
            prop_assert!(near.is_sorted_by(|one, other| one.cosine >= other.cosine));
            for near in &near {
                let known = |&(number, is_ours, _, expires): &(u8, bool, f32, u64)| {
                    is_ours && expires > 1 && near.id.as_bytes()[0] == number
                };
                prop_assert!(points.iter().any(known));
                prop_assert!((0.0..=1.0).contains(&near.cosine));
            }
        }
    }
}
