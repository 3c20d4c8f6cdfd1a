//! Models that run in this process, in builds with the feature `local-embedder`: they share their threads.

use std::sync::Arc;

use peerway_cache::semantic::{Confirm, Embedder};

use super::ServeError;
use crate::config;

#[cfg(not(feature = "local-embedder"))]
pub(super) use without::*;

#[cfg(feature = "local-embedder")]
pub(super) use with::*;

#[cfg(not(feature = "local-embedder"))]
mod without {
    use super::*;

    const WHY: &str = "this program was built without the feature local-embedder";

    /// No model runs here.
    #[derive(Debug)]
    pub(in crate::serve) enum Threads {}

    pub(in crate::serve) fn threads(_: &config::Semantic) -> Result<Option<Threads>, ServeError> {
        Ok(None)
    }

    pub(in crate::serve) fn local(_: &config::Embedder, _: Option<&Threads>) -> Result<Arc<dyn Embedder>, ServeError> {
        Err(ServeError::Embedder(WHY.to_owned()))
    }

    pub(in crate::serve) fn cross_encoder(
        _: &config::CrossEncoder,
        _: Option<&Threads>,
    ) -> Result<Arc<dyn Confirm>, ServeError> {
        Err(ServeError::CrossEncoder(WHY.to_owned()))
    }
}

#[cfg(feature = "local-embedder")]
mod with {
    use peerway_cache::semantic::confirm::CrossEncoder;
    pub(in crate::serve) use peerway_cache::semantic::embed::Threads;
    use peerway_cache::semantic::embed::{Batched, Folder, Local, PairFolder, local_bounds};
    use tokio::runtime::Handle;

    use super::*;
    use crate::config::EmbedderKind;

    const NO_THREADS: &str = "its threads were not started";

    /// Where a model runs here.
    pub(in crate::serve) fn threads(settings: &config::Semantic) -> Result<Option<Threads>, ServeError> {
        let embedder = &settings.embedder;
        if embedder.kind != EmbedderKind::Local && settings.cross_encoder.is_none() {
            return Ok(None);
        }
        let count = embedder.threads.unwrap_or_else(|| (crate::serve::cores() / 4).max(1));
        Threads::start(count).map(Some).map_err(ServeError::Embedder)
    }

    pub(in crate::serve) fn local(
        settings: &config::Embedder,
        threads: Option<&Threads>,
    ) -> Result<Arc<dyn Embedder>, ServeError> {
        let failed = |error: &dyn std::fmt::Display| ServeError::Embedder(error.to_string());
        let threads = threads.ok_or_else(|| failed(&NO_THREADS))?;
        let folder = Folder::open(&settings.folder.clone().unwrap_or_default()).map_err(|error| failed(&error))?;
        let model = Local::load(&folder, threads).map_err(|error| failed(&error))?;
        let bounds = peerway_cache::semantic::embed::Bounds {
            deadline: settings.deadline.get(),
            ..local_bounds(threads.count())
        };
        Ok(Arc::new(Batched::new(Arc::new(model), bounds, Handle::current())))
    }

    pub(in crate::serve) fn cross_encoder(
        settings: &config::CrossEncoder,
        threads: Option<&Threads>,
    ) -> Result<Arc<dyn Confirm>, ServeError> {
        let failed = |error: &dyn std::fmt::Display| ServeError::CrossEncoder(error.to_string());
        let threads = threads.ok_or_else(|| failed(&NO_THREADS))?;
        let folder = PairFolder::open(&settings.folder, settings.label.as_deref()).map_err(|error| failed(&error))?;
        let (threshold, deadline) = (settings.threshold as f32, settings.deadline.get());
        let model = CrossEncoder::load(&folder, threads, threshold, deadline).map_err(|error| failed(&error))?;
        Ok(Arc::new(model))
    }
}
