//! A provider, prepared: what a request to it needs is made once, when the configuration is loaded.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{InvalidUri, Uri};
use http::{HeaderValue, header::InvalidHeaderValue};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http_body_util::Full;
use peerway_dialect::gemini::Method;
use peerway_dialect::openai::chat::Target;
use peerway_dialect::{Dialect, bedrock, gemini};

use super::address::is_public;
use super::{Client, ClientFactory, Pattern};
use crate::config;
use crate::config::ProviderKind;
use crate::operation::Operation;

const OPENAI: &str = "https://api.openai.com/v1";

#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("provider `{provider}` needs a `base_url`, e.g. http://127.0.0.1:11434/v1")]
    NoBaseUrl { provider: String },
    #[error("provider `{provider}`: `base_url: {url}` is not a URL ({source})")]
    BadUrl { provider: String, url: String, source: InvalidUri },
    #[error("provider `{provider}`: {address} is a private address; set `allow_private: true` to call it")]
    Private { provider: String, address: IpAddr },
    #[error(
        "provider `{provider}`, key `{key}`: the value holds characters that a key in an HTTP header cannot have (spaces, controls, other than ASCII) ({source})"
    )]
    BadKey { provider: String, key: String, source: InvalidHeaderValue },
}

/// What is asked of a provider.
#[derive(Debug)]
pub struct UpstreamCall<'a> {
    pub operation: Operation,
    pub dialect: Dialect,
    pub model: &'a str,
    pub stream: bool,
    pub content_type: Option<&'a HeaderValue>,
}

/// Why no request could be made.
#[derive(Debug, thiserror::Error)]
#[error("the request could not be made: {0}")]
pub struct CredentialError(InvalidUri);

/// A key of the operator's at the provider.
#[derive(Debug, Clone)]
pub struct UpstreamKey {
    pub id: Arc<str>,
    authorization: HeaderValue,
    value: HeaderValue,
    /// Share of the requests relative to the provider's other keys.
    pub weight: f64,
    models: Vec<Pattern>,
}

#[derive(Debug)]
pub struct Upstream {
    pub name: Arc<str>,
    kind: config::ProviderKind,
    base: String,
    host: HeaderValue,
    keys: Vec<UpstreamKey>,
    /// What it serves; empty: whatever is asked for.
    pub models: Vec<Pattern>,
    pub first_byte: Duration,
    pub idle: Duration,
    pub total: Duration,
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
        let base = match (&provider.base_url, provider.kind) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, config::ProviderKind::OpenAi) => OPENAI.to_owned(),
            (None, _) => return Err(UpstreamError::NoBaseUrl { provider: name() }),
        };
        let chat_url: Uri = format!("{base}/chat/completions").parse().map_err(|source| UpstreamError::BadUrl {
            provider: name(),
            url: base.clone(),
            source,
        })?;
        let host = chat_url.host().unwrap_or_default();
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>()
            && !provider.allow_private
            && !is_public(address)
        {
            return Err(UpstreamError::Private { provider: name(), address });
        }
        let host = chat_url.authority().map_or("", |authority| authority.as_str());
        let host = HeaderValue::from_str(host).unwrap_or_else(|_| HeaderValue::from_static(""));
        let keys =
            provider
                .keys
                .iter()
                .map(|key| {
                    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.value.expose()))
                        .map_err(|source| UpstreamError::BadKey { provider: name(), key: key.id.clone(), source })?;
                    authorization.set_sensitive(true);
                    let mut value = HeaderValue::from_str(key.value.expose())
                        .map_err(|source| UpstreamError::BadKey { provider: name(), key: key.id.clone(), source })?;
                    value.set_sensitive(true);
                    Ok(UpstreamKey {
                        id: key.id.as_str().into(),
                        authorization,
                        value,
                        weight: key.weight,
                        models: key.models.iter().map(Pattern::new).collect(),
                    })
                })
                .collect::<Result<_, _>>()?;
        let timeouts = &provider.timeouts;
        Ok(Self {
            name: provider.name.as_str().into(),
            kind: provider.kind,
            base,
            host,
            keys,
            models: provider.models.iter().map(Pattern::new).collect(),
            first_byte: timeouts.first_byte.get(),
            idle: timeouts.idle.get(),
            total: timeouts.total.get(),
            retries: provider.retries,
            clients: (0..workers.max(1))
                .map(|_| factory.client(timeouts.connect.get(), provider.allow_private))
                .collect(),
        })
    }

    /// The dialect in which it is asked for chat by a client that speaks `client`: the client's own where it speaks
    /// that, so that bytes pass through.
    pub fn chat_dialect(&self, client: Dialect) -> Dialect {
        match self.kind {
            ProviderKind::Anthropic => Dialect::Anthropic,
            ProviderKind::Gemini => Dialect::Gemini,
            ProviderKind::Bedrock => Dialect::Bedrock,
            ProviderKind::Cohere => Dialect::Cohere,
            ProviderKind::OpenAi if matches!(client, Dialect::OpenAiCompletions | Dialect::OpenAiResponses) => client,
            ProviderKind::OpenAi | ProviderKind::OpenAiCompatible | ProviderKind::Simulated => Dialect::OpenAiChat,
        }
    }

    /// The habits of a provider that is like OpenAI.
    pub fn openai_target(&self, _model: &str) -> Target {
        match self.kind {
            // Its newer models refuse the older name of the bound.
            ProviderKind::OpenAi => Target::OPENAI,
            _ => Target::ALIKE,
        }
    }

    /// The whole HTTP request but for what the gateway adds.
    #[allow(clippy::unused_async, reason = "some credentials have to be fetched")]
    pub async fn request(
        &self,
        call: &UpstreamCall<'_>,
        key: Option<&UpstreamKey>,
        body: Bytes,
    ) -> Result<http::Request<Full<Bytes>>, CredentialError> {
        let path = match call.dialect {
            Dialect::OpenAiChat => "/chat/completions".to_owned(),
            Dialect::OpenAiCompletions => "/completions".to_owned(),
            Dialect::OpenAiResponses => "/responses".to_owned(),
            Dialect::Anthropic => "/v1/messages".to_owned(),
            Dialect::Gemini => {
                let method = if call.stream { Method::StreamGenerateContent } else { Method::GenerateContent };
                gemini::Call { model: call.model.to_owned(), method }.provider_path()
            }
            Dialect::Bedrock => {
                let last = if call.stream { "converse-stream" } else { "converse" };
                format!("/model/{}/{last}", bedrock::encode_model_id(call.model))
            }
            Dialect::Cohere => "/v2/chat".to_owned(),
        };
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = format!("{}{path}", self.base).parse().map_err(CredentialError)?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            ACCEPT,
            HeaderValue::from_static(if call.stream { "text/event-stream" } else { "application/json" }),
        );
        if let Some(key) = key {
            match call.dialect {
                Dialect::Anthropic => {
                    headers.insert("x-api-key", key.value.clone());
                    headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
                }
                Dialect::Gemini => {
                    headers.insert("x-goog-api-key", key.value.clone());
                }
                _ => {
                    headers.insert(AUTHORIZATION, key.authorization.clone());
                }
            }
        }
        Ok(request)
    }

    pub fn client(&self, worker: usize) -> &Client {
        &self.clients[worker % self.clients.len()]
    }

    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    pub fn serves(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| pattern.matches(model))
    }

    /// The keys that may be used for a model.
    pub fn keys_for(&self, model: &str) -> impl Iterator<Item = &UpstreamKey> {
        self.keys.iter().filter(move |key| key.models.iter().any(|pattern| pattern.matches(model)))
    }
}
