//! What a look-up in the vector index costs, scanned and by the graph, and what an insertion does.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use peerway_cache::EntryId;
use peerway_cache::vector::Index;

const DIMENSION: usize = 384;
const NOW: u64 = 1_795_253_467_000;
const LATER: u64 = NOW + 3_600_000;

/// Around one of 500 centres; `examples/vector_index.rs` has vectors more like those of texts, and recall.
fn vector(number: u64) -> Vec<f32> {
    let value = |seed: u64| {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 29)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let at = |n: u64, axis: usize| value(n * DIMENSION as u64 + axis as u64 + 1);
    (0..DIMENSION).map(|axis| at((1 << 40) + number % 500, axis) + 0.7 * at(number, axis)).collect()
}

fn id(number: u64) -> EntryId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    id.into()
}

fn filled(count: u64) -> Index {
    let index = Index::new(DIMENSION, 1 << 20);
    for number in 0..count {
        index.insert(id(number), &vector(number), LATER, NOW).expect("a vector");
    }
    index.tend(usize::MAX, NOW);
    index
}

fn look_up(criterion: &mut Criterion) {
    for count in [1_000, 4_000, 20_000] {
        let index = filled(count);
        let questions: Vec<_> = (1 << 30..(1 << 30) + 64).map(vector).collect();
        let mut number = 0;
        criterion.bench_function(&format!("vector look-up among {count}"), |bencher| {
            bencher.iter(|| {
                number += 1;
                black_box(index.search(&questions[number % 64], 8, 0.3, NOW).expect("a vector"))
            });
        });
    }
}

fn insert(criterion: &mut Criterion) {
    for count in [1_000, 20_000] {
        let index = filled(count);
        let mut number = count;
        criterion.bench_function(&format!("vector insertion among {count}"), |bencher| {
            bencher.iter_batched(
                || {
                    number += 1;
                    (id(number), vector(number))
                },
                |(id, vector)| index.insert(id, &vector, LATER, NOW).expect("a vector"),
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, look_up, insert);
criterion_main!(benches);
