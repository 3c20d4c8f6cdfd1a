//! How far this node's writes have come.

use std::collections::BTreeMap;

use crate::identity::NodeId;
use crate::registry::clock::Time;

/// Of each live peer, up to when it took delivery of this node's writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach(BTreeMap<NodeId, Time>);

impl FromIterator<(NodeId, Time)> for Reach {
    fn from_iter<I: IntoIterator<Item = (NodeId, Time)>>(peers: I) -> Reach {
        Reach(peers.into_iter().collect())
    }
}

impl Reach {
    pub(super) fn all_know(&self, time: Time) -> bool {
        self.0.values().all(|known| *known >= time)
    }

    /// How many took delivery of a write, of how many.
    pub(super) fn count(&self, time: Time) -> (usize, usize) {
        (self.0.values().filter(|known| **known >= time).count(), self.0.len())
    }
}
