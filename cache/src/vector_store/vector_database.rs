//! A vector database as the cache uses it: opened and opened again beside the requests' way, asked within a deadline,
//! and believed nothing.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::checked::checked;
use super::database::{Collection, Database, Failure, Swept};
use super::names::{self, MAX_NUMBER, SpaceName};
use super::{Near, Stored, Vectors};
use crate::backend::BackendError;
use crate::clock::Clock;
use crate::identity::{EntryId, NamespaceId};
use crate::semantic::Embedder;
use crate::vector::Space;

/// How long opening may take: a connection, and a collection to be made.
const OPEN: Duration = Duration::from_secs(5);
/// How long a write may take; nobody waits for it.
const WRITE: Duration = Duration::from_secs(2);
/// How long a purge may take.
const PURGE: Duration = Duration::from_secs(10);
/// The pause before it is opened again; doubles up to the longest one while that fails.
const PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// So many answers in a row that came too late are taken for a connection that is gone.
const MAX_LATE: u32 = 5;
/// Writes under way; one more is refused, so that a slow database does not become our memory.
const MAX_WRITES: usize = 256;
/// So many parts of what expired are forgotten at once, at most.
const MAX_SWEEPS: usize = 20;

/// The bounds of a [`VectorDatabase`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a search may take; what comes later is a miss.
    pub deadline: Duration,
    /// How often what expired is forgotten. It is never found in between.
    pub sweep: Duration,
    /// The longest prompt that is kept, in bytes.
    pub max_text: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { deadline: Duration::from_millis(50), sweep: Duration::from_secs(60), max_text: 32 * 1024 }
    }
}

/// How it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VectorDatabaseStats {
    /// The collection is open.
    pub is_up: bool,
    /// Searches that were asked for.
    pub searches: u64,
    /// Those of them without an answer: it was down, failed, or took too long.
    pub failed_searches: u64,
    /// Points that it returned and that were not believed.
    pub refused_points: u64,
    /// Vectors that it took.
    pub writes: u64,
    /// Vectors that it did not take.
    pub failed_writes: u64,
    /// Why it is not up.
    pub last_failure: Option<String>,
}

/// A vector database elsewhere. Down until [`VectorDatabase::keep`] has opened it.
pub struct VectorDatabase {
    database: Box<dyn Database>,
    limits: Limits,
    clock: Clock,
    open: ArcSwapOption<Open>,
    closed: Notify,
    late: AtomicU32,
    writes: Semaphore,
    counters: Counters,
    last_failure: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Open {
    collection: Box<dyn Collection>,
    dimension: usize,
}

#[derive(Debug, Default)]
struct Counters {
    searches: AtomicU64,
    failed_searches: AtomicU64,
    refused_points: AtomicU64,
    writes: AtomicU64,
    failed_writes: AtomicU64,
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl VectorDatabase {
    pub(super) fn new(database: impl Database, limits: Limits, clock: Clock) -> VectorDatabase {
        VectorDatabase {
            database: Box::new(database),
            limits,
            clock,
            open: ArcSwapOption::empty(),
            closed: Notify::new(),
            late: AtomicU32::new(0),
            writes: Semaphore::new(MAX_WRITES),
            counters: Counters::default(),
            last_failure: Mutex::new(None),
        }
    }

    /// How it does.
    pub fn stats(&self) -> VectorDatabaseStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        VectorDatabaseStats {
            is_up: self.open.load().is_some(),
            searches: read(&self.counters.searches),
            failed_searches: read(&self.counters.failed_searches),
            refused_points: read(&self.counters.refused_points),
            writes: read(&self.counters.writes),
            failed_writes: read(&self.counters.failed_writes),
            last_failure: self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// [`VectorDatabase::keep`] for the vectors of this embedder, whose length is that of the first one it makes.
    pub async fn keep_for(&self, embedder: &dyn Embedder) {
        let mut pause = PAUSE;
        let dimension = loop {
            match embedder.embed("How long is a vector?").await {
                Ok(vector) => break vector.len(),
                Err(error) => self.remember(format!("waits for a first vector of the {error}")),
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        };
        self.keep(embedder.space(), dimension).await;
    }

    /// Opens the collection for the vectors of this embedding space, again whenever it was lost, and has it forget what
    /// expired. To be spawned, on the runtime that is to carry the connection; ends when it is dropped.
    ///
    /// Only this connects: a search is dropped at its deadline, and a connection that begins with it would never be made.
    pub async fn keep(&self, embedding: &str, dimension: usize) {
        let mut pause = PAUSE;
        loop {
            let began = Instant::now();
            let opened = timeout(OPEN, self.database.open(embedding, dimension)).await;
            match opened.unwrap_or_else(|_| Err(Failure::Lost(format!("did not answer within {} s", OPEN.as_secs())))) {
                Ok(collection) => {
                    tracing::info!(database = self.database.name(), "the cache's vector database is in use");
                    self.late.store(0, Ordering::Relaxed);
                    *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    self.open.store(Some(Arc::new(Open { collection, dimension })));
                    self.sweep_until_closed().await;
                }
                Err(failure) => self.remember(failure.into_reason()),
            }
            pause = if began.elapsed() > MAX_PAUSE + OPEN { PAUSE } else { (pause * 2).min(MAX_PAUSE) };
            sleep(pause).await;
        }
    }

    async fn sweep_until_closed(&self) {
        let is_closed = || self.open.load().is_none();
        while !is_closed() {
            tokio::select! {
                () = self.closed.notified() => {}
                () = sleep(self.limits.sweep) => self.sweep().await,
            }
        }
    }

    async fn sweep(&self) {
        for _ in 0..MAX_SWEEPS {
            let Some(open) = self.open.load_full() else { return };
            let swept = self.within(&open, PURGE, open.collection.sweep(self.clock.now_ms())).await;
            match swept {
                Ok(Swept::Some) => {}
                Ok(Swept::All) => return,
                Err(error) => {
                    tracing::debug!(%error, "what expired stays in the vector database for now");
                    return;
                }
            }
        }
    }

    /// What is open, for a vector of its length.
    fn opened(&self, vector: Option<&[f32]>) -> Result<Arc<Open>, BackendError> {
        let open = self.open.load_full().ok_or_else(|| self.failed("is not connected".to_owned()))?;
        let Some(vector) = vector else { return Ok(open) };
        if vector.len() != open.dimension {
            let (dimension, found) = (open.dimension, vector.len());
            return Err(self.failed(format!("takes vectors of length {dimension} and was given one of {found}")));
        }
        if vector.iter().all(|part| *part == 0.0) || !vector.iter().all(|part| part.is_finite()) {
            return Err(self.failed("a vector must be finite and not all zero".to_owned()));
        }
        Ok(open)
    }

    /// What an attempt came to; closes what is gone.
    async fn within<T>(
        &self,
        open: &Arc<Open>,
        most: Duration,
        what: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, BackendError> {
        match timeout(most, what).await {
            Ok(Ok(done)) => {
                self.late.store(0, Ordering::Relaxed);
                Ok(done)
            }
            Ok(Err(Failure::Refused(reason))) => Err(self.failed(reason)),
            Ok(Err(Failure::Lost(reason))) => {
                self.close(open, reason.clone());
                Err(self.failed(reason))
            }
            Err(_) => {
                let reason = format!("took more than {} ms", most.as_millis());
                if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_LATE {
                    self.close(open, format!("{reason}, {MAX_LATE} times in a row"));
                }
                Err(self.failed(reason))
            }
        }
    }

    /// Of those who fail at once, only the first closes what they all used, and nobody what was opened since.
    fn close(&self, open: &Arc<Open>, reason: String) {
        let before = self.open.compare_and_swap(open, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, open)) {
            self.remember(reason);
            self.closed.notify_one();
        }
    }

    /// Says it where somebody will look, once for as long as it stays the same.
    fn remember(&self, reason: String) {
        let mut last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&reason) {
            let database = self.database.name();
            tracing::warn!(database, reason, "the cache's vector database is not in use; going on without it");
            *last = Some(reason);
        }
    }

    fn failed(&self, reason: String) -> BackendError {
        BackendError { backend: self.database.name().to_owned(), reason }
    }

    async fn find(&self, space: &Space, vector: &[f32], k: usize, floor: f32) -> Result<Vec<Near>, BackendError> {
        let open = self.opened(Some(vector))?;
        if k == 0 {
            return Ok(Vec::new());
        }
        let space = SpaceName::new(space);
        let now_ms = self.clock.now_ms();
        let nearest = open.collection.nearest(&space, vector, k, floor, now_ms);
        let found = self.within(&open, self.limits.deadline, nearest).await?;
        let (near, refused) = checked(found, &space, k, floor, now_ms, self.limits.max_text);
        if refused > 0 {
            count(&self.counters.refused_points, refused);
            tracing::debug!(database = self.database.name(), refused, "points that were not asked for");
        }
        Ok(near)
    }

    async fn put(&self, space: &Space, stored: &Stored, vector: &[f32]) -> Result<(), BackendError> {
        let open = self.opened(Some(vector))?;
        if stored.text.len() > self.limits.max_text {
            return Err(self.failed(format!("a prompt of more than {} bytes is not kept", self.limits.max_text)));
        }
        let Ok(_turn) = self.writes.try_acquire() else {
            return Err(self.failed(format!("{MAX_WRITES} writes are under way already")));
        };
        let stored = Stored { expires_ms: stored.expires_ms.min(MAX_NUMBER), ..stored.clone() };
        let space = SpaceName::new(space);
        let put = open.collection.put(&space, &stored, vector);
        self.within(&open, WRITE, put).await
    }
}

#[async_trait]
impl Vectors for VectorDatabase {
    async fn search(&self, space: &Space, vector: &[f32], k: usize, floor: f32) -> Result<Vec<Near>, BackendError> {
        count(&self.counters.searches, 1);
        let found = self.find(space, vector, k, floor).await;
        count(&self.counters.failed_searches, u64::from(found.is_err()));
        found
    }

    async fn insert(&self, space: &Space, near: &Stored, vector: &[f32]) -> Result<(), BackendError> {
        let put = self.put(space, near, vector).await;
        count(if put.is_ok() { &self.counters.writes } else { &self.counters.failed_writes }, 1);
        put
    }

    async fn delete(&self, id: &EntryId) -> Result<(), BackendError> {
        let open = self.opened(None)?;
        self.within(&open, WRITE, open.collection.delete(id)).await
    }

    async fn purge(&self, namespace: Option<&NamespaceId>) -> Result<(), BackendError> {
        let open = self.opened(None)?;
        let namespace = namespace.map(names::namespace);
        self.within(&open, PURGE, open.collection.purge(namespace.as_deref())).await
    }
}

impl fmt::Debug for VectorDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VectorDatabase").field(&self.database.name()).finish()
    }
}
