//! Runs of many seeds, the first that fails told in full, and the mistakes that must be found.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::oracle;
use super::rest::End;
use super::rng::Rng;
use super::world::World;
use crate::ledger::mutation::{Mutation, plant};

/// What was broken, and how it came to that.
type Broken = (String, Vec<String>);

/// How often what happened.
type Tally = BTreeMap<&'static str, u64>;

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
    let sum = Mutex::new(Tally::new());
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
                    *sum.entry("runs").or_default() += 1;
                    *sum.entry("whole in the end").or_default() += u64::from(end == End::Whole);
                    for (what, count) in tally {
                        *sum.entry(what).or_default() += count;
                    }
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
    println!("{seeds} seeds x {steps} steps: 0 violations; {tally:?}");
    let whole = tally["whole in the end"];
    assert!(whole * 10 >= seeds * 7, "only in {whole} of {seeds} runs was anybody left to hold the limit");
}

/// Plants a mistake, looks for it from this seed on, and tells what shows it.
fn is_found(mutation: Mutation, first: u64, within: u64) {
    plant(Some(mutation));
    let steps: Vec<u64> = (0..2_000).collect();
    let found = (first..first + within).find_map(|seed| Some((seed, run(seed, &steps, false).err()?.0)));
    plant(None);
    let (seed, what) = found.unwrap_or_else(|| panic!("{mutation:?} is not found"));
    println!("{mutation:?}: seed {seed}: {}", in_short(&what));
}

#[test]
fn explore() {
    for mutation in [
        Mutation::DoubleCountedTransfer,
        Mutation::RowMergedBySum,
        Mutation::LostReserveOnAbort,
        Mutation::ActorReused,
        Mutation::NewcomerAsFounder,
        Mutation::LeaverDroppedEarly,
        Mutation::ShareRaisedOnJoin,
        Mutation::ToldBeforeDurable,
        Mutation::ClockBelieved,
        Mutation::ForgottenByNewcomer,
        Mutation::RecalledTwice,
    ] {
        let _ = std::panic::catch_unwind(|| is_found(mutation, 0, 2_000));
    }
}
