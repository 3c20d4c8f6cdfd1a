//! The lower layer: what the configuration file says, made ready once per reading of the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::secret::{KeyHash, KeyHasher};
use crate::config::{Config, Customer, Team, VirtualKey};

/// A key of the file.
#[derive(Debug)]
pub(super) struct FileKey {
    /// Without its value.
    pub(super) definition: Arc<VirtualKey>,
    pub(super) hash: Option<KeyHash>,
}

/// The file's customers, teams and keys.
#[derive(Debug)]
pub struct Base {
    pub(super) customers: BTreeMap<Arc<str>, Arc<Customer>>,
    pub(super) teams: BTreeMap<Arc<str>, Arc<Team>>,
    pub(super) keys: BTreeMap<Arc<str>, FileKey>,
    pub(super) providers: Arc<[String]>,
    pub(super) hasher: KeyHasher,
}

impl Base {
    /// Hashes every key, so it takes about a microsecond for each.
    pub fn new(config: &Config) -> Self {
        Self::hashed(config, KeyHasher::of_cluster(config.cluster_name()))
    }

    pub(super) fn hashed(config: &Config, hasher: KeyHasher) -> Self {
        let governance = &config.governance;
        let named = |id: &str| Arc::<str>::from(id);
        Self {
            customers: governance.customers.iter().map(|it| (named(&it.id), Arc::new(it.clone()))).collect(),
            teams: governance.teams.iter().map(|it| (named(&it.id), Arc::new(it.clone()))).collect(),
            keys: governance.keys.iter().map(|it| (named(&it.id), file_key(it, &hasher))).collect(),
            providers: config.providers.iter().map(|provider| provider.name.clone()).collect(),
            hasher,
        }
    }
}

fn file_key(key: &VirtualKey, hasher: &KeyHasher) -> FileKey {
    let value = key.value.as_ref().map(|value| hasher.hash(value.expose().as_bytes()));
    let hash = value.or_else(|| key.hash.as_deref()?.parse().ok());
    FileKey { definition: Arc::new(VirtualKey { value: None, hash: None, ..key.clone() }), hash }
}
