//! What was answered before, so that nothing is asked twice.

use moka::sync::Cache;

use super::{Confirm, PromptPair};
use crate::identity::NamespaceId;

/// Answers that are remembered.
const MOST: u64 = 16_384;

/// The pair and the model, as one digest. A tenant's own: how fast an answer comes tells nobody what others have asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn of(namespace: &NamespaceId, confirm: &dyn Confirm, pair: PromptPair<'_>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let parts = [
            namespace.scope.as_slice(),
            namespace.name.as_slice(),
            confirm.kind().as_str().as_bytes(),
            confirm.model().as_bytes(),
            pair.stored.as_bytes(),
            pair.asked.as_bytes(),
        ];
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

#[derive(Debug)]
pub(super) struct Memory(Cache<Key, f32>);

impl Memory {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    pub(super) fn get(&self, key: &Key) -> Option<f32> {
        self.0.get(key)
    }

    pub(super) fn keep(&self, key: Key, sure: f32) {
        self.0.insert(key, sure);
    }
}
