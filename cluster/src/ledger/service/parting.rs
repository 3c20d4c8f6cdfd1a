//! The end of the service: for a while, or for good.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::task::Task;
use crate::actor::Actor;
use crate::ledger::event::Event;

/// Peers have so long to take what is left.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It will be back with its data directory: it keeps its rights and its share.
    Restart,
    /// It never comes back: its rights go to a peer, and it has no share in windows to come.
    ForGood,
}

impl Task {
    pub(super) async fn close(&mut self, parting: Parting) {
        self.closing = true;
        // What requests still hold stays reserved, and so is charged in full by who reads the journal.
        self.sweep();
        // What is about to be opened comes back when the disk has it.
        self.come_to_rest().await;
        if parting == Parting::ForGood {
            self.leave();
        }
        self.step(Event::Close);
        self.step(Event::Tick);
        self.come_to_rest().await;
        self.publish();
        self.log.close().await;
    }

    /// Waits for the disk and for what is on its way to peers.
    async fn come_to_rest(&mut self) {
        let deadline = Instant::now() + FAREWELL;
        while !self.effects.is_empty() || !self.outbox.is_empty() {
            let Self { effects, outbox, .. } = self;
            let next = async {
                tokio::select! {
                    biased;
                    outcome = effects.first(), if !effects.is_empty() => (Some(outcome), None),
                    arrived = outbox.next(), if !outbox.is_empty() => (None, Some(arrived)),
                }
            };
            match timeout_at(deadline, next).await {
                Ok((Some(outcome), _)) => self.on_durable(outcome),
                Ok((_, Some(arrived))) => self.counted.arrived(arrived),
                Ok((None, None)) => {}
                Err(_) => {
                    tracing::warn!("not all that the ledger had to tell has reached its peers");
                    break;
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
