//! What a node is made of, from its configuration: identity, cluster, cache.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use peerway_cache::backend::{Backend, Redis};
use peerway_cache::{CacheConfig, ClusterPeers, RingCache, SemanticConfig};
use peerway_cluster::cluster::{Cluster, ClusterConfig};
use peerway_cluster::discovery::SeedError;
use peerway_cluster::identity::{ClusterName, DataDirLock, Identity, NodeId};
use peerway_cluster::registry::service::ServiceConfig;
use peerway_cluster::registry::store::WhenAhead;
use peerway_cluster::registry::{Limits, RegistryService};
use peerway_cluster::trust::Trust;

use super::ServeError;
use crate::config::{self, CacheBackend, CacheBackendKind, Config};
use crate::peers::Rooms;

pub(super) fn identity(config: &Config) -> Result<(Identity, Option<DataDirLock>), ServeError> {
    let name: ClusterName = config.cluster_name().parse()?;
    let configured = config.node.id.as_deref().map(str::parse::<NodeId>).transpose()?;
    let data_dir = data_dir(config);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64);
    Ok(Identity::load_or_create(Some(&data_dir), name, configured, now, fresh_node_id)?)
}

pub(super) fn data_dir(config: &Config) -> PathBuf {
    config.node.data_dir.clone().unwrap_or_else(|| PathBuf::from("data"))
}

/// What was changed at run time; read from the data directory.
pub(super) fn registry(
    config: &Config,
    identity: &Identity,
    when_ahead: WhenAhead,
) -> Result<RegistryService, ServeError> {
    let (identity, data_dir) = (identity.clone(), Some(data_dir(config)));
    let limits = Limits::default();
    Ok(RegistryService::start(ServiceConfig { identity, data_dir, limits, when_ahead })?)
}

/// A name for a node that was given none: short, and unlike any other.
fn fresh_node_id() -> NodeId {
    let name = format!("node-{:08x}", rand::random::<u32>());
    name.parse().unwrap_or_else(|_| unreachable!("letters, digits and a dash are always a valid node id"))
}

pub(super) async fn join(
    config: &Config,
    settings: &config::Cluster,
    identity: &Identity,
    http: SocketAddr,
    rooms: &Arc<Rooms>,
) -> Result<Cluster, ServeError> {
    let trust = match (&settings.tls, &settings.secret) {
        (Some(tls), _) => Trust::from_pem_files(&tls.ca, &tls.cert, &tls.key)?,
        (None, secret) => {
            let secret = secret.as_ref().map_or("", config::Secret::expose);
            Trust::from_secret(secret, &identity.cluster, &identity.node_id)?
        }
    };
    let join = settings
        .join
        .iter()
        .map(|seed| {
            let reason = |error: SeedError| error.to_string();
            seed.parse().map_err(reason).map_err(|reason| ServeError::Address {
                setting: "cluster.join",
                text: seed.clone(),
                reason,
            })
        })
        .collect::<Result<_, _>>()?;
    let advertise = match &settings.advertise {
        None => None,
        Some(text) => Some(resolve(text).await?),
    };
    let cluster = ClusterConfig {
        identity: identity.clone(),
        trust,
        listen: settings.listen,
        advertise,
        join,
        zone: config.node.zone.as_deref().map(Arc::from),
        weight: settings.weight,
        http: http.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(Cluster::start(cluster, Arc::clone(rooms) as _).await?)
}

async fn resolve(text: &str) -> Result<SocketAddr, ServeError> {
    let failed = |reason: String| ServeError::Address { setting: "cluster.advertise", text: text.to_owned(), reason };
    let mut found = tokio::net::lookup_host(text).await.map_err(|error| failed(error.to_string()))?;
    found.next().ok_or_else(|| failed("the name has no address".to_owned()))
}

/// The cache of a node that knows no peers yet.
pub(super) fn ring_cache(
    config: &Config,
    identity: &Identity,
    peers: Arc<ClusterPeers>,
    semantic: SemanticConfig,
) -> Result<RingCache, ServeError> {
    let settings = CacheConfig {
        max_memory: config.cache.max_memory.get(),
        max_entry: usize::try_from(config.cache.max_entry.get()).unwrap_or(usize::MAX),
        // Also where requests here are not answered by meaning: other nodes' may be, and this one keeps vectors for them.
        semantic: Some(semantic),
        ..CacheConfig::new(cache_key(config, identity)?)
    };
    Ok(RingCache::with_backend(settings, peers, backend(&config.cache.backend)?))
}

fn backend(settings: &CacheBackend) -> Result<Option<Arc<dyn Backend>>, ServeError> {
    if settings.kind == CacheBackendKind::Peer {
        return Ok(None);
    }
    let read =
        |file| std::fs::read(file).map_err(|source| ServeError::Io { what: "cache.backend.ca cannot be read", source });
    let ca = settings.ca.as_ref().map(read).transpose()?;
    let redis = match &settings.url {
        Some(url) => Redis::new(url.expose(), ca.as_deref())?,
        None => {
            let urls: Vec<&str> = settings.urls.iter().map(config::Secret::expose).collect();
            Redis::cluster(&urls, ca.as_deref())?
        }
    };
    Ok(Some(Arc::new(redis)))
}

/// The key of entry ids: the same on all nodes. With certificates there is no secret that all nodes share, so the CA's
/// certificate separates clusters; whoever is not a peer cannot ask for an id either way.
fn cache_key(config: &Config, identity: &Identity) -> Result<[u8; 32], ServeError> {
    const CONTEXT: &str = "peerway 2026-11 cache entry ids";
    Ok(match &config.cluster {
        None => rand::random(),
        Some(config::Cluster { tls: Some(tls), .. }) => {
            let ca = std::fs::read(&tls.ca)
                .map_err(|source| ServeError::Io { what: "cluster.tls.ca cannot be read", source })?;
            blake3::derive_key(CONTEXT, &ca)
        }
        Some(config::Cluster { secret, .. }) => {
            let secret = secret.as_ref().map_or("", config::Secret::expose);
            blake3::derive_key(CONTEXT, format!("{}/{secret}", identity.cluster).as_bytes())
        }
    })
}
