//! Counters of one data-plane thread. Each thread writes only its own shard, so no cache line is fought over; a scrape
//! adds them up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peerway_cluster::ledger::allowance::Tier;

use super::exposition::{Kind, Page};
use super::savings::{self, HitKind, Saved, Savings};
use crate::governance::{NanoUsd, Reason};

/// Label sets beyond this are counted under `other`: a metrics page must not grow with what clients send.
const MAX_SERIES: usize = 2_000;

const OVERHEAD: [f64; 12] = [10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 50e-3, 250e-3];
const RESERVE: [f64; 12] = [1e-6, 2e-6, 5e-6, 10e-6, 50e-6, 200e-6, 1e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3];
const TIERS: [Tier; 5] = [Tier::Customer, Tier::Team, Tier::Key, Tier::ProviderConfig, Tier::Upstream];
const DURATION: [f64; 14] = [1e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

/// A histogram with fixed bounds in seconds.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: [f64; N],
    buckets: [AtomicU64; N],
    above: AtomicU64,
    sum_nanos: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    fn new(bounds: [f64; N]) -> Self {
        Self {
            bounds,
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            above: AtomicU64::new(0),
            sum_nanos: AtomicU64::new(0),
        }
    }

    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.iter().position(|bound| seconds <= *bound);
        bucket.map_or(&self.above, |index| &self.buckets[index]).fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
    }

    fn add_to(&self, counts: &mut [u64], sum: &mut f64) {
        for (count, bucket) in counts.iter_mut().zip(self.buckets.iter().chain([&self.above])) {
            *count += bucket.load(Ordering::Relaxed);
        }
        *sum += self.sum_nanos.load(Ordering::Relaxed) as f64 / 1e9;
    }
}

/// Labels of `peerway_requests_total`, all of them from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestLabels {
    pub route: Arc<str>,
    pub provider: Arc<str>,
    pub model: Arc<str>,
    pub status: u16,
}

#[derive(Debug)]
pub struct Shard {
    requests: Mutex<HashMap<RequestLabels, u64>>,
    attempts: Mutex<HashMap<(Arc<str>, &'static str), u64>>,
    withheld: Mutex<HashMap<Arc<str>, u64>>,
    pub overhead: Histogram<12>,
    pub duration: Histogram<14>,
    pub time_to_first_token: Histogram<14>,
    pub prompt_tokens: AtomicU64,
    pub completion_tokens: AtomicU64,
    pub cut_streams: AtomicU64,
    cost_nano_usd: AtomicU64,
    pub savings: Savings,
    /// Time to a reservation, or to its refusal.
    pub reserve: Histogram<12>,
    denied: [AtomicU64; TIERS.len()],
    estimated_nano_usd: AtomicU64,
    estimated: [AtomicU64; Reason::ALL.len()],
    finished: AtomicU64,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            requests: Mutex::default(),
            attempts: Mutex::default(),
            withheld: Mutex::default(),
            overhead: Histogram::new(OVERHEAD),
            duration: Histogram::new(DURATION),
            time_to_first_token: Histogram::new(DURATION),
            prompt_tokens: AtomicU64::new(0),
            completion_tokens: AtomicU64::new(0),
            cut_streams: AtomicU64::new(0),
            cost_nano_usd: AtomicU64::new(0),
            savings: Savings::default(),
            reserve: Histogram::new(RESERVE),
            denied: Default::default(),
            estimated_nano_usd: AtomicU64::new(0),
            estimated: Default::default(),
            finished: AtomicU64::new(0),
        }
    }
}

impl Shard {
    pub fn request(&self, labels: RequestLabels) {
        self.finished.fetch_add(1, Ordering::Relaxed);
        // Only a scrape ever holds this lock besides its own thread.
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = if requests.len() >= MAX_SERIES && !requests.contains_key(&labels) {
            let other: Arc<str> = "other".into();
            RequestLabels {
                route: Arc::clone(&other),
                provider: Arc::clone(&other),
                model: other,
                status: labels.status,
            }
        } else {
            labels
        };
        *requests.entry(labels).or_default() += 1;
    }

    /// Saturates: a sum that wrapped around would look like little.
    pub fn add_cost(&self, cost: NanoUsd) {
        add(&self.cost_nano_usd, cost);
    }

    /// So much of a request's cost is an estimate.
    pub fn add_estimated(&self, reason: Reason, cost: NanoUsd) {
        add(&self.estimated_nano_usd, cost);
        self.estimated[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A request was refused for want of an allowance of this tier.
    pub fn denied(&self, tier: Tier) {
        if let Some(place) = TIERS.iter().position(|known| *known == tier) {
            self.denied[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One attempt at an upstream; `result` is `ok` or the class of failure.
    pub fn attempt(&self, provider: &Arc<str>, result: &'static str) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        *attempts.entry((Arc::clone(provider), result)).or_default() += 1;
    }

    /// A further attempt after this provider's failure was not made, for want of retry budget.
    pub fn withheld(&self, provider: &Arc<str>) {
        let mut withheld = self.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        *withheld.entry(Arc::clone(provider)).or_default() += 1;
    }
}

fn add(sum: &AtomicU64, cost: NanoUsd) {
    // Never fails, as there is always a new value.
    let _ = sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sum| Some(sum.saturating_add(cost.get())));
}

/// All shards of a node.
#[derive(Debug, Clone)]
pub struct Shards(Arc<Vec<Arc<Shard>>>);

impl Shards {
    pub fn new(count: usize) -> Self {
        Self(Arc::new((0..count).map(|_| Arc::default()).collect()))
    }

    pub fn of(&self, worker: usize) -> Arc<Shard> {
        Arc::clone(&self.0[worker % self.0.len()])
    }

    /// Requests finished since the start.
    pub fn finished(&self) -> u64 {
        self.0.iter().map(|shard| shard.finished.load(Ordering::Relaxed)).sum()
    }

    /// What hits of this kind have saved.
    pub fn saved(&self, kind: HitKind) -> Saved {
        self.0.iter().map(|shard| shard.savings.of(kind)).fold(Saved::default(), Saved::plus)
    }

    pub fn write(&self, page: &mut Page) {
        page.family("peerway_requests_total", Kind::Counter, "Requests by route, provider, model and status.");
        let mut requests: HashMap<RequestLabels, u64> = HashMap::new();
        let mut attempts: HashMap<(Arc<str>, &'static str), u64> = HashMap::new();
        for shard in self.0.iter() {
            for (labels, count) in shard.requests.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                *requests.entry(labels.clone()).or_default() += count;
            }
            for (labels, count) in shard.attempts.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                *attempts.entry(labels.clone()).or_default() += count;
            }
        }
        let mut requests: Vec<_> = requests.into_iter().collect();
        requests.sort_unstable();
        for (labels, count) in requests {
            let RequestLabels { route, provider, model, status } = labels;
            let status = status.to_string();
            let labels = [("route", &*route), ("provider", &*provider), ("model", &*model), ("status", &*status)];
            page.sample("peerway_requests_total", &labels, count);
        }
        page.family("peerway_upstream_attempts_total", Kind::Counter, "Attempts at upstreams by provider and result.");
        let mut attempts: Vec<_> = attempts.into_iter().collect();
        attempts.sort_unstable();
        for ((provider, result), count) in attempts {
            page.sample("peerway_upstream_attempts_total", &[("provider", &*provider), ("result", result)], count);
        }
        let mut withheld: HashMap<Arc<str>, u64> = HashMap::new();
        for shard in self.0.iter() {
            for (provider, count) in shard.withheld.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                *withheld.entry(Arc::clone(provider)).or_default() += count;
            }
        }
        let mut withheld: Vec<_> = withheld.into_iter().collect();
        withheld.sort_unstable();
        page.family(
            "peerway_retries_withheld_total",
            Kind::Counter,
            "Retries and failovers that were not made as the retry budget was used up, by the provider that had failed.",
        );
        for (provider, count) in withheld {
            page.sample("peerway_retries_withheld_total", &[("provider", &*provider)], count);
        }
        self.write_histogram(
            page,
            "peerway_request_duration_seconds",
            "Time from the request's head to the last byte of its answer.",
            &DURATION,
            |shard| &shard.duration,
        );
        self.write_histogram(
            page,
            "peerway_overhead_seconds",
            "Time that the node itself added before the answer's first byte.",
            &OVERHEAD,
            |shard| &shard.overhead,
        );
        self.write_histogram(
            page,
            "peerway_time_to_first_token_seconds",
            "Time to the first event of a streamed answer.",
            &DURATION,
            |shard| &shard.time_to_first_token,
        );
        page.family(
            "peerway_tokens_total",
            Kind::Counter,
            "Tokens as the providers stated them, or as counted here where they did not.",
        );
        let sum = |counter: fn(&Shard) -> &AtomicU64| -> u64 {
            self.0.iter().map(|shard| counter(shard).load(Ordering::Relaxed)).sum()
        };
        page.sample("peerway_tokens_total", &[("kind", "prompt")], sum(|shard| &shard.prompt_tokens));
        page.sample("peerway_tokens_total", &[("kind", "completion")], sum(|shard| &shard.completion_tokens));
        page.family(
            "peerway_cost_usd_total",
            Kind::Counter,
            "What answers cost by the prices known here; hits of the cache cost nothing.",
        );
        let money = |counter: fn(&Shard) -> &AtomicU64| {
            let sums = self.0.iter().map(|shard| NanoUsd::new(counter(shard).load(Ordering::Relaxed)));
            sums.fold(NanoUsd::ZERO, NanoUsd::saturating_add)
        };
        page.sample("peerway_cost_usd_total", &[], money(|shard| &shard.cost_nano_usd));
        page.family(
            "peerway_cost_estimated_usd_total",
            Kind::Counter,
            "Of that: charged by a count of this node's, as the provider did not say what was used.",
        );
        page.sample("peerway_cost_estimated_usd_total", &[], money(|shard| &shard.estimated_nano_usd));
        savings::write(|kind| self.saved(kind), page);
        self.write_histogram(
            page,
            "peerway_ledger_reserve_seconds",
            "Time to reserve what a request may take, granted or not.",
            &RESERVE,
            |shard| &shard.reserve,
        );
        page.family(
            "peerway_budget_denied_total",
            Kind::Counter,
            "Requests refused by a budget or limit, by its tier.",
        );
        for (place, tier) in TIERS.iter().enumerate() {
            let count: u64 = self.0.iter().map(|shard| shard.denied[place].load(Ordering::Relaxed)).sum();
            page.sample("peerway_budget_denied_total", &[("tier", tier.as_str())], count);
        }
        page.family(
            "peerway_cost_estimated_total",
            Kind::Counter,
            "Requests whose cost is an estimate, by why the provider did not say what was used.",
        );
        for reason in Reason::ALL {
            let count: u64 = self.0.iter().map(|shard| shard.estimated[reason as usize].load(Ordering::Relaxed)).sum();
            page.sample("peerway_cost_estimated_total", &[("reason", reason.as_str())], count);
        }
        page.family(
            "peerway_streams_cut_total",
            Kind::Counter,
            "Streams that the upstream broke off after the first byte.",
        );
        page.sample("peerway_streams_cut_total", &[], sum(|shard| &shard.cut_streams));
    }

    fn write_histogram<const N: usize>(
        &self,
        page: &mut Page,
        name: &str,
        help: &str,
        bounds: &[f64; N],
        of: fn(&Shard) -> &Histogram<N>,
    ) {
        let mut counts = vec![0; N + 1];
        let mut sum = 0.0;
        for shard in self.0.iter() {
            of(shard).add_to(&mut counts, &mut sum);
        }
        page.family(name, Kind::Histogram, help);
        page.histogram(name, &[], bounds, &counts, sum);
    }
}
