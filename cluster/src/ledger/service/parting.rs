//! The end of the service: for a while, or for good.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::log::Outcome;
use super::outbox::Arrived;
use super::task::{Said, Task};
use crate::actor::Actor;
use crate::ledger::event::Event;
use crate::ledger::reservation::Denial;

/// Peers have so long to take what is left.
const FAREWELL: Duration = Duration::from_secs(5);

/// What peers were asked for arrives within this.
const LISTEN: Duration = Duration::from_millis(250);

enum Turn {
    Durable(Outcome),
    Arrived(Arrived),
    Said(Said),
    Time,
}

/// Why a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It will be back with its data directory: it keeps its rights and its share.
    Restart,
    /// It never comes back: its rights go to a peer, and it has no share in windows to come.
    ForGood,
}

impl Task {
    pub(super) async fn close(&mut self, parting: Parting, said: &mut mpsc::Receiver<Said>) {
        self.closing = true;
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            waiting.deny(Denial::Busy);
        }
        // What requests still hold stays reserved, and so is charged in full by who reads the journal.
        self.sweep();
        self.step(Event::Close);
        if parting == Parting::ForGood {
            // What peers were asked for and give at this moment must go on to the heir, too.
            self.come_to_rest(said, LISTEN).await;
            self.leave();
        }
        self.come_to_rest(said, Duration::ZERO).await;
        self.step(Event::Close);
        self.step(Event::Tick);
        self.come_to_rest(said, Duration::ZERO).await;
        self.publish();
        self.log.close().await;
    }

    /// Waits for the disk, for what is on its way to peers, and for so long at least.
    async fn come_to_rest(&mut self, said: &mut mpsc::Receiver<Said>, least: Duration) {
        let start = Instant::now();
        let (least, most) = (start + least, start + FAREWELL);
        loop {
            let is_quiet = self.effects.is_empty() && self.outbox.is_empty();
            if is_quiet && least <= Instant::now() {
                return;
            }
            let Self { effects, outbox, .. } = self;
            let turn = async {
                tokio::select! {
                    outcome = effects.first(), if !effects.is_empty() => Turn::Durable(outcome),
                    arrived = outbox.next(), if !outbox.is_empty() => Turn::Arrived(arrived),
                    Some(said) = said.recv() => Turn::Said(said),
                    () = sleep_until(if is_quiet { least } else { most }) => Turn::Time,
                }
            };
            match turn.await {
                Turn::Durable(outcome) => self.on_durable(outcome),
                Turn::Arrived(arrived) => self.counted.arrived(arrived),
                Turn::Said(said) => self.on_said(said),
                Turn::Time if is_quiet => return,
                Turn::Time => {
                    tracing::warn!("not all that the ledger had to tell has reached its peers");
                    return;
                }
            }
        }
    }

    /// Rights go to one peer, which passes them on to whoever asks.
    fn leave(&mut self) {
        let now = self.clock.now();
        match self.heir() {
            Some(heir) => {
                tracing::info!(%heir, "leaving for good: what this node may still spend goes to a peer");
                let actions = self.ledger.hand_over(now, &heir);
                self.carry_out(actions);
            }
            None => {
                tracing::warn!("leaving for good with no peer to hand rights to: they are lost in windows that run")
            }
        }
        let actions = self.ledger.shares_mut().leave(now.unix);
        self.keep(actions);
    }

    /// A peer that counts: others may come to ask it.
    fn heir(&self) -> Option<Actor> {
        let standing = self.ledger.shares().standing();
        let active = standing.counted.iter().filter(|peer| peer.active_from.is_some() && peer.gone_from.is_none());
        let live = active.map(|peer| &peer.actor).find(|actor| self.live.contains_key(*actor));
        live.or_else(|| self.live.keys().next()).cloned()
    }
}
