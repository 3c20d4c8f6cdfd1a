//! What it costs a request to reserve and to settle over four tiers, at 10,000 keys.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench that cannot be set up has nothing to measure; criterion has no place for percentiles"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use peerway_cluster::ledger::allowance::{Allowance, AllowanceId, Tier, Unit};
use peerway_cluster::ledger::hot::{Part, Slice, Slot, try_hold};
use peerway_cluster::ledger::window::WindowKind;

const NOW: i64 = 1_795_253_467;
const KEYS: usize = 10_000;

/// An allowance with more open than the bench can use.
fn slot(tier: Tier, owner: &str) -> Arc<Slot> {
    let window = WindowKind::D1;
    let id = AllowanceId::of(tier, owner, Unit::NanoUsd, window, 0);
    let allowance = Allowance { id, unit: Unit::NanoUsd, limit: 1 << 60, window };
    let slot = Arc::new(Slot::new(allowance));
    let slice = Arc::new(Slice::new(allowance.counter(NOW), window.span(NOW).end));
    slice.amounts().fill(1 << 60);
    slot.set_slice(Some(slice));
    slot
}

/// The tiers of 10,000 keys in 100 teams of 10 customers, each key with one provider of its own.
fn tiers() -> Vec<[Arc<Slot>; 4]> {
    let customers: Vec<_> = (0..10).map(|n| slot(Tier::Customer, &format!("customer-{n}"))).collect();
    let teams: Vec<_> = (0..100).map(|n| slot(Tier::Team, &format!("team-{n}"))).collect();
    let of_key = |n: usize| {
        let (team, customer) = (Arc::clone(&teams[n % 100]), Arc::clone(&customers[n % 10]));
        [customer, team, slot(Tier::Key, &format!("key-{n}")), slot(Tier::ProviderConfig, &format!("key-{n}/openai"))]
    };
    (0..KEYS).map(of_key).collect()
}

fn reserve_and_settle(tiers: &[Arc<Slot>; 4]) {
    let parts = tiers.each_ref().map(|slot| Part { slot, amount: 1_000 });
    let hold = try_hold(black_box(&parts), NOW).expect("there is enough");
    hold.settle(black_box(&[400; 4]));
}

/// Keys in an order in which no cache line helps the next request.
fn next(at: &mut usize) -> usize {
    *at = (*at + 7_919) % KEYS;
    *at
}

fn budgets(c: &mut Criterion) {
    let keys = Arc::new(tiers());
    let mut group = c.benchmark_group("budgets");
    let mut at = 0;
    group.bench_function("reserve and settle, 4 tiers", |b| b.iter(|| reserve_and_settle(&keys[next(&mut at)])));

    let stop = Arc::new(AtomicBool::new(false));
    let other = std::thread::spawn({
        let (keys, stop) = (Arc::clone(&keys), Arc::clone(&stop));
        move || {
            let mut at = 1;
            while !stop.load(Ordering::Relaxed) {
                reserve_and_settle(&keys[next(&mut at)]);
            }
        }
    });
    group.bench_function("the same while another thread does it too", |b| {
        b.iter(|| reserve_and_settle(&keys[next(&mut at)]));
    });
    percentiles("beside another thread", &keys, &mut at);
    stop.store(true, Ordering::Relaxed);
    other.join().expect("the other thread ends");
    percentiles("alone", &keys, &mut at);
}

/// Criterion tells the mean of many; a request in the tail is one. The clock's own cost is in the figures.
fn percentiles(how: &str, keys: &[[Arc<Slot>; 4]], at: &mut usize) {
    let mut times = Histogram::<u64>::new(3).expect("three digits are allowed");
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        let tiers = &keys[next(at)];
        let began = Instant::now();
        reserve_and_settle(tiers);
        times.saturating_record(began.elapsed().as_nanos() as u64);
    }
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|quantile| times.value_at_quantile(quantile));
    eprintln!("budgets/reserve and settle, {how}: p50 {p50} ns, p99 {p99} ns, p99.9 {p999} ns of {}", times.len());
}

criterion_group!(benches, budgets);
criterion_main!(benches);
