//! What look-ups by meaning are made with: the embedder and the store of vectors that the configuration names.

use std::sync::Arc;

use peerway_cache::SemanticConfig;
use peerway_cache::semantic::{Embedder, StaticEmbedder};
use peerway_cache::vector_store::Vectors;

use crate::config::{self, EmbedderKind, VectorsKind};

pub(super) fn semantic(settings: &config::Semantic) -> SemanticConfig {
    SemanticConfig { vectors: vectors(&settings.vectors), ..SemanticConfig::new(embedder(&settings.embedder)) }
}

fn embedder(settings: &config::Embedder) -> Arc<dyn Embedder> {
    match settings.kind {
        EmbedderKind::Static => Arc::new(StaticEmbedder::new()),
    }
}

/// None: the nodes themselves.
fn vectors(settings: &config::Vectors) -> Option<Arc<dyn Vectors>> {
    match settings.kind {
        VectorsKind::Peer => None,
    }
}
