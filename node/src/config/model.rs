//! The configuration as the operator writes it: one struct a block, unknown keys are errors, every default is here.
//!
//! Shapes and names follow `docs/configuration.md`. Nothing in this file reads a file or the environment
//! (see `load`), and nothing in it judges whether the values make sense together (see `verify`).

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::scalar::{ByteSize, Moment, Period, Secret};

mod cache;
mod providers;

pub use cache::*;
pub use providers::*;

/// The whole file. Every block may be left out.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Who this node is.
    pub node: Node,
    /// Where clients connect.
    pub http: Http,
    /// Where operators connect.
    pub admin: Admin,
    /// Absent: the node serves alone and opens no UDP port.
    pub cluster: Option<Cluster>,
    /// The upstreams.
    pub providers: Vec<Provider>,
    /// When upstreams are left alone, and when they are tried again.
    pub health: Health,
    /// Model names of your own, each for one or more targets.
    pub routes: Vec<Route>,
    /// How many attempts there may be beyond each request's first.
    pub retries: Retries,
    /// Who may use the gateway, and how much.
    pub governance: Governance,
    /// What models cost.
    pub prices: Prices,
    /// The answers that all nodes share.
    pub cache: Cache,
    /// Answers say in their bodies, as the member `extra_fields`, who gave them and how the cache took part.
    pub extra_fields: bool,
    /// Logs.
    pub observability: Observability,
}

impl Config {
    /// The name of the cluster, also of a node that serves alone.
    pub fn cluster_name(&self) -> &str {
        self.cluster.as_ref().map_or("peerway", |cluster| cluster.name.as_str())
    }
}

/// Who this node is.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// Unique in the cluster. Default: generated once and kept in `data_dir`.
    pub id: Option<String>,
    /// Failure domain; a cache entry's second copy goes to another zone where there is one.
    pub zone: Option<String>,
    /// Where identity and what was changed at run time survive a restart. Default: `./data`.
    pub data_dir: Option<std::path::PathBuf>,
}

/// The data plane's listener.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port of the inference routes.
    pub listen: SocketAddr,
    /// Largest request body that is read, also when it is decoded.
    pub max_body: ByteSize,
    /// Bytes of request bodies and answers that are held at once. Default: a quarter of the memory that the process may use.
    pub max_body_memory: Option<ByteSize>,
    /// Takes request bodies that are compressed (gzip, deflate, zstd, br). Default: no, they are answered 415.
    pub decompress: bool,
    /// Requests for models that are in progress at once; further ones wait a moment, and then are turned away.
    pub max_concurrent: usize,
    /// How long a request may wait for another one to end. 0: not at all.
    pub max_queue_wait: Period,
    /// Open client connections.
    pub max_connections: usize,
    /// Open connections of one client address (of IPv6: of one /64). Default: half of `max_connections`.
    pub max_connections_per_client: Option<usize>,
    /// How slow a client may be.
    pub timeouts: ClientTimeouts,
    /// Data-plane threads. Default: one per core.
    pub workers: Option<usize>,
    /// How long in-flight requests may go on after SIGTERM.
    pub drain: Period,
    /// How long new connections are still accepted after SIGTERM, until balancers have seen `/readyz` fail.
    pub drain_notice: Period,
    /// Not supported yet: end TLS at the balancer.
    pub tls: Option<HttpTls>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            max_body: ByteSize::mebibytes(64),
            max_body_memory: None,
            decompress: false,
            max_concurrent: 10_000,
            max_queue_wait: Period::milliseconds(100),
            max_connections: 65_536,
            max_connections_per_client: None,
            timeouts: ClientTimeouts::default(),
            workers: None,
            drain: Period::seconds(120),
            drain_notice: Period::seconds(5),
            tls: None,
        }
    }
}

/// How slow a client may be.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTimeouts {
    /// From a connection's beginning to its first request, and from the first to the last byte of any request's head.
    pub header: Period,
    /// A whole request body. After its first 10 seconds it must have come at 1 KiB a second, too.
    pub body: Period,
    /// A connection without a request. Longer than that of the balancer in front, so that it is the balancer who closes.
    pub idle: Period,
    /// A client that reads nothing of its answer.
    pub write_stall: Period,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            header: Period::seconds(10),
            body: Period::seconds(5 * 60),
            idle: Period::seconds(75),
            write_stall: Period::seconds(60),
        }
    }
}

/// Certificate and key of a listener.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpTls {
    /// The certificate chain, a PEM file.
    pub cert: std::path::PathBuf,
    /// Its private key, a PEM file.
    pub key: std::path::PathBuf,
}

/// The control plane's listener.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port of the management routes.
    pub listen: SocketAddr,
    /// What callers send as `Authorization: Bearer`. Required when `listen` is not a loopback address.
    pub token: Option<Secret>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8081)), token: None }
    }
}

/// How this node finds and trusts its peers.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    /// Nodes of different clusters never become peers.
    pub name: String,
    /// Address and UDP port for peers.
    pub listen: SocketAddr,
    /// The `host:port` that peers dial. Default: `listen`, or where that is 0.0.0.0 the address that leads to the peers.
    pub advertise: Option<String>,
    /// Where peers may be: `host:port`, `dns:name:port`, `srv:name` or `file:path`.
    pub join: Vec<String>,
    /// Node ids of which a majority must meet before budgets begin.
    pub founders: Vec<String>,
    /// Where node names are random: how many nodes must have met before budgets begin.
    pub expect: Option<usize>,
    /// One secret of at least 16 characters for all nodes; the cluster's certificates are derived from it.
    pub secret: Option<Secret>,
    /// Certificates from `peerway cluster init` and `issue`, instead of `secret`.
    pub tls: Option<ClusterTls>,
    /// Share of the ring relative to the other nodes.
    pub weight: f64,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: "peerway".to_owned(),
            listen: SocketAddr::from(([0, 0, 0, 0], 7946)),
            advertise: None,
            join: Vec::new(),
            founders: Vec::new(),
            expect: None,
            secret: None,
            tls: None,
            weight: 1.0,
        }
    }
}

/// This node's proof that it belongs to the cluster.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterTls {
    /// The cluster's CA certificate, a PEM file.
    pub ca: std::path::PathBuf,
    /// This node's certificate, a PEM file.
    pub cert: std::path::PathBuf,
    /// This node's private key, a PEM file.
    pub key: std::path::PathBuf,
}

fn default_weight() -> f64 {
    1.0
}

/// When the breaker of a model at a provider with a key opens, and when it is tried again. The same on all nodes.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// So many failures in a row open it.
    pub failures: u32,
    /// More than this part of the calls in the window opens it too.
    pub ratio: f64,
    /// ... if there were at least so many.
    pub min_calls: u32,
    /// How far back calls count.
    pub window: Period,
    /// Between two calls of the whole cluster that try whether an open one is back.
    pub probe_interval: Period,
}

impl Default for Health {
    fn default() -> Self {
        Self { failures: 5, ratio: 0.5, min_calls: 20, window: Period::seconds(10), probe_interval: Period::seconds(5) }
    }
}

/// An alias that stands for one or more targets.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The name that clients send as `model`.
    pub model: String,
    /// How a target is chosen.
    #[serde(default)]
    pub strategy: Strategy,
    /// What the name stands for; at least one.
    pub targets: Vec<Target>,
    /// Tried in order when the targets have failed.
    #[serde(default)]
    pub fallbacks: Vec<Target>,
    /// Tried in order when the request is longer than the context window of the model that was to answer it.
    #[serde(default)]
    pub context_fallbacks: Vec<Target>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By the targets' weights.
    #[default]
    Weighted,
    /// By the targets' weights times their health: success, speed and what is left of their limits.
    Adaptive,
    /// The one with the lowest latency; targets that are about as fast share by weight.
    Fastest,
    /// The one where this request costs least; equals share by weight.
    Cheapest,
    /// Of two drawn by weight, the one with fewer requests under way.
    LeastInFlight,
}

impl Strategy {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weighted => "weighted",
            Self::Adaptive => "adaptive",
            Self::Fastest => "fastest",
            Self::Cheapest => "cheapest",
            Self::LeastInFlight => "least_in_flight",
        }
    }
}

/// How many attempts there may be beyond each request's first, so that an outage is not answered with more traffic.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retries {
    /// Further attempts as a share of the requests, a provider and node: retries and failovers together.
    pub budget: f64,
    /// Further attempts a second that there may always be, a provider and node.
    pub minimum: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Self { budget: 0.1, minimum: 3 }
    }
}

/// A model at a provider.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The name of a provider.
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// Share of the requests relative to the route's other targets.
    #[serde(default = "default_weight")]
    pub weight: f64,
}

/// Who may use the gateway, and how much.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Governance {
    /// Whether a request needs a virtual key. Default: yes.
    pub require_key: bool,
    /// Output tokens that a request is reckoned to take when neither it nor its model's price says how many it may.
    pub default_max_output_tokens: u64,
    /// How long a request may wait for the peers' part of a budget when this node's is used up.
    pub gather: Period,
    /// Who pays.
    pub customers: Vec<Customer>,
    /// Parts of a customer.
    pub teams: Vec<Team>,
    /// Virtual keys: what clients send as their API key.
    pub keys: Vec<VirtualKey>,
}

impl Default for Governance {
    fn default() -> Self {
        Self {
            require_key: true,
            default_max_output_tokens: 4_096,
            gather: Period::milliseconds(50),
            customers: Vec::new(),
            teams: Vec::new(),
            keys: Vec::new(),
        }
    }
}

/// Who pays.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// Unique among the customers.
    pub id: String,
    /// What all its teams and keys may spend together.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// How many requests or tokens all its teams and keys may use together.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// A part of a customer.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Unique among the teams.
    pub id: String,
    /// The customer it belongs to.
    #[serde(default)]
    pub customer: Option<String>,
    /// What all its keys may spend together.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// How many requests or tokens all its keys may use together.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// What a client sends as its API key, and what it may do.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VirtualKey {
    /// What logs, metrics and the API call this key; never its value.
    pub id: String,
    /// The team it belongs to.
    #[serde(default)]
    pub team: Option<String>,
    /// What the client sends. This or `hash`.
    #[serde(default)]
    pub value: Option<Secret>,
    /// Instead of the value: its hash, as `peerway config export` writes it. Valid under one cluster name only.
    #[serde(default)]
    pub hash: Option<String>,
    /// `provider/model`, bare models or aliases; `*` stands for any run of characters. Empty: none.
    #[serde(default)]
    pub models: Vec<String>,
    /// What the key may spend.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// How many requests or tokens the key may use.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// How many of its requests may be in progress at once, at each node. Default: any number.
    #[serde(default)]
    pub max_concurrent: Option<u32>,
    /// What the key may spend and use at single providers; the others stay open to it.
    #[serde(default)]
    pub providers: Vec<KeyProvider>,
    /// Whether the key may be used at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// From when on the key may not be used any more.
    #[serde(default)]
    pub expires_at: Option<Moment>,
}

fn yes() -> bool {
    true
}

/// One provider as one virtual key may use it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyProvider {
    /// The name of a provider.
    pub provider: String,
    /// Times the weights of a route's targets there. Providers that serve a model by its bare name share the key's requests
    /// by it.
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// What the key may spend there.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// How many requests or tokens the key may use there.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// A sum of money in a calendar window (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Decimal US dollars in quotes, e.g. `"10.00"`: money is never a float.
    pub limit_usd: String,
    /// `1m 5m 15m 30m 1h 6h 1d 1w 1M 1Y` or `forever`.
    pub window: String,
}

/// A number of requests or tokens in a calendar window (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What is counted.
    pub unit: LimitUnit,
    /// How many.
    pub limit: u64,
    /// As in a budget.
    pub window: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitUnit {
    /// Requests, whatever became of them.
    Requests,
    /// Prompt and completion tokens.
    Tokens,
}

/// What models cost.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    /// A file with prices that lie over the built-in table.
    pub file: Option<std::path::PathBuf>,
}

/// Logs.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Observability {
    /// A filter as in `RUST_LOG`, e.g. `info` or `info,peerway_cluster=debug`.
    pub log: String,
    /// Writes one line per request.
    pub access_log: bool,
}

impl Default for Observability {
    fn default() -> Self {
        Self { log: "info".to_owned(), access_log: true }
    }
}
