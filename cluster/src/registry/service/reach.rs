//! How far this node's writes have come, and whether it has the others'.

use std::collections::BTreeMap;

use crate::identity::NodeId;
use crate::registry::clock::Time;

/// Where this node stands among its peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// Of each live peer, up to when it took delivery of this node's writes.
    pub(super) delivered: BTreeMap<NodeId, Time>,
    /// It has all that some peer had.
    pub(super) caught_up: bool,
}

impl Reach {
    pub(super) fn all_know(&self, time: Time) -> bool {
        self.delivered.values().all(|known| *known >= time)
    }

    /// How many took delivery of a write, of how many.
    pub(super) fn count(&self, time: Time) -> (usize, usize) {
        (self.delivered.values().filter(|known| **known >= time).count(), self.delivered.len())
    }
}
