//! The node's own log, on standard error: for people on a terminal, JSON elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("`{filter}` is not a log filter: {source}; write e.g. `info` or `info,peerway_cluster=debug`")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("the log was set up twice: {0}")]
    Twice(#[from] TryInitError),
}

/// `RUST_LOG` wins over the configuration.
pub fn start(filter: &str) -> Result<(), LogError> {
    let filter = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty()).unwrap_or_else(|| filter.to_owned());
    let filter = EnvFilter::try_new(&filter).map_err(|source| LogError::Filter { filter, source })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.finish().try_init()?;
    } else {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).finish().try_init()?;
    }
    Ok(())
}
