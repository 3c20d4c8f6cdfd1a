//! One QUIC connection to every peer, and what travels over it.
//!
//! What comes in: calls and gossip of this node, connections of others. What goes out: answers, the peers there are,
//! and who was refused and why.
//!
//! - Becoming a peer: dial and accept, TLS on both sides, the hello, one connection per pair (`greet`,
//!   `hello`, `peers`).
//! - Three lanes: small calls share one long-lived stream (`lane`, `serve`), a bulk call has a stream of its own
//!   (`bulk`, `serve`), a gossip message too (`gossip`). The first is the cheap one: at a few thousand calls a second
//!   a stream per call costs twice the CPU.
//! - Whoever breaks the protocol is cut off, counted and named in the log; it may come back, with growing pauses.
//!
//! Time is tokio's and randomness seeded, so that whole clusters run in a simulation.

mod bulk;
mod clock;
mod codes;
mod counters;
mod dial;
mod endpoint;
mod error;
mod gossip;
mod greet;
mod hello;
mod lane;
mod limits;
mod open;
mod peers;
mod reach;
mod refusals;
mod serve;
mod service;
mod session;
mod shared;
mod status;
mod stream;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use self::codes::CloseCode;
use self::counters::add;
use self::dial::{Dials, Wish};
use self::lane::{LaneError, Reply};
use self::peers::Peer;
use self::reach::Reach;
use self::shared::Shared;
use self::stream::StreamError;
use crate::identity::{Identity, NodeId};
use crate::trust::Trust;
use crate::wire::{self, Kind, Message as _, Request, WireError};

pub use counters::LinkCounters;
pub use error::{CallError, LinkError, Refusal};
pub use gossip::GossipTransport;
pub use limits::{LinkLimits, MAX_LANE_MESSAGE};
pub use service::{Answer, LaterAnswer, Service};
pub use status::{DialStatus, PeerStatus, RefusalReason, RefusedPeer};

/// The end of the link's tasks and of its connections' farewells is waited for this long.
const CLOSING: Duration = Duration::from_secs(1);

/// What a link is made of.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Who this node is.
    pub identity: Identity,
    /// How it proves that.
    pub trust: Trust,
    /// The UDP address to listen on; port 0 takes any.
    pub listen: SocketAddr,
    /// The address that peers dial, when it is not the one listened on; port 0 means the port listened on.
    pub advertise: Option<SocketAddr>,
    /// The bounds.
    pub limits: LinkLimits,
}

/// This node's connections to its peers. Dropping the last clone ends them.
#[derive(Clone, Debug)]
pub struct Link {
    owner: Arc<Owner>,
}

/// The link's tasks hold what they share; this tells them that nobody else does.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.cancel.cancel();
    }
}

impl Link {
    /// Binds the UDP port and begins to accept peers. Must be called inside a tokio runtime, which serves the link.
    pub fn bind(config: LinkConfig, service: Arc<dyn Service>) -> Result<Link, LinkError> {
        open::bind(config, service).map(Link::own)
    }

    /// The same on a socket, timers and randomness from outside, for simulations.
    pub fn bind_abstract(
        config: LinkConfig,
        service: Arc<dyn Service>,
        socket: Arc<dyn quinn::AsyncUdpSocket>,
        runtime: Arc<dyn quinn::Runtime>,
        rng_seed: [u8; 32],
    ) -> Result<Link, LinkError> {
        open::bind_abstract(config, service, socket, runtime, rng_seed).map(Link::own)
    }

    fn own(shared: Arc<Shared>) -> Link {
        Link { owner: Arc::new(Owner { shared }) }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }

    /// Who this node is.
    pub fn identity(&self) -> &Identity {
        &self.shared().identity
    }

    /// The address listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared().local
    }

    /// The address that peers are told to dial.
    pub fn advertised(&self) -> SocketAddr {
        self.shared().advertised
    }

    /// A small call over the multiplexed lane. May be awaited on any runtime that has timers.
    pub async fn call<M: Request>(
        &self,
        peer: &NodeId,
        message: &M,
        deadline: Duration,
    ) -> Result<M::Response, CallError> {
        const { assert!(answers::<M>(), "the table of kinds names another answer") }
        let peer = self.peer(peer)?;
        let payload = wire::encode(message)?;
        let reply = peer.lane.call(M::KIND, &payload, deadline).await.map_err(|error| match error {
            LaneError::Lost => CallError::Disconnected(peer.id.clone()),
            LaneError::Full => CallError::Overloaded(peer.id.clone()),
            LaneError::Late => CallError::DeadlineExceeded { peer: peer.id.clone(), kind: M::KIND, deadline },
            LaneError::Wire(error) => CallError::Wire(error),
        });
        self.answered::<M>(&peer, reply)
    }

    /// A large or long call, on a stream of its own; dropping it cancels it on both ends.
    pub async fn call_bulk<M: Request>(
        &self,
        peer: &NodeId,
        message: &M,
        deadline: Duration,
    ) -> Result<M::Response, CallError> {
        const { assert!(answers::<M>(), "the table of kinds names another answer") }
        let peer = self.peer(peer)?;
        let payload = wire::encode(message)?;
        let reply = match timeout(deadline, bulk::call(&peer.connection, M::KIND, payload)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(self.bulk_failed(&peer, error)),
            Err(_) => Err(CallError::DeadlineExceeded { peer: peer.id.clone(), kind: M::KIND, deadline }),
        };
        self.answered::<M>(&peer, reply)
    }

    fn bulk_failed(&self, peer: &Peer, error: StreamError) -> CallError {
        match error.breach() {
            Some(breach) => {
                self.shared().cut(&peer.connection, &breach);
                CallError::Wire(breach)
            }
            None => CallError::Disconnected(peer.id.clone()),
        }
    }

    fn peer(&self, id: &NodeId) -> Result<Arc<Peer>, CallError> {
        let shared = self.shared();
        let found = shared.peers.by_id(id).ok_or_else(|| {
            if shared.cancel.is_cancelled() {
                CallError::Closed
            } else if *id == shared.identity.node_id {
                CallError::Oneself(id.clone())
            } else {
                CallError::NotConnected(id.clone())
            }
        });
        if found.is_err() {
            add(&shared.counters.calls_failed);
        }
        found
    }

    fn answered<M: Request>(&self, peer: &Peer, reply: Result<Reply, CallError>) -> Result<M::Response, CallError> {
        let counters = &self.shared().counters;
        let answer = reply.and_then(|(kind, payload)| match kind {
            Kind::LinkRefusal => {
                let refusal = wire::decode(&payload)?;
                Err(CallError::Refused { peer: peer.id.clone(), kind: M::KIND, refusal })
            }
            kind if kind == M::Response::KIND => Ok(wire::decode(&payload)?),
            other => Err(WireError::Misplaced(other).into()),
        });
        add(match &answer {
            Ok(_) => &counters.calls_answered,
            Err(CallError::DeadlineExceeded { .. }) => &counters.calls_timed_out,
            Err(_) => &counters.calls_failed,
        });
        if let Err(CallError::Wire(breach @ (WireError::Misplaced(_) | WireError::Payload { .. }))) = &answer {
            self.shared().cut(&peer.connection, breach);
        }
        answer
    }

    /// Dials an address in the background, again and again until it is forgotten.
    pub fn connect(&self, address: SocketAddr) {
        Dials::want(self.shared(), address, Wish::Lasting);
    }

    /// Stops dialling an address; a connection that stands stays.
    pub fn forget(&self, address: SocketAddr) {
        self.shared().dials.forget(&address);
    }

    /// The connected peers, by id.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.shared().peers.status()
    }

    /// True when a call to this peer has a connection to go over.
    pub fn is_connected(&self, peer: &NodeId) -> bool {
        self.shared().peers.by_id(peer).is_some()
    }

    /// QUIC connections of any state: peers', strangers' in their handshake, replaced ones that end.
    pub fn open_connections(&self) -> usize {
        self.shared().endpoint.open_connections()
    }

    /// Changes whenever a peer connects or disconnects.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared().peers.watch()
    }

    /// Becomes what a peer said when it refused this node because another, earlier process lives with its identity. This
    /// one must end then: it must not speak, write or spend in the other's name.
    pub fn double(&self) -> watch::Receiver<Option<String>> {
        self.shared().double.subscribe()
    }

    /// The addresses that are dialled, and why there is no peer behind those that have none.
    pub fn dials(&self) -> Vec<DialStatus> {
        self.shared().dials.status(self.shared())
    }

    /// What happened so far.
    pub fn counters(&self) -> LinkCounters {
        self.shared().counters.snapshot()
    }

    /// Who was refused lately, the latest first.
    pub fn refusals(&self) -> Vec<RefusedPeer> {
        self.shared().refusals.lock().unwrap_or_else(PoisonError::into_inner).list(Instant::now())
    }

    /// Asks a peer whether a packet from a fresh socket of its own reaches our advertised address.
    pub async fn reached_by(&self, peer: &NodeId, deadline: Duration) -> Result<bool, CallError> {
        Ok(self.call(peer, &Reach, deadline).await?.yes)
    }

    /// The gossip lane as chitchat wants it.
    pub fn gossip_transport(&self) -> GossipTransport {
        GossipTransport { shared: Arc::clone(self.shared()) }
    }

    /// Tells the peers, and ends all tasks. The port is free when the last clone is dropped too.
    pub async fn close(&self) {
        let shared = self.shared();
        shared.endpoint.close(CloseCode::Shutdown.varint(), b"the node is leaving");
        shared.cancel.cancel();
        shared.tasks.close();
        // Both are bounded by their nature; a peer that does not answer the farewell must not keep us.
        let _ = timeout(CLOSING, shared.tasks.wait()).await;
        let _ = timeout(CLOSING, shared.endpoint.wait_idle()).await;
    }
}

/// Whether the table of kinds and the types agree; checked while compiling.
const fn answers<M: Request>() -> bool {
    match M::KIND.response() {
        Some(kind) => kind.number() == M::Response::KIND.number(),
        None => false,
    }
}
