use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::*;
use crate::vector::VectorError;

#[test]
fn over_its_bound_it_drops_what_expires_soonest_and_never_the_newest() {
    let index = Index::new(8, 400);
    for number in 0..2_000 {
        let now = NOW + number * 100;
        index.insert(id(number), &clustered(number, 8), now + 3_600_000, now).unwrap();
        let stats = index.stats();
        assert!(stats.rows <= 400 && (number < 400 || stats.rows >= 300), "{stats:?} at {number}");
        assert_eq!(index.bytes(), index.recount());
        let found = index.search(&clustered(number, 8), 1, 0.0, now).unwrap();
        assert_eq!(ids(&found), [id(number)]);
    }
    let found = ids(&index.search(&clustered(0, 8), 1_000, -1.0, NOW + 200_000).unwrap());
    assert!((1_700..2_000).all(|number| found.contains(&id(number))), "the last are there");
}

#[test]
fn an_insertion_drops_what_has_expired() {
    let index = filled(0..100, 8);
    index.insert(id(200), &clustered(200, 8), NOW + 20_000_000, NOW + 10_000_000).unwrap();
    let stats = index.stats();
    assert_eq!((stats.vectors, stats.rows, stats.segments), (1, 1, 1));
    assert_eq!(index.bytes(), index.recount());
}

#[test]
fn the_smallest_bound_still_holds_the_newest() {
    let index = Index::new(8, 0);
    for number in 0..10 {
        index.insert(id(number), &clustered(number, 8), NOW + 60_000, NOW).unwrap();
        assert_eq!(ids(&index.search(&clustered(number, 8), 9, -1.0, NOW).unwrap()), [id(number)]);
    }
}

#[test]
fn the_same_entry_again_is_one_entry_with_its_new_expiry() {
    let index = Index::new(8, 1_000);
    let vector = clustered(1, 8);
    for now in [NOW, NOW + 1, NOW + 1_000, NOW + 100_000] {
        index.insert(id(1), &vector, now + 60_000, now).unwrap();
        assert_eq!(index.stats().vectors, 1);
    }
    assert_eq!(index.search(&vector, 9, 0.0, NOW + 159_999).unwrap().len(), 1);
    assert!(index.search(&vector, 9, 0.0, NOW + 160_000).unwrap().is_empty());
    // Another vector for it displaces the first.
    index.insert(id(1), &clustered(2, 8), NOW + 160_000, NOW + 100_000).unwrap();
    let found = index.search(&clustered(2, 8), 9, -1.0, NOW + 100_000).unwrap();
    assert!(found.len() == 1 && found[0].cosine > 0.999);
}

#[test]
fn a_vector_of_another_length_or_without_direction_is_refused_and_changes_nothing() {
    let index = filled(0..10, 8);
    let before = index.stats();
    let wrong = VectorError::Dimension { expected: 8, found: 7 };
    assert_eq!(index.insert(id(1), &[1.0; 7], NOW + 1_000, NOW), Err(wrong));
    assert_eq!(index.search(&[1.0; 7], 1, 0.0, NOW), Err(wrong));
    assert_eq!(index.insert(id(1), &[f32::NAN; 8], NOW + 1_000, NOW), Err(VectorError::NoDirection));
    assert_eq!(index.search(&[0.0; 8], 1, 0.0, NOW), Err(VectorError::NoDirection));
    assert_eq!(index.stats(), before);
}

/// Scanned only, so that every answer is exact: what a search may miss it misses by a race.
#[test]
fn searches_meanwhile_find_every_entry_that_was_there_before() {
    let (index, inserted) = (Index::new(8, 1_000), AtomicU64::new(0));
    let search = || {
        let mut sure = 0;
        while sure < 250 {
            sure = inserted.load(Ordering::SeqCst);
            let found = ids(&index.search(&clustered(3, 8), 1_000, -1.0, NOW).unwrap());
            let missed: Vec<u64> = (0..sure).filter(|number| !found.contains(&id(*number))).collect();
            assert_eq!(missed, [0_u64; 0], "of {sure}");
        }
    };
    thread::scope(|scope| {
        scope.spawn(search);
        scope.spawn(search);
        for number in 0..250 {
            index.insert(id(number), &clustered(number, 8), NOW + 60_000, NOW).unwrap();
            inserted.store(number + 1, Ordering::SeqCst);
            // Moves on to another slice, which must not be seen as absent either.
            index.insert(id(number / 2), &clustered(number / 2, 8), NOW + 60_000 + number * 1_000, NOW).unwrap();
        }
    });
}
