//! A node's life: bind, meet the peers, serve, drain, leave.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use peerway_cache::{CacheConfig, ClusterPeers, RingCache};
use peerway_cluster::cluster::{Cluster, ClusterConfig, ClusterError};
use peerway_cluster::discovery::SeedError;
use peerway_cluster::identity::{ClusterName, DataDirLock, Identity, IdentityError, NodeId};
use peerway_cluster::membership::State;
use peerway_cluster::trust::{Trust, TrustError};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::admin::{self, Admin};
use crate::config::{self, Config};
use crate::gateway::{self, AnswerCache, Gateway, Plan, PlanError};
use crate::http::accept::{self, BindError};
use crate::http::drain::{Drain, Phase};
use crate::http::request_id::RequestIds;
use crate::http::worker;
use crate::peers::{Load, Peers, Rooms};
use crate::reload::{Reload, Source};
use crate::telemetry::{AccessLog, Shards};

/// How long a node with peers configured waits for the first of them before it serves alone.
const MEET: Duration = Duration::from_millis(1500);

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("`{setting}: {text}` is not an address: {reason}")]
    Address { setting: &'static str, text: String, reason: String },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: std::io::Error },
}

/// What `peerway serve` was told.
#[derive(Debug)]
pub struct ServeOptions {
    pub config: Config,
    /// Where the configuration came from, if it is to be read again on SIGHUP and on change.
    pub source: Option<Source>,
    /// End when standard input ends: the parent that holds its other end is gone.
    pub exit_with_parent: bool,
}

/// Runs the node until it is told to end. Returns after the drain.
pub fn run(options: ServeOptions) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores().min(2))
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|source| ServeError::Io { what: "the control runtime could not start", source })?;
    let result = runtime.block_on(serve(options));
    // Tasks that still run have nothing left to say; blocking ones must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn serve(options: ServeOptions) -> Result<(), ServeError> {
    let config = &options.config;
    let workers = config.http.workers.unwrap_or_else(cores).max(1);
    let plan = Plan::compile(config, workers)?;
    let listener = accept::bind(config.http.listen, "http.listen")?;
    let admin_listener = accept::bind(config.admin.listen, "admin.listen")?;
    let http_address = listener.local_addr().map_err(|source| ServeError::Io { what: "the data listener", source })?;

    let (identity, _lock) = identity(config)?;
    let drain = Drain::default();
    // The cache answers the cluster's calls, so it is there first.
    let cache_peers = ClusterPeers::new(identity.node_id.clone());
    let cache = ring_cache(config, &identity, Arc::clone(&cache_peers))?;
    let rooms = Arc::new(Rooms::new(cache.service()));
    let cluster = match &config.cluster {
        None => None,
        Some(settings) => Some(join(config, settings, &identity, http_address, &rooms).await?),
    };
    if let Some(cluster) = &cluster {
        tokio::spawn(cache_peers.attach(cluster.clone(), cache.clone()));
    }
    let access_log = if config.observability.access_log {
        AccessLog::to(std::io::stdout()).map_err(|source| ServeError::Io { what: "the access log", source })?
    } else {
        AccessLog::off()
    };
    let gateway = Arc::new(Gateway {
        plan: arc_swap::ArcSwap::from_pointee(plan),
        cache: AnswerCache::new(cache, tokio::runtime::Handle::current()),
        drain: drain.clone(),
        request_ids: RequestIds::new(rand::random()),
        access_log,
        node_id: HeaderValue::from_str(identity.node_id.as_str()).unwrap_or(HeaderValue::from_static("unnamed")),
    });

    let shards = Shards::new(workers);
    let mut handles = Vec::with_capacity(workers);
    for index in 0..workers {
        let seat = gateway::Worker { gateway: Arc::clone(&gateway), index, shard: shards.of(index) };
        let (handle, _thread) = worker::start(index, drain.clone(), move || gateway::router(seat))
            .map_err(|source| ServeError::Io { what: "a data-plane thread could not start", source })?;
        handles.push(handle);
    }
    tokio::spawn(accept::accept_loop(listener, handles, drain.clone()));

    let load = Load::new(shards.clone(), Arc::clone(&gateway));
    tokio::spawn(load.clone().keep_measuring());
    if let Some(cluster) = &cluster {
        tokio::spawn(load.clone().keep_telling(cluster.clone()));
    }
    let zone = config.node.zone.as_deref().map(Arc::from);
    let peers = Peers::new(identity.clone(), cluster.clone(), zone, http_address.to_string(), rooms.drain_asked());
    let reloaded = Arc::new(AtomicBool::new(true));
    let admin = Admin {
        gateway: Arc::clone(&gateway),
        peers,
        shards,
        load,
        token: config.admin.token.clone(),
        reloaded: Arc::clone(&reloaded),
    };
    serve_admin(admin_listener, admin)?;
    if let Some(source) = options.source {
        Reload::new(source, options.config.clone(), workers, Arc::clone(&gateway), reloaded).start();
    }

    let has_seeds = config.cluster.as_ref().is_some_and(|cluster| !cluster.join.is_empty());
    begin(cluster.as_ref(), has_seeds, &drain).await;
    info!(node = %identity.node_id, http = %http_address, admin = %config.admin.listen, "ready");
    let end = until_told(options.exit_with_parent, &rooms).await;
    info!(reason = end.as_str(), "draining");
    finish(&options.config, cluster.as_ref(), &drain, end).await;
    info!("stopped");
    Ok(())
}

fn identity(config: &Config) -> Result<(Identity, Option<DataDirLock>), ServeError> {
    let name = config.cluster.as_ref().map_or("peerway", |cluster| cluster.name.as_str());
    let name: ClusterName = name.parse()?;
    let configured = config.node.id.as_deref().map(str::parse::<NodeId>).transpose()?;
    let data_dir = config.node.data_dir.clone().unwrap_or_else(|| PathBuf::from("data"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64);
    Ok(Identity::load_or_create(Some(&data_dir), name, configured, now, fresh_node_id)?)
}

/// A name for a node that was given none: short, and unlike any other.
fn fresh_node_id() -> NodeId {
    let name = format!("node-{:08x}", rand::random::<u32>());
    name.parse().unwrap_or_else(|_| unreachable!("letters, digits and a dash are always a valid node id"))
}

async fn join(
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
fn ring_cache(config: &Config, identity: &Identity, peers: Arc<ClusterPeers>) -> Result<RingCache, ServeError> {
    let settings = CacheConfig {
        max_memory: config.cache.max_memory.get(),
        max_entry: usize::try_from(config.cache.max_entry.get()).unwrap_or(usize::MAX),
        ..CacheConfig::new(cache_key(config, identity)?)
    };
    Ok(RingCache::new(settings, peers))
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

fn serve_admin(listener: std::net::TcpListener, admin: Admin) -> Result<(), ServeError> {
    let listener = tokio::net::TcpListener::from_std(listener)
        .map_err(|source| ServeError::Io { what: "the admin listener", source })?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, admin::router(admin)).await {
            warn!(%error, "the admin listener ended");
        }
    });
    Ok(())
}

/// Ready: with peers once one was met, alone after a short while, without a cluster at once.
async fn begin(cluster: Option<&Cluster>, has_seeds: bool, drain: &Drain) {
    if let Some(cluster) = cluster {
        if has_seeds {
            let mut views = cluster.watch();
            let met = views.wait_for(|view| view.members.len() > 1);
            if tokio::time::timeout(MEET, met).await.is_err() {
                warn!("no peer answered yet: serving alone until one does");
            }
        }
        cluster.set_state(State::Ready).await;
    }
    drain.enter(Phase::Serving);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Signal,
    Drained,
    ParentGone,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Drained => "drain was asked for",
            Self::ParentGone => "the parent process is gone",
        }
    }
}

async fn until_told(exit_with_parent: bool, rooms: &Rooms) -> End {
    let drain_asked = rooms.drain_asked();
    tokio::select! {
        () = terminated() => End::Signal,
        () = drain_asked.notified() => End::Drained,
        () = parent_gone(), if exit_with_parent => End::ParentGone,
    }
}

/// Resolves on SIGTERM and SIGINT.
pub async fn terminated() {
    let listen = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(error) => {
                warn!(%error, "a signal cannot be listened to");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = listen(SignalKind::terminate()) => {}
        () = listen(SignalKind::interrupt()) => {}
    }
}

/// Resolves when standard input ends. The kernel closes the parent's end of the pipe however the parent died.
async fn parent_gone() {
    let (gone, told) = tokio::sync::oneshot::channel();
    // A thread of its own: a blocking read in the runtime's pool would hold up its shutdown.
    let watch = std::thread::Builder::new().name("parent".into()).spawn(move || {
        let mut byte = [0u8; 64];
        while matches!(std::io::Read::read(&mut std::io::stdin(), &mut byte), Ok(1..)) {}
        let _ = gone.send(());
    });
    match watch {
        Ok(_) => {
            let _ = told.await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// The drain: not ready, then no new connections, then nothing in flight, then gone from the cluster.
async fn finish(config: &Config, cluster: Option<&Cluster>, drain: &Drain, end: End) {
    drain.enter(Phase::Noticing);
    if let Some(cluster) = cluster {
        cluster.set_state(State::Draining).await;
    }
    if end != End::ParentGone {
        tokio::select! {
            () = tokio::time::sleep(config.http.drain_notice.get()) => {}
            // A second signal: whoever sends it does not want to wait.
            () = terminated() => {}
        }
    }
    drain.enter(Phase::Closing);
    let limit = if end == End::ParentGone { Duration::ZERO } else { config.http.drain.get() };
    tokio::select! {
        cut = drain.finished(limit) => if cut > 0 {
            warn!(connections = cut, "the drain time is over: open connections are cut");
        },
        () = terminated() => warn!("told twice: open connections are cut"),
    }
    if let Some(cluster) = cluster {
        cluster.leave().await;
    }
}
