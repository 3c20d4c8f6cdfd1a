//! Weaviate, over REST, and GraphQL where it searches.
//!
//! What has to be minded: whole numbers are of 32 bits in GraphQL and come back as null beyond that, so expiry is a
//! double and the generation is text; a batch of objects is answered with success although each of them failed; and a
//! class takes the length of its vectors from the first one, so the length is part of its name.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
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

/// `id` is the object's own.
const ID: &str = "entry_id";
/// A deletion takes as many objects as a query may return, usually 10,000; so often it is asked again.
const MAX_ROUNDS: usize = 100;

impl VectorDatabase {
    /// Weaviate at the URL of its HTTP port.
    pub fn weaviate(
        connection: Connection,
        transport: Arc<dyn Transport>,
        limits: Limits,
        clock: Clock,
    ) -> VectorDatabase {
        let name = format!("weaviate at {}", connection.place());
        let rest = Rest::new(transport, &connection, |key| (AUTHORIZATION, format!("Bearer {key}")));
        VectorDatabase::new(Weaviate { rest: Arc::new(rest), connection, name }, limits, clock)
    }
}

#[derive(Debug)]
struct Weaviate {
    rest: Arc<Rest>,
    connection: Connection,
    name: String,
}

#[async_trait]
impl Database for Weaviate {
    fn name(&self) -> &str {
        &self.name
    }

    async fn open(&self, embedding: &str, dimension: usize) -> Result<Box<dyn Collection>, Failure> {
        let class = class_name(&names::collection(&self.connection.collection, embedding, dimension));
        let schema = match self.schema(&class).await? {
            Some(schema) => schema,
            None => self.create(&class).await?,
        };
        check(&class, &schema).map_err(Failure::Lost)?;
        Ok(Box::new(Objects { rest: Arc::clone(&self.rest), class }))
    }
}

/// A class begins with a capital letter.
fn class_name(collection: &str) -> String {
    let mut letters = collection.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

impl Weaviate {
    /// None if there is no such class.
    async fn schema(&self, class: &str) -> Result<Option<Value>, Failure> {
        match self.rest.ask(Method::GET, &format!("/v1/schema/{class}"), None).await? {
            (status, schema) if status.is_success() => Ok(Some(schema)),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, answer) => Err(failure(status, &answer)),
        }
    }

    async fn create(&self, class: &str) -> Result<Value, Failure> {
        let exact = |name| {
            json!({ "name": name, "dataType": ["text"], "tokenization": "field",
                    "indexFilterable": true, "indexSearchable": false })
        };
        let kept = |name| {
            json!({ "name": name, "dataType": ["text"], "tokenization": "field",
                    "indexFilterable": false, "indexSearchable": false })
        };
        let schema = json!({
            "class": class,
            "description": "Prompts that the gateway's cache has answers to",
            "vectorizer": "none",
            "vectorIndexConfig": { "distance": "cosine" },
            "properties": [
                exact(NAMESPACE),
                exact(CONTEXT),
                kept(ID),
                kept(TEXT),
                kept(GENERATION),
                { "name": EXPIRES, "dataType": ["number"], "indexFilterable": true },
            ],
        });
        let created = self.rest.ask(Method::POST, "/v1/schema", Some(&schema)).await?;
        // Another node may have been faster.
        match (self.schema(class).await?, created) {
            (Some(schema), _) => Ok(schema),
            (None, (status, answer)) => Err(failure(status, &answer)),
        }
    }
}

/// Whether the class is one of vectors like ours.
fn check(class: &str, schema: &Value) -> Result<(), String> {
    let advice = "name another in `cache.semantic.vectors.collection` or delete it";
    let distance = schema.pointer("/vectorIndexConfig/distance").and_then(Value::as_str).unwrap_or_default();
    if distance != "cosine" {
        return Err(format!("the class `{class}` does not compare by cosine; {advice}"));
    }
    let properties = schema.get("properties").and_then(Value::as_array);
    for name in [NAMESPACE, CONTEXT, ID, TEXT, GENERATION, EXPIRES] {
        let is_there = |property: &Value| property.get("name").and_then(Value::as_str) == Some(name);
        if !properties.is_some_and(|properties| properties.iter().any(is_there)) {
            return Err(format!("the class `{class}` has no property `{name}`; {advice}"));
        }
    }
    Ok(())
}

/// The objects of a class.
#[derive(Debug)]
struct Objects {
    rest: Arc<Rest>,
    class: String,
}

impl Objects {
    /// Forgets at most what one deletion takes.
    async fn delete_some(&self, filter: &Value) -> Result<Swept, Failure> {
        let delete = json!({ "match": { "class": self.class, "where": filter }, "output": "minimal" });
        let answer = self.rest.demand(Method::DELETE, "/v1/batch/objects", Some(&delete)).await?;
        let results = answer.get("results").unwrap_or(&Value::Null);
        let count = |name| number(results, name).unwrap_or(0);
        if count("failed") > 0 {
            return Err(Failure::Refused(format!("did not delete {} objects", count("failed"))));
        }
        let is_all = count("matches") < count("limit") || count("matches") == 0;
        Ok(if is_all { Swept::All } else { Swept::Some })
    }
}

#[async_trait]
impl Collection for Objects {
    async fn nearest(
        &self,
        space: &SpaceName,
        vector: &[f32],
        k: usize,
        _floor: f32,
        now_ms: u64,
    ) -> Result<Vec<Option<Found>>, Failure> {
        // All that goes into the query is of digits, hexadecimal digits and names of ours.
        let (class, SpaceName { namespace, context }) = (&self.class, space);
        let query = format!(
            "{{ Get {{ {class}(limit: {k}, nearVector: {{ vector: {vector:?} }}, where: {{ operator: And, operands: [\
             {{ path: [\"{NAMESPACE}\"], operator: Equal, valueText: \"{namespace}\" }}, \
             {{ path: [\"{CONTEXT}\"], operator: Equal, valueText: \"{context}\" }}, \
             {{ path: [\"{EXPIRES}\"], operator: GreaterThan, valueNumber: {now_ms} }}] }}) \
             {{ {ID} {NAMESPACE} {CONTEXT} {TEXT} {GENERATION} {EXPIRES} _additional {{ distance }} }} }} }}"
        );
        let answer = self.rest.demand(Method::POST, "/v1/graphql", Some(&json!({ "query": query }))).await?;
        if let Some(error) = answer.pointer("/errors/0/message").and_then(Value::as_str) {
            return Err(Failure::Lost(names::brief(error)));
        }
        let objects = answer.pointer("/data/Get").and_then(|got| got.get(class)).and_then(Value::as_array);
        Ok(objects.into_iter().flatten().map(found).collect())
    }

    async fn put(&self, space: &SpaceName, stored: &Stored, vector: &[f32]) -> Result<(), Failure> {
        let batch = json!({ "objects": [{
            "class": self.class,
            "id": names::uuid(&stored.id),
            "vector": vector,
            "properties": {
                NAMESPACE: space.namespace,
                CONTEXT: space.context,
                ID: stored.id.to_string(),
                TEXT: &*stored.text,
                GENERATION: stored.generation.to_string(),
                EXPIRES: stored.expires_ms,
            },
        }] });
        let answer = self.rest.demand(Method::POST, "/v1/batch/objects", Some(&batch)).await?;
        match answer.pointer("/0/result/errors/error/0/message").and_then(Value::as_str) {
            Some(error) => Err(Failure::Refused(names::brief(error))),
            None => Ok(()),
        }
    }

    async fn delete(&self, id: &EntryId) -> Result<(), Failure> {
        let path = format!("/v1/objects/{}/{}", self.class, names::uuid(id));
        match self.rest.ask(Method::DELETE, &path, None).await? {
            (status, _) if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            (status, answer) => Err(failure(status, &answer)),
        }
    }

    async fn purge(&self, namespace: Option<&str>) -> Result<(), Failure> {
        let filter = match namespace {
            Some(namespace) => json!({ "path": [NAMESPACE], "operator": "Equal", "valueText": namespace }),
            None => json!({ "path": [EXPIRES], "operator": "GreaterThanEqual", "valueNumber": 0 }),
        };
        for _ in 0..MAX_ROUNDS {
            if self.delete_some(&filter).await? == Swept::All {
                return Ok(());
            }
        }
        Err(Failure::Refused(format!("has more than {MAX_ROUNDS} deletions take; ask again")))
    }

    async fn sweep(&self, now_ms: u64) -> Result<Swept, Failure> {
        let expired = json!({ "path": [EXPIRES], "operator": "LessThanEqual", "valueNumber": now_ms });
        self.delete_some(&expired).await
    }
}

/// None if it is not one of ours.
fn found(object: &Value) -> Option<Found> {
    Some(Found {
        id: text(object, ID)?.parse().ok()?,
        namespace: text(object, NAMESPACE)?,
        context: text(object, CONTEXT)?,
        cosine: 1.0 - object.pointer("/_additional/distance")?.as_f64()? as f32,
        text: text(object, TEXT)?,
        generation: text(object, GENERATION)?.parse().ok()?,
        expires_ms: number(object, EXPIRES)?,
    })
}
