//! The cache as the operator writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::scalar::{ByteSize, Period, Secret};

/// Which requests take part in the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Only requests with a cache-key header.
    #[default]
    Header,
    /// Every request that may be cached.
    Always,
    /// None.
    Off,
}

/// Who shares cached answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Requests with the same virtual key.
    #[default]
    Key,
    /// Requests with keys of the same team.
    Team,
    /// Requests with keys of the same customer.
    Customer,
    /// All requests.
    Cluster,
}

/// The answers that all nodes share.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Which requests take part.
    pub activation: Activation,
    /// How long an answer is kept; a client may ask for less.
    pub ttl: Period,
    /// Who shares cached answers.
    pub scope: Scope,
    /// Memory for answers on this node.
    pub max_memory: ByteSize,
    /// Answers larger than this are not kept.
    pub max_entry: ByteSize,
    /// What keeps answers behind the nodes' memory.
    pub backend: CacheBackend,
    /// Answers to requests that mean the same.
    pub semantic: Semantic,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            activation: Activation::Header,
            ttl: Period::seconds(300),
            scope: Scope::Key,
            max_memory: ByteSize::mebibytes(512),
            max_entry: ByteSize::mebibytes(4),
            backend: CacheBackend::default(),
            semantic: Semantic::default(),
        }
    }
}

/// What keeps answers behind the nodes' memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheBackend {
    /// Who it is.
    #[serde(rename = "type")]
    pub kind: CacheBackendKind,
    /// Where Redis is: `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS. A secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// In place of `url`, for a Redis Cluster: where servers of it are; the others are learnt from the first that answers.
    /// Secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<Secret>,
    /// A file with the authorities that vouch for a `rediss://` server, in place of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<std::path::PathBuf>,
}

/// Who keeps answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheBackendKind {
    /// The nodes alone.
    #[default]
    Peer,
    /// Redis, Valkey or what else speaks their protocol, behind the nodes.
    Redis,
}

/// Answers to requests that mean the same. Only requests that take part in the cache are asked about.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Semantic {
    /// Whether requests are answered by meaning.
    pub enabled: bool,
    /// How sure it must be that a kept answer serves the request, above 0 and at most 1. A client may ask for more.
    pub threshold: f64,
    /// Conversations with more messages than this before the last one are only answered by the same request.
    pub history: usize,
    /// What finds candidates.
    pub embedder: Embedder,
    /// What keeps the vectors.
    pub vectors: Vectors,
    /// What a `cross_encoder` and a `judge` are asked about. What a check of the guard contradicts is never asked about.
    pub confirm: Confirm,
    /// A model on this node that reads both prompts and must agree. Off by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_encoder: Option<CrossEncoder>,
    /// A provider's chat model that reads both prompts and must agree. Off by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judge>,
}

impl Default for Semantic {
    fn default() -> Self {
        Self {
            enabled: true,
            threshold: 0.85,
            history: 3,
            embedder: Embedder::default(),
            vectors: Vectors::default(),
            confirm: Confirm::default(),
            cross_encoder: None,
            judge: None,
        }
    }
}

/// What a second opinion is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// Candidates that the guard doubts: confirmed, they are hits.
    #[default]
    Doubts,
    /// Those that the guard is sure of too: refused, they are none.
    All,
}

/// A classifier of pairs, in builds with the feature `local-embedder`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossEncoder {
    /// The folder with the model: config.json, vocab.txt and model.safetensors of a BERT for sequence classification.
    pub folder: std::path::PathBuf,
    /// How sure it must be, above 0 and at most 1.
    #[serde(default = "CrossEncoder::default_threshold")]
    pub threshold: f64,
    /// Which of the model's labels says that both prompts mean the same. Default: the one that is called so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How long a request waits for it; what comes later is the guard's own verdict.
    #[serde(default = "CrossEncoder::default_deadline")]
    pub deadline: Period,
}

impl CrossEncoder {
    fn default_threshold() -> f64 {
        0.9
    }

    fn default_deadline() -> Period {
        Period::seconds(1)
    }
}

/// A chat model that is asked about a pair of prompts. The key whose request asks pays for it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// `provider/model`. A cheap and quick one.
    pub model: String,
    /// How long a request waits for it; what comes later is the guard's own verdict.
    #[serde(default = "Judge::default_deadline")]
    pub deadline: Period,
}

impl Judge {
    fn default_deadline() -> Period {
        Period::seconds(2)
    }
}

/// What finds candidates. The same on all nodes; another one begins with an empty index.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Embedder {
    /// Which one.
    #[serde(rename = "type")]
    pub kind: EmbedderKind,
    /// `openai`: the one of `providers` that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// `openai`: the model, e.g. `text-embedding-3-small`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `openai`: shortens the vectors of models that can. Default: as long as the model makes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// `local`: the folder with the model; `peerway model fetch` tells how to get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<std::path::PathBuf>,
    /// `local`, and a `cross_encoder`: threads that run the models. Default: one for each four cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// `openai`, `local`: how long a request waits for its vector; what comes later is a miss.
    pub deadline: Period,
}

impl Default for Embedder {
    fn default() -> Self {
        Self {
            kind: EmbedderKind::Static,
            provider: None,
            model: None,
            dimensions: None,
            folder: None,
            threads: None,
            deadline: Period::seconds(1),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmbedderKind {
    /// A table in the binary.
    #[default]
    Static,
    /// A provider's model, by OpenAI's `/v1/embeddings`.
    #[serde(rename = "openai")]
    OpenAi,
    /// A model on this node, in builds with the feature `local-embedder`.
    Local,
}

/// What keeps the vectors. A database is asked in place of the nodes; down or slow, it is a miss.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vectors {
    /// Who it is.
    #[serde(rename = "type")]
    pub kind: VectorsKind,
    /// A database's: where it is. `qdrant`: its gRPC port, `http://host:6334`; `weaviate`: `http://host:8080`; `pinecone`: the host
    /// of an index. `https://` for TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A database's: the key that lets in. A secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret>,
    /// A database's: what the names of its collections begin with; the embedder and the length of its vectors follow.
    pub collection: String,
    /// A database's: how long a request waits for it; what comes later is a miss.
    pub deadline: Period,
}

impl Default for Vectors {
    fn default() -> Self {
        Self {
            kind: VectorsKind::Peer,
            url: None,
            api_key: None,
            collection: "peerway".to_owned(),
            deadline: Period::milliseconds(50),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VectorsKind {
    /// The nodes, by the ring.
    #[default]
    Peer,
    /// Qdrant, in builds with the feature `qdrant`.
    Qdrant,
    /// Weaviate.
    Weaviate,
    /// Pinecone.
    Pinecone,
}
