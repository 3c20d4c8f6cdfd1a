//! Who shares answers, and the part of that which travels with an entry.

use std::fmt;

use bincode::{Decode, Encode};

/// The tenant within which answers are shared. Built by the node from `cache.scope`; no client chooses it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TenantScope(String);

impl TenantScope {
    /// One virtual key.
    pub fn key(id: &str) -> TenantScope {
        TenantScope(format!("key/{id}"))
    }

    /// A team.
    pub fn team(id: &str) -> TenantScope {
        TenantScope(format!("team/{id}"))
    }

    /// A customer.
    pub fn customer(id: &str) -> TenantScope {
        TenantScope(format!("customer/{id}"))
    }

    /// Everybody.
    pub fn cluster() -> TenantScope {
        TenantScope("cluster".to_owned())
    }

    /// As it goes into an id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn digest(&self, cluster_key: &[u8; 32]) -> [u8; 16] {
        digest(cluster_key, b's', &self.0)
    }
}

/// A namespace within a tenant scope, in hashed form: what an entry is checked by, and purged by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct NamespaceId {
    pub(crate) scope: [u8; 16],
    pub(crate) name: [u8; 16],
}

impl NamespaceId {
    /// The namespace `name` (a client's cache key, or empty) of the tenant.
    pub fn new(cluster_key: &[u8; 32], scope: &TenantScope, name: &str) -> NamespaceId {
        NamespaceId { scope: scope.digest(cluster_key), name: name_digest(cluster_key, name) }
    }
}

/// Two digests, the tenant's and the name's.
impl fmt::Display for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}/{:032x}", u128::from_be_bytes(self.scope), u128::from_be_bytes(self.name))
    }
}

impl fmt::Debug for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(crate) fn name_digest(cluster_key: &[u8; 32], name: &str) -> [u8; 16] {
    digest(cluster_key, b'n', name)
}

fn digest(cluster_key: &[u8; 32], tag: u8, text: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(cluster_key);
    hasher.update(&[tag]).update(text.as_bytes());
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    short
}
