//! What the tests work with: spaces, vectors, a clock, and a database that is kept open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peerway_cache::vector::Space;
use peerway_cache::vector_store::{Limits, Stored, VectorDatabase, VectorDatabaseStats, Vectors as _};
use peerway_cache::{Clock, EntryId, NamespaceId, TenantScope};
use tokio::task::JoinHandle;

pub(crate) const KEY: [u8; 32] = [7; 32];
pub(crate) const NOW: u64 = 1_790_000_000_000;
pub(crate) const DIMENSION: usize = 4;
/// Longer than any of it takes, on a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn namespace(tenant: &str) -> NamespaceId {
    NamespaceId::new(&KEY, &TenantScope::key(tenant), "faq")
}

pub(crate) fn space(tenant: &str) -> Space {
    Space { namespace: namespace(tenant), context: [1; 32] }
}

pub(crate) fn id(number: u8) -> EntryId {
    EntryId::from([number; 32])
}

/// A unit vector so many degrees from the first axis.
pub(crate) fn at(degrees: f32) -> Vec<f32> {
    let angle = degrees.to_radians();
    vec![angle.cos(), angle.sin(), 0.0, 0.0]
}

pub(crate) fn stored(number: u8, text: &str) -> Stored {
    Stored { id: id(number), text: text.into(), generation: 3, expires_ms: NOW + 60_000 }
}

/// A clock that is moved by hand.
#[derive(Clone)]
pub(crate) struct Time(Arc<AtomicU64>);

impl Time {
    pub(crate) fn new() -> Time {
        Time(Arc::new(AtomicU64::new(NOW)))
    }

    pub(crate) fn clock(&self) -> Clock {
        let now = Arc::clone(&self.0);
        Clock::new(move || now.load(Ordering::SeqCst))
    }

    pub(crate) fn pass(&self, milliseconds: u64) {
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

/// No deadline that a busy machine could miss.
pub(crate) fn patient() -> Limits {
    Limits { deadline: PATIENCE, ..Limits::default() }
}

/// A database that is kept open for as long as this lives.
pub(crate) struct Kept {
    pub(crate) database: Arc<VectorDatabase>,
    keeper: JoinHandle<()>,
}

impl Kept {
    pub(crate) fn new(database: VectorDatabase) -> Kept {
        let database = Arc::new(database);
        let kept = Arc::clone(&database);
        let keeper = tokio::spawn(async move { kept.keep("static/1", DIMENSION).await });
        Kept { database, keeper }
    }

    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&VectorDatabaseStats) -> bool) -> VectorDatabaseStats {
        let seen = tokio::time::timeout(PATIENCE, async {
            loop {
                let stats = self.database.stats();
                if is_so(&stats) {
                    return stats;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        seen.await.unwrap_or_else(|_| panic!("never {what}: {:?}", self.database.stats()))
    }

    pub(crate) async fn up(database: VectorDatabase) -> Kept {
        let kept = Kept::new(database);
        kept.until("up", |stats| stats.is_up).await;
        kept
    }

    pub(crate) async fn insert(&self, tenant: &str, number: u8, degrees: f32) {
        let stored = stored(number, &format!("prompt {number}"));
        self.database.insert(&space(tenant), &stored, &at(degrees)).await.unwrap();
    }

    /// The numbers of what is found near the first axis.
    pub(crate) async fn near(&self, tenant: &str) -> Vec<u8> {
        self.near_in(&space(tenant)).await
    }

    pub(crate) async fn near_in(&self, space: &Space) -> Vec<u8> {
        let near = self.database.search(space, &at(0.0), 8, 0.0).await.unwrap();
        near.iter().map(|near| near.id.as_bytes()[0]).collect()
    }

    pub(crate) async fn error(&self) -> String {
        let found = self.database.search(&space("a"), &at(0.0), 8, 0.0).await;
        found.unwrap_err().to_string()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// As the servers reckon it.
pub(crate) fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |one: &[f32], other: &[f32]| one.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    (dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()) as f32
}

pub(crate) fn is_uuid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
