//! Pinecone, over its REST API, at the host of one index.
//!
//! An index has one length of vectors, which whoever makes it chooses; what is a collection elsewhere is a namespace of
//! it here. Pinecone is eventually consistent: what was written is found a moment later.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::HeaderName;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::Stored;
use super::connection::Connection;
use super::database::{Collection, Database, Failure, Found, Swept};
use super::names::{self, CONTEXT, EXPIRES, GENERATION, NAMESPACE, SpaceName, TEXT};
use super::rest::{Rest, failure, number, text};
use super::vector_database::{Limits, VectorDatabase};
use crate::clock::Clock;
use crate::identity::EntryId;
use crate::transport::Transport;

/// The version of the API that is spoken.
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-pinecone-api-version"), HeaderValue::from_static("2025-10"));
const KEY: HeaderName = HeaderName::from_static("api-key");

impl VectorDatabase {
    /// Pinecone at the URL of an index.
    pub fn pinecone(
        connection: Connection,
        transport: Arc<dyn Transport>,
        limits: Limits,
        clock: Clock,
    ) -> VectorDatabase {
        let name = format!("pinecone at {}", connection.place());
        let (version, value) = VERSION;
        let rest = Rest::new(transport, &connection, |key| (KEY, key.to_owned())).with(version, value);
        VectorDatabase::new(Pinecone { rest: Arc::new(rest), connection, name }, limits, clock)
    }
}

#[derive(Debug)]
struct Pinecone {
    rest: Arc<Rest>,
    connection: Connection,
    name: String,
}

#[async_trait]
impl Database for Pinecone {
    fn name(&self) -> &str {
        &self.name
    }

    async fn open(&self, embedding: &str, dimension: usize) -> Result<Box<dyn Collection>, Failure> {
        let index = self.rest.demand(Method::POST, "/describe_index_stats", Some(&json!({}))).await?;
        let advice = "make an index that fits and put its host into `cache.semantic.vectors.url`";
        if number(&index, "dimension") != Some(dimension as u64) {
            let length = index.get("dimension").cloned().unwrap_or(Value::Null);
            return Err(Failure::Lost(format!(
                "the index holds vectors of length {length}, and the embedder's are of length {dimension}; {advice}"
            )));
        }
        if let Some(metric) = text(&index, "metric").filter(|metric| metric != "cosine") {
            let metric = names::brief(&metric);
            return Err(Failure::Lost(format!("the index compares by {metric}, not by cosine; {advice}")));
        }
        let namespace = names::collection(&self.connection.collection, embedding, dimension);
        Ok(Box::new(Vectors { rest: Arc::clone(&self.rest), namespace }))
    }
}

/// A namespace of the index.
#[derive(Debug)]
struct Vectors {
    rest: Arc<Rest>,
    namespace: String,
}

impl Vectors {
    async fn delete_those(&self, mut which: Value) -> Result<(), Failure> {
        which["namespace"] = json!(self.namespace);
        match self.rest.ask(Method::POST, "/vectors/delete", Some(&which)).await? {
            // A namespace begins with its first vector: then there is nothing to forget.
            (status, _) if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            (status, answer) => Err(failure(status, &answer)),
        }
    }
}

#[async_trait]
impl Collection for Vectors {
    async fn nearest(
        &self,
        space: &SpaceName,
        vector: &[f32],
        k: usize,
        _floor: f32,
        now_ms: u64,
    ) -> Result<Vec<Option<Found>>, Failure> {
        let query = json!({
            "namespace": self.namespace,
            "vector": vector,
            "topK": k,
            "filter": {
                NAMESPACE: { "$eq": space.namespace },
                CONTEXT: { "$eq": space.context },
                EXPIRES: { "$gt": now_ms },
            },
            "includeMetadata": true,
            "includeValues": false,
        });
        let answer = self.rest.demand(Method::POST, "/query", Some(&query)).await?;
        let matches = answer.get("matches").and_then(Value::as_array);
        Ok(matches.into_iter().flatten().map(found).collect())
    }

    async fn put(&self, space: &SpaceName, stored: &Stored, vector: &[f32]) -> Result<(), Failure> {
        let upsert = json!({
            "namespace": self.namespace,
            "vectors": [{
                "id": stored.id.to_string(),
                "values": vector,
                "metadata": {
                    NAMESPACE: space.namespace,
                    CONTEXT: space.context,
                    TEXT: &*stored.text,
                    // All numbers are doubles there.
                    GENERATION: stored.generation.to_string(),
                    EXPIRES: stored.expires_ms,
                },
            }],
        });
        self.rest.demand(Method::POST, "/vectors/upsert", Some(&upsert)).await.map(drop)
    }

    async fn delete(&self, id: &EntryId) -> Result<(), Failure> {
        self.delete_those(json!({ "ids": [id.to_string()] })).await
    }

    async fn purge(&self, namespace: Option<&str>) -> Result<(), Failure> {
        let which = match namespace {
            Some(namespace) => json!({ "filter": { NAMESPACE: { "$eq": namespace } } }),
            None => json!({ "deleteAll": true }),
        };
        self.delete_those(which).await
    }

    async fn sweep(&self, now_ms: u64) -> Result<Swept, Failure> {
        self.delete_those(json!({ "filter": { EXPIRES: { "$lte": now_ms } } })).await?;
        Ok(Swept::All)
    }
}

/// None if it is not one of ours.
fn found(point: &Value) -> Option<Found> {
    let fields = point.get("metadata")?;
    Some(Found {
        id: text(point, "id")?.parse().ok()?,
        namespace: text(fields, NAMESPACE)?,
        context: text(fields, CONTEXT)?,
        cosine: point.get("score")?.as_f64()? as f32,
        text: text(fields, TEXT)?,
        generation: text(fields, GENERATION)?.parse().ok()?,
        expires_ms: number(fields, EXPIRES)?,
    })
}
