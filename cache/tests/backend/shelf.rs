//! A backend in memory that can fail and hang.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use peerway_cache::backend::{Backend, BackendError};
use peerway_cache::{Entry, EntryId};

#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) entries: Mutex<HashMap<EntryId, Entry>>,
    purges: Mutex<HashMap<String, String>>,
    way: Mutex<Way>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Way {
    #[default]
    Up,
    Down,
    Hung,
}

impl Shelf {
    async fn reached(&self) -> Result<(), BackendError> {
        let way = *self.way.lock().unwrap();
        match way {
            Way::Up => Ok(()),
            Way::Down => Err(BackendError { backend: "shelf".to_owned(), reason: "down".to_owned() }),
            Way::Hung => std::future::pending().await,
        }
    }

    pub(crate) fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }
}

#[async_trait]
impl Backend for Shelf {
    async fn get(&self, id: &EntryId) -> Result<Option<Entry>, BackendError> {
        self.reached().await?;
        Ok(self.entries.lock().unwrap().get(id).cloned())
    }

    async fn put(&self, entry: &Entry, _: Duration) -> Result<(), BackendError> {
        self.reached().await?;
        self.entries.lock().unwrap().insert(entry.id, entry.clone());
        Ok(())
    }

    async fn remove(&self, id: &EntryId) -> Result<bool, BackendError> {
        self.reached().await?;
        Ok(self.entries.lock().unwrap().remove(id).is_some())
    }

    async fn put_purges(&self, node: &str, text: &str) -> Result<(), BackendError> {
        self.reached().await?;
        self.purges.lock().unwrap().insert(node.to_owned(), text.to_owned());
        Ok(())
    }

    async fn purges(&self) -> Result<Vec<String>, BackendError> {
        self.reached().await?;
        Ok(self.purges.lock().unwrap().values().cloned().collect())
    }
}
