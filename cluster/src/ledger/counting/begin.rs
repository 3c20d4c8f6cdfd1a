//! Rule 0: who may begin to count when nobody has begun yet.

use std::collections::BTreeSet;

use crate::actor::Actor;
use crate::identity::NodeId;

/// How a cluster without a past begins.
///
/// Two groups that begin without having met would each take the whole limit. So a beginning takes so many that two
/// groups of that size have a member in common; its statements, which are in an order, decide who must wait for whom.
///
/// This leans on the journals of those who began. A founder that lost its data directory does not know that the cluster
/// has begun until it meets somebody who does: such founders, together with those that never began, must stay fewer than
/// the quorum, or they are a beginning of their own. So give a single founder a disk that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// No peers are configured: it counts itself at once.
    Alone,
    /// Only these may begin, when more than half of them have met. Everybody else is a newcomer.
    Founders(BTreeSet<NodeId>),
    /// Where names are random: so many nodes must have met, which must be more than half of all that may be running
    /// before the cluster has begun. Nodes beyond the plan that meet each other before they meet the cluster are mistaken
    /// for a beginning: where nodes come and go, name founders.
    Expect(usize),
}

impl Begin {
    /// How many nodes that may begin are among these, and how many there must be.
    pub fn quorum<'a>(&self, met: impl Iterator<Item = &'a Actor>) -> (usize, usize) {
        match self {
            Begin::Alone => (1, 1),
            Begin::Founders(founders) => {
                let present: BTreeSet<&NodeId> = met.map(|actor| &actor.node).collect();
                (founders.iter().filter(|founder| present.contains(founder)).count(), founders.len() / 2 + 1)
            }
            Begin::Expect(nodes) => (met.map(|actor| &actor.node).collect::<BTreeSet<_>>().len(), (*nodes).max(1)),
        }
    }

    /// True when nobody else is expected at the beginning.
    pub fn is_complete<'a>(&self, met: impl Iterator<Item = &'a Actor>) -> bool {
        match self {
            Begin::Founders(founders) => {
                let present: BTreeSet<&NodeId> = met.map(|actor| &actor.node).collect();
                founders.iter().all(|founder| present.contains(founder))
            }
            Begin::Alone | Begin::Expect(_) => true,
        }
    }

    /// True when this node is one that may begin.
    pub fn is_founder(&self, node: &NodeId) -> bool {
        match self {
            Begin::Founders(founders) => founders.contains(node),
            Begin::Alone | Begin::Expect(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Incarnation;

    fn actor(node: &str, incarnation: u64) -> Actor {
        Actor { node: node.parse().unwrap(), incarnation: Incarnation(incarnation) }
    }

    #[test]
    fn founders_are_counted_by_name_and_newcomers_are_not() {
        let founders = Begin::Founders(["a", "b", "c", "d"].map(|name| name.parse().unwrap()).into());
        let met = [actor("a", 1), actor("a", 2), actor("x", 1), actor("b", 1)];
        assert_eq!(founders.quorum(met.iter()), (2, 3));
        assert!(founders.is_founder(&actor("d", 7).node));
        assert!(!founders.is_founder(&actor("x", 1).node));
    }

    #[test]
    fn where_names_are_random_everybody_counts_once() {
        let met = [actor("a", 1), actor("a", 2), actor("x", 1)];
        assert_eq!(Begin::Expect(3).quorum(met.iter()), (2, 3));
        assert_eq!(Begin::Expect(0).quorum(met[..1].iter()), (1, 1));
        assert_eq!(Begin::Alone.quorum([].iter()), (1, 1));
    }
}
