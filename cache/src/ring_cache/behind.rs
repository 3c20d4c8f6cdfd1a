//! The backend behind the ring, as the ring uses it: within a deadline, not at all for a moment after it failed, and
//! only when it is known which of its entries were purged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Inner, RingCache};
use crate::backend::{Backend, BackendError, PARTS};
use crate::entry::Entry;
use crate::identity::{EntryId, NamespaceId};

/// After a failure nobody asks the part that failed for so long.
const REST: Duration = Duration::from_secs(1);
/// How long a write may take; nobody waits for it.
const WRITE: Duration = Duration::from_secs(1);
/// How often what it should know is told again.
const KEEP: Duration = Duration::from_secs(1);

/// The backend and how it does.
#[derive(Debug)]
pub(super) struct Behind {
    backend: Arc<dyn Backend>,
    began: Instant,
    /// Of each part, milliseconds after `began` until which nobody asks.
    rests_until: [AtomicU64; PARTS],
    /// The same for saying that it fails.
    said_until: AtomicU64,
    /// Its purges are known here.
    is_ready: AtomicBool,
    /// Purges that it does not know yet, by part.
    owed: Mutex<BTreeMap<usize, String>>,
}

impl Behind {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Behind {
        Behind {
            backend,
            began: Instant::now(),
            rests_until: [const { AtomicU64::new(0) }; PARTS],
            said_until: AtomicU64::new(0),
            is_ready: AtomicBool::new(false),
            owed: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn is_up(&self, id: &EntryId) -> bool {
        self.is_ready.load(Ordering::Acquire) && self.rest_of(id).load(Ordering::Relaxed) <= self.now()
    }

    fn rest_of(&self, id: &EntryId) -> &AtomicU64 {
        &self.rests_until[self.backend.part(id) % PARTS]
    }

    /// What an attempt came to; none if it failed or took too long. Then the part that the entry is in is let rest.
    async fn attempt<T>(
        &self,
        most: Duration,
        id: Option<&EntryId>,
        what: impl Future<Output = Result<T, BackendError>>,
    ) -> Option<T> {
        let reason = match timeout(most, what).await {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) => error.reason,
            Err(_) => format!("took more than {} ms", most.as_millis()),
        };
        let now = self.now();
        let until = now + REST.as_millis() as u64;
        if let Some(id) = id {
            self.rest_of(id).store(until, Ordering::Relaxed);
        }
        // Each of many parts may fail once a moment.
        if self.said_until.fetch_max(until, Ordering::Relaxed) <= now {
            tracing::warn!(backend = ?self.backend, reason, "the cache's backend failed; going on without it");
        }
        None
    }

    pub(super) fn owe(&self, part: usize, text: String) {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).insert(part, text);
    }
}

impl RingCache {
    /// Keeps the backend's and this node's knowledge of purges the same. To be spawned where there is a backend; until it
    /// has read what the backend knows, the backend is not asked for entries.
    pub async fn keep_backend(self) {
        let Some(behind) = &self.inner.behind else { return };
        let mut turns = tokio::time::interval(KEEP);
        loop {
            turns.tick().await;
            if !behind.is_ready.load(Ordering::Acquire)
                && let Some(purges) = behind.attempt(WRITE, None, behind.backend.purges()).await
            {
                self.learn_generations(purges.iter().map(String::as_str)).await;
                behind.is_ready.store(true, Ordering::Release);
                tracing::info!(backend = ?behind.backend, "the cache's backend is in use");
            }
            self.inner.pay_purges(behind).await;
        }
    }
}

impl Inner {
    async fn pay_purges(&self, behind: &Behind) {
        let owed = behind.owed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (part, text) in owed {
            let field = format!("{}.{part}", self.peers.me());
            if behind.attempt(WRITE, None, behind.backend.put_purges(&field, &text)).await.is_none() {
                return;
            }
            let mut owed = behind.owed.lock().unwrap_or_else(PoisonError::into_inner);
            if owed.get(&part) == Some(&text) {
                owed.remove(&part);
            }
        }
    }

    /// The entry, if only the backend has it.
    pub(super) async fn ask_backend(&self, id: &EntryId, namespace: &NamespaceId) -> Option<Arc<Entry>> {
        let behind = self.behind.as_ref().filter(|behind| behind.is_up(id))?;
        let found = behind.attempt(self.config.backend_deadline, Some(id), behind.backend.get(id)).await;
        if found.is_none() {
            self.counters.backend_failures.add();
        }
        let entry = found.flatten().filter(|entry| self.may_serve(entry, id, namespace)).map(Arc::new)?;
        self.counters.hits_backend.add();
        Some(entry)
    }

    /// Gives the backend the entry, beside the request's way.
    pub(super) async fn give_to_backend(&self, entry: &Entry) {
        let Some(behind) = self.behind.as_ref().filter(|behind| behind.is_up(&entry.id)) else { return };
        let time = entry.time_left(self.config.clock.now_ms());
        if behind.attempt(WRITE, Some(&entry.id), behind.backend.put(entry, time)).await.is_none() {
            self.counters.backend_failures.add();
        }
    }

    /// Removes the entry there; false if it may still be there.
    pub(super) async fn remove_from_backend(&self, id: &EntryId) -> bool {
        let Some(behind) = &self.behind else { return true };
        behind.attempt(WRITE, Some(id), behind.backend.remove(id)).await.is_some()
    }
}
