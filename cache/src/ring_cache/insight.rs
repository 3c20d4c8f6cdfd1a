//! What operators look at: what this node holds, and whose it is. Each is a pass over all of it, made only when somebody
//! asks.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::RingCache;
use crate::identity::{NamespaceId, TenantScope};

/// What a node holds of one namespace for the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceUse {
    /// Which one, of which tenant.
    pub namespace: NamespaceId,
    /// How many entries.
    pub entries: u64,
    /// The memory that they take, in bytes.
    pub bytes: u64,
    /// How many vectors. They lie by their space and not with their entries, so a node may hold the ones alone.
    pub vectors: u64,
    /// The memory that they take, in bytes.
    pub vector_bytes: u64,
}

impl RingCache {
    /// What this node holds by namespace; at most so many, those that take most memory first.
    pub fn namespace_uses(&self, limit: usize) -> Vec<NamespaceUse> {
        let mut uses: HashMap<NamespaceId, NamespaceUse> = HashMap::new();
        for held in self.namespaces(usize::MAX) {
            let used = uses.entry(held.namespace).or_insert_with(|| NamespaceUse::none(held.namespace));
            used.entries = held.entries;
            used.bytes = held.bytes;
        }
        for (namespace, vectors, bytes) in self.vectors_held() {
            let used = uses.entry(namespace).or_insert_with(|| NamespaceUse::none(namespace));
            used.vectors += vectors;
            used.vector_bytes += bytes;
        }
        let mut uses: Vec<NamespaceUse> = uses.into_values().collect();
        uses.sort_unstable_by_key(|used| (Reverse(used.bytes + used.vector_bytes), used.namespace));
        uses.truncate(limit);
        uses
    }

    /// Whose these namespaces are, as far as it is one of these tenants: a namespace only holds a digest of its tenant.
    pub fn tenants_of(
        &self,
        namespaces: &[NamespaceId],
        tenants: impl IntoIterator<Item = TenantScope>,
    ) -> HashMap<NamespaceId, TenantScope> {
        let mut unknown: HashSet<[u8; 16]> = namespaces.iter().map(|namespace| namespace.scope).collect();
        let mut known = HashMap::new();
        for tenant in tenants {
            if unknown.is_empty() {
                break;
            }
            let digest = tenant.digest(&self.inner.config.cluster_key);
            if unknown.remove(&digest) {
                known.insert(digest, tenant);
            }
        }
        let tenant = |namespace: &NamespaceId| Some((*namespace, known.get(&namespace.scope)?.clone()));
        namespaces.iter().filter_map(tenant).collect()
    }
}

impl NamespaceUse {
    fn none(namespace: NamespaceId) -> NamespaceUse {
        NamespaceUse { namespace, entries: 0, bytes: 0, vectors: 0, vector_bytes: 0 }
    }
}
