//! The configuration as the operator writes it: one struct a block, unknown keys are errors, every default is here.
//!
//! Shapes and names follow `docs/configuration.md`. Nothing in this file reads a file or the environment
//! (see `load`), and nothing in it judges whether the values make sense together (see `verify`).

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{ByteSize, Period, Secret};

/// The whole file. Every block may be left out.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub node: Node,
    pub http: Http,
    pub admin: Admin,
    /// Absent: the node serves alone and opens no UDP port.
    pub cluster: Option<Cluster>,
    pub providers: Vec<Provider>,
    pub routes: Vec<Route>,
    pub governance: Governance,
    pub prices: Prices,
    pub cache: Cache,
    pub observability: Observability,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// Unique in the cluster. Default: generated once and kept in `data_dir`.
    pub id: Option<String>,
    /// Failure domain; a cache entry's second copy goes to another zone where there is one.
    pub zone: Option<String>,
    /// Where identity (and later the journal) survives a restart. Default: `./data`.
    pub data_dir: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    pub listen: SocketAddr,
    /// Largest request body that is read.
    pub max_body: ByteSize,
    /// Data-plane threads. Default: one per core.
    pub workers: Option<usize>,
    /// How long in-flight requests may go on after SIGTERM.
    pub drain: Period,
    /// How long new connections are still accepted after SIGTERM, until balancers have seen `/readyz` fail.
    pub drain_notice: Period,
    pub tls: Option<HttpTls>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            max_body: ByteSize::mebibytes(64),
            workers: None,
            drain: Period::seconds(120),
            drain_notice: Period::seconds(5),
            tls: None,
        }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpTls {
    pub cert: std::path::PathBuf,
    pub key: std::path::PathBuf,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    pub listen: SocketAddr,
    /// Required when `listen` is not a loopback address.
    pub token: Option<Secret>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8081)), token: None }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    pub name: String,
    pub listen: SocketAddr,
    /// The address that peers dial. Default: `listen`, which must then be a specific address or loopback.
    pub advertise: Option<String>,
    /// `host:port`, `dns:name:port`, `srv:name` or `file:path`.
    pub join: Vec<String>,
    /// Node ids of which a majority must meet before budgets begin.
    pub founders: Vec<String>,
    /// Where node names are random: how many nodes must have met before budgets begin.
    pub expect: Option<usize>,
    /// One secret for all nodes; the cluster's certificates are derived from it.
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

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterTls {
    pub ca: std::path::PathBuf,
    pub cert: std::path::PathBuf,
    pub key: std::path::PathBuf,
}

/// The wire format and habits of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    #[serde(rename = "openai")]
    OpenAi,
    #[serde(rename = "openai_compatible")]
    OpenAiCompatible,
    Simulated,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The `provider` in `provider/model`.
    pub name: String,
    #[serde(rename = "type")]
    pub kind: ProviderKind,
    /// With the version in it, e.g. `https://api.openai.com/v1`. Default for type `openai` only.
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub keys: Vec<ProviderKey>,
    /// Models that this provider is known to serve, listed by `GET /v1/models` and reachable by their bare name.
    #[serde(default)]
    pub models: Vec<String>,
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Further attempts after a failed one, before the first byte went to the client.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Allows an upstream on a loopback or private address.
    #[serde(default)]
    pub allow_private: bool,
}

fn default_retries() -> u32 {
    2
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderKey {
    /// What logs and metrics call this key; never its value.
    pub id: String,
    pub value: Secret,
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// Models that this key may be used for; `*` stands for any run of characters.
    #[serde(default = "any_model")]
    pub models: Vec<String>,
}

fn default_weight() -> f64 {
    1.0
}

fn any_model() -> Vec<String> {
    vec!["*".to_owned()]
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    pub connect: Period,
    /// From the request's last byte to the response's head.
    pub first_byte: Period,
    /// Between two pieces of a response body.
    pub idle: Period,
    /// The whole exchange.
    pub total: Period,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Period::seconds(5),
            first_byte: Period::seconds(60),
            idle: Period::seconds(60),
            total: Period::seconds(30 * 60),
        }
    }
}

/// An alias that stands for one or more targets.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub model: String,
    #[serde(default)]
    pub strategy: Strategy,
    pub targets: Vec<Target>,
    /// Tried in order when the targets have failed.
    #[serde(default)]
    pub fallbacks: Vec<Target>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    #[default]
    Weighted,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub provider: String,
    pub model: String,
    #[serde(default = "default_weight")]
    pub weight: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Governance {
    /// Whether a request needs a virtual key. Default: yes.
    pub require_key: bool,
    pub customers: Vec<Customer>,
    pub teams: Vec<Team>,
    pub keys: Vec<VirtualKey>,
}

impl Default for Governance {
    fn default() -> Self {
        Self { require_key: true, customers: Vec::new(), teams: Vec::new(), keys: Vec::new() }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    pub id: String,
    #[serde(default)]
    pub budgets: Vec<Budget>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    pub id: String,
    #[serde(default)]
    pub customer: Option<String>,
    #[serde(default)]
    pub budgets: Vec<Budget>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VirtualKey {
    pub id: String,
    #[serde(default)]
    pub team: Option<String>,
    pub value: Secret,
    /// `provider/model`, bare models or aliases; `*` stands for any run of characters. Empty: none.
    #[serde(default)]
    pub models: Vec<String>,
    #[serde(default)]
    pub budgets: Vec<Budget>,
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// A sum of money in a calendar window.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Decimal US dollars in quotes, e.g. `"10.00"`: money is never a float.
    pub limit_usd: String,
    /// `1m 5m 15m 30m 1h 6h 1d 1w 1M 1Y` or `forever`.
    pub window: String,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub unit: LimitUnit,
    pub limit: u64,
    pub window: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitUnit {
    Requests,
    Tokens,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    pub file: Option<std::path::PathBuf>,
}

/// Which requests take part in the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Only requests with a cache-key header.
    #[default]
    Header,
    /// Every request that may be cached.
    Always,
    Off,
}

/// Who shares cached answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    #[default]
    Key,
    Team,
    Customer,
    Cluster,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    pub activation: Activation,
    pub ttl: Period,
    pub scope: Scope,
    pub max_memory: ByteSize,
    /// Answers larger than this are not kept.
    pub max_entry: ByteSize,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            activation: Activation::Header,
            ttl: Period::seconds(300),
            scope: Scope::Key,
            max_memory: ByteSize::mebibytes(512),
            max_entry: ByteSize::mebibytes(4),
        }
    }
}

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
