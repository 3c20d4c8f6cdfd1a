//! A target as the request path sees it: a few atomics in front of its state.
//!
//! Asking whether a call may go takes no lock. Telling what it came to takes none either while all is well; else it takes
//! the lock of this target for about a microsecond, so that the very next call anywhere in the process knows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::board::Shared;
use super::breaker::Shift;
use super::messages::{Report, Said};
use super::observation::{Observation, Stage};
use super::settings::Settings;
use super::state::{Counted, Here, State, TargetStatus};
use super::target::Target;
use super::{Fault, Quota, messages};
use crate::identity::NodeId;

/// Calls that a node may send at once after a pause, as time at the believed rate.
const BURST: Duration = Duration::from_secs(1);

/// Whether a call may go to a target.
#[derive(Debug)]
pub enum Admission {
    /// It may.
    Go,
    /// It may, and shows whether the target is back.
    Probe(Probe),
    /// It may not.
    Closed(Closed),
}

/// Why no call may go to a target, and how long that holds if nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Why.
    pub reason: Barred,
    /// When it is worth to ask again.
    pub again_in: Duration,
}

/// Why no call may go to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// Its breaker is open.
    Breaker,
    /// It said that it is full.
    Capacity,
    /// The key was refused.
    Key,
    /// It is believed to bear no more. Only a belief: when there is no other target, the call may go.
    Rate,
}

impl Barred {
    /// Its name in logs and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Barred::Breaker => "its breaker is open",
            Barred::Capacity => "the provider has said that it is full",
            Barred::Key => "the key was refused",
            Barred::Rate => "it is believed to bear no more calls",
        }
    }
}

/// A call that tries an open target. What it comes to is observed like that of any other; when it is dropped without,
/// the next one has its turn.
#[derive(Debug)]
pub struct Probe {
    entry: Arc<Entry>,
    since: Duration,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.entry.lock().give_up_probe(self.since);
    }
}

/// A call under way; dropped when it ends.
#[derive(Debug)]
pub struct InFlight {
    entry: Arc<Entry>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.entry.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One target.
#[derive(Debug)]
pub struct Entry {
    target: Target,
    /// The key as a whole; `None` of such a one.
    key: Option<Arc<Entry>>,
    shared: Arc<Shared>,
    state: Mutex<State>,
    gate: GateCells,
    counted: CountedCells,
    in_flight: AtomicU64,
    /// Calls of this node were meant for it.
    used: AtomicBool,
}

/// [`super::state::Gate`], in microseconds.
#[derive(Debug, Default)]
struct GateCells {
    is_open: AtomicBool,
    probe_at: AtomicU64,
    cool_until: AtomicU64,
    is_key_refused: AtomicBool,
    spacing: AtomicU64,
    /// When the next call has its turn by the believed rate.
    next: AtomicU64,
    is_busy: AtomicBool,
    /// What was said last of the provider's own limit, in thousandths, and when it was taken in.
    quota_left: AtomicU64,
    quota_told: AtomicU64,
    weight: AtomicU64,
    /// 0: not known.
    latency: AtomicU64,
}

#[derive(Debug, Default)]
struct CountedCells {
    successes: AtomicU64,
    took_us: AtomicU64,
    first_outputs: AtomicU64,
    first_output_us: AtomicU64,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Entry {
    pub(super) fn new(now: Duration, target: Target, key: Option<Arc<Entry>>, shared: Arc<Shared>) -> Entry {
        let gate = GateCells { weight: AtomicU64::new(1.0f64.to_bits()), ..GateCells::default() };
        Entry {
            target,
            key,
            shared,
            state: Mutex::new(State::new(now)),
            gate,
            counted: CountedCells::default(),
            in_flight: AtomicU64::new(0),
            used: AtomicBool::new(false),
        }
    }

    /// Which target this is.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether a call may go. Takes no lock but for a probe.
    pub fn admit(self: &Arc<Self>, now: Duration) -> Admission {
        let time = micros(now);
        let closed = |reason, until: u64| {
            Admission::Closed(Closed { reason, again_in: Duration::from_micros(until.saturating_sub(time)) })
        };
        if let Some(key) = &self.key {
            let until = key.gate.cool_until.load(Ordering::Relaxed);
            if until > time {
                return closed(Barred::Key, until);
            }
        }
        let until = self.gate.cool_until.load(Ordering::Relaxed);
        if until > time {
            let is_key = self.gate.is_key_refused.load(Ordering::Relaxed);
            return closed(if is_key { Barred::Key } else { Barred::Capacity }, until);
        }
        if self.gate.is_open.load(Ordering::Acquire) {
            let at = self.gate.probe_at.load(Ordering::Relaxed);
            if time >= at && self.try_probe(now) {
                return Admission::Probe(Probe { entry: Arc::clone(self), since: now });
            }
            return closed(Barred::Breaker, self.gate.probe_at.load(Ordering::Relaxed).max(time));
        }
        match self.take_turn(time) {
            Ok(()) => Admission::Go,
            Err(until) => closed(Barred::Rate, until),
        }
    }

    /// Why a call would not go, if it would not; takes nothing. A believed rate is no reason: it is a matter of moments.
    pub fn barred(&self, now: Duration) -> Option<Barred> {
        let time = micros(now);
        let cools = |gate: &GateCells| gate.cool_until.load(Ordering::Relaxed) > time;
        if self.key.as_ref().is_some_and(|key| cools(&key.gate)) {
            return Some(Barred::Key);
        }
        if cools(&self.gate) {
            let is_key = self.gate.is_key_refused.load(Ordering::Relaxed);
            return Some(if is_key { Barred::Key } else { Barred::Capacity });
        }
        (self.gate.is_open.load(Ordering::Relaxed) && !self.is_probe_due(now)).then_some(Barred::Breaker)
    }

    /// Whether the next call would be let through as a probe: routing puts such a target first, or it is never tried.
    pub fn is_probe_due(&self, now: Duration) -> bool {
        self.gate.is_open.load(Ordering::Relaxed) && micros(now) >= self.gate.probe_at.load(Ordering::Relaxed)
    }

    /// The generic cell rate algorithm: the cell holds when the calls so far are paid off.
    fn take_turn(&self, now: u64) -> Result<(), u64> {
        let spacing = self.gate.spacing.load(Ordering::Relaxed);
        if spacing == 0 {
            return Ok(());
        }
        let burst = micros(BURST).max(spacing);
        let take = |next: u64| {
            let next = next.max(now);
            (next - now <= burst - spacing.min(burst)).then_some(next + spacing)
        };
        match self.gate.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(()),
            Err(next) => Err((next + spacing).saturating_sub(burst).max(now)),
        }
    }

    fn try_probe(&self, now: Duration) -> bool {
        self.with(now, |state, here| (state.try_probe(here), None))
    }

    /// Tells what a call came to.
    pub fn observe(&self, now: Duration, seen: &Observation) {
        self.observe_here(now, seen);
        // A refused key is a matter of the key, whatever the model; and so is its end.
        if let Some(key) = &self.key {
            match seen.fault {
                Fault::Key if seen.is_whole_key => key.observe_here(now, seen),
                Fault::None if key.gate.is_busy.load(Ordering::Relaxed) => key.observe_here(now, seen),
                _ => {}
            }
        }
    }

    fn observe_here(&self, now: Duration, seen: &Observation) {
        match seen.fault {
            Fault::Client => {}
            Fault::Key if seen.is_whole_key && self.key.is_some() => {}
            Fault::None if !self.gate.is_busy.load(Ordering::Acquire) => self.counted.add(seen),
            _ => self.with(now, |state, here| ((), state.observe(here, seen))),
        }
    }

    /// Tells what the provider says of its limits. Most answers say the same as the last one, which is not told again.
    pub fn quota(&self, now: Duration, quota: &Quota) {
        let (time, left) = (micros(now), (quota.left * 1e3) as u64);
        let is_same = self.gate.quota_left.swap(left, Ordering::Relaxed).abs_diff(left) < 20;
        if is_same && time < self.gate.quota_told.load(Ordering::Relaxed).saturating_add(1_000_000) {
            return;
        }
        self.gate.quota_told.store(time, Ordering::Relaxed);
        self.with(now, |state, here| (state.quota(here.now, quota), None));
    }

    /// The share of calls that this target deserves: above 0 and at most 1, or 0 while it cannot be used.
    pub fn weight(&self) -> f64 {
        f64::from_bits(self.gate.weight.load(Ordering::Relaxed))
    }

    /// To the first output, or to the end where nothing else is known, lately.
    pub fn latency(&self) -> Option<Duration> {
        let latency = self.gate.latency.load(Ordering::Relaxed);
        (latency > 0).then(|| Duration::from_micros(latency))
    }

    /// Calls of this node that have not ended.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a call as under way.
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { entry: Arc::clone(self) }
    }

    pub(super) fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// True when a call of this node was meant for it: what only peers speak of is theirs.
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn hear(&self, now: Duration, from: &NodeId, report: &Report) {
        self.with(now, |state, here| ((), state.hear(here, from, report.version, report.said)));
    }

    pub(super) fn tick(&self, now: Duration, live: impl FnMut(&NodeId) -> bool) {
        self.with(now, |state, here| (state.tick(here, live), None));
    }

    pub(super) fn forget(&self, now: Duration, node: &NodeId) {
        self.with(now, |state, _| (state.forget(node), None));
    }

    pub(super) fn renew_key(&self, now: Duration) {
        self.with(now, |state, _| (state.renew_key(), None));
    }

    pub(super) fn report(&self, now: Duration) -> Option<(u64, Said)> {
        self.read(now, |state, here| state.report(here))
    }

    /// Its part in what this node reports in short.
    pub(super) fn reported(&self) -> Option<u64> {
        self.lock().reported().map(|version| messages::fingerprint(&self.target, version))
    }

    /// Its part in what a peer reports.
    pub(super) fn heard_from(&self, node: &NodeId) -> Option<u64> {
        self.lock().heard_from(node).map(|version| messages::fingerprint(&self.target, version))
    }

    pub(super) fn is_idle(&self, now: Duration) -> bool {
        self.lock().is_idle(now)
    }

    pub(super) fn is_proven(&self) -> bool {
        self.counted.successes.load(Ordering::Relaxed) > 0 || self.lock().is_proven()
    }

    pub(super) fn status(&self, now: Duration) -> TargetStatus {
        self.read(now, |state, here| state.status(here, self.in_flight()))
    }

    fn read<T>(&self, now: Duration, read: impl FnOnce(&State, Here<'_>) -> T) -> T {
        let settings = self.shared.settings();
        read(&self.lock(), self.here(now, &settings))
    }

    /// Every change goes this way: what was counted is taken up before, and the gate and the peers follow.
    fn with<T>(&self, now: Duration, change: impl FnOnce(&mut State, Here<'_>) -> (T, Option<Shift>)) -> T {
        let settings = self.shared.settings();
        let here = self.here(now, &settings);
        let mut state = self.lock();
        state.take(here, self.counted.take());
        let (value, shift) = change(&mut state, here);
        let gate = state.gate(here);
        self.gate.probe_at.store(micros(gate.probe_at), Ordering::Relaxed);
        self.gate.cool_until.store(micros(gate.cool_until), Ordering::Relaxed);
        self.gate.is_key_refused.store(gate.is_key_refused, Ordering::Relaxed);
        self.gate.spacing.store(micros(gate.spacing), Ordering::Relaxed);
        self.gate.weight.store(gate.weight.to_bits(), Ordering::Relaxed);
        self.gate.latency.store(gate.latency.map_or(0, micros), Ordering::Relaxed);
        self.gate.is_busy.store(!gate.is_calm, Ordering::Release);
        self.gate.is_open.store(gate.is_open, Ordering::Release);
        let news = self.target.is_shared() && state.renew(here, || self.shared.next_version());
        drop(state);
        if let Some(shift) = shift {
            self.shared.shifted(&self.target, shift);
        }
        if news {
            self.shared.wake();
        }
        value
    }

    fn here<'a>(&'a self, now: Duration, settings: &'a Settings) -> Here<'a> {
        Here { now, oneself: self.shared.oneself(), target: &self.target, settings, nodes: self.shared.nodes() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CountedCells {
    fn add(&self, seen: &Observation) {
        if seen.stage == Stage::Ended {
            self.successes.fetch_add(1, Ordering::Relaxed);
            self.took_us.fetch_add(micros(seen.took), Ordering::Relaxed);
        }
        if let Some(first) = seen.first_output {
            self.first_outputs.fetch_add(1, Ordering::Relaxed);
            self.first_output_us.fetch_add(micros(first), Ordering::Relaxed);
        }
    }

    /// Not all at one moment: a mean may be off by a call.
    fn take(&self) -> Counted {
        if self.successes.load(Ordering::Relaxed) == 0 && self.first_outputs.load(Ordering::Relaxed) == 0 {
            return Counted::default();
        }
        let take = |cell: &AtomicU64| cell.swap(0, Ordering::Relaxed);
        Counted {
            successes: take(&self.successes),
            took_us: take(&self.took_us),
            first_outputs: take(&self.first_outputs),
            first_output_us: take(&self.first_output_us),
        }
    }
}
