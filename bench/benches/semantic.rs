//! What a semantic look-up costs in this process: a static embedding, and a judgement of the guard.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use peerway_cache::semantic::{Guard, StaticEmbedder};

const SHORT: &str = "How do I restore a file that I deleted in git but haven't committed yet?";
const REWORDED: &str = "I removed a file in Git and did not commit; what brings it back?";

fn semantic(criterion: &mut Criterion) {
    let embedder = StaticEmbedder::new();
    let guard = Guard::new();
    let long = SHORT.repeat(8);
    criterion.bench_function("static embedding of 15 words", |bencher| {
        bencher.iter(|| embedder.vector(black_box(SHORT)));
    });
    criterion.bench_function("static embedding of 120 words", |bencher| {
        bencher.iter(|| embedder.vector(black_box(&long)));
    });
    criterion.bench_function("judgement of two prompts of 15 words", |bencher| {
        bencher.iter(|| guard.judge(black_box(SHORT), black_box(REWORDED)));
    });
    criterion.bench_function("judgement of two prompts of 120 words", |bencher| {
        let other = REWORDED.repeat(8);
        bencher.iter(|| guard.judge(black_box(&long), black_box(&other)));
    });
}

criterion_group!(benches, semantic);
criterion_main!(benches);
