//! Qdrant, over gRPC by its own client.
//!
//! What that client does that is not wanted here: it asks for the server's version while it is built and prints what it
//! thinks of it (switched off); it puts an API key that is no header into an error (checked before); it spreads calls
//! over connections of which each is only made by a call (one is enough, HTTP/2 carries many calls); and it keeps a
//! connection whose peer has silently gone until the system gives it up (so opening always makes a new client).

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use qdrant_client::config::QdrantConfig;
use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, Condition, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, DeletePointsBuilder,
    Distance, FieldType, Filter, HnswConfigDiffBuilder, IntegerIndexParamsBuilder, KeywordIndexParamsBuilder,
    PointStruct, QueryPointsBuilder, Range, ScoredPoint, ScrollPointsBuilder, UpsertPointsBuilder, Value, VectorParams,
    VectorParamsBuilder,
};
use qdrant_client::{Payload, Qdrant as Client, QdrantError};

use super::Stored;
use super::connection::Connection;
use super::database::{Collection, Database, Failure, Found, Swept};
use super::names::{self, CONTEXT, EXPIRES, GENERATION, NAMESPACE, SpaceName, TEXT};
use super::vector_database::{Limits, VectorDatabase};
use crate::clock::Clock;
use crate::identity::EntryId;

const ID: &str = "id";
/// How long the server may take over what has no deadline of its own.
const CALL: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(3);
/// So many expired points are forgotten by one sweep.
const SWEEP: u32 = 1000;
/// Links of a vector to others of its tenant; the server's default for a graph.
const LINKS: u64 = 16;

impl VectorDatabase {
    /// Qdrant at the URL of its gRPC port, usually 6334.
    pub fn qdrant(connection: Connection, limits: Limits, clock: Clock) -> VectorDatabase {
        let name = format!("qdrant at {}", connection.place());
        VectorDatabase::new(Qdrant { connection, name }, limits, clock)
    }
}

#[derive(Debug)]
struct Qdrant {
    connection: Connection,
    name: String,
}

#[async_trait]
impl Database for Qdrant {
    fn name(&self) -> &str {
        &self.name
    }

    async fn open(&self, embedding: &str, dimension: usize) -> Result<Box<dyn Collection>, Failure> {
        let mut config = QdrantConfig::from_url(&self.connection.base()).skip_compatibility_check();
        config.api_key.clone_from(&self.connection.api_key);
        config.timeout = CALL;
        config.connect_timeout = CONNECT;
        config.pool_size = 1;
        let client = Client::new(config).map_err(failure)?;
        let name = names::collection(&self.connection.collection, embedding, dimension);
        let points = Points { client, name };
        let info = match points.info().await? {
            Some(info) => info,
            None => points.create(dimension).await?,
        };
        check(&points.name, &info, dimension).map_err(Failure::Lost)?;
        points.index(&info).await?;
        Ok(Box::new(points))
    }
}

/// Whether the collection is one of vectors like ours.
fn check(name: &str, info: &CollectionInfo, dimension: usize) -> Result<(), String> {
    let advice = "name another in `cache.semantic.vectors.collection` or delete it";
    let Some(VectorParams { size, distance, .. }) = plain_vectors(info) else {
        return Err(format!("the collection `{name}` has named vectors, and the cache's have no name; {advice}"));
    };
    if *size != dimension as u64 {
        return Err(format!(
            "the collection `{name}` holds vectors of length {size}, and the embedder's are of length {dimension}; {advice}"
        ));
    }
    if *distance != Distance::Cosine as i32 {
        return Err(format!("the collection `{name}` does not compare by cosine; {advice}"));
    }
    Ok(())
}

fn plain_vectors(info: &CollectionInfo) -> Option<&VectorParams> {
    match info.config.as_ref()?.params.as_ref()?.vectors_config.as_ref()?.config.as_ref()? {
        Config::Params(params) => Some(params),
        Config::ParamsMap(_) => None,
    }
}

/// An open collection.
struct Points {
    client: Client,
    name: String,
}

// The client knows the key.
impl std::fmt::Debug for Points {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Points").field(&self.name).finish()
    }
}

impl Points {
    /// None if there is no such collection.
    async fn info(&self) -> Result<Option<CollectionInfo>, Failure> {
        if !self.client.collection_exists(&self.name).await.map_err(failure)? {
            return Ok(None);
        }
        let info = self.client.collection_info(&self.name).await.map_err(failure)?;
        info.result.map(Some).ok_or_else(|| Failure::Lost(format!("says nothing of the collection `{}`", self.name)))
    }

    /// Every search names one tenant, so there is a graph for each tenant and none over all.
    async fn create(&self, dimension: usize) -> Result<CollectionInfo, Failure> {
        let vectors = VectorParamsBuilder::new(dimension as u64, Distance::Cosine);
        let graphs = HnswConfigDiffBuilder::default().m(0).payload_m(LINKS);
        let create = CreateCollectionBuilder::new(&self.name).vectors_config(vectors).hnsw_config(graphs);
        let created = self.client.create_collection(create).await;
        // Another node may have been faster.
        match (self.info().await?, created) {
            (Some(info), _) => Ok(info),
            (None, Err(error)) => Err(failure(error)),
            (None, Ok(_)) => Err(Failure::Lost(format!("did not make the collection `{}`", self.name))),
        }
    }

    /// Has the indexes made that are missing for what is filtered by; over many points that takes longer than one waits.
    async fn index(&self, info: &CollectionInfo) -> Result<(), Failure> {
        let keyword = |is_tenant| IndexParams::from(KeywordIndexParamsBuilder::default().is_tenant(is_tenant));
        let fields = [
            (NAMESPACE, FieldType::Keyword, keyword(true)),
            (CONTEXT, FieldType::Keyword, keyword(false)),
            (EXPIRES, FieldType::Integer, IntegerIndexParamsBuilder::new(false, true).into()),
        ];
        for (field, kind, params) in fields {
            if !info.payload_schema.contains_key(field) {
                let create = CreateFieldIndexCollectionBuilder::new(&self.name, field, kind);
                self.client.create_field_index(create.field_index_params(params).wait(false)).await.map_err(failure)?;
            }
        }
        Ok(())
    }

    async fn delete_all(&self, filter: Filter) -> Result<(), Failure> {
        let delete = DeletePointsBuilder::new(&self.name).points(filter).wait(true);
        self.client.delete_points(delete).await.map(drop).map_err(failure)
    }
}

#[async_trait]
impl Collection for Points {
    async fn nearest(
        &self,
        space: &SpaceName,
        vector: &[f32],
        k: usize,
        floor: f32,
        now_ms: u64,
    ) -> Result<Vec<Option<Found>>, Failure> {
        let filter = Filter::must([
            Condition::matches(NAMESPACE, space.namespace.clone()),
            Condition::matches(CONTEXT, space.context.clone()),
            Condition::range(EXPIRES, Range { gt: Some(now_ms as f64), ..Range::default() }),
        ]);
        let query = QueryPointsBuilder::new(&self.name)
            .query(vector.to_vec())
            .filter(filter)
            .score_threshold(floor)
            .limit(k as u64)
            .with_payload(true);
        let answer = self.client.query(query).await.map_err(failure)?;
        Ok(answer.result.into_iter().map(found).collect())
    }

    async fn put(&self, space: &SpaceName, stored: &Stored, vector: &[f32]) -> Result<(), Failure> {
        let number = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
        let payload = Payload::from([
            (NAMESPACE, Value::from(space.namespace.as_str())),
            (CONTEXT, Value::from(space.context.as_str())),
            (ID, Value::from(stored.id.to_string())),
            (TEXT, Value::from(&*stored.text)),
            (GENERATION, number(stored.generation)),
            (EXPIRES, number(stored.expires_ms)),
        ]);
        let point = PointStruct::new(names::uuid(&stored.id), vector.to_vec(), payload);
        let upsert = UpsertPointsBuilder::new(&self.name, vec![point]).wait(true);
        self.client.upsert_points(upsert).await.map(drop).map_err(failure)
    }

    async fn delete(&self, id: &EntryId) -> Result<(), Failure> {
        self.delete_all(Filter::must([Condition::has_id([names::uuid(id)])])).await
    }

    async fn purge(&self, namespace: Option<&str>) -> Result<(), Failure> {
        let which = match namespace {
            Some(namespace) => Condition::matches(NAMESPACE, namespace.to_owned()),
            None => Condition::range(EXPIRES, Range { gte: Some(0.0), ..Range::default() }),
        };
        self.delete_all(Filter::must([which])).await
    }

    async fn sweep(&self, now_ms: u64) -> Result<Swept, Failure> {
        let expired = Condition::range(EXPIRES, Range { lte: Some(now_ms as f64), ..Range::default() });
        let scroll = ScrollPointsBuilder::new(&self.name)
            .filter(Filter::must([expired.clone()]))
            .limit(SWEEP)
            .with_payload(false)
            .with_vectors(false);
        let page = self.client.scroll(scroll).await.map_err(failure)?.result;
        let is_last = page.len() < SWEEP as usize;
        let ids: Vec<_> = page.into_iter().filter_map(|point| point.id).collect();
        if !ids.is_empty() {
            // Both, because a point may have been written again since.
            self.delete_all(Filter::must([Condition::has_id(ids), expired])).await?;
        }
        Ok(if is_last { Swept::All } else { Swept::Some })
    }
}

/// None if it is not one of ours.
fn found(mut point: ScoredPoint) -> Option<Found> {
    let payload = &mut point.payload;
    Some(Found {
        id: text(payload, ID)?.parse().ok()?,
        namespace: text(payload, NAMESPACE)?,
        context: text(payload, CONTEXT)?,
        cosine: point.score,
        text: text(payload, TEXT)?,
        generation: number(payload, GENERATION)?,
        expires_ms: number(payload, EXPIRES)?,
    })
}

fn text(payload: &mut HashMap<String, Value>, field: &str) -> Option<String> {
    match payload.remove(field)?.kind? {
        Kind::StringValue(text) => Some(text),
        _ => None,
    }
}

fn number(payload: &mut HashMap<String, Value>, field: &str) -> Option<u64> {
    match payload.remove(field)?.kind? {
        Kind::IntegerValue(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

/// A request that the server understood and does not want says nothing about the next one; anything else does.
fn failure(error: QdrantError) -> Failure {
    match error {
        QdrantError::ResponseError { status } => {
            let code = status.code();
            let reason = names::brief(&format!("{code:?}: {}", status.message()));
            match i32::from(code) {
                INVALID_ARGUMENT | OUT_OF_RANGE => Failure::Refused(reason),
                _ => Failure::Lost(reason),
            }
        }
        error => Failure::Lost(names::brief(&error.to_string())),
    }
}

// Codes of gRPC.
const INVALID_ARGUMENT: i32 = 3;
const OUT_OF_RANGE: i32 = 11;
