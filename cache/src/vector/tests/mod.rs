//! What the index promises, against a brute-force model.

mod against_model;
mod bounds;
mod copies;
mod graph;
mod spaces;

use super::{Candidate, Index};
use crate::identity::EntryId;

const NOW: u64 = 1_795_253_467_000;

fn id(number: u64) -> EntryId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_le_bytes());
    id[28..].copy_from_slice(&(number as u32).to_le_bytes());
    id.into()
}

fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter().map(|value| value / length).collect()
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    unit(one).iter().zip(unit(other)).map(|(one, other)| one * other).sum()
}

/// A point of a cloud around one of 20 centres, the same for the same number.
fn clustered(number: u64, dimension: usize) -> Vec<f32> {
    let value = |seed: u64| {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 29)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let at = |n: u64, axis: usize| value(n * 1_000 + axis as u64 + 1);
    (0..dimension).map(|axis| at(1_000_000 + number % 20, axis) + 0.5 * at(number, axis)).collect()
}

fn ids(found: &[Candidate]) -> Vec<EntryId> {
    found.iter().map(|candidate| candidate.id).collect()
}

/// An index with these numbers' points, each for an hour.
fn filled(numbers: std::ops::Range<u64>, dimension: usize) -> Index {
    let index = Index::new(dimension, 1_000_000);
    for number in numbers {
        index.insert(id(number), &clustered(number, dimension), NOW + 3_600_000, NOW).unwrap();
    }
    index
}
