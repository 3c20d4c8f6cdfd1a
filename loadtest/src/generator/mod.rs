//! The generator: threads that send what is due and count what comes back.
//!
//! Each thread has a current-thread runtime, its own part of the timetable, its own
//! connections and its own recorder; nothing is shared on a request's way. The thread
//! that calls [`run`] only watches: samples and progress, then the merge.

mod connection;
mod exchange;
mod pacer;
mod worker;

pub(crate) use exchange::Told;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use http::{HeaderValue, Uri};
use thiserror::Error;

use crate::mix::Mix;
use crate::recorder::Recorder;

/// Where requests go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) host: HeaderValue,
    pub(crate) path: Uri,
}

/// How requests are paced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Load {
    /// Requests a second, whatever the answers do.
    Open { rate: f64 },
    /// This many callers, each of which waits for its answer before it asks again.
    Closed { concurrency: usize },
}

/// One run of the generator.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) targets: Vec<Target>,
    pub(crate) mix: Mix,
    pub(crate) load: Load,
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
    pub(crate) threads: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) timeout: Duration,
    /// What became of each request is kept, beside the figures.
    pub(crate) keeps_fates: bool,
}

/// Why a run could not begin or end.
#[derive(Debug, Error)]
pub(crate) enum GeneratorError {
    #[error("cannot start a generator thread: {0}")]
    Thread(#[source] std::io::Error),
    #[error("a generator thread failed: {0}")]
    Worker(#[source] std::io::Error),
    #[error("a generator thread ended in a panic; this is a bug of the load generator")]
    Panic,
}

/// What the watching side is told while a run goes on; times are since the start.
#[derive(Debug)]
pub(crate) enum Moment {
    /// The warm-up is over: the measured span begins.
    Begin(Duration),
    /// Every half second.
    Tick(Duration),
    /// All requests have been answered.
    End(Duration),
}

/// Runs the plan to its end; `observe` is called on this thread.
pub(crate) fn run(
    plan: &Plan,
    observe: &mut dyn FnMut(Moment, &dyn Fn() -> Recorder),
) -> Result<Recorder, GeneratorError> {
    let kinds = plan.mix.kinds();
    let fresh = || {
        let recorder = Recorder::new(&kinds, plan.targets.len(), plan.warmup);
        if plan.keeps_fates { recorder.with_fates() } else { recorder }
    };
    // A moment ahead, so that all threads are there when the first request is due.
    let start = Instant::now() + Duration::from_millis(20);
    let threads = match plan.load {
        Load::Open { .. } => plan.threads.max(1),
        Load::Closed { concurrency } => plan.threads.clamp(1, concurrency.max(1)),
    };
    let (ended, endings) = mpsc::sync_channel(threads);
    let mut recorders = Vec::with_capacity(threads);
    let mut handles = Vec::with_capacity(threads);
    for thread in 0..threads {
        let recorder = Arc::new(Mutex::new(fresh()));
        recorders.push(Arc::clone(&recorder));
        let (plan, ended) = (plan.clone(), ended.clone());
        let body = move || {
            let result = worker::run(&plan, thread, threads, start, &recorder);
            // The watching side may have given up already.
            let _ = ended.send(());
            result
        };
        let builder = std::thread::Builder::new().name(format!("generator-{thread}"));
        handles.push(builder.spawn(body).map_err(GeneratorError::Thread)?);
    }
    drop(ended);
    let merged = || {
        let mut all = fresh();
        recorders.iter().for_each(|recorder| all.merge(&lock(recorder)));
        all
    };
    watch(plan, start, &endings, threads, &mut |moment| observe(moment, &merged));
    for handle in handles {
        handle.join().map_err(|_| GeneratorError::Panic)?.map_err(GeneratorError::Worker)?;
    }
    let all = merged();
    observe(Moment::End(start.elapsed()), &merged);
    Ok(all)
}

/// Ticks until all threads have ended.
fn watch(plan: &Plan, start: Instant, endings: &mpsc::Receiver<()>, threads: usize, observe: &mut dyn FnMut(Moment)) {
    let mut tick = 0u32;
    let mut began = false;
    let mut alive = threads;
    while alive > 0 {
        let next_tick = crate::watch::INTERVAL * tick;
        let next = if began { next_tick } else { next_tick.min(plan.warmup) };
        match endings.recv_timeout((start + next).saturating_duration_since(Instant::now())) {
            Ok(()) => alive -= 1,
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let now = start.elapsed();
                if !began && now >= plan.warmup {
                    began = true;
                    observe(Moment::Begin(now));
                }
                if now >= next_tick {
                    observe(Moment::Tick(now));
                    // A late tick is not made up for.
                    tick =
                        u32::try_from(now.as_millis() / crate::watch::INTERVAL.as_millis()).unwrap_or(u32::MAX - 1) + 1;
                }
            }
        }
    }
}

fn lock(recorder: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
