//! A checked configuration, compiled for the request path: prepared upstreams, routes, prices. Who may use it is in
//! [`crate::governance::Access`], which changes without it.

use std::sync::Arc;

use crate::config::{self, Config, ConfigErrors};
use crate::governance::PriceBook;
use crate::http::body::BodyRules;
use crate::provider::{ClientFactory, Upstream, UpstreamError};
use crate::routing::Routes;

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error("TLS to providers cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Prices(#[from] ConfigErrors),
}

#[derive(Debug)]
pub struct Plan {
    pub routes: Routes,
    pub require_key: bool,
    pub body: BodyRules,
    pub cache: config::Cache,
    pub prices: PriceBook,
    /// Answers carry `extra_fields`.
    pub extra_fields: bool,
    /// Output tokens that are reckoned with where neither the request nor the model's price bounds them.
    pub default_output: u64,
}

impl Plan {
    /// Reads the price file, if one is configured.
    pub fn compile(config: &Config, workers: usize) -> Result<Self, PlanError> {
        Self::compile_after(config, workers, |_| None)
    }

    /// As [`Self::compile`]. A provider that `before` has already stays what it is, with its connections and its access
    /// tokens.
    pub fn compile_after(
        config: &Config,
        workers: usize,
        before: impl Fn(&config::Provider) -> Option<Arc<Upstream>>,
    ) -> Result<Self, PlanError> {
        let factory = ClientFactory::new()?;
        let upstreams = config
            .providers
            .iter()
            .map(|provider| match before(provider) {
                Some(upstream) => Ok(upstream),
                None => Upstream::prepare(provider, workers, &factory).map(Arc::new),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            routes: Routes::new(config, upstreams),
            require_key: config.governance.require_key,
            body: BodyRules { max: config.http.max_body.get(), decompress: config.http.decompress },
            cache: config.cache.clone(),
            prices: PriceBook::load(config)?,
            extra_fields: config.extra_fields,
            default_output: config.governance.default_max_output_tokens,
        })
    }
}
