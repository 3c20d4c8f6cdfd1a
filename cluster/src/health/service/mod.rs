//! The board at work: it is told the time, its news go to the peers at once, and what happens to breakers to the log.

mod courier;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::board::Board;
use super::breaker::Shift;
use super::messages::{Digest, News};
use super::settings::Settings;
use crate::cluster::Cluster;
use crate::identity::{Identity, NodeId};
use crate::link::{Answer, Refusal};
use crate::wire::{self, Kind, Message};

use courier::Courier;

const TICK: Duration = Duration::from_secs(1);

/// The handle of a board at work. Cheap to clone; may be used from any thread.
#[derive(Clone, Debug)]
pub struct HealthService {
    board: Arc<Board>,
    started: Instant,
}

impl HealthService {
    /// A board of this life of this node.
    pub fn new(identity: &Identity, settings: Settings) -> HealthService {
        let board = Board::new(identity.node_id.clone(), identity.generation.0, settings);
        HealthService { board: Arc::new(board), started: Instant::now() }
    }

    /// The board.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// The board's time at a moment.
    pub fn at(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.started)
    }

    /// The board's time.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The answer to a peer's message of this room; none to a message of another. `from` must be the name that the
    /// peer's certificate proves.
    pub fn answer(&self, from: &NodeId, kind: Kind, payload: &Bytes) -> Option<Answer> {
        let heard = match kind {
            Kind::HealthNews => read::<News>(payload).map(|news| self.board.hear(self.now(), from, &news)),
            Kind::HealthDigest => read::<Digest>(payload).map(|digest| self.board.compare(self.now(), from, &digest)),
            _ => return None,
        };
        let write = |heard| wire::encode(&heard).map_err(|error| Refusal::Failed(error.to_string()));
        Some(Answer::Now(heard.and_then(write)))
    }

    /// Works until it is dropped; on the runtime of the control plane.
    pub async fn run(self, cluster: Option<Cluster>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut courier = cluster.map(Courier::new);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    let live = courier.as_ref().map(Courier::live).unwrap_or_default();
                    self.board.tick(self.now(), &live);
                }
                () = self.board.changed() => {}
                () = courier::wait(courier.as_mut()) => {}
            }
            self.log();
            if let Some(courier) = &mut courier {
                courier.send(&self.board, self.now());
            }
        }
    }

    fn log(&self) {
        for (target, shift) in self.board.take_shifts() {
            match shift {
                Shift::Opened(cause) => {
                    warn!(%target, reason = %cause, "a breaker opened: no calls go there but probes")
                }
                Shift::Closed => info!(%target, reason = "a call of this node succeeded", "a breaker closed"),
                Shift::ClosedBy(peer) => {
                    info!(%target, reason = %format_args!("a call of {peer} succeeded"), "a breaker closed")
                }
            }
        }
    }
}

fn read<M: Message>(payload: &[u8]) -> Result<M, Refusal> {
    wire::decode(payload).map_err(|_| Refusal::Malformed)
}
