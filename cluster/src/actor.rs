//! Who owns rows and shares: one life of a data directory, not one node.

use std::fmt;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use crate::identity::{Identity, Incarnation, NodeId};

/// A node with the data directory it had: what a node that lost its disk never becomes again.
///
/// Rows are written by their actor alone and their numbers only grow. A node that came back with an empty disk under its
/// old name would start them at zero, and the merge would swallow all that it spends until it has passed the old numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// The node.
    pub node: NodeId,
    /// Its data directory.
    pub incarnation: Incarnation,
}

impl From<&Identity> for Actor {
    fn from(identity: &Identity) -> Actor {
        Actor { node: identity.node_id.clone(), incarnation: identity.incarnation }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node, self.incarnation)
    }
}

// On the wire: the name is checked while it is read, so what is no name never becomes an actor.

impl Encode for Actor {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.node.as_str().encode(encoder)?;
        self.incarnation.0.encode(encoder)
    }
}

impl<C> Decode<C> for Actor {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let name = String::decode(decoder)?;
        let node: NodeId = name.try_into().map_err(|error| DecodeError::OtherString(format!("{error}")))?;
        Ok(Actor { node, incarnation: Incarnation(u64::decode(decoder)?) })
    }
}

bincode::impl_borrow_decode!(Actor);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_node_and_incarnation() {
        let actor = Actor { node: "node-1".parse().unwrap(), incarnation: Incarnation(123) };
        assert_eq!(actor.to_string(), "node-1@123");
    }

    #[test]
    fn a_new_data_directory_is_another_actor() {
        let node: NodeId = "node-1".parse().unwrap();
        let before = Actor { node: node.clone(), incarnation: Incarnation(1) };
        let after = Actor { node, incarnation: Incarnation(2) };
        assert_ne!(before, after);
        assert!(before < after);
    }
}
