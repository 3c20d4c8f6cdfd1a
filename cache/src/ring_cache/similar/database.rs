//! The vector database that stands in place of the nodes' own indexes, within its deadline. When it is not to be asked it
//! says so itself, at once: what fails one call need not fail the next, and a purge is not to be left out for a search.

use std::time::Duration;

use tokio::time::timeout;

use super::{Semantic, is_comparable};
use crate::backend::BackendError;
use crate::identity::{EntryId, NamespaceId};
use crate::message::Components;
use crate::ring_cache::Inner;
use crate::vector::Space;
use crate::vector_store::{Near, Stored, Vectors};

/// What a purge leaves nothing of.
#[derive(Debug)]
pub(in crate::ring_cache) enum Gone {
    Entry(EntryId),
    Namespace(NamespaceId),
    All,
}

impl Inner {
    pub(super) async fn ask_database(
        &self,
        semantic: &Semantic,
        vectors: &dyn Vectors,
        space: &Space,
        vector: &Components,
    ) -> Vec<(Space, Near)> {
        let config = &semantic.config;
        let search = vectors.search(space, &vector.0, config.candidates, config.floor);
        let near = attempt(semantic, config.deadline, search).await.unwrap_or_default();
        let usable = near.into_iter().filter(|near| is_comparable(&near.text) && near.cosine.is_finite());
        usable.map(|near| (*space, near)).collect()
    }

    pub(super) async fn teach_database(
        &self,
        semantic: &Semantic,
        vectors: &dyn Vectors,
        space: &Space,
        stored: &Stored,
        vector: &Components,
    ) -> bool {
        let insertion = vectors.insert(space, stored, &vector.0);
        attempt(semantic, self.config.put_deadline, insertion).await.is_some()
    }

    pub(super) async fn forget_in_database(&self, semantic: &Semantic, vectors: &dyn Vectors, id: &EntryId) {
        attempt(semantic, self.config.put_deadline, vectors.delete(id)).await;
    }

    /// After a purge: the vectors of what is gone are of no use there either. What it still finds is not served.
    pub(in crate::ring_cache) async fn purge_database(&self, what: Gone) {
        let Some(semantic) = &self.semantic else { return };
        let Some(vectors) = &semantic.config.vectors else { return };
        let purge = match &what {
            Gone::Entry(id) => vectors.delete(id),
            Gone::Namespace(namespace) => vectors.purge(Some(namespace)),
            Gone::All => vectors.purge(None),
        };
        attempt(semantic, self.config.purge_deadline, purge).await;
    }
}

async fn attempt<T>(
    semantic: &Semantic,
    most: Duration,
    what: impl Future<Output = Result<T, BackendError>>,
) -> Option<T> {
    semantic.counters.remote_asks.add();
    match timeout(most, what).await {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(error)) => {
            semantic.counters.remote_failures.add();
            tracing::debug!(%error, "the vector database failed; going on without it");
        }
        Err(_) => {
            semantic.counters.remote_timeouts.add();
            tracing::debug!("the vector database is slow; going on without it");
        }
    }
    None
}
