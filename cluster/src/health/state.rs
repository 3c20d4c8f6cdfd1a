//! All that a node knows of one target: what calls came to, what peers say, and what follows. Pure: time is passed in.

use std::fmt::Write;
use std::time::Duration;

use super::breaker::{Breaker, Phase, Shift};
use super::capacity::{Believed, Cooldown, Strike};
use super::ewma::Ewma;
use super::messages::{Cool, Said, Why};
use super::settings::Settings;
use super::target::Target;
use super::weight::{Parts, smooth};
use super::witness::{Witnesses, Word};
use super::{Fault, Observation, Quota, Stage};
use crate::identity::NodeId;

const HALF_LIFE: Duration = Duration::from_secs(30);

/// Successes that were only counted on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) successes: u64,
    pub(super) took_us: u64,
    pub(super) first_outputs: u64,
    pub(super) first_output_us: u64,
}

/// Who asks: what the state needs to know of its node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here<'a> {
    pub(super) now: Duration,
    pub(super) oneself: &'a NodeId,
    pub(super) target: &'a Target,
    pub(super) settings: &'a Settings,
    /// Live nodes, this one among them.
    pub(super) nodes: usize,
}

/// What the request path may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gate {
    pub(super) is_open: bool,
    /// When this node may try an open target.
    pub(super) probe_at: Duration,
    pub(super) cool_until: Duration,
    pub(super) is_key_refused: bool,
    /// Between two calls of this node; zero: as many as there are.
    pub(super) spacing: Duration,
    /// Successes need only be counted: nothing follows from them.
    pub(super) is_calm: bool,
    pub(super) weight: f64,
    pub(super) latency: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct State {
    breaker: Breaker,
    witnesses: Witnesses,
    cool: Cooldown,
    why: Why,
    believed: Believed,
    quota: Option<(f32, Duration)>,
    success: Ewma,
    took: Ewma,
    first_output: Ewma,
    weight: f64,
    /// Calls that have ended since the last second, and a second before that as a rate.
    calls: u64,
    rate: f64,
    ticked: Duration,
    used: Duration,
    version: u64,
    told: Said,
    told_cool: Duration,
}

impl State {
    pub(super) fn new(now: Duration) -> State {
        State {
            breaker: Breaker::default(),
            witnesses: Witnesses::default(),
            cool: Cooldown::default(),
            why: Why::Capacity,
            believed: Believed::default(),
            quota: None,
            success: Ewma::new(HALF_LIFE),
            took: Ewma::new(HALF_LIFE),
            first_output: Ewma::new(HALF_LIFE),
            weight: 1.0,
            calls: 0,
            rate: 0.0,
            ticked: now,
            used: now,
            version: 0,
            told: Said::default(),
            told_cool: Duration::ZERO,
        }
    }

    /// Takes up what was only counted.
    pub(super) fn take(&mut self, here: Here<'_>, counted: Counted) {
        let mean = |sum: u64, count: u64| sum as f64 / count.max(1) as f64;
        let Counted { successes, took_us, first_outputs, first_output_us } = counted;
        self.took.add(here.now, mean(took_us, successes), successes as f64);
        self.first_output.add(here.now, mean(first_output_us, first_outputs), first_outputs as f64);
        self.success.add(here.now, 1.0, successes as f64);
        self.breaker.count_successes(here.now, here.settings, successes);
        self.calls += successes;
        if successes > 0 {
            self.used = here.now;
        }
    }

    /// A call from which something may follow.
    pub(super) fn observe(&mut self, here: Here<'_>, seen: &Observation) -> Option<Shift> {
        let Here { now, settings, .. } = here;
        let began = now.saturating_sub(seen.took);
        let whole = seen.stage == Stage::Ended;
        self.used = now;
        self.calls += u64::from(whole);
        if let Some(first) = seen.first_output {
            self.first_output.add(now, first.as_micros() as f64, 1.0);
        }
        match seen.fault {
            Fault::None => {
                if whole {
                    self.success.add(now, 1.0, 1.0);
                    self.took.add(now, seen.took.as_micros() as f64, 1.0);
                    self.cool.succeeded(began);
                    self.witnesses.contradict(began);
                }
                self.breaker.succeeded(now, began, settings, whole)
            }
            Fault::Provider => {
                self.success.add(now, 0.0, 1.0);
                let shift = self.breaker.failed(now, began, settings);
                shift.or_else(|| self.weigh(here))
            }
            Fault::Capacity => {
                self.why = Why::Capacity;
                self.believed.full(now, began, self.cluster_rate(here.nodes));
                self.cool.strike(now, began, Strike::Full { retry_after: seen.retry_after });
                // Whoever says that it is full is there.
                self.breaker.succeeded(now, began, settings, true)
            }
            Fault::Key => {
                self.why = Why::Key;
                self.cool.strike(now, began, Strike::Refused);
                None
            }
            Fault::Client => None,
        }
    }

    pub(super) fn quota(&mut self, now: Duration, quota: &Quota) {
        let until = now + quota.resets_in.unwrap_or(Duration::from_secs(10)).min(Duration::from_secs(60));
        self.quota = Some((quota.left.clamp(0.0, 1.0), until));
        if let Some(rate) = quota.calls_per_second {
            self.believed.state(f64::from(rate));
        }
    }

    /// A peer's word.
    pub(super) fn hear(&mut self, here: Here<'_>, from: &NodeId, version: u64, said: Said) -> Option<Shift> {
        let Here { now, settings, .. } = here;
        let before = self.witnesses.hear(now, from, version, said)?;
        // A refused key is the peer's own: its configuration may have another value under the same id.
        if let Some(cool) = said.cool.filter(|cool| cool.why == Why::Capacity) {
            if self.cool.left(now).is_none() {
                self.why = cool.why;
            }
            self.cool.hear(now, cool.left());
        }
        if said.believed > 0 && (before.believed == 0 || said.believed < before.believed) {
            self.believed.hear(now, f64::from(said.believed) / 1e3);
        }
        if said.probes != before.probes || said.failed_probes > before.failed_probes {
            self.breaker.tried(now, settings);
        }
        if said.recoveries != before.recoveries
            && let Some(shift) = self.breaker.recovered(now, from)
        {
            // What was said before is settled with it.
            self.witnesses.contradict(now);
            return Some(shift);
        }
        self.weigh(here)
    }

    fn weigh(&mut self, here: Here<'_>) -> Option<Shift> {
        if self.witnesses.is_empty() {
            return None;
        }
        let others = self.witnesses.weigh(here.now, here.settings, self.breaker.failures);
        self.breaker.weigh(here.now, here.settings, others)
    }

    /// Begins a probe, if it is this node's turn.
    pub(super) fn try_probe(&mut self, here: Here<'_>) -> bool {
        let turn = self.turn(here);
        self.breaker.try_probe(here.now, turn, here.settings)
    }

    pub(super) fn give_up_probe(&mut self, since: Duration) {
        self.breaker.give_up_probe(since);
    }

    /// A second has passed, more or less.
    pub(super) fn tick(&mut self, here: Here<'_>, live: impl FnMut(&NodeId) -> bool) {
        let Here { now, settings, .. } = here;
        let seconds = now.saturating_sub(self.ticked).as_secs_f64();
        self.witnesses.keep(live);
        self.witnesses.forget(now);
        self.breaker.rest(now, settings);
        if seconds > 0.0 {
            self.rate = 0.5 * self.rate + 0.5 * (self.calls as f64 / seconds);
            self.calls = 0;
            self.ticked = now;
            self.believed.rise(now, seconds, self.cluster_rate(here.nodes));
        }
        if self.quota.is_some_and(|(_, until)| until <= now) {
            self.quota = None;
        }
        self.weight = smooth(self.weight, self.parts(here.nodes).weight());
    }

    /// What the whole cluster sends, in calls a second. Of nodes that do not say it is reckoned that they send as much as
    /// this one, as behind a balancer they do.
    fn cluster_rate(&self, nodes: usize) -> f64 {
        let told = self.witnesses.iter().filter(|(_, word)| word.said.believed > 0);
        let (count, others) =
            told.fold((0, 0.0), |(count, sum), (_, word)| (count + 1, sum + f64::from(word.said.sent) / 1e3));
        self.rate * nodes.saturating_sub(count).max(1) as f64 + others
    }

    fn parts(&self, nodes: usize) -> Parts {
        let latency = self.first_output.get().or_else(|| self.took.get());
        let by_rate = self.believed.rate().map_or(1.0, |rate| 1.0 - self.cluster_rate(nodes) / rate);
        let by_quota = self.quota.map_or(1.0, |(left, _)| f64::from(left));
        Parts {
            success: self.success.get().unwrap_or(1.0),
            latency: latency.map(|us| Duration::from_micros(us as u64)),
            headroom: by_rate.min(by_quota).clamp(0.05, 1.0),
        }
    }

    /// When this node may try the target. Of those whose breaker is open, the one that has failed least goes first, one
    /// that only believes others before those; the rest follow in turn, in case it has no call to try with.
    fn turn(&self, here: Here<'_>) -> Duration {
        let own = (self.breaker.failed_probes, self.breaker.first_hand, here.target.rank(here.oneself));
        let before = self.witnesses.iter().filter(|(node, Word { said, .. })| {
            said.phase == Phase::Open && (said.failed_probes, said.first_hand, here.target.rank(node)) < own
        });
        let step = here.settings.probe_interval / 4;
        self.breaker.probe_due + step.saturating_mul(u32::try_from(before.count()).unwrap_or(u32::MAX))
    }

    pub(super) fn gate(&self, here: Here<'_>) -> Gate {
        let is_open = self.breaker.phase == Phase::Open;
        Gate {
            is_open,
            probe_at: if is_open { self.turn(here) } else { Duration::ZERO },
            cool_until: self.cool.until(),
            is_key_refused: self.why == Why::Key,
            spacing: self.spacing(here.nodes),
            is_calm: self.breaker.phase == Phase::Closed
                && self.breaker.failures == 0
                && !self.cool.has_struck()
                && !self.witnesses.complain(),
            weight: if is_open || self.cool.left(here.now).is_some() { 0.0 } else { self.weight },
            latency: self.parts(here.nodes).latency,
        }
    }

    /// This node's part of the rate that was learned: by what it sent lately, and never next to nothing, so that a node
    /// that begins to send gets its part.
    fn spacing(&self, nodes: usize) -> Duration {
        let Some(rate) = self.believed.learned() else { return Duration::ZERO };
        let (least, cluster) = (0.5 / nodes.max(1) as f64, self.cluster_rate(nodes));
        let part = if cluster > 0.0 { (self.rate / cluster).clamp(least, 1.0) } else { least * 2.0 };
        Duration::from_secs_f64((1.0 / (rate * part)).min(60.0))
    }

    fn say(&self, here: Here<'_>) -> Said {
        let breaker = &self.breaker;
        let milli = |rate: f64| (rate * 1e3).min(f64::from(u32::MAX)) as u32;
        let believed = self.believed.learned().map_or(0, milli);
        let cool = self.cool.own().checked_sub(here.now).filter(|left| !left.is_zero());
        Said {
            phase: breaker.phase,
            failures: breaker.failures.min(here.settings.failures),
            first_hand: breaker.phase == Phase::Open && breaker.first_hand,
            probes: breaker.probes,
            failed_probes: breaker.failed_probes,
            recoveries: breaker.recoveries,
            cool: cool.filter(|_| self.why == Why::Capacity).map(|left| Cool::new(left, self.why)),
            believed,
            sent: if believed > 0 { milli(self.rate) } else { 0 },
        }
    }

    /// True when there is something that peers do not know; it is then told under `version`.
    pub(super) fn renew(&mut self, here: Here<'_>, version: impl FnOnce() -> u64) -> bool {
        let said = self.say(here);
        let cool = self.cool.own();
        let is_same = said.same(&self.told) && said.is_nothing() == self.told.is_nothing();
        if is_same && (said.cool.is_none() || cool == self.told_cool) {
            return false;
        }
        self.version = version();
        (self.told, self.told_cool) = (said, cool);
        true
    }

    /// What peers are told under which version; `None` while there was never anything.
    pub(super) fn report(&self, here: Here<'_>) -> Option<(u64, Said)> {
        (self.version > 0).then(|| (self.version, Said { cool: self.say(here).cool, ..self.told }))
    }

    /// The version, while there is something to tell.
    pub(super) fn reported(&self) -> Option<u64> {
        (self.version > 0 && !self.told.is_nothing()).then_some(self.version)
    }

    /// The version of what a peer said, while it says something.
    pub(super) fn heard_from(&self, node: &NodeId) -> Option<u64> {
        let word = self.witnesses.iter().find(|(from, _)| *from == node).map(|(_, word)| word);
        word.filter(|word| !word.said.is_nothing()).map(|word| word.version)
    }

    pub(super) fn forget(&mut self, node: &NodeId) {
        self.witnesses.keep(|id| id != node);
    }

    /// The key that was refused is not this one any more.
    pub(super) fn renew_key(&mut self) {
        if self.why == Why::Key {
            self.cool = Cooldown::default();
        }
    }

    /// Nobody would miss it.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        let quiet = self.told.is_nothing() && self.witnesses.is_empty() && self.cool.left(now).is_none();
        quiet && now.saturating_sub(self.used) > Duration::from_secs(600)
    }

    /// It has answered at least once.
    pub(super) fn is_proven(&self) -> bool {
        self.took.get().is_some()
    }

    pub(super) fn status(&self, here: Here<'_>, in_flight: u64) -> TargetStatus {
        let (breaker, now) = (&self.breaker, here.now);
        let gate = self.gate(here);
        let is_probed = breaker.phase == Phase::Open && (breaker.probing.is_some() || now >= breaker.probe_due);
        let success = self.success.get();
        TargetStatus {
            target: here.target.clone(),
            breaker: match breaker.phase {
                Phase::Open if is_probed => "half_open",
                Phase::Open => "open",
                Phase::Closed | Phase::Recovering => "closed",
            },
            success,
            latency: self.took.get().map(|us| Duration::from_micros(us as u64)),
            first_output: self.first_output.get().map(|us| Duration::from_micros(us as u64)),
            weight: gate.weight,
            reason: self.reason(here),
            cools_for: self.cool.left(now).map(|left| (left, self.why)),
            believed_rate: self.believed.rate(),
            calls_per_second: self.rate,
            in_flight,
            witnesses: self
                .witnesses
                .iter()
                .filter(|(_, word)| !word.said.is_clean())
                .map(|(node, _)| node.clone())
                .collect(),
        }
    }

    fn reason(&self, here: Here<'_>) -> String {
        let (breaker, now) = (&self.breaker, here.now);
        if breaker.phase == Phase::Open {
            let mut text = breaker.cause.as_ref().map_or_else(String::new, ToString::to_string);
            let wait = self.turn(here).saturating_sub(now);
            // Writing to a String cannot fail.
            let _ = match breaker.probing {
                Some(_) => write!(text, "; a call of this node tries it"),
                None if wait.is_zero() => write!(text, "; the next call tries it"),
                None => write!(text, "; tried again in {:.1} s", wait.as_secs_f64()),
            };
            return text;
        }
        if let Some(left) = self.cool.left(now) {
            let what = match self.why {
                Why::Capacity => "full",
                Why::Key => "the key was refused",
            };
            return format!("{what}: left alone for another {:.1} s", left.as_secs_f64());
        }
        let mut text =
            if self.success.get().is_none() { "not used yet".to_owned() } else { self.parts(here.nodes).to_string() };
        if breaker.phase == Phase::Recovering {
            text.insert_str(0, "a probe has succeeded; ");
        }
        text
    }
}

/// A target as people are shown it.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetStatus {
    /// Which.
    pub target: Target,
    /// `closed`, `open` or `half_open`: open, and to be tried or being tried.
    pub breaker: &'static str,
    /// The part of the calls that did not fail by the provider's fault, lately.
    pub success: Option<f64>,
    /// From a call's begin to its end, lately.
    pub latency: Option<Duration>,
    /// To the first output of a stream, lately.
    pub first_output: Option<Duration>,
    /// The share of calls that it deserves; 0 while it cannot be used.
    pub weight: f64,
    /// Why, in words.
    pub reason: String,
    /// How long it is left alone, and why.
    pub cools_for: Option<(Duration, Why)>,
    /// The calls a second that it is believed to bear from all nodes.
    pub believed_rate: Option<f64>,
    /// The calls a second from this node.
    pub calls_per_second: f64,
    /// Calls of this node that have not ended.
    pub in_flight: u64,
    /// Peers that complain of it.
    pub witnesses: Vec<NodeId>,
}
