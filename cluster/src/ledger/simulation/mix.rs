//! What happens in a run and how often. Every seed draws its own mix, in which some faults are common and others do not
//! happen at all: a bug that one fault hides from another is found where that one is left out (swarm testing; Groce et
//! al. 2012).

use super::rng::Rng;

/// One kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A message arrives, twice, or never.
    Deliver,
    /// A node tells another one whom it counts.
    Gossip,
    Request,
    /// A node spends all that it has of an allowance at once.
    Drain,
    Finish,
    /// What was spent from slices is collected, sometimes what is free recalled.
    Sweep,
    Tick,
    Pass,
    /// The disk is done with something.
    Sync,
    Crash,
    Restart,
    /// The network is cut, in both directions or in one, or healed.
    Cut,
    /// Two nodes meet again, or one loses sight of another.
    Reconnect,
    LimitChange,
    ClockStep,
    Join,
    Leave,
    /// A node dies with its disk.
    Die,
    Forget,
    /// A data directory is copied, or put back from the copy.
    OldCopy,
}

/// The kinds of steps with their weights: in runs that are about money, and in runs that are about who is counted.
const WEIGHTS: [(What, [u64; 2]); 20] = [
    (What::Deliver, [450, 350]),
    (What::Gossip, [30, 280]),
    (What::Request, [300, 60]),
    (What::Drain, [12, 4]),
    (What::Finish, [250, 50]),
    (What::Sweep, [60, 15]),
    (What::Tick, [80, 60]),
    (What::Pass, [45, 50]),
    (What::Sync, [10, 70]),
    (What::Crash, [10, 20]),
    (What::Restart, [30, 45]),
    (What::Cut, [7, 10]),
    (What::Reconnect, [8, 10]),
    (What::LimitChange, [7, 2]),
    (What::ClockStep, [4, 20]),
    (What::Join, [2, 10]),
    (What::Leave, [1, 5]),
    (What::Die, [1, 4]),
    (What::Forget, [5, 30]),
    (What::OldCopy, [4, 4]),
];

/// What must happen in every run.
const ALWAYS: [What; 8] =
    [What::Deliver, What::Gossip, What::Request, What::Finish, What::Tick, What::Pass, What::Sync, What::Restart];

#[derive(Clone, Debug)]
pub(super) struct Mix {
    /// Long stretches of time, many joins and deaths, little money.
    pub(super) counting: bool,
    /// Clocks differ by more than [`crate::ledger::counting::FORGET_MARGIN`].
    pub(super) far_clocks: bool,
    /// Operators have nodes forgotten that live.
    pub(super) rash_operators: bool,
    pub(super) loss: bool,
    pub(super) duplicates: bool,
    /// Most requests are served from slices.
    pub(super) slices: bool,
    /// Actual costs are sometimes above what was reserved.
    pub(super) excess: bool,
    weights: Vec<(What, u64)>,
}

impl Mix {
    pub(super) fn of(rng: &mut Rng) -> Mix {
        let counting = rng.percent(40);
        let mut weights = Vec::new();
        for (what, by_mix) in WEIGHTS {
            let factor = if ALWAYS.contains(&what) { 2 } else { [0, 2, 2, 2, 2, 2, 6, 6][rng.index(8)] };
            weights.push((what, by_mix[usize::from(counting)] * factor));
        }
        Mix {
            counting,
            far_clocks: rng.percent(25),
            rash_operators: rng.percent(20),
            loss: rng.percent(85),
            duplicates: rng.percent(85),
            slices: rng.percent(75),
            excess: rng.percent(60),
            weights,
        }
    }

    pub(super) fn draw(&self, rng: &mut Rng) -> What {
        let mut at = rng.below(self.weights.iter().map(|(_, weight)| weight).sum());
        for (what, weight) in &self.weights {
            if at < *weight {
                return *what;
            }
            at -= weight;
        }
        What::Tick
    }
}
