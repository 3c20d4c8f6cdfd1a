//! Requests in progress of one key, for keys that may have only so many.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::governance::VirtualKey;
use crate::http::error::ApiError;

/// Counters are kept by the key's name, as a key that is changed is another object.
#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<HashMap<Arc<str>, Arc<AtomicU32>>>);

/// One request of a key, until dropped.
#[derive(Debug)]
pub(super) struct KeyPermit(Arc<AtomicU32>);

impl Keys {
    /// `None`: the key may have as many as it likes.
    pub(super) fn enter(&self, key: &VirtualKey) -> Result<Option<KeyPermit>, ApiError> {
        let Some(limit) = key.max_concurrent else { return Ok(None) };
        let counter = self.counter(&key.id);
        let one_more = |now: u32| (now < limit).then_some(now + 1);
        match counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Some(KeyPermit(counter))),
            Err(_) => Err(ApiError::KeyBusy { key: Arc::clone(&key.id), limit }),
        }
    }

    fn counter(&self, id: &Arc<str>) -> Arc<AtomicU32> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = keys.get(id) {
            return Arc::clone(counter);
        }
        // Keys come and go: nothing is kept of those that have no request in progress.
        if keys.len() == keys.capacity() {
            keys.retain(|_, counter| Arc::strong_count(counter) > 1);
        }
        Arc::clone(keys.entry(Arc::clone(id)).or_default())
    }
}

impl Drop for KeyPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
