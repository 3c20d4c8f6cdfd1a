//! Runs of many seeds, the first that fails told in full, and the mistakes that must be found.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::oracle;
use super::rest::End;
use super::rng::Rng;
use super::tally::Tally;
use super::world::World;
use crate::ledger::mutation::{Mutation, plant};

/// What was broken, and how it came to that.
type Broken = (String, Vec<String>);

/// Runs these steps of a seed.
fn run(seed: u64, steps: &[u64], trace: bool) -> Result<(End, Tally), Broken> {
    let mut world = World::new(seed).map_err(|what| (format!("at the start: {what}"), Vec::new()))?;
    world.trace = trace.then(Vec::new);
    match play(&mut world, seed, steps) {
        Ok(end) => Ok((end, world.tally)),
        Err(what) => Err((what, world.trace.unwrap_or_default())),
    }
}

fn play(world: &mut World, seed: u64, steps: &[u64]) -> Result<End, String> {
    for step in steps {
        world.step(&mut Rng::new(seed, *step)).map_err(|what| format!("step {step}: {what}"))?;
    }
    let end = world.quiesce().map_err(|what| format!("while all comes to rest: {what}"))?;
    oracle::check_quiet(world).map_err(|what| format!("at rest: {what}"))?;
    world.check_liveness(seed).map_err(|what| format!("at rest: {what}"))?;
    Ok(end)
}

/// Which promise was broken; a shorter run must break the same one.
fn promise(what: &str) -> Option<&str> {
    what.split(' ').find(|word| word.starts_with('I') && word.ends_with(':'))
}

/// Leaves out ever smaller stretches of steps as long as the run still fails.
fn shrink(seed: u64, steps: Vec<u64>, what: &str) -> Vec<u64> {
    let mut steps = steps;
    let mut chunk = steps.len() / 2;
    let mut tries = 400;
    while chunk > 0 && tries > 0 {
        let mut at = 0;
        while at < steps.len() && tries > 0 {
            tries -= 1;
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(steps.len()));
            if run(seed, &fewer, false).is_err_and(|(other, _)| promise(&other) == promise(what)) {
                steps = fewer;
            } else {
                at += chunk;
            }
        }
        chunk /= 2;
    }
    steps
}

/// What a failing seed comes to, in full.
fn told(seed: u64, count: u64, first: &str) -> String {
    let fewest = shrink(seed, (0..count).collect(), first);
    let (what, trace) = run(seed, &fewest, true).err().unwrap_or((first.to_owned(), Vec::new()));
    let from = trace.len().saturating_sub(setting("LEDGER_TRACE", 60) as usize);
    let (steps, trace) = (fewest.len(), trace[from..].join("\n"));
    in_short(&format!("seed {seed}: {first}\nshrunk to {steps} of {count} steps {fewest:?}: {what}\n{trace}"))
}

/// Actors and counters as people write them.
fn in_short(text: &str) -> String {
    let mut parts = text.split("Actor { node: \"");
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        short += &part.replacen("\", incarnation: Incarnation(", "@", 1).replacen(") }", "", 1);
    }
    let mut parts = short.split("AllowanceId(");
    let mut shorter = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shorter += &part[..4];
        shorter += &part[33..];
    }
    shorter.replace("CounterId { allowance: ", "{").replace("window_start: ", "")
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Runs the seeds on all cores: the first that fails, or what happened in all of them.
fn run_all(seeds: Range<u64>, count: u64) -> Result<Tally, (u64, String)> {
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicU64::new(u64::MAX));
    let steps: Vec<u64> = (0..count).collect();
    let sum = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || seed > failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let Ok((end, tally)) = run(seed, &steps, false) else {
                        failed.fetch_min(seed, Ordering::Relaxed);
                        continue;
                    };
                    let mut sum = sum.lock().unwrap();
                    sum.note(if end == End::Whole { "whole in the end" } else { "nobody left" });
                    sum.add(tally);
                }
            });
        }
    });
    match failed.into_inner() {
        u64::MAX => Ok(sum.into_inner().unwrap()),
        seed => Err((seed, run(seed, &steps, false).err().map_or("not again".to_owned(), |(what, _)| what))),
    }
}

#[test]
fn no_fault_breaks_an_invariant() {
    let (first, seeds, steps) =
        (setting("LEDGER_FIRST_SEED", 0), setting("LEDGER_SEEDS", 200), setting("LEDGER_STEPS", 2_000));
    let tally = run_all(first..first + seeds, steps)
        .unwrap_or_else(|(seed, what)| panic!("0 violations wanted\n{}", told(seed, steps, &what)));
    println!("{seeds} seeds x {steps} steps: 0 violations; {tally}");
    let whole = tally.of("whole in the end");
    assert!(whole * 10 >= seeds * 7, "only in {whole} of {seeds} runs was anybody left to hold the limit");
}

/// Plants a mistake and looks for it from this seed on.
fn is_found(mutation: Mutation, first: u64) {
    let within = setting("LEDGER_PLANTED_SEEDS", 40);
    plant(Some(mutation));
    let steps: Vec<u64> = (0..2_000).collect();
    let found = (first..first + within).find_map(|seed| Some((seed, run(seed, &steps, false).err()?.0)));
    plant(None);
    let (seed, what) = found.unwrap_or_else(|| panic!("{mutation:?} is not found in {within} seeds from {first} on"));
    println!("{mutation:?}: seed {seed}: {}", in_short(&what));
}

#[test]
fn a_double_counted_transfer_is_found() {
    is_found(Mutation::DoubleCountedTransfer, 0);
}

#[test]
fn a_share_raised_on_join_is_found() {
    is_found(Mutation::ShareRaisedOnJoin, 0);
}

#[test]
fn rows_merged_by_sum_are_found() {
    is_found(Mutation::RowMergedBySum, 0);
}

#[test]
fn a_reserve_lost_on_abort_is_found() {
    is_found(Mutation::LostReserveOnAbort, 0);
}

#[test]
fn an_actor_reused_after_disk_loss_is_found() {
    is_found(Mutation::ActorReused, 0);
}

#[test]
fn a_leaver_dropped_a_window_too_early_is_found() {
    is_found(Mutation::LeaverDroppedEarly, 0);
}

#[test]
fn a_newcomer_counted_as_founder_is_found() {
    is_found(Mutation::NewcomerAsFounder, 0);
}

#[test]
fn statements_told_before_they_are_durable_are_found() {
    is_found(Mutation::ToldBeforeDurable, 0);
}

#[test]
fn a_clock_that_is_believed_when_it_steps_back_is_found() {
    is_found(Mutation::ClockBelieved, 0);
}

#[test]
fn an_actor_forgotten_by_a_newcomer_is_found() {
    is_found(Mutation::ForgottenByNewcomer, 40);
}

#[test]
fn a_newcomer_that_nobody_vouches_for_is_found() {
    is_found(Mutation::NobodyVouches, 700);
}

#[test]
fn a_recalled_slice_counted_twice_is_found() {
    is_found(Mutation::RecalledTwice, 0);
}

#[test]
fn a_failure_is_told_with_its_seed_and_the_few_steps_that_it_takes() {
    plant(Some(Mutation::LostReserveOnAbort));
    let (what, _) = run(0, &(0..2_000).collect::<Vec<_>>(), false).expect_err("it is planted");
    let told = told(0, 2_000, &what);
    plant(None);
    let shrunk = told.lines().find_map(|line| line.strip_prefix("shrunk to ")).expect("it says to what it was shrunk");
    let steps: usize = shrunk.split(' ').next().and_then(|count| count.parse().ok()).expect("a number");
    assert!(told.starts_with("seed 0: ") && steps < 20 && told.contains("End { id:"), "{told}");
}
