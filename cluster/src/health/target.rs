//! Whom calls go to.

use std::fmt;
use std::sync::Arc;

use crate::identity::NodeId;

/// No name of a target that nodes tell one another of is longer.
pub const MAX_NAME: usize = 256;

/// A model at a provider with one of its keys; or the key as a whole, which is refused or not whatever the model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The provider's name in the configuration.
    pub provider: Arc<str>,
    /// The id of the key there; empty where the provider needs none.
    pub key: Arc<str>,
    /// The model's name at the provider; empty: the key as a whole.
    pub model: Arc<str>,
}

impl Target {
    /// The key that this target is reached with.
    pub fn key_as_a_whole(&self) -> Target {
        Target { provider: Arc::clone(&self.provider), key: Arc::clone(&self.key), model: Arc::default() }
    }

    /// True of a key as a whole.
    pub fn is_key(&self) -> bool {
        self.model.is_empty()
    }

    /// Whether nodes tell one another of it.
    pub fn is_shared(&self) -> bool {
        [&self.provider, &self.key, &self.model].iter().all(|name| name.len() <= MAX_NAME)
    }

    /// Where a node stands among those that may try this target: the same on all nodes, and of each target another one
    /// is first.
    pub(super) fn rank(&self, node: &NodeId) -> u64 {
        let mut hasher = blake3::Hasher::new_derive_key("peerway 2026-11 health probe owner");
        for part in [&*self.provider, &*self.key, &*self.model, node.as_str()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        u64::from_le_bytes(first)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.provider)?;
        if !self.is_key() {
            write!(f, "/{}", self.model)?;
        }
        if !self.key.is_empty() {
            write!(f, " (key {})", self.key)?;
        }
        Ok(())
    }
}
