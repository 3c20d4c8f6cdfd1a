use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const DIMENSION: usize = 12;

#[derive(Clone, Debug)]
enum Step {
    Insert { id: u64, point: u64, life_ms: u64 },
    Delete { id: u64 },
    Wait { ms: u64 },
    Search { point: u64, k: usize, floor: f32 },
    Tend,
    Evict,
    Purge,
}

fn step() -> impl Strategy<Value = Step> {
    let life = prop_oneof![0..10_u64, 1_000..20_000_u64, 200_000..300_000_u64];
    prop_oneof![
        12 => (0..60_u64, 0..300_u64, life).prop_map(|(id, point, life_ms)| Step::Insert { id, point, life_ms }),
        3 => (0..60_u64).prop_map(|id| Step::Delete { id }),
        3 => prop_oneof![0..50_u64, 500..5_000_u64, 50_000..100_000_u64].prop_map(|ms| Step::Wait { ms }),
        6 => (0..300_u64, 0..12_usize, -0.5..1.0_f32).prop_map(|(point, k, floor)| Step::Search { point, k, floor }),
        1 => Just(Step::Tend),
        1 => Just(Step::Evict),
        1 => Just(Step::Purge),
    ]
}

/// What is in the index, by the plainest means: the point and the expiry of each id.
type Model = HashMap<u64, (u64, u64)>;

/// The cosines of the best, without those so near the floor that rounding decides.
fn oracle(model: &Model, point: u64, k: usize, floor: f32, now: u64) -> Vec<f32> {
    let question = clustered(point, DIMENSION);
    let living = model.values().filter(|(_, expires)| now < *expires);
    let mut cosines: Vec<f32> = living.map(|(of, _)| cosine(&question, &clustered(*of, DIMENSION))).collect();
    cosines.retain(|cosine| *cosine >= floor);
    cosines.sort_unstable_by(|one, other| other.total_cmp(one));
    cosines.truncate(k);
    cosines
}

proptest! {
    #[test]
    fn a_scanned_index_finds_exactly_what_brute_force_finds(steps in proptest::collection::vec(step(), 1..250)) {
        let index = Index::new(DIMENSION, 1_000);
        let (mut model, mut now) = (Model::new(), NOW);
        for step in steps {
            match step {
                Step::Insert { id: number, point, life_ms } => {
                    index.insert(id(number), &clustered(point, DIMENSION), now + life_ms, now).unwrap();
                    if life_ms > 0 {
                        model.insert(number, (point, now + life_ms));
                    }
                }
                Step::Delete { id: number } => {
                    let was_alive = model.remove(&number).is_some_and(|(_, expires)| now < expires);
                    prop_assert!(index.delete(&id(number)) || !was_alive);
                }
                Step::Wait { ms } => now += ms,
                Step::Search { point, k, floor } => {
                    let found = index.search(&clustered(point, DIMENSION), k, floor, now).unwrap();
                    let (most, least) = (oracle(&model, point, k, floor - 1e-4, now), oracle(&model, point, k, floor + 1e-4, now));
                    prop_assert!((least.len()..=most.len()).contains(&found.len()), "{found:?} of {most:?}");
                    for (candidate, wanted) in found.iter().zip(&most) {
                        prop_assert!((candidate.cosine - wanted).abs() < 1e-4, "{found:?} of {most:?}");
                    }
                    for candidate in &found {
                        let number = (0..60).find(|number| id(*number) == candidate.id).unwrap();
                        let (of, expires) = model.get(&number).copied().unwrap_or_default();
                        prop_assert!(now < expires, "{number} was deleted, has expired or never was");
                        let right = cosine(&clustered(point, DIMENSION), &clustered(of, DIMENSION));
                        prop_assert!((candidate.cosine - right).abs() < 1e-4);
                    }
                }
                Step::Tend => {
                    prop_assert_eq!(index.tend(100, now), 0, "too few to link");
                }
                Step::Evict => {
                    index.evict();
                    let left = |number: &u64, (point, _): &(u64, u64)| {
                        let question = clustered(*point, DIMENSION);
                        ids(&index.search(&question, 100, -1.0, now).unwrap()).contains(&id(*number))
                    };
                    model.retain(|number, entry| left(number, entry));
                }
                Step::Purge => {
                    index.purge();
                    model.clear();
                    prop_assert_eq!(index.bytes(), 0);
                }
            }
            prop_assert_eq!(index.bytes(), index.recount());
            let stats = index.stats();
            prop_assert!(stats.vectors <= stats.rows && (stats.rows == 0) == (stats.bytes == 0));
        }
        index.tend(0, now + 1_000_000);
        prop_assert_eq!((index.bytes(), index.recount()), (0, 0), "all has expired");
    }
}
