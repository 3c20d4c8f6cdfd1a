//! The cluster's cache as the node holds it: figures for operators, and purges.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use peerway_cache::semantic::Confirmer;
use peerway_cache::semantic::confirm::ConfirmStats;
use peerway_cache::vector_store::{VectorDatabase, VectorDatabaseStats};
use peerway_cache::{
    EntryId, HotEntry, NamespaceId, NamespaceUse, Purge, PurgeError, RingCache, SIMILARITY_BOUNDS, SemanticStats,
    TenantScope,
};
use tokio::runtime::Handle;

use super::cached::{ExplainError, Explained, Pair, explain};
use crate::config;
use crate::governance::Access;
use crate::telemetry::exposition::{Kind, Page};

/// The cluster's cache, and the runtime on which entries are given to it.
#[derive(Debug)]
pub struct AnswerCache {
    pub(super) cache: RingCache,
    pub(super) runtime: Handle,
    database: Option<Arc<VectorDatabase>>,
}

impl AnswerCache {
    pub fn new(cache: RingCache, runtime: Handle) -> Self {
        Self { cache, runtime, database: None }
    }

    /// With the database that the cache's vectors are in, for its figures.
    #[must_use]
    pub fn with_database(self, database: Option<Arc<VectorDatabase>>) -> Self {
        Self { database, ..self }
    }

    /// Entries held for the cluster, and their bytes.
    pub fn size(&self) -> (u64, u64) {
        let stats = self.cache.stats();
        (stats.entries, stats.bytes)
    }

    pub fn stats_json(&self) -> serde_json::Value {
        let stats = self.cache.stats();
        serde_json::json!({
            "entries": stats.entries, "bytes": stats.bytes,
            "near_entries": stats.near_entries, "near_bytes": stats.near_bytes,
            "hits": {
                "near": stats.hits_near, "local": stats.hits_local, "remote": stats.hits_remote,
                "coalesced": stats.hits_coalesced, "backend": stats.hits_backend,
            },
            "misses": stats.misses,
            "remote": {
                "gets": stats.remote_gets, "timeouts": stats.remote_timeouts, "failures": stats.remote_failures,
                "hedges": stats.hedges, "hedges_won": stats.hedges_won, "hedge_after_us": stats.hedge_after_us,
            },
            "puts": { "given": stats.puts, "refused": stats.puts_refused, "unacknowledged": stats.puts_unacknowledged },
            "rejected": stats.rejected,
            "purges": stats.purges,
            "semantic": self.cache.semantic_stats().map(|stats| semantic_json(&stats)),
            "vector_database": self.database.as_ref().map(|database| database_json(&database.stats())),
        })
    }

    pub fn write_metrics(&self, page: &mut Page) {
        let stats = self.cache.stats();
        let semantic = self.cache.semantic_stats().unwrap_or_default();
        page.family(
            "peerway_cache_lookups_total",
            Kind::Counter,
            "Look-ups by result and where a hit was found; a hit by meaning comes after a miss of the exact look-up.",
        );
        for (result, count) in [
            ("hit_near", stats.hits_near),
            ("hit_local", stats.hits_local),
            ("hit_remote", stats.hits_remote),
            ("hit_coalesced", stats.hits_coalesced),
            ("hit_backend", stats.hits_backend),
            ("hit_semantic", semantic.hits),
            ("miss", stats.misses),
        ] {
            page.sample("peerway_cache_lookups_total", &[("result", result)], count);
        }
        page.family("peerway_cache_entries", Kind::Gauge, "Entries that this node holds for the cluster.");
        page.sample("peerway_cache_entries", &[], stats.entries);
        page.family("peerway_cache_bytes", Kind::Gauge, "Memory of the entries that this node holds for the cluster.");
        page.sample("peerway_cache_bytes", &[], stats.bytes);
        page.family("peerway_cache_remote_gets_total", Kind::Counter, "Questions to peers by what became of them.");
        for (result, count) in [
            ("asked", stats.remote_gets),
            ("timed_out", stats.remote_timeouts),
            ("failed", stats.remote_failures),
            ("hedged", stats.hedges),
        ] {
            page.sample("peerway_cache_remote_gets_total", &[("result", result)], count);
        }
        page.family("peerway_cache_backend_failures_total", Kind::Counter, "Calls that the backend failed at.");
        page.sample("peerway_cache_backend_failures_total", &[], stats.backend_failures);
        page.family("peerway_cache_purges_total", Kind::Counter, "Purges ordered here or heard of from peers.");
        page.sample("peerway_cache_purges_total", &[], stats.purges);
        write_semantic(&semantic, page);
        if let Some(database) = &self.database {
            write_database(&database.stats(), page);
        }
    }

    /// The entries that this node read most.
    pub(crate) fn hottest(&self, limit: usize) -> Vec<HotEntry> {
        self.cache.hottest(limit)
    }

    /// What this node holds by namespace.
    pub(crate) fn namespaces(&self, limit: usize) -> Vec<NamespaceUse> {
        self.cache.namespace_uses(limit)
    }

    /// Whose namespaces these are, as far as the access that is in force tells.
    pub(crate) fn tenants_of(&self, namespaces: &[NamespaceId], access: &Access) -> HashMap<NamespaceId, TenantScope> {
        let keys = access.keys.keys().map(|id| TenantScope::key(id));
        let teams = access.teams.keys().map(|id| TenantScope::team(id));
        let customers = access.customers.keys().map(|id| TenantScope::customer(id));
        let unnamed = [TenantScope::cluster(), TenantScope::key("")];
        self.cache.tenants_of(namespaces, unnamed.into_iter().chain(customers).chain(teams).chain(keys))
    }

    /// Whether the answer to one request would serve another, if that is to be as sure as the threshold.
    pub(crate) async fn explain(
        &self,
        settings: &config::Semantic,
        pair: Pair<'_>,
        threshold: f32,
    ) -> Result<Explained, ExplainError> {
        explain(&self.cache, settings, pair, threshold).await
    }

    pub async fn purge_id(&self, id: &str) -> Result<(), String> {
        let id: EntryId = id.parse().map_err(|error| format!("id: {error}"))?;
        self.purge(Purge::Id(id)).await
    }

    /// All entries of a virtual key.
    pub async fn purge_key(&self, id: &str) -> Result<(), String> {
        self.purge(Purge::Scope(TenantScope::key(id))).await
    }

    /// All entries under a cache key, whichever tenant's.
    pub async fn purge_namespace(&self, name: &str) -> Result<(), String> {
        self.purge(Purge::Name(name.to_owned())).await
    }

    pub async fn purge_all(&self) -> Result<(), String> {
        self.purge(Purge::All).await
    }

    async fn purge(&self, what: Purge) -> Result<(), String> {
        self.cache.purge(what).await.map(|_| ()).map_err(|error: PurgeError| error.to_string())
    }
}

fn semantic_json(stats: &SemanticStats) -> serde_json::Value {
    let refusals = stats.refusals.iter().filter(|(_, count)| *count > 0);
    serde_json::json!({
        "hits": stats.hits, "misses": stats.misses, "unasked": stats.unasked, "learned": stats.learned,
        "refusals": refusals.map(|(reason, count)| (reason.as_str(), *count)).collect::<BTreeMap<_, _>>(),
        "confirmations": stats.confirmations.iter().map(confirmations_json).collect::<BTreeMap<_, _>>(),
        "similarity": similarity_json(stats),
        "vectors": stats.vectors, "spaces": stats.spaces, "bytes": stats.bytes,
        "embed_failures": stats.embed_failures,
        "remote": { "asks": stats.remote_asks, "timeouts": stats.remote_timeouts, "failures": stats.remote_failures },
    })
}

fn confirmations_json((who, told): &(Confirmer, ConfirmStats)) -> (&'static str, serde_json::Value) {
    let counts = confirmations(told).into_iter().map(|(result, count)| (result.to_owned(), count.into()));
    (who.as_str(), serde_json::Value::Object(counts.collect()))
}

fn confirmations(told: &ConfirmStats) -> [(&'static str, u64); 5] {
    [
        ("agreed", told.agreed),
        ("refused", told.refused),
        ("failed", told.failed),
        ("unasked", told.unasked),
        ("remembered", told.remembered),
    ]
}

/// How many are in each bucket, which ends at `le`; not those below it besides.
fn similarity_json(stats: &SemanticStats) -> serde_json::Value {
    let buckets = SIMILARITY_BOUNDS.iter().zip(&stats.similarities);
    buckets.map(|(le, count)| serde_json::json!({ "le": le, "count": count })).collect()
}

fn write_semantic(stats: &SemanticStats, page: &mut Page) {
    page.family("peerway_cache_semantic_lookups_total", Kind::Counter, "Look-ups by meaning, after the exact one.");
    for (result, count) in [("hit", stats.hits), ("miss", stats.misses)] {
        page.sample("peerway_cache_semantic_lookups_total", &[("result", result)], count);
    }
    page.family(
        "peerway_cache_semantic_unasked_total",
        Kind::Counter,
        "Requests that were not compared by meaning, as their namespace hardly ever hits.",
    );
    page.sample("peerway_cache_semantic_unasked_total", &[], stats.unasked);
    page.family(
        "peerway_cache_guard_refusals_total",
        Kind::Counter,
        "Look-ups by meaning whose best candidate the guard refused, by why.",
    );
    for (reason, count) in &stats.refusals {
        page.sample("peerway_cache_guard_refusals_total", &[("reason", reason.as_str())], *count);
    }
    page.family(
        "peerway_cache_confirmations_total",
        Kind::Counter,
        "Second opinions by who gave them; agreed and refused with those that were remembered.",
    );
    for (who, told) in &stats.confirmations {
        for (result, count) in confirmations(told) {
            page.sample("peerway_cache_confirmations_total", &[("by", who.as_str()), ("result", result)], count);
        }
    }
    page.family(
        "peerway_cache_similarity",
        Kind::Histogram,
        "How surely the best candidate would have answered, of look-ups that the guard was asked about.",
    );
    // None is above the last bound.
    let buckets: Vec<u64> = stats.similarities.into_iter().chain([0]).collect();
    let sum = stats.similarity_sum as f64 / 1e6;
    page.histogram("peerway_cache_similarity", &[], &SIMILARITY_BOUNDS, &buckets, sum);
    page.family("peerway_cache_semantic_failures_total", Kind::Counter, "What a look-up by meaning failed at.");
    for (what, count) in
        [("embed", stats.embed_failures), ("timeout", stats.remote_timeouts), ("peer", stats.remote_failures)]
    {
        page.sample("peerway_cache_semantic_failures_total", &[("what", what)], count);
    }
    page.family("peerway_cache_learned_total", Kind::Counter, "Answers that this node made findable by meaning.");
    page.sample("peerway_cache_learned_total", &[], stats.learned);
    page.family("peerway_cache_vectors", Kind::Gauge, "Vectors that this node holds for the cluster.");
    page.sample("peerway_cache_vectors", &[], stats.vectors);
    page.family("peerway_cache_vector_bytes", Kind::Gauge, "Memory of the vectors and of the texts beside them.");
    page.sample("peerway_cache_vector_bytes", &[], stats.bytes);
}

fn database_json(stats: &VectorDatabaseStats) -> serde_json::Value {
    serde_json::json!({
        "up": stats.is_up, "last_failure": stats.last_failure,
        "searches": stats.searches, "failed_searches": stats.failed_searches,
        "writes": stats.writes, "failed_writes": stats.failed_writes,
        "refused_points": stats.refused_points,
    })
}

fn write_database(stats: &VectorDatabaseStats, page: &mut Page) {
    page.family("peerway_cache_vector_database_up", Kind::Gauge, "1 while the vector database is in use.");
    page.sample("peerway_cache_vector_database_up", &[], u64::from(stats.is_up));
    page.family("peerway_cache_vector_database_calls_total", Kind::Counter, "Calls to the vector database by result.");
    for (call, result, count) in [
        ("search", "ok", stats.searches.saturating_sub(stats.failed_searches)),
        ("search", "failed", stats.failed_searches),
        ("write", "ok", stats.writes),
        ("write", "failed", stats.failed_writes),
    ] {
        page.sample("peerway_cache_vector_database_calls_total", &[("call", call), ("result", result)], count);
    }
    page.family(
        "peerway_cache_vector_database_refused_points_total",
        Kind::Counter,
        "Points that the vector database returned and that were not those that were asked for.",
    );
    page.sample("peerway_cache_vector_database_refused_points_total", &[], stats.refused_points);
}
