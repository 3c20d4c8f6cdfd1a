//! What an index of Pinecone answers, as documented for its data plane (`/describe_index_stats`, `/query`,
//! `/vectors/upsert`, `/vectors/delete`) in version 2025-10.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use peerway_cache::transport::{Transport, TransportError};
use peerway_cache::vector_store::{Connection, Limits, VectorDatabase};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::bench::{Time, cosine};

/// Metadata of a vector may be 40 KB.
const MAX_METADATA: usize = 40 * 1024;

type Vectors = BTreeMap<String, (Vec<f32>, Value)>;

#[derive(Debug)]
pub(crate) struct PineconeServer {
    stats: Value,
    namespaces: Mutex<BTreeMap<String, Vectors>>,
    points: watch::Sender<usize>,
}

impl PineconeServer {
    pub(crate) fn new(dimension: usize, metric: &str) -> Arc<PineconeServer> {
        let stats = json!({ "dimension": dimension, "metric": metric, "vectorType": "dense", "indexFullness": 0 });
        Arc::new(PineconeServer { stats, namespaces: Mutex::default(), points: watch::channel(0).0 })
    }

    pub(crate) fn database(self: &Arc<Self>, limits: Limits, time: &Time) -> VectorDatabase {
        self.database_with(limits, time, "pc-key")
    }

    pub(crate) fn database_with(self: &Arc<Self>, limits: Limits, time: &Time, key: &str) -> VectorDatabase {
        let connection = Connection::new("https://cache-1.svc.pinecone.test", Some(key), "peerway").unwrap();
        VectorDatabase::pinecone(connection, self.clone(), limits, time.clock())
    }

    pub(crate) fn points(&self) -> watch::Receiver<usize> {
        self.points.subscribe()
    }

    pub(crate) fn namespaces(&self) -> Vec<String> {
        self.namespaces.lock().unwrap().keys().cloned().collect()
    }

    fn answer(&self, request: &Request<Bytes>) -> (u16, Value) {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("x-pinecone-api-version"), Some("2025-10"));
        assert_eq!(header("content-type"), Some("application/json"));
        if header("api-key") != Some("pc-key") {
            return (401, Value::Null);
        }
        assert_eq!(request.method(), "POST");
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let mut namespaces = self.namespaces.lock().unwrap();
        let namespace = body["namespace"].as_str().unwrap_or_default();
        let answer = match request.uri().path() {
            "/describe_index_stats" => (200, self.stats.clone()),
            "/query" => query(namespaces.get(namespace), &body),
            "/vectors/upsert" => {
                let dimension = self.stats["dimension"].as_u64().unwrap() as usize;
                upsert(namespaces.entry(namespace.to_owned()).or_default(), &body, dimension)
            }
            "/vectors/delete" => match namespaces.get_mut(namespace) {
                Some(vectors) => delete(vectors, &body),
                None => refusal(404, 5, "Namespace not found"),
            },
            path => panic!("no such route: {path}"),
        };
        namespaces.retain(|_, vectors| !vectors.is_empty());
        self.points.send_replace(namespaces.values().map(BTreeMap::len).sum());
        answer
    }
}

#[async_trait]
impl Transport for PineconeServer {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        assert_eq!(request.uri().authority().unwrap(), "cache-1.svc.pinecone.test");
        assert_eq!(request.uri().scheme_str(), Some("https"));
        let (status, body) = self.answer(&request);
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(response)
    }
}

fn refusal(status: u16, code: u16, message: &str) -> (u16, Value) {
    (status, json!({ "code": code, "message": message, "details": [] }))
}

fn floats(list: &Value) -> Vec<f32> {
    list.as_array().unwrap().iter().map(|part| part.as_f64().unwrap() as f32).collect()
}

fn upsert(vectors: &mut Vectors, body: &Value, dimension: usize) -> (u16, Value) {
    let new = body["vectors"].as_array().unwrap();
    for vector in new {
        let values = floats(&vector["values"]);
        if values.len() != dimension {
            let message =
                format!("Vector dimension {} does not match the dimension of the index {dimension}", values.len());
            return refusal(400, 3, &message);
        }
        let metadata = &vector["metadata"];
        if metadata.to_string().len() > MAX_METADATA {
            return refusal(400, 3, "metadata size is above the limit of 40960 bytes per vector");
        }
        for value in metadata.as_object().unwrap().values() {
            assert!(value.is_string() || value.is_number() || value.is_boolean(), "{value}");
        }
        let id = vector["id"].as_str().unwrap();
        assert!(!id.is_empty() && id.is_ascii() && id.len() <= 512);
        vectors.insert(id.to_owned(), (values, metadata.clone()));
    }
    (200, json!({ "upsertedCount": new.len() }))
}

fn query(vectors: Option<&Vectors>, body: &Value) -> (u16, Value) {
    let question = floats(&body["vector"]);
    let most = body["topK"].as_u64().unwrap();
    assert!((1..=10_000).contains(&most));
    assert_eq!((&body["includeMetadata"], &body["includeValues"]), (&json!(true), &json!(false)));
    let mut found: Vec<Value> = vectors
        .into_iter()
        .flatten()
        .filter(|(_, (_, metadata))| matches(metadata, &body["filter"]))
        .map(|(id, (values, metadata))| {
            json!({ "id": id, "score": cosine(&question, values), "values": [], "metadata": metadata })
        })
        .collect();
    found.sort_by(|one, other| other["score"].as_f64().unwrap().total_cmp(&one["score"].as_f64().unwrap()));
    found.truncate(most as usize);
    (200, json!({ "matches": found, "namespace": body["namespace"], "usage": { "readUnits": 1 } }))
}

fn delete(vectors: &mut Vectors, body: &Value) -> (u16, Value) {
    let ways = ["ids", "filter", "deleteAll"].iter().filter(|way| body.get(**way).is_some()).count();
    assert_eq!(ways, 1, "they exclude each other: {body}");
    if let Some(ids) = body.get("ids") {
        for id in ids.as_array().unwrap() {
            vectors.remove(id.as_str().unwrap());
        }
    } else if let Some(filter) = body.get("filter") {
        vectors.retain(|_, (_, metadata)| !matches(metadata, filter));
    } else {
        vectors.clear();
    }
    (200, json!({}))
}

fn matches(metadata: &Value, filter: &Value) -> bool {
    filter.as_object().unwrap().iter().all(|(name, condition)| {
        let (operator, bound) = condition.as_object().unwrap().iter().next().unwrap();
        let Some(value) = metadata.get(name) else { return false };
        match operator.as_str() {
            "$eq" => value == bound,
            "$gt" => value.as_f64().unwrap() > bound.as_f64().unwrap(),
            "$lte" => value.as_f64().unwrap() <= bound.as_f64().unwrap(),
            other => panic!("no such operator is wanted: {other}"),
        }
    })
}
