//! The first words on a connection, and what to make of the peer's.

use std::cmp::Ordering;
use std::net::SocketAddr;

use bincode::{Decode, Encode};

use super::RefusalReason;
use super::codes::CloseCode;
use crate::identity::{Identity, NodeId};
use crate::wire::{Kind, Message};

/// The oldest protocol that this version speaks.
const PROTOCOL_MIN: u16 = 1;
/// The newest.
const PROTOCOL_MAX: u16 = 1;
/// What this version can do beyond its protocol number; none yet.
const FEATURES: u64 = 0;

/// Who a node says it is; both sides send one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Hello {
    pub(super) protocol_min: u16,
    pub(super) protocol_max: u16,
    pub(super) features: u64,
    pub(super) cluster: String,
    pub(super) node_id: String,
    pub(super) incarnation: u64,
    pub(super) generation: u64,
    pub(super) advertised: SocketAddr,
    pub(super) wall_micros: u64,
}

impl Message for Hello {
    const KIND: Kind = Kind::LinkHello;
}

/// What both sides will speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) protocol: u16,
    pub(super) features: u64,
}

/// Why a peer's hello is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Objection {
    #[error("it speaks protocols {theirs_min} to {theirs_max}, this node {ours_min} to {ours_max}: upgrade the older")]
    Protocol { theirs_min: u16, theirs_max: u16, ours_min: u16, ours_max: u16 },
    #[error("it calls itself {claimed:?}, but its certificate is of {certified:?}")]
    Name { claimed: String, certified: String },
    #[error("it is of cluster {found:?}, this node of {expected:?}")]
    Cluster { found: String, expected: String },
    #[error(
        "it has the node id {0:?} of this node: two processes run with one identity; give one of them a node id and a \
         data directory of its own"
    )]
    SameIdentity(String),
    #[error(
        "it has the node id {0:?} of this node and was there before: this process is the second one with its identity"
    )]
    Elder(String),
    #[error("the address leads back to this node")]
    Oneself,
}

impl Objection {
    pub(super) fn code(&self) -> CloseCode {
        match self {
            Objection::Protocol { .. } => CloseCode::Protocol,
            Objection::Name { .. } | Objection::Cluster { .. } => CloseCode::Name,
            Objection::SameIdentity(_) => CloseCode::SameIdentity,
            Objection::Elder(_) => CloseCode::Stale,
            Objection::Oneself => CloseCode::Oneself,
        }
    }

    pub(super) fn reason(&self) -> Option<RefusalReason> {
        self.code().refusal()
    }
}

impl Hello {
    pub(super) fn of(identity: &Identity, advertised: SocketAddr, wall_micros: u64) -> Hello {
        Hello {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            features: FEATURES,
            cluster: identity.cluster.to_string(),
            node_id: identity.node_id.to_string(),
            incarnation: identity.incarnation.0,
            generation: identity.generation.0,
            advertised,
            wall_micros,
        }
    }

    /// What to speak with a peer that said `theirs` and whose certificate names `certified`.
    pub(super) fn judge(&self, theirs: &Hello, certified: &NodeId) -> Result<Agreed, Objection> {
        if theirs.node_id != certified.as_str() {
            let (claimed, certified) = (theirs.node_id.clone(), certified.to_string());
            return Err(Objection::Name { claimed, certified });
        }
        if theirs.cluster != self.cluster {
            return Err(Objection::Cluster { found: theirs.cluster.clone(), expected: self.cluster.clone() });
        }
        if theirs.node_id == self.node_id {
            return Err(match theirs.generation.cmp(&self.generation) {
                Ordering::Equal if theirs.incarnation == self.incarnation => Objection::Oneself,
                Ordering::Less => Objection::Elder(self.node_id.clone()),
                // Whoever came later has to go.
                Ordering::Equal | Ordering::Greater => Objection::SameIdentity(self.node_id.clone()),
            });
        }
        let protocol = self.protocol_max.min(theirs.protocol_max);
        if protocol < self.protocol_min.max(theirs.protocol_min) {
            return Err(Objection::Protocol {
                theirs_min: theirs.protocol_min,
                theirs_max: theirs.protocol_max,
                ours_min: self.protocol_min,
                ours_max: self.protocol_max,
            });
        }
        Ok(Agreed { protocol, features: self.features & theirs.features })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Generation, Incarnation};

    fn hello(node: &str) -> Hello {
        let identity = Identity {
            cluster: "c".parse().unwrap(),
            node_id: node.parse().unwrap(),
            incarnation: Incarnation(7),
            generation: Generation(9),
        };
        Hello::of(&identity, "10.0.0.1:7946".parse().unwrap(), 1)
    }

    fn judged(change: impl FnOnce(&mut Hello)) -> Result<Agreed, Objection> {
        let mut theirs = hello("b");
        change(&mut theirs);
        hello("a").judge(&theirs, &"b".parse().unwrap())
    }

    #[test]
    fn the_lower_of_both_newest_protocols_is_spoken() {
        assert_eq!(judged(|_| ()).unwrap().protocol, PROTOCOL_MAX);
        assert_eq!(judged(|theirs| theirs.protocol_max = 9).unwrap().protocol, PROTOCOL_MAX);
        assert_eq!(judged(|theirs| theirs.features = u64::MAX).unwrap().features, FEATURES);
    }

    #[test]
    fn each_objection_has_its_code() {
        let newer = judged(|theirs| (theirs.protocol_min, theirs.protocol_max) = (PROTOCOL_MAX + 1, PROTOCOL_MAX + 2));
        assert_eq!(newer.unwrap_err().code(), CloseCode::Protocol);
        assert_eq!(judged(|theirs| theirs.node_id = "x".to_owned()).unwrap_err().code(), CloseCode::Name);
        assert_eq!(judged(|theirs| theirs.cluster = "x".to_owned()).unwrap_err().code(), CloseCode::Name);
    }

    #[test]
    fn our_own_node_id_is_ourselves_or_a_second_process() {
        let own = hello("a");
        let id = "a".parse().unwrap();
        assert_eq!(own.judge(&own, &id).unwrap_err(), Objection::Oneself);
        let mut second = own.clone();
        second.generation += 1;
        assert_eq!(own.judge(&second, &id).unwrap_err().code(), CloseCode::SameIdentity);
        assert_eq!(second.judge(&own, &id).unwrap_err(), Objection::Elder("a".to_owned()), "whoever came later goes");
    }

    #[test]
    fn the_bytes_of_a_hello_never_change() {
        let bytes = crate::wire::encode(&hello("node-1")).unwrap();
        assert_eq!(hex(&bytes), "0101000163066e6f64652d310709000a000001fb0a1f01");
        assert_eq!(crate::wire::decode::<Hello>(&bytes).unwrap(), hello("node-1"));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
