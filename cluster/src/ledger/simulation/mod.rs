//! Whole clusters of ledgers, thousands of steps each, with every fault that the design names, and an oracle that sees
//! all of it. A run is its seed: a failure prints it, with the shortest list of steps that still fails and their trace.
//!
//! `LEDGER_SEEDS=20000 LEDGER_STEPS=2000 cargo test --release -p peerway-cluster ledger::simulation` is the long run;
//! `LEDGER_FIRST_SEED` tells where it begins.

mod oracle;
mod provider;
mod rng;
mod world;

use rng::Rng;
use world::{Faults, FixedShares, World};

use super::allowance::CounterId;
use super::counter::Counter;
use super::event::Charge;
use super::ledger::{Ledger, Shares};
use super::mutation::{Mutation, plant};

/// Runs these steps of a seed.
fn run(seed: u64, steps: &[u64], faults: Faults, trace: bool) -> Result<(), (String, Vec<String>)> {
    let mut world = World::new(seed, faults);
    world.trace = trace.then(Vec::new);
    let result = play(&mut world, seed, steps);
    result.map_err(|what| (what, world.trace.take().unwrap_or_default()))
}

fn play(world: &mut World, seed: u64, steps: &[u64]) -> Result<(), String> {
    for step in steps {
        world.step(&mut Rng::new(seed, *step)).map_err(|what| format!("step {step}: {what}"))?;
    }
    world.quiesce().map_err(|what| format!("while all comes to rest: {what}"))?;
    oracle::check_quiet(world).map_err(|what| format!("at rest: {what}"))?;
    check_liveness(world, seed).map_err(|what| format!("at rest: {what}"))
}

/// I6: what is left anywhere can be spent at any node, to the last unit, and no more.
fn check_liveness(world: &mut World, seed: u64) -> Result<(), String> {
    let mut rng = Rng::new(seed, u64::MAX - 1);
    for allowance in world.allowances.clone() {
        let at = rng.index(world.nodes.len());
        let id = allowance.counter(world.now(at).unix);
        // A clock that was ahead for longer than windows are kept has closed this one for its node: safe, but not live.
        if world.nodes.iter().any(|node| node.ledger.as_ref().is_some_and(|ledger| ledger.is_closed(&id))) {
            continue;
        }
        for turn in 0..3 {
            let most = held(world, at, &id, allowance.limit, |counter| counter.rights().max(0));
            let held = held(world, at, &id, allowance.limit, |counter| i128::from(counter.available()));
            // An actual above its reservation overdraws its own node; what the others hold is then more than is left.
            let left = held.min(world.oracle.left(&id, allowance.limit));
            let amount = [1 + rng.below(left), most + 1, left][turn];
            if amount == 0 {
                continue;
            }
            let charges = vec![Charge { allowance: allowance.id, amount }];
            let reservation = world.reserve(None, at, charges)?;
            for _ in 0..25 {
                world.deliver_all()?;
                world.pass(1);
                world.tick_all()?;
            }
            world.settle_down(60)?;
            let granted = world.verdicts.get(&reservation).copied();
            let sound = granted == Some(true) && amount <= most || granted == Some(false) && amount > left;
            if !sound {
                return Err(format!("I6: {amount} of {left} asked for at {at}, granted: {granted:?}, in {id:?}"));
            }
            while !world.nodes[at].running.is_empty() {
                world.finish(None, at, 0, false)?;
            }
        }
    }
    Ok(())
}

/// What `at` could have: its own rights, which may be overdrawn, and what the others may give.
fn held(world: &World, at: usize, id: &CounterId, limit: u64, others: fn(&Counter) -> i128) -> u64 {
    let rights = |(index, ledger): (usize, &Ledger<FixedShares>)| match ledger.counters().get(id) {
        // A counter that nobody touched there still has that node's share.
        None => i128::from(ledger.shares.share(id, limit)),
        Some(counter) if index == at => counter.rights(),
        Some(counter) => others(counter),
    };
    let ledgers = world.nodes.iter().enumerate().filter_map(|(index, node)| Some((index, node.ledger.as_ref()?)));
    u64::try_from(ledgers.map(rights).sum::<i128>()).unwrap_or(0)
}

/// Which promise was broken; a shorter run must break the same one.
fn promise(what: &str) -> Option<&str> {
    what.split(' ').find(|word| word.starts_with('I') && word.ends_with(':'))
}

/// Leaves out ever smaller stretches of steps as long as the run still fails.
fn shrink(seed: u64, steps: Vec<u64>, faults: Faults, what: &str) -> Vec<u64> {
    let mut steps = steps;
    let mut chunk = steps.len() / 2;
    let mut tries = 400;
    while chunk > 0 && tries > 0 {
        let mut at = 0;
        while at < steps.len() && tries > 0 {
            tries -= 1;
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(steps.len()));
            if run(seed, &fewer, faults, false).is_err_and(|(other, _)| promise(&other) == promise(what)) {
                steps = fewer;
            } else {
                at += chunk;
            }
        }
        chunk /= 2;
    }
    steps
}

/// The first seed that fails, told in full.
fn first_failure(seeds: std::ops::Range<u64>, count: u64, faults: Faults) -> Option<(u64, String)> {
    for seed in seeds {
        let steps: Vec<u64> = (0..count).collect();
        if let Err((first, _)) = run(seed, &steps, faults, false) {
            let fewest = shrink(seed, steps, faults, &first);
            let (what, trace) = run(seed, &fewest, faults, true).err().unwrap_or((first.clone(), Vec::new()));
            let from = trace.len().saturating_sub(40);
            let told = format!(
                "seed {seed}: {first}\nshrunk to {} of {count} steps {fewest:?}: {what}\n{}",
                fewest.len(),
                trace[from..].join("\n")
            );
            return Some((seed, told));
        }
    }
    None
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

#[test]
fn no_fault_breaks_an_invariant() {
    let (first, seeds, steps) =
        (setting("LEDGER_FIRST_SEED", 0), setting("LEDGER_SEEDS", 200), setting("LEDGER_STEPS", 2_000));
    if let Some((_, told)) = first_failure(first..first + seeds, steps, Faults::ALL) {
        panic!("{told}");
    }
    println!("{seeds} seeds x {steps} steps: 0 violations");
}

fn is_found(name: &str, faults: Faults, mutation: Option<Mutation>) {
    plant(mutation);
    let found = first_failure(0..100, 2_000, faults);
    plant(None);
    let (_, told) = found.unwrap_or_else(|| panic!("{name} was not found"));
    println!("{name}: {}", told.lines().take(2).collect::<Vec<_>>().join("\n    "));
}

#[test]
fn a_double_counted_transfer_is_found() {
    is_found("double-counted transfer", Faults::ALL, Some(Mutation::DoubleCountedTransfer));
}

#[test]
fn rows_merged_by_sum_are_found() {
    is_found("row merged by sum", Faults::ALL, Some(Mutation::RowMergedBySum));
}

#[test]
fn a_reserve_lost_on_abort_is_found() {
    is_found("lost reserve on abort", Faults::ALL, Some(Mutation::LostReserveOnAbort));
}

#[test]
fn an_actor_reused_after_disk_loss_is_found() {
    is_found("actor reused after disk loss", Faults { actor_reused: true, ..Faults::ALL }, None);
}
