//! Samples the processes that a run is told about: CPU time and resident memory of
//! whole trees, at the edges of the measured span and every half second between.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::procs::{Table, TreeTicks, busy_share, parse_rss};

/// How often memory is sampled.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

/// Processes under one name: their trees count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) pids: Vec<u32>,
}

/// What was seen of one name.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) pids: Vec<u32>,
    /// CPU time (user and system) in the measured span, microseconds.
    pub(crate) cpu_us: u64,
    /// The same for each request that was done.
    pub(crate) cpu_us_per_request: Option<f64>,
    pub(crate) rss_before_bytes: u64,
    pub(crate) rss_max_bytes: u64,
    pub(crate) rss_after_bytes: u64,
    /// (seconds since the start, bytes)
    pub(crate) rss: Vec<(f64, u64)>,
}

/// The sampler of one run.
#[derive(Debug)]
pub(crate) struct Watch {
    trees: Vec<Tree>,
    machine: Machine,
}

/// Two views of how busy the machine is. `/proc/stat` samples at clock ticks, and on
/// some kernels misses work that is done between two of them; the sum over all
/// processes is exact, but misses those that begin and end between two samples.
#[derive(Debug, Default)]
struct Machine {
    ticks: TreeTicks,
    now: u64,
    begin: Edge,
    end: Edge,
}

/// The machine at one edge of the measured span.
#[derive(Debug, Default)]
struct Edge {
    stat: String,
    ticks: u64,
    at: Duration,
}

#[derive(Debug)]
struct Tree {
    watched: Watched,
    ticks: TreeTicks,
    now: u64,
    from: u64,
    to: u64,
    rss: Vec<(f64, u64)>,
}

impl Watch {
    pub(crate) fn new(watched: &[Watched]) -> Watch {
        let tree = |watched: &Watched| Tree {
            watched: watched.clone(),
            ticks: TreeTicks::default(),
            now: 0,
            from: 0,
            to: 0,
            rss: Vec::new(),
        };
        Watch { trees: watched.iter().map(tree).collect(), machine: Machine::default() }
    }

    /// Takes a sample `at` this time since the start.
    pub(crate) fn sample(&mut self, at: Duration) {
        if self.trees.is_empty() {
            return;
        }
        let table = Table::read(Path::new("/proc"));
        self.machine.now = self.machine.ticks.update(&table, &table.pids());
        for tree in &mut self.trees {
            let pids = table.tree(&tree.watched.pids);
            tree.now = tree.ticks.update(&table, &pids);
            let rss =
                pids.iter().filter_map(|pid| parse_rss(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?));
            tree.rss.push((at.as_secs_f64(), rss.sum()));
        }
    }

    /// The measured span begins.
    pub(crate) fn begin(&mut self, at: Duration) {
        self.sample(at);
        self.trees.iter_mut().for_each(|tree| tree.from = tree.now);
        self.machine.begin = self.machine.edge(at);
    }

    /// The measured span is over: all requests have been answered.
    pub(crate) fn end(&mut self, at: Duration) {
        self.sample(at);
        self.trees.iter_mut().for_each(|tree| tree.to = tree.now);
        self.machine.end = self.machine.edge(at);
    }

    /// The share of the machine that was busy in the measured span.
    pub(crate) fn machine_busy(&self) -> Option<f64> {
        self.machine.busy()
    }

    pub(crate) fn processes(&self, requests: u64) -> Vec<Process> {
        let tick_us = 1_000_000 / rustix::param::clock_ticks_per_second().max(1);
        let process = |tree: &Tree| {
            let cpu_us = tree.to.saturating_sub(tree.from) * tick_us;
            let memory = || tree.rss.iter().map(|(_, bytes)| *bytes);
            Process {
                name: tree.watched.name.clone(),
                pids: tree.watched.pids.clone(),
                cpu_us,
                cpu_us_per_request: (requests > 0).then(|| cpu_us as f64 / requests as f64),
                rss_before_bytes: memory().next().unwrap_or(0),
                rss_max_bytes: memory().max().unwrap_or(0),
                rss_after_bytes: memory().next_back().unwrap_or(0),
                rss: tree.rss.clone(),
            }
        };
        self.trees.iter().map(process).collect()
    }
}

impl Machine {
    fn edge(&self, at: Duration) -> Edge {
        Edge { stat: std::fs::read_to_string("/proc/stat").unwrap_or_default(), ticks: self.now, at }
    }

    /// The greater of the two views: both can only miss work, not invent it.
    fn busy(&self) -> Option<f64> {
        let (begin, end) = (&self.begin, &self.end);
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let span = end.at.saturating_sub(begin.at).as_secs_f64();
        let used = end.ticks.saturating_sub(begin.ticks) as f64 / rustix::param::clock_ticks_per_second().max(1) as f64;
        let by_processes = (span > 0.0).then(|| (used / span / cores).min(1.0));
        busy_share(&begin.stat, &end.stat).into_iter().chain(by_processes).reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_this_process_uses() {
        let watched = Watched { name: "me".into(), pids: vec![std::process::id()] };
        let mut watch = Watch::new(&[watched]);
        watch.begin(Duration::ZERO);
        let mut work = 1u64;
        let own = |watch: &Watch| watch.processes(10)[0].cpu_us;
        // Until the kernel has counted some ticks, which it must while we work.
        while own(&watch) < 30_000 {
            (0..1_000_000u64).for_each(|i| work = crate::mix::scramble(work ^ i));
            watch.end(Duration::from_secs(1));
        }
        let process = &watch.processes(10)[0];
        assert!(process.cpu_us_per_request.unwrap() >= 3_000.0 && work != 0);
        assert!(process.rss_before_bytes > 500_000 && process.rss_max_bytes >= process.rss_after_bytes);
        assert!(watch.machine_busy().is_some_and(|busy| (0.0..=1.0).contains(&busy)));
    }
}
