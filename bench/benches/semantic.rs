//! What a semantic look-up costs in this process: a static embedding, and a judgement of the guard.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use peerway_cache::semantic::{Guard, Prompt, Reason, StaticEmbedder};

const SHORT: &str = "How do I restore a file that I deleted in git but haven't committed yet?";
const REWORDED: &str = "I removed a file in Git and did not commit; what brings it back?";

/// Prose of about so many words, out of the repository's own.
fn prose(text: &str, words: usize) -> String {
    text.split_whitespace()
        .filter(|word| word.starts_with(char::is_alphabetic))
        .take(words)
        .collect::<Vec<_>>()
        .join(" ")
}

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
    criterion.bench_function("reading of a prompt of 15 words", |bencher| {
        bencher.iter(|| Prompt::read(black_box(SHORT)));
    });
    criterion.bench_function("judgement of two prompts of 15 words, read before", |bencher| {
        let (first, second) = (Prompt::read(SHORT), Prompt::read(REWORDED));
        bencher.iter(|| guard.judge_read(black_box(&first), black_box(&second)));
    });
    let caching = prose(include_str!("../../docs/caching.md"), 390);
    let other = prose(include_str!("../../docs/routing.md"), 390);
    let changed = caching.replace(" client ", " user ").replace("provider", "upstream");
    for (what, second) in [("unlike", &other), ("alike", &changed)] {
        assert_ne!(guard.judge(&caching, second).reason, Some(Reason::TooLong), "{what}");
        criterion.bench_function(&format!("judgement of two prompts of 390 words, {what}"), |bencher| {
            bencher.iter(|| guard.judge(black_box(&caching), black_box(second)));
        });
    }
    criterion.bench_function("reading of a prompt of 390 words", |bencher| {
        bencher.iter(|| Prompt::read(black_box(&caching)));
    });
    criterion.bench_function("judgement of two prompts of 120 words", |bencher| {
        let other = REWORDED.repeat(8);
        bencher.iter(|| guard.judge(black_box(&long), black_box(&other)));
    });
}

criterion_group!(benches, semantic);
criterion_main!(benches);
