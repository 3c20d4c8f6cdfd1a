//! A node's life: bind, meet the peers, serve, drain, leave.

mod embeddings;
mod ending;
mod ledger;
mod models;
mod semantic;
mod setup;
mod vectors;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::HeaderValue;
use peerway_cache::ClusterPeers;
use peerway_cluster::cluster::{Cluster, ClusterError};
use peerway_cluster::identity::IdentityError;
use peerway_cluster::ledger::service::LedgerService;
use peerway_cluster::membership::State;
use peerway_cluster::registry::RegistryService;
use peerway_cluster::registry::service::StartError;
use peerway_cluster::registry::store::WhenAhead;
use peerway_cluster::trust::TrustError;
use tracing::{info, warn};

use crate::admin::{self, Admin};
use crate::config::Config;
use crate::gateway::{self, Admission, AnswerCache, Gateway, Hooks, Plan, PlanError};
use crate::governance::access::{Base, now_unix};
use crate::governance::{Alerts, CurrentAccess, Reserve};
use crate::health::Health;
use crate::http::accept::{self, BindError};
use crate::http::drain::{Drain, Phase};
use crate::http::head::Paths;
use crate::http::request_id::RequestIds;
use crate::http::shed::ShedCounts;
use crate::http::{Edge, raise_descriptors, worker};
use crate::peers::{Load, Peers, Rooms};
use crate::reload::{Reload, Source};
use crate::telemetry::{AccessLog, Shards};

pub(crate) use embeddings::Embeddings;
pub use ending::terminated;
use ending::{End, finish, until_told};
use semantic::Meaning;
use setup::{identity, join, registry, ring_cache};

/// How often budgets are looked at for alerts.
const ALERTS: Duration = Duration::from_secs(1);
/// How long a node with peers configured waits for the first of them before it serves alone.
const MEET: Duration = Duration::from_millis(1500);
/// How long a node that has met a peer waits for what was changed, and revoked, while it was away.
const CATCH_UP: Duration = Duration::from_secs(2);

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
    #[error("cache.backend: {0}")]
    CacheBackend(#[from] peerway_cache::backend::BackendError),
    #[error("cache.semantic.embedder: {0}")]
    Embedder(String),
    #[error("cache.semantic.cross_encoder: {0}")]
    CrossEncoder(String),
    #[error("cache.semantic.vectors: {0}")]
    Vectors(String),
    #[error(transparent)]
    Registry(#[from] StartError),
    #[error(transparent)]
    Ledger(#[from] peerway_cluster::ledger::service::ServiceError),
    #[error(transparent)]
    Journal(#[from] peerway_cluster::journal::JournalError),
    #[error("`{setting}: {text}` is not an address: {reason}")]
    Address { setting: &'static str, text: String, reason: String },
    #[error(
        "this process ends: {said}. Each node needs a `node.id` and a data directory of its own; where {node} was moved, \
         end the process that runs elsewhere first"
    )]
    Double { node: String, said: String },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: std::io::Error },
}

/// What `peerway serve` was told.
#[derive(Debug)]
pub struct ServeOptions {
    pub config: Config,
    /// Where the configuration came from, if it is to be read again on SIGHUP and on change.
    pub source: Option<Source>,
    /// Drop what is damaged in the ledger's journal.
    pub repair: bool,
    /// End when standard input ends: the parent that holds its other end is gone.
    pub exit_with_parent: bool,
    /// What to do with records of the registry that are from the future.
    pub future_records: WhenAhead,
}

/// What follows the end of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Exit,
    /// The same process begins again, as another actor.
    StartOver,
}

/// Runs the node until it is told to end. Returns after the drain.
pub fn run(options: ServeOptions) -> Result<Next, ServeError> {
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

async fn serve(options: ServeOptions) -> Result<Next, ServeError> {
    let config = &options.config;
    let workers = config.http.workers.unwrap_or_else(cores).max(1);
    let plan = Plan::compile(config, workers)?;
    let listener = accept::bind(config.http.listen, "http.listen")?;
    let admin_listener = accept::bind(config.admin.listen, "admin.listen")?;
    let http_address = listener.local_addr().map_err(|source| ServeError::Io { what: "the data listener", source })?;

    let (identity, lock) = identity(config)?;
    let descriptors = raise_descriptors();
    let drain = Drain::default();
    let shed = Arc::new(ShedCounts::default());
    let edge = Arc::new(Edge::new(&config.http, Paths::Data, Arc::clone(&shed)));
    info!(descriptors, "open files that this process may have");
    // The cache answers the cluster's calls, so it is there first.
    let cache_peers = ClusterPeers::new(identity.node_id.clone());
    let Meaning { config: semantic, embeddings, database } = semantic::semantic(config)?;
    let embedder = Arc::clone(&semantic.embedder);
    let cache = ring_cache(config, &identity, Arc::clone(&cache_peers), semantic)?;
    tokio::spawn(cache.clone().keep_backend());
    tokio::spawn(cache.clone().keep_vectors());
    if let Some(database) = database.clone() {
        tokio::spawn(async move { database.keep_for(embedder.as_ref()).await });
    }
    let registry = registry(config, &identity, options.future_records)?;
    let ledger = ledger::start(config, &identity, options.repair)?;
    let reserve: Arc<dyn Reserve> = Arc::new(ledger.clone());
    let access = CurrentAccess::new(Base::new(config), Some(registry.clone())).charged_to(Arc::clone(&reserve));
    let access = Arc::new(access);
    tokio::spawn(Arc::clone(&access).follow());
    let health = Health::new(&identity, &config.health);
    let rooms = Arc::new(Rooms::new(cache.service(), registry.clone(), ledger.clone(), health.service()));
    let cluster = match &config.cluster {
        None => None,
        Some(settings) => Some(join(config, settings, &identity, http_address, &rooms).await?),
    };
    if let Some(cluster) = &cluster {
        tokio::spawn(cache_peers.attach(cluster.clone(), cache.clone()));
        tokio::spawn(registry.clone().attach(cluster.clone()));
        tokio::spawn(ledger.clone().attach(cluster.clone()));
    }
    tokio::spawn(health.clone().run(cluster.clone()));
    let access_log = if config.observability.access_log {
        AccessLog::to(std::io::stdout()).map_err(|source| ServeError::Io { what: "the access log", source })?
    } else {
        AccessLog::off()
    };
    let gateway = Arc::new(Gateway {
        plan: arc_swap::ArcSwap::from_pointee(plan),
        access,
        cache: AnswerCache::new(cache.clone(), tokio::runtime::Handle::current()).with_database(database),
        admission: Admission::new(&config.http, Arc::clone(&shed), drain.clone()),
        observed: Arc::new(health.clone()),
        health,
        drain: drain.clone(),
        request_ids: RequestIds::new(rand::random()),
        access_log,
        unattended: gateway::Unattended::default(),
        ledger: reserve,
        node_id: HeaderValue::from_str(identity.node_id.as_str()).unwrap_or(HeaderValue::from_static("unnamed")),
        hooks: Hooks::default(),
    });

    let shards = Shards::new(workers);
    let mut handles = Vec::with_capacity(workers);
    for index in 0..workers {
        let seat = gateway::Worker { gateway: Arc::clone(&gateway), index, shard: shards.of(index) };
        let (handle, _thread) =
            worker::start(index, Arc::clone(&edge), drain.clone(), move || gateway::router(seat))
                .map_err(|source| ServeError::Io { what: "a data-plane thread could not start", source })?;
        handles.push(handle);
    }
    tokio::spawn(accept::accept_loop(listener, handles, Arc::clone(&edge), drain.clone()));

    let load = Load::new(shards.clone(), Arc::clone(&gateway));
    tokio::spawn(load.clone().keep_measuring());
    if let Some(cluster) = &cluster {
        tokio::spawn(load.clone().keep_telling(cluster.clone()));
    }
    let zone = config.node.zone.as_deref().map(Arc::from);
    let peers = Peers::new(identity.clone(), cluster.clone(), zone, http_address.to_string(), rooms.drain_asked());
    let reloaded = Arc::new(AtomicBool::new(true));
    let mut alerts = Alerts::default();
    let counts = alerts.counts();
    let watched = Arc::clone(&gateway);
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(ALERTS);
        loop {
            tick.tick().await;
            alerts.tell(watched.access.load().charges(), now_unix());
        }
    });
    let admin = Admin {
        ledger: ledger.clone(),
        alerts: counts,
        gateway: Arc::clone(&gateway),
        edge,
        peers,
        shards,
        load,
        registry: registry.clone(),
        token: config.admin.token.clone(),
        reloaded: Arc::clone(&reloaded),
    };
    let admin_edge = Edge::new(&config.http, Paths::Admin, Arc::default());
    tokio::spawn(accept::serve(admin_listener, admin::router(admin), Arc::new(admin_edge)));
    if let Some(source) = options.source {
        let gateway = Arc::clone(&gateway);
        Reload::new(source, options.config.clone(), workers, gateway, embeddings, reloaded).start();
    }

    let has_seeds = config.cluster.as_ref().is_some_and(|cluster| !cluster.join.is_empty());
    begin(cluster.as_ref(), has_seeds, &registry, &ledger, &drain).await;
    info!(node = %identity.node_id, http = %http_address, admin = %config.admin.listen, "ready");
    let end = until_told(options.exit_with_parent, &rooms, cluster.as_ref(), &ledger).await;
    info!(reason = end.as_str(), "draining");
    if let End::Double(said) = end {
        return Err(ServeError::Double { node: identity.node_id.to_string(), said });
    }
    finish(&options.config, cluster.as_ref().map(|cluster| (cluster, &cache)), &drain, &ledger, &end).await;
    registry.close().await;
    if let (End::StartOver(_), Some(lock)) = (&end, &lock) {
        ledger::renew(&options.config, &identity, lock)?;
        return Ok(Next::StartOver);
    }
    info!("stopped");
    Ok(Next::Exit)
}

/// Ready: with peers once one was met, alone after a short while, without a cluster at once.
async fn begin(
    cluster: Option<&Cluster>,
    has_seeds: bool,
    registry: &RegistryService,
    ledger: &LedgerService,
    drain: &Drain,
) {
    if let Some(cluster) = cluster {
        if has_seeds {
            let mut views = cluster.watch();
            let met = views.wait_for(|view| view.members.len() > 1);
            let mut double = cluster.link().double();
            let met = tokio::select! {
                met = tokio::time::timeout(MEET, met) => met.is_ok(),
                // Nothing may be served in another process's name.
                _ = double.wait_for(Option::is_some) => return,
            };
            if !met {
                warn!("no peer answered yet: serving alone until one does");
            } else {
                if tokio::time::timeout(CATCH_UP, registry.caught_up()).await.is_err() {
                    warn!("no peer has told yet what was changed at run time: serving with what was known before");
                }
                // A node that holds nothing itself can only ask peers that its ledger knows.
                let others = cluster.view().members.len().saturating_sub(1);
                let mut status = ledger.watch();
                let known = status.wait_for(|status| status.live.len() >= others);
                if tokio::time::timeout(CATCH_UP, known).await.is_err() {
                    warn!("not all peers are connected yet: what they hold of budgets cannot be asked for");
                }
            }
        }
        cluster.set_state(State::Ready).await;
    }
    drain.enter(Phase::Serving);
}
