//! What look-ups by meaning are made with: the embedder and the store of vectors that the configuration names.

use std::sync::Arc;

use peerway_cache::SemanticConfig;
use peerway_cache::semantic::embed::{Batched, Bounds, OpenAi};
use peerway_cache::semantic::{Embedder, StaticEmbedder};
use peerway_cache::transport::Transport;
use peerway_cache::vector_store::{VectorDatabase, Vectors};
use tokio::runtime::Handle;

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
    let (embedder, embeddings) = embedder(config, &settings.embedder)?;
    let database = vectors::database(&settings.vectors)?;
    let mut config = SemanticConfig::new(embedder);
    if let Some(database) = &database {
        config.vectors = Some(Arc::clone(database) as Arc<dyn Vectors>);
        config.deadline = settings.vectors.deadline.get() + SLACK;
    }
    Ok(Meaning { config, embeddings, database })
}

type Made = (Arc<dyn Embedder>, Option<Arc<Embeddings>>);

fn embedder(config: &Config, settings: &config::Embedder) -> Result<Made, ServeError> {
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
        EmbedderKind::Local => local(settings).map(|embedder| (embedder, None)),
    }
}

#[cfg(not(feature = "local-embedder"))]
fn local(_: &config::Embedder) -> Result<Arc<dyn Embedder>, ServeError> {
    Err(ServeError::Embedder("this program was built without the feature local-embedder".to_owned()))
}

#[cfg(feature = "local-embedder")]
fn local(settings: &config::Embedder) -> Result<Arc<dyn Embedder>, ServeError> {
    use peerway_cache::semantic::embed::{Folder, Local, local_bounds};

    let failed = |error: &dyn std::fmt::Display| ServeError::Embedder(error.to_string());
    let folder = settings.folder.clone().unwrap_or_default();
    let threads = settings.threads.unwrap_or_else(|| (super::cores() / 4).max(1));
    let folder = Folder::open(&folder).map_err(|error| failed(&error))?;
    let model = Local::load(&folder, threads).map_err(|error| failed(&error))?;
    let bounds = Bounds { deadline: settings.deadline.get(), ..local_bounds(threads) };
    Ok(Arc::new(Batched::new(Arc::new(model), bounds, Handle::current())))
}
