use super::*;
use crate::vector::segment::FLAT_ROWS;

const DIMENSION: usize = 16;
const COUNT: u64 = 8 * FLAT_ROWS as u64;

/// How many of the questions find what brute force finds.
fn recall(index: &Index, living: &[u64], now: u64) -> f64 {
    let questions = 200;
    let right = (0..questions).filter(|number| {
        let question = clustered(10_000_000 + number, DIMENSION);
        let cosines = living.iter().map(|number| cosine(&question, &clustered(*number, DIMENSION)));
        let best = cosines.fold(-1.0, f32::max);
        let found = index.search(&question, 4, -1.0, now).unwrap();
        found.first().is_some_and(|first| first.cosine > best - 1e-4)
    });
    right.count() as f64 / questions as f64
}

#[test]
fn a_graph_finds_nearly_all_and_counts_its_links() {
    let index = filled(0..COUNT, DIMENSION);
    assert!(index.tend(0, NOW) < FLAT_ROWS, "insertions keep up with the links");
    assert_eq!(index.tend(usize::MAX, NOW), 0);
    assert_eq!(index.bytes(), index.recount());
    assert!(index.bytes() > COUNT * (Index::bytes_per_vector(DIMENSION) as u64 + 4 * 32), "with links");
    let recall = recall(&index, &(0..COUNT).collect::<Vec<_>>(), NOW);
    assert!(recall >= 0.98, "{recall}");
    let itself = |number: &u64| {
        let found = index.search(&clustered(*number, DIMENSION), 1, 0.9, NOW).unwrap();
        ids(&found) == [id(*number)]
    };
    let found = (0..COUNT).filter(itself).count();
    assert!(found as u64 >= COUNT * 99 / 100, "{found} of {COUNT} by their own vector");
}

#[test]
fn a_graph_never_gives_what_is_gone_and_still_finds_the_rest() {
    let index = filled(0..COUNT, DIMENSION);
    index.tend(usize::MAX, NOW);
    let (gone, living): (Vec<u64>, Vec<u64>) = (0..COUNT).partition(|number| number % 3 != 0);
    assert!(gone.iter().all(|number| index.delete(&id(*number))));
    assert_eq!(index.stats().vectors, living.len() as u64);
    for number in &gone {
        let found = ids(&index.search(&clustered(*number, DIMENSION), 10, -1.0, NOW).unwrap());
        assert!(found.iter().all(|found| living.iter().any(|living| id(*living) == *found)));
    }
    let recall = recall(&index, &living, NOW);
    assert!(recall >= 0.95, "{recall}");
    assert!(living.iter().all(|number| index.delete(&id(*number))));
    assert_eq!(index.stats(), Default::default(), "a segment without a living row goes");
}

#[test]
fn what_has_expired_is_not_given_even_before_its_segment_goes() {
    let index = Index::new(DIMENSION, 100_000);
    for number in 0..COUNT {
        index.insert(id(number), &clustered(number, DIMENSION), NOW + 3_600_000 + number, NOW).unwrap();
    }
    index.tend(usize::MAX, NOW);
    let now = NOW + 3_600_000 + COUNT / 2;
    for number in 0..COUNT {
        let found = ids(&index.search(&clustered(number, DIMENSION), 3, -1.0, now).unwrap());
        assert!((0..=COUNT / 2).all(|expired| !found.contains(&id(expired))));
    }
    let recall = recall(&index, &(COUNT / 2 + 1..COUNT).collect::<Vec<_>>(), now);
    assert!(recall >= 0.95, "{recall}");
}

#[test]
fn many_of_the_same_vector_do_not_hide_others() {
    let index = Index::new(DIMENSION, 100_000);
    for number in 0..COUNT {
        let point = if number % 2 == 0 { 0 } else { number };
        index.insert(id(number), &clustered(point, DIMENSION), NOW + 3_600_000, NOW).unwrap();
    }
    index.tend(usize::MAX, NOW);
    let odd: Vec<u64> = (0..COUNT).filter(|number| number % 2 == 1).chain([0]).collect();
    let recall = recall(&index, &odd, NOW);
    assert!(recall >= 0.95, "{recall}");
}
