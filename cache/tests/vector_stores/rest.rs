//! Weaviate and Pinecone: all promises, and what is particular to each.

use peerway_cache::vector_store::Connection;
use peerway_cache::vector_store::VectorDatabase;
use serde_json::json;

use super::bench::{DIMENSION, Kept, Time, patient};
use super::conformance;
use super::pinecone_server::PineconeServer;
use super::weaviate_server::WeaviateServer;

const CLASS: &str = "Peerway_static_1_3b321fc0_4";

#[tokio::test]
async fn weaviate_holds_what_every_database_promises() {
    let server = WeaviateServer::new();
    let points = server.points();
    conformance::holds(|limits, time| server.database(limits, time), points).await;
}

#[tokio::test]
async fn pinecone_holds_what_every_database_promises() {
    let server = PineconeServer::new(DIMENSION, "cosine");
    let points = server.points();
    conformance::holds(|limits, time| server.database(limits, time), points).await;
}

/// Why it does not come up.
async fn refusal(database: VectorDatabase) -> String {
    let kept = Kept::new(database);
    let stats = kept.until("refused", |stats| stats.last_failure.is_some()).await;
    assert!(!stats.is_up);
    stats.last_failure.unwrap()
}

#[tokio::test]
async fn weaviate_classes_that_are_none_of_ours_are_refused_by_name() {
    let server = WeaviateServer::new();
    drop(Kept::up(server.database(patient(), &Time::new())).await);
    let ours = server.schema(CLASS).expect("the name says embedder and length");

    let mut other = ours.clone();
    other["vectorIndexConfig"]["distance"] = json!("dot");
    server.make(CLASS, other);
    let said = refusal(server.database(patient(), &Time::new())).await;
    let advice = "name another in `cache.semantic.vectors.collection` or delete it";
    assert_eq!(said, format!("the class `{CLASS}` does not compare by cosine; {advice}"));

    let mut other = ours.clone();
    other["properties"].as_array_mut().unwrap().remove(1);
    server.make(CLASS, other);
    let said = refusal(server.database(patient(), &Time::new())).await;
    assert_eq!(said, format!("the class `{CLASS}` has no property `context`; {advice}"));

    let connection = Connection::new("http://weaviate.test:8080", Some("wrong"), "peerway").unwrap();
    let database = VectorDatabase::weaviate(connection, server.clone(), patient(), Time::new().clock());
    assert_eq!(refusal(database).await, "answered 401 Unauthorized: anonymous access not enabled");
}

#[tokio::test]
async fn pinecone_indexes_that_do_not_fit_are_refused_by_name() {
    let advice = "make an index that fits and put its host into `cache.semantic.vectors.url`";
    let said = refusal(PineconeServer::new(1536, "cosine").database(patient(), &Time::new())).await;
    let lengths = "the index holds vectors of length 1536, and the embedder's are of length 4";
    assert_eq!(said, format!("{lengths}; {advice}"));
    let said = refusal(PineconeServer::new(DIMENSION, "euclidean").database(patient(), &Time::new())).await;
    assert_eq!(said, format!("the index compares by euclidean, not by cosine; {advice}"));
    let server = PineconeServer::new(DIMENSION, "cosine");
    let said = refusal(server.database_with(patient(), &Time::new(), "wrong")).await;
    assert_eq!(said, "answered 401 Unauthorized: ");
}

#[tokio::test]
async fn pinecone_keeps_each_embedding_space_in_a_namespace_of_the_index() {
    let server = PineconeServer::new(DIMENSION, "cosine");
    let kept = Kept::up(server.database(patient(), &Time::new())).await;
    kept.insert("a", 1, 0.0).await;
    assert_eq!(server.namespaces(), ["peerway_static_1_3b321fc0_4"]);
}
