//! The vector index against brute force: recall, look-up, insertion, memory, and how it fares when entries come and go.
//!
//!     cargo run --release -p peerway-bench --example vector_index -- 10000 100000 1000000
//!
//! The vectors are made to be like embeddings of text. A latent space of 48 dimensions holds topics of very unequal
//! size (Zipf), within them subjects, and within those the texts; a random projection takes it to 384 dimensions, a
//! common direction is added (texts are all a little alike) and a little noise in all directions. Half of the
//! questions are rewordings of a stored text, the others are new texts from the same topics. Because the machine is
//! shared, look-ups are timed three times each and the least counts, and insertions a second are of CPU time.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool that prints a table and has nothing to recover")]

use std::time::{Duration, Instant};

use peerway_cache::EntryId;
use peerway_cache::vector::Index;

const DIMENSION: usize = 384;
const LATENT: usize = 48;
const QUESTIONS: usize = 500;
const K: usize = 8;
const FLOOR: f32 = 0.3;
const NOW: u64 = 1_795_253_467_000;
const TTL_MS: u64 = 3_600_000;

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).map(|size| size.parse().unwrap()).collect();
    let sizes = if sizes.is_empty() { vec![10_000, 100_000] } else { sizes };
    println!(
        "| vectors | segments | recall@1 | of rewordings | recall@{K} | look-up p50 / p99 / max | while inserting p99 \
         | insertions a second | insertion p50 / p99 / max | bytes a vector: counted / resident |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for size in &sizes {
        print_row(*size);
    }
    for size in sizes.iter().filter(|size| **size <= 100_000) {
        print_churn(*size);
    }
}

fn print_row(size: usize) {
    let mut texts = Texts::new(7);
    let vectors: Vec<f32> = (0..size).flat_map(|_| texts.next()).collect();
    let questions = questions(&mut texts, &vectors);
    let oracle = oracle(&vectors, &questions);

    let resident_before = resident();
    let index = Index::new(DIMENSION, 4 * size);
    let cpu_before = cpu_time();
    let mut insertions = Vec::with_capacity(size);
    let mut meanwhile = Vec::new();
    for (number, vector) in vectors.chunks_exact(DIMENSION).enumerate() {
        // As entries of one time to live come in over that time.
        let now = NOW - TTL_MS + 1_000 + (TTL_MS - 1_000) * number as u64 / size as u64;
        let started = Instant::now();
        index.insert(id(number), vector, now + TTL_MS, now).unwrap();
        insertions.push(started.elapsed());
        if number >= size / 2 && number % (size / 2 / QUESTIONS) == 0 {
            meanwhile.push(timed(|| index.search(&questions[number % QUESTIONS], K, FLOOR, now).unwrap()).0);
        }
    }
    index.tend(usize::MAX, NOW);
    let took = cpu_time() - cpu_before;
    let resident = resident().saturating_sub(resident_before);

    let (recall, lookups) = ask(&index, &questions, &oracle, NOW);
    let stats = index.stats();
    println!(
        "| {size} | {} | {:.4} | {:.4} | {:.4} | {} | {} | {:.0} | {} | {} / {} |",
        stats.segments,
        recall.first,
        recall.first_of_rewordings,
        recall.all,
        percentiles(lookups),
        micros(*percentile(&mut meanwhile, 0.99)),
        size as f64 / took,
        percentiles(insertions),
        stats.bytes / size as u64,
        resident / size as u64,
    );
}

/// Three times to live long, as many entries come as go.
fn print_churn(size: usize) {
    println!("\nChurn: {size} entries at any time, each for an hour\n");
    println!("| hours | rows held | segments | recall@1 | look-up p50 / p99 / max | insertion p50 / p99 / max | MiB |");
    println!("|---|---|---|---|---|---|---|");
    let mut texts = Texts::new(11);
    let index = Index::new(DIMENSION, 4 * size);
    let mut alive: Vec<f32> = Vec::new();
    let (rounds, each) = (12, size / 4);
    for round in 0..rounds {
        let mut insertions = Vec::with_capacity(each);
        let mut now = NOW;
        for number in 0..each {
            let vector = texts.next();
            now = NOW + (round * each + number) as u64 * TTL_MS / size as u64;
            let started = Instant::now();
            index.insert(id(round * each + number), &vector, now + TTL_MS, now).unwrap();
            insertions.push(started.elapsed());
            alive.extend(vector);
        }
        // An entry lives while as many as `size` come after it.
        let gone = alive.len().saturating_sub((size - 1) * DIMENSION);
        alive.drain(..gone);
        let questions = questions(&mut texts, &alive);
        let oracle = oracle(&alive, &questions);
        let (recall, lookups) = ask(&index, &questions, &oracle, now);
        let stats = index.stats();
        println!(
            "| {:.2} | {} | {} | {:.4} | {} | {} | {} |",
            (round + 1) as f64 / 4.0,
            stats.rows,
            stats.segments,
            recall.first,
            percentiles(lookups),
            percentiles(insertions),
            stats.bytes >> 20,
        );
    }
}

struct Recall {
    first: f64,
    first_of_rewordings: f64,
    all: f64,
}

fn ask(index: &Index, questions: &[Vec<f32>], oracle: &[Vec<f32>], now: u64) -> (Recall, Vec<Duration>) {
    let (mut first, mut rewordings, mut all, mut wanted_all) = (0, 0, 0, 0);
    let mut lookups = Vec::with_capacity(questions.len());
    for (number, (question, wanted)) in questions.iter().zip(oracle).enumerate() {
        let runs: Vec<_> = (0..3).map(|_| timed(|| index.search(question, K, FLOOR, now).unwrap())).collect();
        lookups.push(runs.iter().map(|run| run.0).min().unwrap());
        let found = &runs[0].1;
        // Judged by the cosine, so that of two equally near either is right.
        let is_right = |place: usize| found.get(place).is_some_and(|one| one.cosine >= wanted[place] - 1e-4);
        let is_first = wanted.is_empty() || is_right(0);
        first += usize::from(is_first);
        rewordings += usize::from(is_first && number % 2 == 0);
        all += (0..wanted.len()).filter(|place| is_right(*place)).count();
        wanted_all += wanted.len();
    }
    let share = |part: usize, whole: usize| part as f64 / whole as f64;
    let recall = Recall {
        first: share(first, questions.len()),
        first_of_rewordings: share(rewordings, questions.len() / 2),
        all: share(all, wanted_all.max(1)),
    };
    (recall, lookups)
}

/// The cosines of the best `K` over the floor, for each question, the best first.
fn oracle(vectors: &[f32], questions: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut best = vec![Vec::with_capacity(K + 1); questions.len()];
    for vector in vectors.chunks_exact(DIMENSION) {
        for (question, best) in questions.iter().zip(&mut best) {
            let cosine = dot(question, vector);
            if cosine >= FLOOR && (best.len() < K || best.last().is_some_and(|last| cosine > *last)) {
                best.insert(best.partition_point(|other| *other >= cosine), cosine);
                best.truncate(K);
            }
        }
    }
    best
}

/// Even ones are rewordings of a text that is there, odd ones are new.
fn questions(texts: &mut Texts, vectors: &[f32]) -> Vec<Vec<f32>> {
    let stored = vectors.len() / DIMENSION;
    (0..QUESTIONS)
        .map(|number| {
            if number % 2 == 1 {
                return texts.next();
            }
            let at = texts.random.below(stored) * DIMENSION;
            let noise = 0.2 + 0.6 * texts.random.uniform();
            texts.reworded(&vectors[at..at + DIMENSION], noise)
        })
        .collect()
}

struct Texts {
    random: Random,
    projection: Vec<f32>,
    common: Vec<f32>,
    topics: Vec<Vec<f32>>,
}

const TOPICS: usize = 300;
const SUBJECTS: usize = 20;

impl Texts {
    fn new(seed: u64) -> Texts {
        // The same space for all, so that only the texts differ by seed.
        let mut random = Random(1);
        let projection = random.normals(LATENT * DIMENSION);
        let common = unit(random.normals(DIMENSION));
        let mut topics = Vec::with_capacity(TOPICS * SUBJECTS);
        for _ in 0..TOPICS {
            let topic = random.normals(LATENT);
            topics.extend((0..SUBJECTS).map(|_| sum(&topic, 0.7, &random.normals(LATENT))));
        }
        Texts { random: Random(seed), projection, common, topics }
    }

    fn next(&mut self) -> Vec<f32> {
        // The n-th topic is about 1/n as frequent as the first.
        let rank = (TOPICS as f64).powf(f64::from(self.random.uniform())) as usize - 1;
        let subject = rank.min(TOPICS - 1) * SUBJECTS + self.random.below(SUBJECTS);
        let text = sum(&self.topics[subject], 0.6, &self.random.normals(LATENT));
        let text = self.project(&text);
        let text = sum(&text, 0.4, &self.common);
        self.noised(&text, 0.25)
    }

    /// Changed along the space in which texts differ, and a little in all directions.
    fn reworded(&mut self, text: &[f32], by: f32) -> Vec<f32> {
        let change = self.random.normals(LATENT);
        let change = self.project(&change);
        let changed = sum(text, by, &change);
        self.noised(&changed, 0.25 * by)
    }

    fn project(&self, latent: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; DIMENSION];
        for (value, row) in latent.iter().zip(self.projection.chunks_exact(DIMENSION)) {
            out.iter_mut().zip(row).for_each(|(out, row)| *out += value * row);
        }
        unit(out)
    }

    fn noised(&mut self, text: &[f32], share: f32) -> Vec<f32> {
        let noise = unit(self.random.normals(DIMENSION));
        unit(sum(text, share, &noise))
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    /// About normal: the sum of eight, which is fast and round enough.
    fn normals(&mut self, count: usize) -> Vec<f32> {
        let normal = |bits: u64| {
            let sum: u32 = bits.to_le_bytes().iter().map(|byte| u32::from(*byte)).sum();
            (sum as f32 - 1020.0) / 209.0
        };
        (0..count).map(|_| normal(self.next())).collect()
    }
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut lanes = [0_f32; 16];
    for (one, other) in one.chunks_exact(16).zip(other.chunks_exact(16)) {
        for lane in 0..16 {
            lanes[lane] += one[lane] * other[lane];
        }
    }
    lanes.iter().sum()
}

fn sum(one: &[f32], share: f32, other: &[f32]) -> Vec<f32> {
    one.iter().zip(other).map(|(one, other)| one + share * other).collect()
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = dot(&vector, &vector).sqrt();
    vector.into_iter().map(|value| value / length).collect()
}

fn id(number: usize) -> EntryId {
    let mut random = Random(number as u64);
    let mut id = [0; 32];
    id.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.next().to_le_bytes()));
    id.into()
}

fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let result = run();
    (started.elapsed(), result)
}

fn percentile(times: &mut [Duration], share: f64) -> &Duration {
    times.sort_unstable();
    &times[((times.len() - 1) as f64 * share) as usize]
}

fn percentiles(mut times: Vec<Duration>) -> String {
    [0.5, 0.99, 1.0].map(|share| micros(*percentile(&mut times, share))).join(" / ")
}

fn micros(time: Duration) -> String {
    format!("{:.0} us", time.as_secs_f64() * 1e6)
}

/// The resident memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0_u64) * 4096
}

/// The time that this process has had on a processor, in seconds.
fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split(' ').skip(12).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}
