//! The provider that is asked for vectors: a configured one, reached as for clients, by a client of the control runtime's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use peerway_cache::transport::{MAX_ANSWER, Transport, TransportError};
use peerway_dialect::Dialect;
use tracing::warn;

use crate::config::Config;
use crate::operation::Operation;
use crate::provider::{ClientFactory, Upstream, UpstreamCall};

/// Carries requests for vectors of one model to a provider.
#[derive(Debug)]
pub(crate) struct Embeddings {
    provider: String,
    model: String,
    upstream: ArcSwap<Upstream>,
    /// Keys take turns.
    turn: AtomicUsize,
}

impl Embeddings {
    pub(super) fn new(provider: &str, model: &str, config: &Config) -> Result<Self, String> {
        let upstream = prepare(provider, config)?;
        let (provider, model) = (provider.to_owned(), model.to_owned());
        Ok(Self { provider, model, upstream: ArcSwap::from_pointee(upstream), turn: AtomicUsize::new(0) })
    }

    /// The provider is what the changed configuration says. One that is gone is asked as before, as the embedder is what it
    /// was until the next start.
    pub(crate) fn reload(&self, config: &Config) {
        match prepare(&self.provider, config) {
            Ok(upstream) => self.upstream.store(Arc::new(upstream)),
            Err(reason) => warn!(provider = self.provider, reason, "the embedder's provider stays what it was"),
        }
    }

    async fn ask(&self, body: Bytes) -> Result<Response<Bytes>, String> {
        let upstream = self.upstream.load_full();
        let fitting: Vec<_> = upstream.keys().iter().filter(|key| key.fits(&self.model)).collect();
        if fitting.is_empty() && upstream.key_count() > 0 {
            return Err(format!("no key of provider `{}` may be used for `{}`", self.provider, self.model));
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let key = fitting.get(turn % fitting.len().max(1)).copied();
        let call = UpstreamCall {
            operation: Operation::Embeddings,
            dialect: Dialect::OpenAiChat,
            model: &self.model,
            stream: false,
            content_type: None,
        };
        let request = upstream.request(&call, key, body).await.map_err(|error| error.to_string())?;
        let answer = upstream.client(0).request(request).await.map_err(|error| causes(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

#[async_trait]
impl Transport for Embeddings {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.ask(request.into_body()).await.map_err(|reason| TransportError { reason })
    }
}

fn prepare(provider: &str, config: &Config) -> Result<Upstream, String> {
    let found = config.providers.iter().find(|one| one.name == provider);
    let found = found.ok_or_else(|| format!("there is no provider `{provider}`"))?;
    let factory = ClientFactory::new().map_err(|error| error.to_string())?;
    Upstream::prepare(found, 1, &factory).map_err(|error| error.to_string())
}

/// An error with what is behind it.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let behind = std::iter::successors(error.source(), |cause| cause.source());
    behind.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
