//! What look-ups by meaning are made with: the embedder and the store of vectors that the configuration names.

use std::sync::Arc;

use peerway_cache::SemanticConfig;
use peerway_cache::semantic::embed::{Batched, Bounds, OpenAi};
use peerway_cache::semantic::{Embedder, StaticEmbedder};
use peerway_cache::transport::Transport;
use peerway_cache::vector_store::{VectorDatabase, Vectors};
use tokio::runtime::Handle;

use super::models::{Threads, cross_encoder, local, threads};
use super::{Embeddings, ServeError, vectors};
use crate::config::{self, Config, EmbedderKind};

/// How long a call to a provider may take. A vector that comes too late for who asked is there for the next one.
const CALL: std::time::Duration = std::time::Duration::from_secs(5);

/// How much later than a vector database's own deadline a look-up in it is given up.
const SLACK: std::time::Duration = std::time::Duration::from_millis(10);

/// What look-ups by meaning need.
pub(super) struct Meaning {
    pub(super) config: SemanticConfig,
    /// The provider that is asked for vectors, if one is: it changes with the configuration.
    pub(super) embeddings: Option<Arc<Embeddings>>,
    /// The database of vectors, if there is one: it is to be kept open.
    pub(super) database: Option<Arc<VectorDatabase>>,
}

/// What look-ups by meaning need, of the settings.
pub(super) fn semantic(config: &Config) -> Result<Meaning, ServeError> {
    let settings = &config.cache.semantic;
    let threads = threads(settings)?;
    let (embedder, embeddings) = embedder(config, &settings.embedder, threads.as_ref())?;
    let database = vectors::database(&settings.vectors)?;
    let cross_encoder = settings.cross_encoder.as_ref().map(|settings| cross_encoder(settings, threads.as_ref()));
    let mut config = SemanticConfig { cross_encoder: cross_encoder.transpose()?, ..SemanticConfig::new(embedder) };
    if let Some(database) = &database {
        config.vectors = Some(Arc::clone(database) as Arc<dyn Vectors>);
        config.deadline = settings.vectors.deadline.get() + SLACK;
    }
    Ok(Meaning { config, embeddings, database })
}

type Made = (Arc<dyn Embedder>, Option<Arc<Embeddings>>);

fn embedder(config: &Config, settings: &config::Embedder, threads: Option<&Threads>) -> Result<Made, ServeError> {
    let deadline = settings.deadline.get();
    match settings.kind {
        EmbedderKind::Static => Ok((Arc::new(StaticEmbedder::new()), None)),
        EmbedderKind::OpenAi => {
            let provider = settings.provider.as_deref().unwrap_or_default();
            let model = settings.model.as_deref().unwrap_or_default();
            let asked = Arc::new(Embeddings::new(provider, model, config).map_err(ServeError::Embedder)?);
            let transport = Arc::clone(&asked) as Arc<dyn Transport>;
            let openai = OpenAi::new(transport, provider, model, settings.dimensions, CALL);
            let bounds = Bounds { deadline, ..Bounds::default() };
            Ok((Arc::new(Batched::new(Arc::new(openai), bounds, Handle::current())), Some(asked)))
        }
        EmbedderKind::Local => local(settings, threads).map(|embedder| (embedder, None)),
    }
}
