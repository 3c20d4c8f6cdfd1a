//! The other nodes, as the cache sees them.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use peerway_cluster::identity::NodeId;

use crate::identity::EntryId;
use crate::message::{
    Follow, Followed, Forget, Forgotten, Get, Got, Landed, Learn, Learned, Pull, Pulled, PurgeCall, Purged, Put,
    PutDone, Search, Searched,
};

/// Who holds an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The node that holds it first; nobody before the first node is ready.
    pub owner: Option<NodeId>,
    /// The node that holds the second copy, where there is one.
    pub replica: Option<NodeId>,
    /// Who was the owner before the ring last changed.
    pub previous_owner: Option<NodeId>,
    /// Another number means that the ring has changed.
    pub ring: u64,
}

impl Placement {
    /// Whether the node is to hold the entry.
    pub fn holds(&self, node: &NodeId) -> bool {
        self.owner.as_ref() == Some(node) || self.replica.as_ref() == Some(node)
    }

    /// Whether the node is the one to hold the entry, and nobody else is.
    pub fn is_only(&self, node: &NodeId) -> bool {
        self.owner.as_ref() == Some(node) && self.replica.as_ref().is_none_or(|replica| replica == node)
    }
}

/// Why a peer did not answer. The cache goes on without it in each case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// There is no way to it, or the way ended.
    #[error("{0} cannot be reached")]
    Unreachable(NodeId),
    /// It did not answer in time.
    #[error("{0} did not answer in time")]
    Late(NodeId),
    /// It, or the link, refused.
    #[error("{peer} refused: {reason}")]
    Refused {
        /// Who was asked.
        peer: NodeId,
        /// Its word.
        reason: String,
    },
}

/// The ring and the calls of the cluster. All calls may be awaited on any runtime and are cancelled by dropping them.
#[async_trait]
pub trait Peers: Debug + Send + Sync + 'static {
    /// This node.
    fn me(&self) -> &NodeId;
    /// Who holds the entry now.
    fn placement(&self, id: &EntryId) -> Placement;
    /// All other live nodes, whether they are in the ring or not.
    fn others(&self) -> Vec<NodeId>;
    /// Asks a peer for an entry; in bulk when the message says so.
    async fn get(&self, peer: &NodeId, message: &Get, deadline: Duration) -> Result<Got, PeerError>;
    /// Gives a peer an entry; in bulk when it is large.
    async fn put(&self, peer: &NodeId, message: &Put, deadline: Duration) -> Result<PutDone, PeerError>;
    /// Asks a peer for what comes next of a flight, in a call of its own.
    async fn follow(&self, peer: &NodeId, message: &Follow, deadline: Duration) -> Result<Followed, PeerError>;
    /// Tells a peer that a flight ended without an entry.
    async fn landed(&self, peer: &NodeId, message: &Landed, deadline: Duration) -> Result<(), PeerError>;
    /// Tells a peer of a purge.
    async fn purge(&self, peer: &NodeId, message: &PurgeCall, deadline: Duration) -> Result<Purged, PeerError>;
    /// Asks a peer for the entries nearest to a vector.
    async fn search(&self, peer: &NodeId, message: &Search, deadline: Duration) -> Result<Searched, PeerError>;
    /// Makes an entry findable at a peer.
    async fn learn(&self, peer: &NodeId, message: &Learn, deadline: Duration) -> Result<Learned, PeerError>;
    /// Tells a peer of entries that it finds and that are gone.
    async fn forget(&self, peer: &NodeId, message: &Forget, deadline: Duration) -> Result<Forgotten, PeerError>;
    /// Asks a peer for vectors, in bulk.
    async fn pull(&self, peer: &NodeId, message: &Pull, deadline: Duration) -> Result<Pulled, PeerError>;
    /// Makes the purges that this node knows of known to all, also to those who come later.
    /// They come in a few parts, each of which replaces what was said under its number.
    async fn publish_generations(&self, part: usize, text: String);
}

/// A node without peers.
#[derive(Debug)]
pub struct Alone {
    me: NodeId,
}

impl Alone {
    /// Just this node.
    pub fn new(me: NodeId) -> Alone {
        Alone { me }
    }
}

#[async_trait]
impl Peers for Alone {
    fn me(&self) -> &NodeId {
        &self.me
    }

    fn placement(&self, _: &EntryId) -> Placement {
        Placement { owner: Some(self.me.clone()), ..Placement::default() }
    }

    fn others(&self) -> Vec<NodeId> {
        Vec::new()
    }

    async fn get(&self, peer: &NodeId, _: &Get, _: Duration) -> Result<Got, PeerError> {
        Err(PeerError::Unreachable(peer.clone()))
    }

    async fn put(&self, peer: &NodeId, _: &Put, _: Duration) -> Result<PutDone, PeerError> {
        Err(PeerError::Unreachable(peer.clone()))
    }

    async fn follow(&self, peer: &NodeId, _: &Follow, _: Duration) -> Result<Followed, PeerError> {
        Err(PeerError::Unreachable(peer.clone()))
    }

    async fn landed(&self, peer: &NodeId, _: &Landed, _: Duration) -> Result<(), PeerError> {
        Err(PeerError::Unreachable(peer.clone()))
    }

    async fn purge(&self, peer: &NodeId, _: &PurgeCall, _: Duration) -> Result<Purged, PeerError> {
        Err(PeerError::Unreachable(peer.clone()))
    }

    async fn search(&self, peer: &NodeId, _: &Search, _: Duration) -> Result<Searched, PeerError> {
        Err(PeerError::Unreachable(peer.clone()))
    }

    async fn learn(&self, peer: &NodeId, _: &Learn, _: Duration) -> Result<Learned, PeerError> {
        Err(PeerError::Unreachable(peer.clone()))
    }

    async fn forget(&self, peer: &NodeId, _: &Forget, _: Duration) -> Result<Forgotten, PeerError> {
        Err(PeerError::Unreachable(peer.clone()))
    }

    async fn pull(&self, peer: &NodeId, _: &Pull, _: Duration) -> Result<Pulled, PeerError> {
        Err(PeerError::Unreachable(peer.clone()))
    }

    async fn publish_generations(&self, _: usize, _: String) {}
}
