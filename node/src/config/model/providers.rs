//! The upstreams as the operator writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::default_weight;
use crate::config::scalar::{Period, Secret};

/// The wire format and habits of an upstream; [`crate::provider::table`] has a row for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// OpenAI itself.
    #[serde(rename = "openai")]
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Google's Gemini API, with an API key.
    Gemini,
    /// Google's Vertex AI: Gemini and Claude, with a service account or an access token.
    Vertex,
    /// Azure OpenAI.
    Azure,
    /// Amazon Bedrock's Converse.
    Bedrock,
    /// Cohere v2.
    Cohere,
    Mistral,
    Groq,
    /// Together AI.
    Together,
    /// Fireworks AI.
    Fireworks,
    #[serde(rename = "deepseek")]
    DeepSeek,
    /// xAI.
    Xai,
    Perplexity,
    #[serde(rename = "openrouter")]
    OpenRouter,
    /// An Ollama server, by default on this machine.
    Ollama,
    /// A vLLM server.
    Vllm,
    Cerebras,
    /// NVIDIA NIM, theirs or your own.
    Nvidia,
    /// Hugging Face's router of inference providers.
    #[serde(rename = "huggingface")]
    HuggingFace,
    /// Anything that speaks OpenAI's API at another address.
    #[serde(rename = "openai_compatible")]
    OpenAiCompatible,
    /// The simulated provider that comes with the gateway.
    Simulated,
}

/// An upstream.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The `provider` in `provider/model`.
    pub name: String,
    /// The wire format it speaks.
    #[serde(rename = "type")]
    pub kind: ProviderKind,
    /// With the version in it, e.g. `https://api.openai.com/v1`. Default: the type's own, where it has one.
    #[serde(default)]
    pub base_url: Option<String>,
    /// API keys, drawn by weight. None: the provider needs none.
    #[serde(default)]
    pub keys: Vec<ProviderKey>,
    /// Models that this provider is known to serve, listed by `GET /v1/models` and reachable by their bare name; `*`
    /// stands for any run of characters. Empty: whatever is asked for.
    #[serde(default)]
    pub models: Vec<String>,
    /// How long each part of a request may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Further attempts after a failed one, before the first byte went to the client.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Allows an upstream on a loopback or private address.
    #[serde(default)]
    pub allow_private: bool,
    /// Headers that every request to it carries; their values are kept out of logs.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// An HTTP proxy through which it is reached.
    #[serde(default)]
    pub proxy: Option<Proxy>,
    /// Whether HTTP/2 is spoken with it.
    #[serde(default)]
    pub http2: Http2,
    /// `azure`: the `api-version` of every request. Default: 2024-10-21.
    #[serde(default)]
    pub api_version: Option<String>,
    /// `azure`: the deployment of each model. Default: a deployment has its model's name.
    #[serde(default)]
    pub deployments: BTreeMap<String, String>,
    /// `vertex`: the Google Cloud project. Default: that of the first key's service account.
    #[serde(default)]
    pub project: Option<String>,
    /// `vertex`: the region, or `global`.
    #[serde(default)]
    pub location: Option<String>,
    /// `bedrock`: the AWS region.
    #[serde(default)]
    pub region: Option<String>,
}

fn default_retries() -> u32 {
    2
}

impl Provider {
    /// A provider of which only the kind is known; everything else has its default.
    pub fn new(name: impl Into<String>, kind: ProviderKind) -> Self {
        Self {
            name: name.into(),
            kind,
            base_url: None,
            keys: Vec::new(),
            models: Vec::new(),
            timeouts: Timeouts::default(),
            retries: default_retries(),
            allow_private: false,
            headers: BTreeMap::new(),
            proxy: None,
            http2: Http2::default(),
            api_version: None,
            deployments: BTreeMap::new(),
            project: None,
            location: None,
            region: None,
        }
    }
}

/// An API key at a provider.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderKey {
    /// What logs and metrics call this key; never its value.
    pub id: String,
    /// The key itself. `vertex`: a service account's JSON or an access token. `bedrock`: a secret access key, or with no
    /// `access_key_id` a Bedrock API key.
    pub value: Secret,
    /// `bedrock`: the id of the access key that `value` is the secret of.
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// `bedrock`: the session token of temporary credentials.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// Share of the requests relative to the provider's other keys.
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// Models that this key may be used for; `*` stands for any run of characters.
    #[serde(default = "any_model")]
    pub models: Vec<String>,
}

impl ProviderKey {
    /// A key for every model.
    pub fn new(id: impl Into<String>, value: Secret) -> Self {
        Self {
            id: id.into(),
            value,
            access_key_id: None,
            session_token: None,
            weight: default_weight(),
            models: any_model(),
        }
    }
}

fn any_model() -> Vec<String> {
    vec!["*".to_owned()]
}

/// An HTTP proxy that opens tunnels (CONNECT).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// `http://host:port`, or `https://host:port` for a proxy that is itself reached by TLS.
    pub url: String,
    /// Who asks the proxy, where it wants to know.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's password at the proxy.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Allows a proxy on a loopback or private address.
    #[serde(default)]
    pub allow_private: bool,
}

/// Whether HTTP/2 is spoken with a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Http2 {
    /// Where the provider offers it in the TLS handshake.
    #[default]
    Auto,
    /// Over TLS and over plain TCP alike.
    Always,
    Never,
}

/// How long each part of a request to a provider may take.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To the open connection.
    pub connect: Period,
    /// From the request's last byte to the response's head.
    pub first_byte: Period,
    /// Between two pieces of a response body.
    pub idle: Period,
    /// The whole exchange.
    pub total: Period,
    /// A stream that has begun and then writes fewer tokens a second for ten seconds is ended with an error. 0: never.
    pub min_tokens_per_s: f64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Period::seconds(5),
            first_byte: Period::seconds(60),
            idle: Period::seconds(60),
            total: Period::seconds(30 * 60),
            min_tokens_per_s: 0.0,
        }
    }
}
