//! The cluster as the cache's peers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use peerway_cluster::cluster::Cluster;
use peerway_cluster::identity::NodeId;
use peerway_cluster::link::CallError;
use peerway_cluster::membership::View;
use peerway_cluster::ring::Partition;
use peerway_cluster::wire::Request;

use crate::config::LANE_ENTRY;
use crate::identity::EntryId;
use crate::message::{
    Follow, Followed, Forget, Forgotten, Get, Got, Landed, Learn, Learned, Pull, Pulled, PurgeCall, Purged, Put,
    PutDone, Search, Searched,
};
use crate::peers::{PeerError, Peers, Placement};
use crate::ring_cache::RingCache;

/// Under these keys, with a number behind them, a node publishes the purges that it knows of.
const GENERATIONS_KEY: &str = "cache.generations.";

/// The peers of a node in a cluster.
///
/// The cache answers the cluster's calls, so it is there before the cluster is; until [`ClusterPeers::attach`] the node
/// is alone.
#[derive(Debug)]
pub struct ClusterPeers {
    me: NodeId,
    cluster: ArcSwapOption<Cluster>,
}

impl ClusterPeers {
    /// The peers of this node, nobody so far.
    pub fn new(me: NodeId) -> Arc<ClusterPeers> {
        Arc::new(ClusterPeers { me, cluster: ArcSwapOption::empty() })
    }

    /// From now on the cluster's nodes are the peers. The future takes over their purges for as long as the cluster
    /// runs; it is to be spawned.
    pub fn attach(&self, cluster: Cluster, cache: RingCache) -> impl Future<Output = ()> + Send + 'static {
        let mut views = cluster.watch();
        let me = self.me.clone();
        self.cluster.store(Some(Arc::new(cluster)));
        async move {
            let mut heard = BTreeMap::new();
            loop {
                let said = generations(&views.borrow_and_update(), &me);
                let new = said.iter().filter(|(who, text)| heard.get(*who) != Some(*text));
                cache.learn_generations(new.map(|(_, text)| text.as_str())).await;
                heard = said;
                if views.changed().await.is_err() {
                    return;
                }
            }
        }
    }

    /// Alone again. Lets go of the cluster, which holds the cache as a part of its service.
    pub fn detach(&self) {
        self.cluster.store(None);
    }

    async fn call<M: Request>(
        &self,
        peer: &NodeId,
        message: &M,
        bulk: bool,
        deadline: Duration,
    ) -> Result<M::Response, PeerError> {
        let cluster = self.cluster.load_full().ok_or_else(|| PeerError::Unreachable(peer.clone()))?;
        let answer = if bulk {
            cluster.link().call_bulk(peer, message, deadline).await
        } else {
            cluster.link().call(peer, message, deadline).await
        };
        answer.map_err(|error| match error {
            CallError::NotConnected(_) | CallError::Disconnected(_) | CallError::Closed => {
                PeerError::Unreachable(peer.clone())
            }
            CallError::DeadlineExceeded { .. } => PeerError::Late(peer.clone()),
            error => PeerError::Refused { peer: peer.clone(), reason: error.to_string() },
        })
    }
}

/// What all others say of purges, by who and under which key.
fn generations(view: &View, me: &NodeId) -> BTreeMap<(NodeId, String), String> {
    let others = view.members.iter().filter(|member| member.id != *me);
    others
        .flat_map(|member| {
            let published = member.published.iter().filter(|(key, _)| key.starts_with(GENERATIONS_KEY));
            published.map(|(key, text)| ((member.id.clone(), key.clone()), text.clone()))
        })
        .collect()
}

#[async_trait]
impl Peers for ClusterPeers {
    fn me(&self) -> &NodeId {
        &self.me
    }

    fn placement(&self, id: &EntryId) -> Placement {
        let cluster = self.cluster.load();
        let Some(cluster) = cluster.as_ref() else {
            return Placement { owner: Some(self.me.clone()), ..Placement::default() };
        };
        let partition = Partition::of(id.as_bytes());
        let ring = cluster.ring();
        let owners = ring.owners(partition);
        let previous = cluster.previous_ring();
        let previous_owner = previous.as_ref().and_then(|ring| ring.owners(partition).owner);
        // A dead one would cost each look-up its deadline; one that drains still answers.
        let asked = previous_owner
            .filter(|previous| owners.owner != Some(*previous) && cluster.view().member(previous).is_some());
        Placement {
            owner: owners.owner.cloned(),
            replica: owners.replica.cloned(),
            previous_owner: asked.cloned(),
            ring: Arc::as_ptr(&ring).addr() as u64,
        }
    }

    fn others(&self) -> Vec<NodeId> {
        let Some(cluster) = self.cluster.load_full() else { return Vec::new() };
        cluster.view().members.iter().map(|member| member.id.clone()).filter(|id| *id != self.me).collect()
    }

    async fn get(&self, peer: &NodeId, message: &Get, deadline: Duration) -> Result<Got, PeerError> {
        self.call(peer, message, message.bulk, deadline).await
    }

    async fn put(&self, peer: &NodeId, message: &Put, deadline: Duration) -> Result<PutDone, PeerError> {
        self.call(peer, message, message.entry.weight() > LANE_ENTRY, deadline).await
    }

    async fn follow(&self, peer: &NodeId, message: &Follow, deadline: Duration) -> Result<Followed, PeerError> {
        self.call(peer, message, true, deadline).await
    }

    async fn landed(&self, peer: &NodeId, message: &Landed, deadline: Duration) -> Result<(), PeerError> {
        self.call(peer, message, false, deadline).await.map(|_| ())
    }

    async fn purge(&self, peer: &NodeId, message: &PurgeCall, deadline: Duration) -> Result<Purged, PeerError> {
        self.call(peer, message, false, deadline).await
    }

    async fn search(&self, peer: &NodeId, message: &Search, deadline: Duration) -> Result<Searched, PeerError> {
        self.call(peer, message, false, deadline).await
    }

    async fn learn(&self, peer: &NodeId, message: &Learn, deadline: Duration) -> Result<Learned, PeerError> {
        self.call(peer, message, false, deadline).await
    }

    async fn forget(&self, peer: &NodeId, message: &Forget, deadline: Duration) -> Result<Forgotten, PeerError> {
        self.call(peer, message, false, deadline).await
    }

    async fn pull(&self, peer: &NodeId, message: &Pull, deadline: Duration) -> Result<Pulled, PeerError> {
        self.call(peer, message, true, deadline).await
    }

    async fn publish_generations(&self, part: usize, text: String) {
        let Some(cluster) = self.cluster.load_full() else { return };
        if let Err(error) = cluster.publish(&format!("{GENERATIONS_KEY}{part}"), text).await {
            tracing::warn!(%error, "a purge was not published; nodes that come later may not know of it");
        }
    }
}
