//! What all tasks of a link share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use chitchat::ChitchatMessage;
use quinn::{ClientConfig, Connection, Endpoint};
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::clock::WallClock;
use super::codes::{CloseCode, close};
use super::counters::{Counters, add};
use super::dial::Dials;
use super::hello::Hello;
use super::peers::Peers;
use super::refusals::Refusals;
use super::{LinkLimits, RefusalReason, Service};
use crate::identity::Identity;
use crate::wire::WireError;

/// A gossip message and the advertised address of the peer that sent it.
pub(super) type Gossip = (SocketAddr, ChitchatMessage);

pub(super) struct Shared {
    pub(super) identity: Identity,
    pub(super) advertised: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) limits: LinkLimits,
    pub(super) endpoint: Endpoint,
    pub(super) client: ClientConfig,
    pub(super) service: Arc<dyn Service>,
    pub(super) peers: Peers,
    pub(super) dials: Dials,
    pub(super) counters: Counters,
    pub(super) refusals: Mutex<Refusals>,
    pub(super) inbox: mpsc::Sender<Gossip>,
    /// The other end of the inbox while no membership has it.
    pub(super) inbox_end: Mutex<Option<mpsc::Receiver<Gossip>>>,
    /// What was said, once a peer has refused this node because another process lives with its identity.
    pub(super) double: watch::Sender<Option<String>>,
    pub(super) tasks: TaskTracker,
    pub(super) cancel: CancellationToken,
    pub(super) runtime: Handle,
    pub(super) clock: WallClock,
    pub(super) rng: Mutex<StdRng>,
    /// Whether a socket of our own may be opened, which a simulation has no use for.
    pub(super) real_sockets: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("node", &self.identity.node_id).field("local", &self.local).finish_non_exhaustive()
    }
}

impl Shared {
    /// Runs on the link's own runtime, whichever thread asks for it, and ends before `close` returns.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.cancel.clone();
        self.tasks.spawn_on(
            async move {
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => {}
                    () = task => {}
                }
            },
            &self.runtime,
        );
    }

    pub(super) fn found_double(&self, said: &str) {
        self.double.send_if_modified(|double| {
            let first = double.is_none();
            double.get_or_insert_with(|| said.to_owned());
            first
        });
    }

    pub(super) fn hello(&self) -> Hello {
        Hello::of(&self.identity, self.advertised, self.clock.micros())
    }

    /// A number in 0..1.
    pub(super) fn jitter(&self) -> f64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// Counts, remembers and (now and then) logs that somebody did not become a peer.
    pub(super) fn refuse(&self, address: SocketAddr, reason: RefusalReason, detail: &str) {
        match reason {
            RefusalReason::Trust => add(&self.counters.refused_trust),
            RefusalReason::Misbehaved => {}
            _ => add(&self.counters.refused_hello),
        }
        let due =
            self.refusals.lock().unwrap_or_else(PoisonError::into_inner).note(address, reason, detail, Instant::now());
        if due {
            warn!(%address, reason = reason.as_str(), "not a peer: {detail}");
        }
    }

    /// Ends the connection of a peer that broke the protocol; it may come back.
    pub(super) fn cut(&self, connection: &Connection, breach: &WireError) {
        let (counter, code) = if breach.is_oversized() {
            (&self.counters.oversized_frames, CloseCode::Oversized)
        } else {
            (&self.counters.malformed_frames, CloseCode::Malformed)
        };
        // Streams of one connection may fail together; it is cut once.
        if connection.close_reason().is_some() {
            return;
        }
        add(counter);
        let address = connection.remote_address();
        self.refuse(address, RefusalReason::Misbehaved, &format!("the peer at {address} was cut off: {breach}"));
        close(connection, code, &breach.to_string());
    }
}
