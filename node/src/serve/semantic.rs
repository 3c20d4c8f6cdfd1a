//! What look-ups by meaning are made with: the embedder and the store of vectors that the configuration names.

use std::sync::Arc;

use peerway_cache::SemanticConfig;
use peerway_cache::semantic::embed::{Batched, Bounds, OpenAi};
use peerway_cache::semantic::{Embedder, StaticEmbedder};
use peerway_cache::transport::Transport;
use peerway_cache::vector_store::Vectors;
use tokio::runtime::Handle;

use super::Embeddings;
use super::ServeError;
use crate::config::{self, Config, EmbedderKind, VectorsKind};

/// How long a call to a provider may take. A vector that comes too late for who asked is there for the next one.
const CALL: std::time::Duration = std::time::Duration::from_secs(5);

/// The settings of look-ups by meaning, and the provider that they ask, if one is: it changes with the configuration.
pub(super) fn semantic(config: &Config) -> Result<(SemanticConfig, Option<Arc<Embeddings>>), ServeError> {
    let settings = &config.cache.semantic;
    let (embedder, embeddings) = embedder(config, &settings.embedder)?;
    Ok((SemanticConfig { vectors: vectors(&settings.vectors), ..SemanticConfig::new(embedder) }, embeddings))
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

/// None: the nodes themselves.
fn vectors(settings: &config::Vectors) -> Option<Arc<dyn Vectors>> {
    match settings.kind {
        VectorsKind::Peer => None,
    }
}
