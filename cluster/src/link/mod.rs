//! One QUIC connection to every peer, and what travels over it.
//!
//! What comes in: calls and gossip of this node, connections of others. What goes out: answers, the peers there are,
//! and who was refused and why.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::{Identity, NodeId};
use crate::trust::Trust;
use crate::wire::Request;

mod error;
mod limits;
mod service;
mod status;

pub use error::{CallError, LinkError, Refusal};
pub use limits::LinkLimits;
pub use service::{Answer, LaterAnswer, Service};
pub use status::{DialStatus, LinkCounters, PeerStatus, RefusalReason, RefusedPeer};

/// What a link is made of.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Who this node is.
    pub identity: Identity,
    /// How it proves that.
    pub trust: Trust,
    /// The UDP address to listen on; port 0 takes any.
    pub listen: SocketAddr,
    /// The address that peers dial, when it is not the one listened on.
    pub advertise: Option<SocketAddr>,
    /// The bounds.
    pub limits: LinkLimits,
}

/// This node's connections to its peers.
#[derive(Clone, Debug)]
pub struct Link {}

/// Carries chitchat's messages over the link.
#[derive(Clone, Debug)]
pub struct GossipTransport {}

#[async_trait::async_trait]
impl chitchat::transport::Transport for GossipTransport {
    async fn open(&self, _listen: SocketAddr) -> anyhow::Result<Box<dyn chitchat::transport::Socket>> {
        anyhow::bail!("skeleton")
    }
}

#[allow(unused, clippy::unused_async)]
impl Link {
    /// Binds the UDP port and begins to accept peers. Must be called inside a tokio runtime, which serves the link.
    pub fn bind(config: LinkConfig, service: Arc<dyn Service>) -> Result<Link, LinkError> {
        Err(LinkError::NoRuntime)
    }
    /// The same on a socket, timers and randomness from outside, for simulations.
    pub fn bind_abstract(
        config: LinkConfig,
        service: Arc<dyn Service>,
        socket: Arc<dyn quinn::AsyncUdpSocket>,
        runtime: Arc<dyn quinn::Runtime>,
        rng_seed: [u8; 32],
    ) -> Result<Link, LinkError> {
        Err(LinkError::NoRuntime)
    }
    /// Who this node is.
    pub fn identity(&self) -> &Identity {
        unreachable!()
    }
    /// The address listened on.
    pub fn local_addr(&self) -> SocketAddr {
        unreachable!()
    }
    /// The address that peers are told to dial.
    pub fn advertised(&self) -> SocketAddr {
        unreachable!()
    }
    /// A small call over the multiplexed lane. May be awaited on any runtime.
    pub async fn call<M: Request>(
        &self,
        peer: &NodeId,
        message: &M,
        deadline: Duration,
    ) -> Result<M::Response, CallError> {
        Err(CallError::Closed)
    }
    /// A large or long call, on a stream of its own; dropping it cancels it. May be awaited on any runtime.
    pub async fn call_bulk<M: Request>(
        &self,
        peer: &NodeId,
        message: &M,
        deadline: Duration,
    ) -> Result<M::Response, CallError> {
        Err(CallError::Closed)
    }
    /// Dials an address in the background, again and again until it is forgotten.
    pub fn connect(&self, address: SocketAddr) {}
    /// Stops dialling an address; a connection that stands stays.
    pub fn forget(&self, address: SocketAddr) {}
    /// The connected peers, by id.
    pub fn peers(&self) -> Vec<PeerStatus> {
        Vec::new()
    }
    /// The addresses that are dialled.
    pub fn dials(&self) -> Vec<DialStatus> {
        Vec::new()
    }
    /// What happened so far.
    pub fn counters(&self) -> LinkCounters {
        LinkCounters::default()
    }
    /// Who was refused lately, and why.
    pub fn refusals(&self) -> Vec<RefusedPeer> {
        Vec::new()
    }
    /// Asks a peer whether a fresh packet of its own reaches our advertised address.
    pub async fn reached_by(&self, peer: &NodeId, deadline: Duration) -> Result<bool, CallError> {
        Err(CallError::Closed)
    }
    /// Changes whenever a peer connects or disconnects.
    pub fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        unreachable!()
    }
    /// The gossip lane as chitchat wants it.
    pub fn gossip_transport(&self) -> GossipTransport {
        GossipTransport {}
    }
    /// Tells the peers, ends all tasks and frees the port.
    pub async fn close(&self) {}
}
