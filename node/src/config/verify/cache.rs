//! The `cache` block: what is kept, by whom, and when an answer serves another request.

use super::Verdict;
use crate::config::model::{Activation, CacheBackend, CacheBackendKind, Config, Semantic};

pub(super) fn verify(config: &Config, verdict: &mut Verdict) {
    let cache = &config.cache;
    if cache.activation == Activation::Off {
        return;
    }
    if cache.ttl.get().is_zero() {
        verdict.error_with(
            "cache.ttl",
            "nothing would be kept for 0 s",
            "write `activation: off` to have no cache".to_owned(),
        );
    }
    if cache.max_entry > cache.max_memory {
        verdict.error(
            "cache.max_entry",
            format!("an entry of {} does not fit into `max_memory: {}`", cache.max_entry, cache.max_memory),
        );
    }
    backend(&cache.backend, verdict);
    semantic(&cache.semantic, verdict);
}

fn backend(backend: &CacheBackend, verdict: &mut Verdict) {
    match (backend.kind, &backend.url) {
        (CacheBackendKind::Peer, Some(_)) => {
            verdict.error("cache.backend.url", "is not used without `type: redis`");
        }
        (CacheBackendKind::Redis, None) => {
            verdict.error_with("cache.backend", "`type: redis` needs a url", "url: redis://127.0.0.1:6379".to_owned());
        }
        (CacheBackendKind::Redis, Some(url)) => {
            if let Err(error) = peerway_cache::backend::check_redis_url(url.expose()) {
                verdict.error("cache.backend.url", error.reason);
            }
        }
        (CacheBackendKind::Peer, None) => {}
    }
}

fn semantic(semantic: &Semantic, verdict: &mut Verdict) {
    let threshold = semantic.threshold;
    if !(threshold > 0.0 && threshold <= 1.0) {
        verdict.error_with(
            "cache.semantic.threshold",
            format!("a threshold is above 0 and at most 1, not {threshold}"),
            "0.85 is the default; write `enabled: false` to answer nothing by meaning".to_owned(),
        );
    }
}
