//! `GET /cluster/status`: the cluster as this node sees it.

use std::collections::HashMap;
use std::sync::Arc;

use peerway_cluster::identity::NodeId;
use peerway_cluster::link::PeerStatus;
use peerway_cluster::membership::{Member, State};
use peerway_cluster::ring::{PARTITIONS, REPLICAS, Ring};
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;
use super::ledger::{Ledger, ledger};
use super::providers;
use crate::health::ProviderStatus;
use crate::http::drain::Phase;
use crate::peers::{LOAD_KEY, LoadReport};

#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    cluster: String,
    version: &'static str,
    node: String,
    /// Hash of the live set; equal on nodes that see the same.
    view: String,
    /// All live nodes see the same live set.
    converged: bool,
    nodes: Vec<Node>,
    ring: RingFacts,
    ledger: Ledger,
    registry: Registry,
    /// Models at providers with their keys, as far as calls were meant for them.
    providers: Vec<ProviderStatus>,
    link: Option<Link>,
}

#[derive(Serialize, ToSchema)]
struct Node {
    id: String,
    incarnation: u64,
    state: &'static str,
    zone: Option<Arc<str>>,
    http: String,
    cluster: Option<String>,
    version: String,
    uptime_s: u64,
    /// `null` while there is no connection.
    rtt_ms: Option<f64>,
    gossip_age_ms: u64,
    clock_offset_ms: Option<i64>,
    ring_share: f64,
    requests_per_s: u64,
    in_flight: u64,
    cache_entries: u64,
    cache_bytes: u64,
}

#[derive(Serialize, ToSchema)]
struct RingFacts {
    partitions: usize,
    replicas: usize,
}

/// What was changed at run time.
#[derive(Serialize, ToSchema)]
struct Registry {
    /// How many records there are, removals not counted.
    records: usize,
    /// The same on all nodes that hold the same.
    revision: String,
    /// `ok`; `degraded` while the disk does not take it, then a restart of this node loses what is new; `none` without a
    /// data directory.
    durability: &'static str,
    /// Why the disk does not take it.
    disk_error: Option<String>,
    /// Records of peers that were not taken since the start.
    refused: u64,
    /// Why the last of them was not.
    last_refusal: Option<String>,
    /// Records that a newer version wrote: nobody can use here what they name.
    unreadable: usize,
}

/// What stands between this node and its peers.
#[derive(Serialize, ToSchema)]
struct Link {
    /// Seeds and whether they are reachable, in words.
    seeds: Vec<Seed>,
    /// Who tried to be a peer and was refused, lately.
    refused: Vec<Refused>,
}

#[derive(Serialize, ToSchema)]
struct Seed {
    seed: String,
    address: Option<String>,
    verdict: &'static str,
    message: String,
}

#[derive(Serialize, ToSchema)]
struct Refused {
    address: String,
    reason: &'static str,
    detail: String,
    times: u64,
    ago_s: u64,
}

pub(super) fn status(admin: &Admin) -> Status {
    let peers = &admin.peers;
    let (nodes, view, converged) = match &peers.cluster {
        None => (vec![alone(admin)], "alone".to_owned(), true),
        Some(cluster) => {
            let view = cluster.view();
            let ring = cluster.ring();
            let links: HashMap<NodeId, PeerStatus> =
                cluster.link().peers().into_iter().map(|peer| (peer.id.clone(), peer)).collect();
            let nodes = view.members.iter().map(|member| node(admin, member, links.get(&member.id), &ring)).collect();
            (nodes, view.hash(), cluster.converged())
        }
    };
    Status {
        cluster: peers.identity.cluster.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        node: peers.identity.node_id.to_string(),
        view,
        converged,
        nodes,
        ring: RingFacts { partitions: PARTITIONS, replicas: REPLICAS },
        ledger: ledger(admin),
        registry: registry(admin),
        providers: providers::all(admin),
        link: peers.cluster.as_ref().map(|cluster| Link {
            seeds: cluster
                .reachability()
                .into_iter()
                .map(|seed| Seed {
                    seed: seed.seed.to_string(),
                    address: seed.address.map(|address| address.to_string()),
                    verdict: seed.verdict.as_str(),
                    message: seed.message,
                })
                .collect(),
            refused: cluster
                .link()
                .refusals()
                .into_iter()
                .map(|refused| Refused {
                    address: refused.address.to_string(),
                    reason: refused.reason.as_str(),
                    detail: refused.detail,
                    times: refused.times,
                    ago_s: refused.ago.as_secs(),
                })
                .collect(),
        }),
    }
}

/// A node without a cluster: all of the ring is its own.
fn alone(admin: &Admin) -> Node {
    let state = match admin.gateway.drain.phase() {
        Phase::Starting => State::Starting,
        Phase::Serving => State::Ready,
        Phase::Noticing | Phase::Closing => State::Draining,
    };
    let peers = &admin.peers;
    Node {
        state: state.as_str(),
        ring_share: 1.0,
        ..described(
            peers.identity.node_id.as_str(),
            peers.identity.incarnation.0,
            peers.zone.clone(),
            peers.http.clone(),
            admin.load.report(),
        )
    }
}

fn node(admin: &Admin, member: &Member, link: Option<&PeerStatus>, ring: &Ring) -> Node {
    let oneself = member.id == admin.peers.identity.node_id;
    let mut report = if oneself {
        admin.load.report()
    } else {
        member.published.get(LOAD_KEY).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    };
    report.uptime_s = uptime_s(member);
    Node {
        state: member.state.as_str(),
        cluster: Some(member.address.to_string()),
        version: member.version.clone(),
        rtt_ms: if oneself { Some(0.0) } else { link.map(|link| link.rtt.as_secs_f64() * 1e3) },
        gossip_age_ms: member.gossip_age().as_millis() as u64,
        clock_offset_ms: if oneself { Some(0) } else { link.and_then(|link| link.clock_offset_ms) },
        ring_share: ring.share(&member.id),
        ..described(member.id.as_str(), member.incarnation.0, member.zone.clone(), member.http.clone(), report)
    }
}

/// A generation is the moment of the start in microseconds, so a peer's uptime needs no message of its own.
fn uptime_s(member: &Member) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_secs().saturating_sub(member.generation.0 / 1_000_000)
}

fn described(id: &str, incarnation: u64, zone: Option<Arc<str>>, http: String, report: LoadReport) -> Node {
    Node {
        id: id.to_owned(),
        incarnation,
        state: State::Starting.as_str(),
        zone,
        http,
        cluster: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: report.uptime_s,
        rtt_ms: Some(0.0),
        gossip_age_ms: 0,
        clock_offset_ms: Some(0),
        ring_share: 0.0,
        requests_per_s: report.requests_per_s,
        in_flight: report.in_flight,
        cache_entries: report.cache_entries,
        cache_bytes: report.cache_bytes,
    }
}

fn registry(admin: &Admin) -> Registry {
    let status = admin.registry.status();
    Registry {
        records: status.live,
        revision: format!("{:016x}", status.revision),
        durability: status.durability.as_str(),
        disk_error: status.disk_error.clone(),
        refused: status.refused,
        last_refusal: status.last_refusal.clone(),
        unreadable: admin.gateway.access.load().unreadable.len(),
    }
}
