//! A provider, prepared: what a request to it needs is made once, when the configuration is loaded.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{InvalidUri, Uri};
use http::{HeaderValue, header::InvalidHeaderValue};

use super::address::is_public;
use super::{Client, ClientFactory, Pattern};
use crate::config;

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

/// A key of the operator's at the provider.
#[derive(Debug, Clone)]
pub struct UpstreamKey {
    pub id: Arc<str>,
    pub authorization: HeaderValue,
    /// Share of the requests relative to the provider's other keys.
    pub weight: f64,
    models: Vec<Pattern>,
}

#[derive(Debug)]
pub struct Upstream {
    pub name: Arc<str>,
    pub chat_url: Uri,
    /// What it calls the bound of an answer's length.
    pub max_output_member: &'static str,
    pub host: HeaderValue,
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
        let keys = provider
            .keys
            .iter()
            .map(|key| {
                let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.value.expose()))
                    .map_err(|source| UpstreamError::BadKey { provider: name(), key: key.id.clone(), source })?;
                authorization.set_sensitive(true);
                Ok(UpstreamKey {
                    id: key.id.as_str().into(),
                    authorization,
                    weight: key.weight,
                    models: key.models.iter().map(Pattern::new).collect(),
                })
            })
            .collect::<Result<_, _>>()?;
        let timeouts = &provider.timeouts;
        Ok(Self {
            name: provider.name.as_str().into(),
            chat_url,
            max_output_member: match provider.kind {
                // Its newer models refuse the older name.
                config::ProviderKind::OpenAi => "max_completion_tokens",
                _ => "max_tokens",
            },
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
