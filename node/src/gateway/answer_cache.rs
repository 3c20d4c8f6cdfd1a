//! The cluster's cache as the node holds it: figures for operators, and purges.

use peerway_cache::{EntryId, Purge, PurgeError, RingCache, TenantScope};
use tokio::runtime::Handle;

use crate::telemetry::exposition::{Kind, Page};

/// The cluster's cache, and the runtime on which entries are given to it.
#[derive(Debug)]
pub struct AnswerCache {
    pub(super) cache: RingCache,
    pub(super) runtime: Handle,
}

impl AnswerCache {
    pub fn new(cache: RingCache, runtime: Handle) -> Self {
        Self { cache, runtime }
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
            "hits": { "near": stats.hits_near, "local": stats.hits_local, "remote": stats.hits_remote },
            "misses": stats.misses,
            "remote": {
                "gets": stats.remote_gets, "timeouts": stats.remote_timeouts, "failures": stats.remote_failures,
                "hedges": stats.hedges, "hedges_won": stats.hedges_won, "hedge_after_us": stats.hedge_after_us,
            },
            "puts": { "given": stats.puts, "refused": stats.puts_refused, "unacknowledged": stats.puts_unacknowledged },
            "rejected": stats.rejected,
            "purges": stats.purges,
        })
    }

    pub fn write_metrics(&self, page: &mut Page) {
        let stats = self.cache.stats();
        page.family("peerway_cache_lookups_total", Kind::Counter, "Look-ups by result and where a hit was found.");
        for (result, count) in [
            ("hit_near", stats.hits_near),
            ("hit_local", stats.hits_local),
            ("hit_remote", stats.hits_remote),
            ("hit_coalesced", stats.hits_coalesced),
            ("hit_backend", stats.hits_backend),
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
