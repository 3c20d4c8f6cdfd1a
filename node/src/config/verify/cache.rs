//! The `cache` block: what is kept, by whom, and when an answer serves another request.

mod confirm;

use peerway_cache::vector_store::{Connection, ConnectionError};
use peerway_dialect::Dialect;

use super::Verdict;
use crate::config::model::{
    Activation, CacheBackend, CacheBackendKind, Config, Embedder, EmbedderKind, Semantic, Vectors, VectorsKind,
};
use crate::config::scalar::Secret;
use crate::config::suggest;
use crate::operation::Operation;
use crate::provider::table;
use crate::provider::url::{self, Names};

/// More threads than this do not make a text's vector any sooner.
const MAX_THREADS: usize = 256;
/// No model's vectors are longer.
const MAX_DIMENSIONS: u32 = 16_384;

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
    embedder(config, &cache.semantic.embedder, verdict);
    vectors(&cache.semantic.vectors, verdict);
    confirm::verify(config, &cache.semantic, verdict);
}

fn backend(backend: &CacheBackend, verdict: &mut Verdict) {
    if backend.kind == CacheBackendKind::Peer {
        let given = [("url", backend.url.is_some()), ("urls", !backend.urls.is_empty()), ("ca", backend.ca.is_some())];
        for (field, _) in given.into_iter().filter(|(_, given)| *given) {
            verdict.error(format!("cache.backend.{field}"), "is not used without `type: redis`");
        }
        return;
    }
    match (&backend.url, backend.urls.as_slice()) {
        (None, []) => {
            verdict.error_with("cache.backend", "`type: redis` needs a url", "url: redis://127.0.0.1:6379".to_owned());
        }
        (Some(_), [_, ..]) => {
            let hint = "one server has a `url`, a Redis Cluster has `urls`".to_owned();
            verdict.error_with("cache.backend.urls", "is not used beside a `url`", hint);
        }
        (Some(url), []) => {
            if let Err(error) = peerway_cache::backend::check_redis_url(url.expose()) {
                verdict.error("cache.backend.url", error.reason);
            }
        }
        (None, urls) => {
            let urls: Vec<&str> = urls.iter().map(Secret::expose).collect();
            if let Err(error) = peerway_cache::backend::check_redis_cluster(&urls) {
                verdict.error("cache.backend.urls", error.reason);
            }
        }
    }
    let mut urls = backend.url.iter().chain(&backend.urls);
    if backend.ca.is_some() && !urls.all(|url| url.expose().starts_with("rediss://")) {
        verdict.error("cache.backend.ca", "is not used without TLS, which is `rediss://`");
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

fn embedder(config: &Config, embedder: &Embedder, verdict: &mut Verdict) {
    const PATH: &str = "cache.semantic.embedder";
    let (kind, cross_encoder) = (embedder.kind, &config.cache.semantic.cross_encoder);
    let given = [
        ("provider", "openai", EmbedderKind::OpenAi, embedder.provider.is_some()),
        ("model", "openai", EmbedderKind::OpenAi, embedder.model.is_some()),
        ("dimensions", "openai", EmbedderKind::OpenAi, embedder.dimensions.is_some()),
        ("folder", "local", EmbedderKind::Local, embedder.folder.is_some()),
        // A cross encoder runs on them too.
        ("threads", "local", EmbedderKind::Local, embedder.threads.is_some() && cross_encoder.is_none()),
    ];
    for (field, name, owner, given) in given {
        if given && kind != owner {
            verdict.error(format!("{PATH}.{field}"), format!("is not used without `type: {name}`"));
        }
    }
    if embedder.deadline.get().is_zero() {
        verdict.error(format!("{PATH}.deadline"), "no vector comes within 0 s");
    }
    match kind {
        EmbedderKind::Static => {}
        EmbedderKind::OpenAi => {
            let (Some(provider), Some(model)) = (&embedder.provider, &embedder.model) else {
                let hint = "provider: openai, model: text-embedding-3-small".to_owned();
                return verdict.error_with(PATH, "`type: openai` needs a `provider` and a `model`", hint);
            };
            verdict.word(format!("{PATH}.model"), "model", model);
            if embedder.dimensions.is_some_and(|dimensions| !(1..=MAX_DIMENSIONS).contains(&dimensions)) {
                verdict.error(format!("{PATH}.dimensions"), format!("a vector has 1 to {MAX_DIMENSIONS} numbers"));
            }
            let path = format!("{PATH}.provider");
            let Some(found) = config.providers.iter().find(|one| one.name == *provider) else {
                let names: Vec<&str> = config.providers.iter().map(|one| one.name.as_str()).collect();
                let hint = suggest::hint(provider, "providers", &names);
                return verdict.error_with(path, format!("unknown provider `{provider}`"), hint);
            };
            let row = table::row(found.kind);
            if row.chat != Dialect::OpenAiChat || !row.operations.contains(&Operation::Embeddings) {
                verdict.error(path, format!("a provider of type {} has no OpenAI embeddings", row.name));
            }
        }
        EmbedderKind::Local => {
            if embedder.folder.is_none() {
                let hint = "`peerway model fetch` tells how to get one".to_owned();
                verdict.error_with(PATH, "`type: local` needs the `folder` of a model", hint);
            }
            if embedder.threads.is_some_and(|threads| !(1..=MAX_THREADS).contains(&threads)) {
                verdict.error(format!("{PATH}.threads"), format!("takes 1 to {MAX_THREADS}"));
            }
            if !cfg!(feature = "local-embedder") {
                let hint =
                    "build it with `--features local-embedder`, or take `type: static` or `type: openai`".to_owned();
                verdict.error_with(format!("{PATH}.type"), "this program was built without the local embedder", hint);
            }
        }
    }
}

fn vectors(vectors: &Vectors, verdict: &mut Verdict) {
    const PATH: &str = "cache.semantic.vectors";
    let example = match vectors.kind {
        VectorsKind::Peer => {
            let given = [("url", vectors.url.is_some()), ("api_key", vectors.api_key.is_some())];
            for (field, _) in given.into_iter().filter(|(_, given)| *given) {
                let why = "is not used without `type: qdrant`, `type: weaviate` or `type: pinecone`";
                verdict.error(format!("{PATH}.{field}"), why);
            }
            return;
        }
        VectorsKind::Qdrant => "http://127.0.0.1:6334",
        VectorsKind::Weaviate => "http://127.0.0.1:8080",
        VectorsKind::Pinecone => "https://my-index-abc1234.svc.us-east-1.pinecone.io",
    };
    if vectors.deadline.get().is_zero() {
        verdict.error(format!("{PATH}.deadline"), "no answer comes within 0 s");
    }
    if vectors.kind == VectorsKind::Qdrant && !cfg!(feature = "qdrant") {
        let hint = "build it with `--features qdrant`, or take `type: peer`".to_owned();
        verdict.error_with(format!("{PATH}.type"), "this program was built without the client of Qdrant", hint);
    }
    let Some(url) = &vectors.url else {
        return verdict.error_with(PATH, "a database needs a `url`", format!("url: {example}"));
    };
    // The operator's own, and so as a rule at a private address.
    if let Err(error) = url::target(url, true, Names::Resolved) {
        return verdict.error_with(format!("{PATH}.url"), error.to_string(), error.hint(example, "the database"));
    }
    let key = vectors.api_key.as_ref().map(Secret::expose);
    if let Err(error) = Connection::new(url, key, &vectors.collection) {
        let field = match error {
            ConnectionError::Url => "url",
            ConnectionError::ApiKey => "api_key",
            ConnectionError::Collection => "collection",
        };
        verdict.error(format!("{PATH}.{field}"), error.to_string());
    }
}
