//! This node among its peers: what it tells them of its load, what it answers them, and how one is told to drain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use peerway_cache::CacheService;
use peerway_cluster::cluster::Cluster;
use peerway_cluster::health::HealthService;
use peerway_cluster::identity::{Identity, NodeId};
use peerway_cluster::ledger::service::LedgerService;
use peerway_cluster::link::{Answer, Refusal, Service};
use peerway_cluster::registry::RegistryService;
use peerway_cluster::wire::{self, Kind, Message, Request};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::gateway::Gateway;
use crate::telemetry::Shards;

/// The gossip key under which a node publishes its [`LoadReport`].
pub const LOAD_KEY: &str = "load";
const DRAIN_DEADLINE: Duration = Duration::from_secs(2);

/// What a node says of its load, once a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    pub requests_per_s: u64,
    pub in_flight: u64,
    pub cache_entries: u64,
    pub cache_bytes: u64,
    pub uptime_s: u64,
}

/// Measures this node's load.
#[derive(Debug, Clone)]
pub struct Load {
    shards: Shards,
    gateway: Arc<Gateway>,
    started: Instant,
    rate: Arc<AtomicU64>,
}

impl Load {
    pub fn new(shards: Shards, gateway: Arc<Gateway>) -> Self {
        Self { shards, gateway, started: Instant::now(), rate: Arc::default() }
    }

    pub fn report(&self) -> LoadReport {
        let (cache_entries, cache_bytes) = self.gateway.cache.size();
        LoadReport {
            requests_per_s: self.rate.load(Ordering::Relaxed),
            in_flight: self.gateway.drain.in_flight() as u64,
            cache_entries,
            cache_bytes,
            uptime_s: self.started.elapsed().as_secs(),
        }
    }

    /// Measures the rate, once a second.
    pub async fn keep_measuring(self) {
        let mut tick = every_second();
        let mut last = self.shards.finished();
        loop {
            tick.tick().await;
            let finished = self.shards.finished();
            self.rate.store(finished - last, Ordering::Relaxed);
            last = finished;
        }
    }

    /// Tells the peers the load, once a second when it moved.
    pub async fn keep_telling(self, cluster: Cluster) {
        let mut tick = every_second();
        let mut told = None;
        loop {
            tick.tick().await;
            // The uptime moves by itself, so it is left out.
            let report = LoadReport { uptime_s: 0, ..self.report() };
            if told == Some(report) {
                continue;
            }
            told = Some(report);
            let text = serde_json::to_string(&report).unwrap_or_default();
            if let Err(error) = cluster.publish(LOAD_KEY, text).await {
                tracing::debug!(%error, "the load was not published");
            }
        }
    }
}

fn every_second() -> tokio::time::Interval {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick
}

/// Tells a node to drain and end, as SIGTERM does.
#[derive(Debug, Clone, bincode::Encode, bincode::Decode)]
pub struct DrainNode {}

/// The node has begun to drain.
#[derive(Debug, Clone, bincode::Encode, bincode::Decode)]
pub struct Draining {}

impl Message for DrainNode {
    const KIND: Kind = Kind::NodeDrain;
}

impl Message for Draining {
    const KIND: Kind = Kind::NodeDraining;
}

impl Request for DrainNode {
    type Response = Draining;
}

/// Answers what peers ask of this node, each room by its own part.
#[derive(Debug)]
pub struct Rooms {
    cache: CacheService,
    registry: RegistryService,
    ledger: LedgerService,
    health: HealthService,
    drain: Arc<Notify>,
}

impl Rooms {
    pub fn new(cache: CacheService, registry: RegistryService, ledger: LedgerService, health: HealthService) -> Self {
        Self { cache, registry, ledger, health, drain: Arc::default() }
    }

    /// Told when this node is to drain.
    pub fn drain_asked(&self) -> Arc<Notify> {
        Arc::clone(&self.drain)
    }
}

impl Service for Rooms {
    fn serve(&self, from: &NodeId, kind: Kind, payload: Bytes) -> Answer {
        if kind == Kind::NodeDrain {
            tracing::info!(%from, "a peer's operator asks this node to drain");
            self.drain.notify_one();
            return Answer::Now(wire::encode(&Draining {}).map_err(|_| Refusal::Malformed));
        }
        let answer = self.cache.answer(from, kind, &payload);
        let answer = answer.or_else(|| self.ledger.answer(from, kind, &payload));
        let answer = answer.or_else(|| self.health.answer(from, kind, &payload));
        let answer = answer.or_else(|| self.registry.answer(from, kind, &payload));
        answer.unwrap_or(Answer::Now(Err(Refusal::NotServed)))
    }
}

/// The cluster as the control plane sees it; a node without one is a cluster of itself.
#[derive(Debug, Clone)]
pub struct Peers {
    pub identity: Identity,
    pub cluster: Option<Cluster>,
    pub zone: Option<Arc<str>>,
    pub http: String,
    drain: Arc<Notify>,
}

#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    #[error("`{node}` is not a live node of this cluster; live: {live}")]
    NotThere { node: String, live: String },
    #[error("`{node}` could not be told: {source}")]
    NotTold { node: String, source: peerway_cluster::link::CallError },
}

impl Peers {
    pub fn new(
        identity: Identity,
        cluster: Option<Cluster>,
        zone: Option<Arc<str>>,
        http: String,
        drain: Arc<Notify>,
    ) -> Self {
        Self { identity, cluster, zone, http, drain }
    }

    /// Begins the drain of a node, this one included.
    pub async fn drain(&self, node: &str) -> Result<(), DrainError> {
        if node == self.identity.node_id.as_str() {
            self.drain.notify_one();
            return Ok(());
        }
        let members = self.cluster.iter().flat_map(|cluster| cluster.view().members.clone());
        let mut live = vec![self.identity.node_id.to_string()];
        for member in members {
            if member.id.as_str() == node
                && let Some(cluster) = &self.cluster
            {
                return match cluster.link().call(&member.id, &DrainNode {}, DRAIN_DEADLINE).await {
                    Ok(Draining {}) => Ok(()),
                    Err(source) => Err(DrainError::NotTold { node: node.to_owned(), source }),
                };
            }
            live.push(member.id.to_string());
        }
        live.sort_unstable();
        live.dedup();
        Err(DrainError::NotThere { node: node.to_owned(), live: live.join(", ") })
    }
}
