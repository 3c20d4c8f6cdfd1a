//! The breaker of one target at one node.
//!
//! Closed: calls go. Open: none go but one a probe interval in the whole cluster, which tries whether the target is back.
//! Recovering: a try succeeded, maybe another node's; calls go, but the first one decides.

use std::fmt;
use std::time::Duration;

use bincode::{Decode, Encode};

use super::settings::Settings;
use super::window::Window;
use super::witness::Evidence;
use crate::identity::NodeId;

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum Phase {
    /// Calls go.
    #[default]
    Closed,
    /// Calls go; the first failure opens it again.
    Recovering,
    /// No calls go but probes.
    Open,
}

/// Why a breaker opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// So many failures in a row, here.
    InARow(u32),
    /// So many of so many calls in the window failed, here.
    Share {
        /// Those that failed.
        failed: u64,
        /// All.
        of: u64,
    },
    /// So many nodes had so many failures in a row, together.
    Witnesses {
        /// How many nodes, this one among them if it had one.
        nodes: u32,
        /// What they had together.
        failures: u32,
    },
    /// It failed right after it seemed to be back.
    Relapse,
}

/// What changed of a breaker, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shift {
    /// It opened.
    Opened(Cause),
    /// It closed: a call of this node succeeded.
    Closed,
    /// It closed on the word of a peer, whose call succeeded.
    ClosedBy(NodeId),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::InARow(count) => write!(f, "{count} failures in a row"),
            Cause::Share { failed, of } => write!(f, "{failed} of the last {of} calls failed"),
            Cause::Witnesses { nodes, failures } => write!(f, "{nodes} nodes report {failures} failures"),
            Cause::Relapse => f.write_str("it failed again right after a probe had succeeded"),
        }
    }
}

/// The breaker and its own evidence.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    pub(super) phase: Phase,
    pub(super) failures: u32,
    window: Window,
    /// What began before this says nothing of now: the breaker has closed since.
    settled: Duration,
    pub(super) opened: Duration,
    pub(super) first_hand: bool,
    pub(super) cause: Option<Cause>,
    /// When the cluster may try the target again.
    pub(super) probe_due: Duration,
    /// Since when a probe of this node is under way.
    pub(super) probing: Option<Duration>,
    pub(super) probes: u32,
    pub(super) failed_probes: u32,
    pub(super) recoveries: u32,
}

impl Breaker {
    /// Successes that nobody waited for: the breaker was closed and had nothing to learn from them.
    pub(super) fn count_successes(&mut self, now: Duration, settings: &Settings, count: u64) {
        if count > 0 {
            self.window.add(now, settings.window, count, 0);
        }
    }

    pub(super) fn succeeded(
        &mut self,
        now: Duration,
        began: Duration,
        settings: &Settings,
        whole: bool,
    ) -> Option<Shift> {
        match self.phase {
            Phase::Closed if !whole => None,
            Phase::Closed => {
                self.failures = 0;
                self.window.add(now, settings.window, 1, 0);
                None
            }
            Phase::Recovering => {
                if whole && began >= self.settled {
                    self.phase = Phase::Closed;
                    self.window.add(now, settings.window, 1, 0);
                }
                None
            }
            // What was under way before says nothing.
            Phase::Open if began < self.opened => None,
            Phase::Open => {
                self.recoveries = self.recoveries.wrapping_add(1);
                self.close(now, Phase::Closed);
                Some(Shift::Closed)
            }
        }
    }

    pub(super) fn failed(&mut self, now: Duration, began: Duration, settings: &Settings) -> Option<Shift> {
        if began < self.settled {
            return None;
        }
        self.window.add(now, settings.window, 0, 1);
        self.failures = self.failures.saturating_add(1);
        match self.phase {
            Phase::Closed => {
                let (failed, of) = self.window.failed(now, settings.window);
                let is_share = of >= u64::from(settings.min_calls) && failed as f64 > settings.ratio * of as f64;
                let cause = if self.failures >= settings.failures {
                    Some(Cause::InARow(self.failures))
                } else {
                    is_share.then_some(Cause::Share { failed, of })
                };
                cause.map(|cause| self.open(now, settings, cause))
            }
            Phase::Recovering => Some(self.open(now, settings, Cause::Relapse)),
            Phase::Open => {
                self.first_hand |= self.failures >= settings.failures;
                if self.probing.is_some_and(|since| began >= since) {
                    self.probing = None;
                    self.failed_probes = self.failed_probes.saturating_add(1);
                    self.first_hand = true;
                    self.probe_due = now + settings.probe_interval;
                }
                None
            }
        }
    }

    /// Weighs what all nodes have seen.
    pub(super) fn weigh(&mut self, now: Duration, settings: &Settings, others: Evidence) -> Option<Shift> {
        let mut all = others;
        all.add(self.failures.min(settings.failures));
        if self.phase == Phase::Open || all.nodes < 2 || all.failures < settings.failures {
            return None;
        }
        let Evidence { nodes, failures } = all;
        let shift = self.open(now, settings, Cause::Witnesses { nodes, failures });
        self.first_hand = false;
        Some(shift)
    }

    /// A peer's probe has succeeded.
    pub(super) fn recovered(&mut self, now: Duration, peer: &NodeId) -> Option<Shift> {
        if self.phase != Phase::Open {
            return None;
        }
        self.close(now, Phase::Recovering);
        Some(Shift::ClosedBy(peer.clone()))
    }

    /// A peer tries the target, or has just failed to.
    pub(super) fn tried(&mut self, now: Duration, settings: &Settings) {
        self.probe_due = self.probe_due.max(now + settings.probe_interval);
    }

    /// Begins a probe, if it is this node's turn.
    pub(super) fn try_probe(&mut self, now: Duration, turn: Duration, settings: &Settings) -> bool {
        let is_due = self.phase == Phase::Open && now >= turn;
        if is_due {
            self.probing = Some(now);
            self.probes = self.probes.wrapping_add(1);
            self.probe_due = now + settings.probe_interval;
        }
        is_due
    }

    /// The probe that began then came to nothing, not even a failure: the next one has its time.
    pub(super) fn give_up_probe(&mut self, since: Duration) {
        if self.probing == Some(since) {
            self.probing = None;
        }
    }

    /// Time passes: without any call a target is not suspected for ever.
    pub(super) fn rest(&mut self, now: Duration, settings: &Settings) {
        if self.phase == Phase::Recovering && now.saturating_sub(self.settled) >= settings.probe_interval * 4 {
            self.phase = Phase::Closed;
        }
    }

    fn open(&mut self, now: Duration, settings: &Settings, cause: Cause) -> Shift {
        self.phase = Phase::Open;
        self.opened = now;
        self.first_hand = true;
        self.failed_probes = 0;
        self.probing = None;
        self.probe_due = now + settings.probe_interval;
        self.cause = Some(cause.clone());
        Shift::Opened(cause)
    }

    fn close(&mut self, now: Duration, phase: Phase) {
        self.phase = phase;
        self.settled = now;
        self.failures = 0;
        self.window.clear();
        self.first_hand = false;
        self.failed_probes = 0;
        self.probing = None;
    }
}
