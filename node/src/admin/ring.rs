//! `GET /cluster/ring`: who owns which partition.

use peerway_cluster::ring::{Partition, REPLICAS};
use serde::Serialize;
use utoipa::ToSchema;

use super::Admin;

#[derive(Serialize, ToSchema)]
pub(super) struct RingTable {
    partitions: usize,
    replicas: usize,
    nodes: Vec<RingNode>,
    /// For each partition the positions of owner and replica in `nodes`, `-1` for none.
    table: Vec<[i32; 2]>,
}

#[derive(Serialize, ToSchema)]
struct RingNode {
    id: String,
    zone: Option<std::sync::Arc<str>>,
    weight: f64,
    share: f64,
    owned: usize,
    replicated: usize,
}

pub(super) fn ring(admin: &Admin) -> RingTable {
    let Some(cluster) = &admin.peers.cluster else {
        let all = Partition::all().count();
        let node = RingNode {
            id: admin.peers.identity.node_id.to_string(),
            zone: admin.peers.zone.clone(),
            weight: 1.0,
            share: 1.0,
            owned: all,
            replicated: 0,
        };
        return RingTable { partitions: all, replicas: REPLICAS, nodes: vec![node], table: vec![[0, -1]; all] };
    };
    let ring = cluster.ring();
    let members = ring.members();
    let place = |id: Option<&peerway_cluster::identity::NodeId>| {
        id.and_then(|id| members.iter().position(|member| member.id == *id)).map_or(-1, |at| at as i32)
    };
    let table: Vec<[i32; 2]> = Partition::all()
        .map(|partition| {
            let owners = ring.owners(partition);
            [place(owners.owner), place(owners.replica)]
        })
        .collect();
    let count = |column: usize, at: usize| table.iter().filter(|row| row[column] == at as i32).count();
    let nodes = members
        .iter()
        .enumerate()
        .map(|(at, member)| RingNode {
            id: member.id.to_string(),
            zone: member.zone.clone(),
            weight: member.weight,
            share: ring.share(&member.id),
            owned: count(0, at),
            replicated: count(1, at),
        })
        .collect();
    RingTable { partitions: table.len(), replicas: REPLICAS, nodes, table }
}
