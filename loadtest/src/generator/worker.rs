//! One generator thread.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::connection::Connections;
use super::exchange::{Seen, exchange};
use super::pacer::Pacer;
use super::{Load, Plan, lock};
use crate::failure::Failure;
use crate::mix::{Ask, Mix};
use crate::recorder::{Finished, Recorder};
use crate::timetable::Timetable;

/// What every task of a thread needs.
#[derive(Debug)]
struct Desk {
    start: Instant,
    timeout: Duration,
    targets: Vec<Connections>,
    recorder: Arc<Mutex<Recorder>>,
}

/// Runs one thread's part of the plan.
pub(super) fn run(
    plan: &Plan,
    thread: usize,
    threads: usize,
    start: Instant,
    recorder: &Arc<Mutex<Recorder>>,
) -> io::Result<()> {
    // Under load the timer would otherwise be looked at only every 61 polls of tasks.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(8).build()?;
    let desk = Arc::new(Desk {
        start,
        timeout: plan.timeout,
        targets: plan.targets.iter().cloned().map(Connections::new).collect(),
        recorder: Arc::clone(recorder),
    });
    let result = match plan.load {
        Load::Open { rate } => runtime.block_on(open(plan, rate, thread, threads, &desk)),
        Load::Closed { concurrency } => {
            runtime.block_on(closed(plan, share(concurrency, thread, threads), thread, threads, &desk))
        }
    };
    lock(recorder).connections = desk.targets.iter().map(Connections::opened).sum();
    result
}

/// Thread `thread`'s share of `whole`.
fn share(whole: usize, thread: usize, threads: usize) -> usize {
    whole / threads + usize::from(thread < whole % threads)
}

async fn open(plan: &Plan, rate: f64, thread: usize, threads: usize, desk: &Arc<Desk>) -> io::Result<()> {
    let pacer = Pacer::new()?;
    let mut timetable = Timetable::new(rate, plan.warmup + plan.duration, thread, threads);
    let cap = share(plan.max_in_flight, thread, threads).max(1);
    let mut tasks = JoinSet::new();
    let mut turn = thread;
    while let Some(next) = timetable.next() {
        pacer.until(desk.start + next.due).await?;
        while tasks.try_join_next().is_some() {}
        // Not more at once than this, so that answers are read in between however late we are.
        for _ in 0..BURST {
            let now = desk.start.elapsed();
            let Some(departure) = timetable.take_due(now) else { break };
            let target = turn % plan.targets.len();
            turn += 1;
            let Some(ask) = plan.mix.ask(departure.index) else { return Ok(()) };
            if tasks.len() >= cap {
                lock(&desk.recorder).held_back(departure.due);
                continue;
            }
            lock(&desk.recorder).sent(departure.due, now);
            tasks.spawn(request(Arc::clone(desk), target, ask, Some(departure.due)));
        }
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

const BURST: usize = 64;

async fn closed(plan: &Plan, callers: usize, thread: usize, threads: usize, desk: &Arc<Desk>) -> io::Result<()> {
    let mut tasks = JoinSet::new();
    let span = plan.warmup + plan.duration;
    for caller in 0..callers {
        let desk = Arc::clone(desk);
        let (mix, targets): (Mix, usize) = (plan.mix.clone(), plan.targets.len());
        tasks.spawn(async move {
            tokio::time::sleep_until(desk.start.into()).await;
            // Callers of one run never share a number.
            let mut index = (caller * threads + thread) as u64;
            while let Some(now) = Some(desk.start.elapsed()).filter(|now| *now < span) {
                let Some(ask) = mix.ask(index) else { return };
                lock(&desk.recorder).sent(now, now);
                request(Arc::clone(&desk), index as usize % targets, ask, None).await;
                index += CALLERS_APART;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// More than there can be callers; odd, so that a caller goes round all targets.
const CALLERS_APART: u64 = 1_000_003;

/// One request; `due` is `None` when it is due now.
async fn request(desk: Arc<Desk>, target: usize, ask: Ask, due: Option<Duration>) {
    let taken_up = desk.start.elapsed();
    let due = due.unwrap_or(taken_up);
    lock(&desk.recorder).taken_up(due, taken_up);
    let (kind, stream) = (ask.kind, ask.stream);
    let mut seen = Seen::default();
    let exchange = exchange(&desk.targets[target], ask, &mut seen);
    let result = match tokio::time::timeout(desk.timeout, exchange).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Timeout),
    };
    let finished = Finished {
        kind,
        target,
        due,
        sent: taken_up,
        first: seen.first.filter(|_| stream).map(|first| first.duration_since(desk.start)),
        end: desk.start.elapsed(),
        events: seen.events,
        on_the_way: seen.on_the_way,
        told: seen.told,
        result,
    };
    lock(&desk.recorder).finished(&finished);
}
