//! `GET /api/cache`: what this node's cache holds, what it did, and what that saved.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use peerway_cache::{HotEntry, NamespaceId, NamespaceUse};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::ProblemDetails;
use super::{Admin, Problem};
use crate::telemetry::savings::{HitKind, Saved};

const MAX_ENTRIES: usize = 20;
const MAX_NAMESPACES: usize = 100;

/// A node's cache.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CacheInsight {
    /// Counters since the start, and sizes: of entries, look-ups by where they were answered, questions to peers, look-ups
    /// by meaning with the guard's refusals and the similarities, and of the vector database.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    counters: serde_json::Value,
    saved: Savings,
    /// The entries that this node read most, copies of what others own among them; at most 20.
    hottest: Vec<EntryView>,
    /// What this node holds for the cluster by namespace, what takes most memory first; at most 100.
    namespaces: Vec<NamespaceView>,
}

/// What hits of this node saved since its start, by their kind.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Savings {
    /// By an answer from before.
    direct: SavedView,
    /// By an answer from before, to a request that means the same.
    semantic: SavedView,
    /// By the answer to a request that was the same and under way.
    coalesced: SavedView,
    /// By an answer from before that only the backend had.
    backend: SavedView,
    total: SavedView,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SavedView {
    /// Requests that were answered so.
    hits: u64,
    /// Of them: those whose tokens and price were known.
    priced: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// What these tokens would have cost, by the prices at the time of each hit.
    nano_usd: u64,
}

/// An entry that is read often.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryView {
    /// As `x-peerway-cache-id` names it.
    id: String,
    /// Two digests: the tenant's and the cache key's.
    namespace: String,
    /// Whose it is: `key/ID` (`key/` alone: those without one), `team/ID`, `customer/ID` or `cluster`; `null`: a tenant that
    /// is not there any more.
    tenant: Option<String>,
    bytes: u64,
    /// How often this node read it since it has it.
    hits: u64,
    age_s: u64,
    expires_in_s: u64,
}

/// A namespace's part of a node's memory.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NamespaceView {
    /// Two digests: the tenant's and the cache key's.
    namespace: String,
    /// As of an entry.
    tenant: Option<String>,
    entries: u64,
    bytes: u64,
    /// They lie by what they are about, so not always where the entries are.
    vectors: u64,
    vector_bytes: u64,
}

/// This node's cache: sizes, counters, savings, and what is read most.
#[utoipa::path(get, path = "/api/cache", tag = "cache", responses(
    (status = 200, body = CacheInsight),
    (status = 500, body = ProblemDetails, content_type = "application/problem+json"),
))]
pub(super) async fn show(State(admin): State<Admin>) -> Result<Json<CacheInsight>, Problem> {
    // It goes through all entries, and this thread's other work must not wait for that.
    let told = tokio::task::spawn_blocking(move || CacheInsight::of(&admin)).await;
    told.map(Json).map_err(|error| Problem::internal(format!("the cache could not be looked through: {error}")))
}

impl CacheInsight {
    fn of(admin: &Admin) -> Self {
        let cache = &admin.gateway.cache;
        let (hottest, namespaces) = (cache.hottest(MAX_ENTRIES), cache.namespaces(MAX_NAMESPACES));
        let of_entries = hottest.iter().map(|entry| entry.namespace);
        let listed: Vec<NamespaceId> = of_entries.chain(namespaces.iter().map(|used| used.namespace)).collect();
        let tenants = cache.tenants_of(&listed, &admin.gateway.access.load());
        let tenant = |namespace: &NamespaceId| tenants.get(namespace).map(|tenant| tenant.as_str().to_owned());
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64);
        Self {
            counters: cache.stats_json(),
            saved: Savings::of(|kind| admin.shards.saved(kind)),
            hottest: hottest.iter().map(|entry| EntryView::of(entry, tenant(&entry.namespace), now_ms)).collect(),
            namespaces: namespaces.iter().map(|used| NamespaceView::of(used, tenant(&used.namespace))).collect(),
        }
    }
}

impl Savings {
    fn of(saved: impl Fn(HitKind) -> Saved) -> Self {
        let total = HitKind::ALL.into_iter().map(&saved).fold(Saved::default(), Saved::plus);
        Self {
            direct: saved(HitKind::Direct).into(),
            semantic: saved(HitKind::Semantic).into(),
            coalesced: saved(HitKind::Coalesced).into(),
            backend: saved(HitKind::Backend).into(),
            total: total.into(),
        }
    }
}

impl From<Saved> for SavedView {
    fn from(saved: Saved) -> Self {
        let Saved { hits, priced, prompt_tokens, completion_tokens, cost } = saved;
        Self { hits, priced, prompt_tokens, completion_tokens, nano_usd: cost.get() }
    }
}

impl EntryView {
    fn of(entry: &HotEntry, tenant: Option<String>, now_ms: u64) -> Self {
        Self {
            id: entry.id.to_string(),
            namespace: entry.namespace.to_string(),
            tenant,
            bytes: entry.bytes,
            hits: entry.hits,
            age_s: now_ms.saturating_sub(entry.created_ms) / 1_000,
            expires_in_s: entry.expires_ms.saturating_sub(now_ms) / 1_000,
        }
    }
}

impl NamespaceView {
    fn of(used: &NamespaceUse, tenant: Option<String>) -> Self {
        let NamespaceUse { namespace, entries, bytes, vectors, vector_bytes } = *used;
        Self { namespace: namespace.to_string(), tenant, entries, bytes, vectors, vector_bytes }
    }
}
