use super::*;
use crate::identity::NamespaceId;
use crate::vector::{Indexes, IndexesConfig, Space};

const LIFE: u64 = 3_600_000;

fn space(scope: u8, context: u8) -> Space {
    Space { namespace: NamespaceId { scope: [scope; 16], name: [0; 16] }, context: [context; 32] }
}

fn indexes(max_bytes: u64, max_spaces: usize) -> Indexes {
    Indexes::new(IndexesConfig { max_bytes, max_spaces })
}

fn insert(indexes: &Indexes, space: Space, number: u64, dimension: usize, now: u64) {
    indexes.insert(space, id(number), &clustered(number, dimension), now + LIFE, now).unwrap();
}

fn finds(indexes: &Indexes, space: Space, number: u64, dimension: usize) -> bool {
    let found = indexes.search(space, &clustered(number, dimension), 100, -1.0, NOW).unwrap();
    ids(&found).contains(&id(number))
}

#[test]
fn spaces_never_see_each_other_and_a_dimension_is_a_space() {
    let indexes = indexes(1 << 20, 100);
    insert(&indexes, space(1, 1), 7, 8, NOW);
    insert(&indexes, space(1, 1), 7, 16, NOW);
    for (other, dimension) in [(space(2, 1), 8), (space(1, 2), 8), (space(1, 1), 12)] {
        assert!(!finds(&indexes, other, 7, dimension));
    }
    assert!(finds(&indexes, space(1, 1), 7, 8) && finds(&indexes, space(1, 1), 7, 16));
    assert_eq!(indexes.stats().vectors, 2);
    assert!(indexes.delete(&id(7)) && !indexes.delete(&id(7)), "in all spaces at once");
    assert_eq!(indexes.stats(), Default::default());
}

#[test]
fn whoever_floods_pays_for_it() {
    let max_bytes = 200_000;
    let indexes = indexes(max_bytes, 100);
    for number in 0..10 {
        insert(&indexes, space(1, 1), number, 16, NOW);
    }
    for number in 100..5_000 {
        insert(&indexes, space(2, 1), number, 16, NOW + number);
        assert!(indexes.stats().bytes <= max_bytes);
    }
    assert!(indexes.stats().bytes > max_bytes / 2);
    assert!((0..10).all(|number| finds(&indexes, space(1, 1), number, 16)), "the small one keeps all");
    assert!(finds(&indexes, space(2, 1), 4_999, 16));
}

#[test]
fn beyond_the_number_of_spaces_the_one_goes_that_was_used_longest_ago() {
    let indexes = indexes(1 << 30, 10);
    for number in 0..10 {
        insert(&indexes, space(number as u8, 0), number, 8, NOW + number);
    }
    let first = indexes.search(space(0, 0), &clustered(0, 8), 1, 0.9, NOW + 100).unwrap();
    assert_eq!(first.len(), 1);
    insert(&indexes, space(10, 0), 10, 8, NOW + 101);
    assert!(finds(&indexes, space(0, 0), 0, 8), "it was asked");
    assert!(!finds(&indexes, space(1, 0), 1, 8));
    assert_eq!(indexes.spaces().len(), 10);
    assert_eq!(indexes.stats().bytes, indexes.spaces().iter().map(|(_, stats)| stats.bytes).sum::<u64>());
}

#[test]
fn a_purge_takes_the_spaces_that_are_meant_and_expiry_all_that_are_empty() {
    let indexes = indexes(1 << 30, 100);
    for scope in 0..6 {
        insert(&indexes, space(scope, 0), u64::from(scope), 8, NOW);
        insert(&indexes, space(scope, 1), u64::from(scope), 8, NOW + 60_000_000);
    }
    assert_eq!(indexes.purge(|space| space.namespace.scope == [2; 16]), 2);
    assert_eq!(indexes.stats().vectors, 10);
    indexes.tend(100, NOW + 30_000_000);
    assert_eq!((indexes.spaces().len(), indexes.stats().vectors), (5, 5));
    assert_eq!(indexes.purge(|_| true), 5);
    assert_eq!(indexes.stats(), Default::default());
}
