//! A provider, prepared: what a request to it needs is made once, when the configuration is loaded.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT_ENCODING, HOST, USER_AGENT};
use http::uri::{InvalidUri, Uri};
use http::{HeaderMap, HeaderName, HeaderValue};
use peerway_dialect::openai::chat::Target;
use peerway_dialect::{Dialect, bedrock};

use super::client::Way;
use super::connect::Proxy;
use super::credential::{BadKey, Credential, KeyMaterial, is_default_port};
use super::endpoint::Endpoint;
use super::headers::{self, BadHeader};
use super::site::{self, Site};
use super::table::{self, Auth, Completions, Row};
use super::token::TokenSource;
use super::url::{self, BadUrl, Names};
use super::{Client, ClientFactory, Late, Pattern, Timeout};
use crate::config::{self, Http2, ProviderKind};
use crate::operation::Operation;

/// The version of its API that Anthropic has had since 2023; a `headers` entry can name another.
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("provider `{provider}` needs {what}")]
    Incomplete { provider: String, what: &'static str },
    #[error("provider `{provider}`: `{field}`: {source}")]
    Url { provider: String, field: &'static str, source: BadUrl },
    #[error("provider `{provider}`: its URLs cannot be made: {source}")]
    Site { provider: String, source: InvalidUri },
    #[error("provider `{provider}`, key `{key}`: {source}")]
    Key { provider: String, key: String, source: BadKey },
    #[error("provider `{provider}`: header `{header}`: {source}")]
    Header { provider: String, header: String, source: BadHeader },
    #[error("provider `{provider}`: {what} holds characters that an HTTP header cannot have")]
    Value { provider: String, what: String },
}

/// A key of the operator's at the provider.
#[derive(Debug, Clone)]
pub struct UpstreamKey {
    pub id: Arc<str>,
    pub(super) credential: Credential,
    weight: f64,
    models: Vec<Pattern>,
}

#[derive(Debug)]
pub struct Upstream {
    pub name: Arc<str>,
    /// Whether a stream may be asked for its usage by `stream_options`; the others tell it unasked.
    pub takes_stream_options: bool,
    pub(super) row: &'static Row,
    pub(super) site: Site,
    /// What every request to it carries.
    pub(super) headers: HeaderMap,
    keys: Vec<UpstreamKey>,
    /// What it serves; empty: whatever is asked for.
    pub models: Vec<Pattern>,
    pub connect: Duration,
    pub first_byte: Duration,
    pub idle: Duration,
    pub total: Duration,
    /// Below which a stream crawls; 0: however slow.
    pub min_tokens_per_s: f64,
    pub retries: u32,
    /// One client a data-plane thread.
    clients: Vec<Client>,
}

impl Upstream {
    pub fn prepare(
        provider: &config::Provider,
        workers: usize,
        factory: &ClientFactory,
    ) -> Result<Self, UpstreamError> {
        let name = || provider.name.clone();
        let row = table::row(provider.kind);
        let way = way(provider)?;
        let keys = provider
            .keys
            .iter()
            .map(|key| {
                let bad = |source| UpstreamError::Key { provider: name(), key: key.id.clone(), source };
                KeyMaterial::read(row, key).map(|material| (key, material)).map_err(bad)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let project = provider.project.as_deref().or_else(|| keys.iter().find_map(|(_, material)| material.project()));
        let base = provider
            .base_url
            .clone()
            .or_else(|| site::default_base(provider, project))
            .ok_or_else(|| UpstreamError::Incomplete { provider: name(), what: lacks(provider, project) })?;
        let names = if way.proxy.is_some() { Names::ByEnding } else { Names::Resolved };
        let uri = url::target(&base, provider.allow_private, names).map_err(|source| UpstreamError::Url {
            provider: name(),
            field: "base_url",
            source,
        })?;
        let site = Site::new(provider, &base).map_err(|source| UpstreamError::Site { provider: name(), source })?;
        let keys = keys
            .into_iter()
            .map(|(key, material)| {
                let bad = |source| UpstreamError::Key { provider: name(), key: key.id.clone(), source };
                Ok(UpstreamKey {
                    id: key.id.as_str().into(),
                    credential: ready(material, provider, names, factory, &way).map_err(bad)?,
                    weight: key.weight,
                    models: key.models.iter().map(Pattern::new).collect(),
                })
            })
            .collect::<Result<_, UpstreamError>>()?;
        let timeouts = &provider.timeouts;
        Ok(Self {
            name: provider.name.as_str().into(),
            takes_stream_options: row.stream_options,
            row,
            site,
            headers: common_headers(provider, row, &uri)?,
            keys,
            models: provider.models.iter().map(Pattern::new).collect(),
            connect: timeouts.connect.get(),
            first_byte: timeouts.first_byte.get(),
            idle: timeouts.idle.get(),
            total: timeouts.total.get(),
            min_tokens_per_s: timeouts.min_tokens_per_s,
            retries: provider.retries,
            clients: (0..workers.max(1)).map(|_| factory.client(&way)).collect(),
        })
    }

    /// What is told when this timeout has struck.
    pub fn late(&self, timeout: Timeout) -> Late {
        let after = match timeout {
            Timeout::Connect => self.connect,
            Timeout::FirstByte => self.first_byte,
            Timeout::Idle => self.idle,
            Timeout::Total => self.total,
        };
        Late { timeout, after, provider: Arc::clone(&self.name) }
    }

    pub fn client(&self, worker: usize) -> &Client {
        &self.clients[worker % self.clients.len()]
    }

    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    pub fn keys(&self) -> &[UpstreamKey] {
        &self.keys
    }

    pub fn serves(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| pattern.matches(model))
    }

    /// The dialect in which a model is asked for chat by a client that speaks `client`: the client's own where the
    /// provider takes it as it is, else the one that the model is at home in.
    pub fn chat_dialect(&self, client: Dialect, model: &str) -> Dialect {
        let own = self.site.dialect(model).unwrap_or(self.row.chat);
        match client {
            Dialect::OpenAiResponses if own == Dialect::OpenAiChat && self.row.responses => client,
            Dialect::OpenAiCompletions if own == Dialect::OpenAiChat && self.takes_completions(model) => client,
            _ => own,
        }
    }

    fn takes_completions(&self, model: &str) -> bool {
        match self.row.completions {
            Completions::All => true,
            Completions::Instruct => {
                model.contains("-instruct") || model.starts_with("davinci-") || model.starts_with("babbage-")
            }
            Completions::None => false,
        }
    }

    /// Whether it does an operation for a model, and in which wire format it is asked to. Text completions and responses
    /// that it does not take can still be asked for in chat.
    pub fn serves_operation(&self, operation: Operation, model: &str) -> Option<Dialect> {
        let own = self.chat_dialect(Dialect::OpenAiChat, model);
        let native = |dialect| (self.chat_dialect(dialect, model) == dialect).then_some(dialect);
        let dialect = match operation {
            Operation::Chat => own,
            Operation::Responses => native(Dialect::OpenAiResponses)?,
            Operation::Completions => native(Dialect::OpenAiCompletions)?,
            Operation::Embeddings if own == Dialect::Bedrock && !bedrock::embeds(model) => return None,
            operation if self.row.operations.contains(&operation) => table::wire_format(operation, own),
            _ => return None,
        };
        Endpoint::of(operation, dialect, false).map(|_| dialect)
    }

    /// The habits of a provider that speaks chat completions.
    pub fn openai_target(&self, _model: &str) -> Target {
        self.row.target
    }

    /// The name by which the provider knows a model, which is not always that of its configuration.
    pub fn wire_model<'a>(&'a self, model: &'a str) -> &'a str {
        self.site.model(model)
    }
}

impl UpstreamKey {
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The provider has refused it as a whole: an access token that was made from it is not shown again.
    pub fn refused(&self) {
        self.credential.refused();
    }

    /// Whether it may be used for a model.
    pub fn fits(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| pattern.matches(model))
    }
}

fn lacks(provider: &config::Provider, project: Option<&str>) -> &'static str {
    match provider.kind {
        ProviderKind::Bedrock => "a `region`",
        ProviderKind::Vertex if project.is_none() => "a `project`",
        ProviderKind::Vertex => "a `location`",
        _ => "a `base_url`",
    }
}

fn way(provider: &config::Provider) -> Result<Way, UpstreamError> {
    let proxy = provider.proxy.as_ref().map(|proxy| {
        let url = url::proxy(&proxy.url, proxy.allow_private).map_err(|source| UpstreamError::Url {
            provider: provider.name.clone(),
            field: "proxy.url",
            source,
        })?;
        let authorization = proxy.username.as_ref().map(|username| {
            let password = proxy.password.as_ref().map_or("", |password| password.expose());
            sensitive(&format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
        });
        // Base64 is ASCII.
        let authorization = authorization.transpose().unwrap_or_default();
        Ok::<_, UpstreamError>(Arc::new(Proxy { url, authorization, allow_private: proxy.allow_private }))
    });
    Ok(Way {
        connect: provider.timeouts.connect.get(),
        allow_private: provider.allow_private,
        proxy: proxy.transpose()?,
        http2: provider.http2,
    })
}

fn ready(
    material: KeyMaterial,
    provider: &config::Provider,
    names: Names,
    factory: &ClientFactory,
    way: &Way,
) -> Result<Credential, BadKey> {
    Ok(match material {
        KeyMaterial::Header(name, value) => Credential::Header(name, value),
        KeyMaterial::Aws(key) => {
            Credential::Aws { key: Arc::new(key), region: provider.region.as_deref().unwrap_or_default().into() }
        }
        KeyMaterial::Google(account) => {
            let url = account.token_url(provider.allow_private, names)?;
            let client = factory.client(&Way { http2: Http2::Never, ..way.clone() });
            Credential::Google(Arc::new(TokenSource::new(account, url, client)))
        }
    })
}

fn common_headers(provider: &config::Provider, row: &Row, base: &Uri) -> Result<HeaderMap, UpstreamError> {
    let name = || provider.name.clone();
    let mut headers = HeaderMap::with_capacity(16);
    // An HTTP/2 request has its authority instead; where either may be spoken the client sets the header.
    if provider.http2 == Http2::Never || (provider.http2 == Http2::Auto && base.scheme_str() == Some("http")) {
        let host = base.host().unwrap_or_default();
        let host = match base.port_u16().filter(|port| !is_default_port(base.scheme_str(), *port)) {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let host = HeaderValue::try_from(host)
            .map_err(|_| UpstreamError::Value { provider: name(), what: "the host".to_owned() })?;
        headers.insert(HOST, host);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("peerway/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if row.auth == Auth::Header("x-api-key") {
        headers.insert(HeaderName::from_static("anthropic-version"), ANTHROPIC_VERSION);
    }
    for (header, value) in &provider.headers {
        let bad = |source| UpstreamError::Header { provider: name(), header: header.clone(), source };
        let custom = headers::custom(header, row).map_err(bad)?;
        let value = sensitive(value.expose())
            .map_err(|_| UpstreamError::Value { provider: name(), what: format!("header `{header}`") })?;
        headers.insert(custom, value);
    }
    Ok(headers)
}

fn sensitive(text: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}
