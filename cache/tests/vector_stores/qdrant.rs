//! Qdrant by its own client: all promises, and what is particular to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use peerway_cache::vector_store::{Connection, Limits, VectorDatabase, Vectors as _};
use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::{
    CreateCollectionBuilder, Distance, FieldType, VectorParamsBuilder, VectorParamsMap, VectorsConfig, vectors_config,
};

use super::bench::{DIMENSION, Kept, NOW, Time, at, patient, space, stored};
use super::conformance;
use super::gate::{Gate, Way as OnTheWay};
use super::qdrant_server::{Lie, State, Way, serve};

const COLLECTION: &str = "peerway_static_1_3b321fc0_4";

fn database(address: SocketAddr, limits: Limits, time: &Time) -> VectorDatabase {
    let connection = Connection::new(&format!("http://{address}"), None, "peerway").unwrap();
    VectorDatabase::qdrant(connection, limits, time.clock())
}

async fn up() -> (Kept, Arc<State>) {
    let (address, state) = serve(None).await;
    (Kept::up(database(address, patient(), &Time::new())).await, state)
}

#[tokio::test]
async fn qdrant_holds_what_every_database_promises() {
    let (address, state) = serve(None).await;
    conformance::holds(|limits, time| database(address, limits, time), state.points()).await;
}

#[tokio::test]
async fn the_collection_is_made_for_cosine_with_indexes_for_what_is_filtered_by() {
    let (_kept, state) = up().await;
    let collections = state.collections.lock().unwrap();
    let held = &collections[COLLECTION];
    let config = held.create.vectors_config.as_ref().and_then(|config| config.config.as_ref());
    let Some(vectors_config::Config::Params(params)) = config else { panic!("{config:?}") };
    assert_eq!((params.size, params.distance), (DIMENSION as u64, Distance::Cosine as i32));
    let kind = |field: &str| held.indexes[field].field_type;
    assert_eq!(kind("namespace"), Some(FieldType::Keyword as i32));
    assert_eq!(kind("context"), Some(FieldType::Keyword as i32));
    assert_eq!(kind("expires_ms"), Some(FieldType::Integer as i32));
    let params = held.indexes["namespace"].field_index_params.as_ref().and_then(|params| params.index_params.as_ref());
    let Some(IndexParams::KeywordIndexParams(params)) = params else { panic!("{params:?}") };
    assert_eq!(params.is_tenant, Some(true));
}

#[tokio::test]
async fn nodes_that_start_at_once_make_one_collection() {
    let (address, state) = serve(None).await;
    let time = Time::new();
    let nodes: Vec<_> = (0..8).map(|_| Kept::new(database(address, patient(), &time))).collect();
    for node in &nodes {
        node.until("up", |stats| stats.is_up).await;
    }
    assert_eq!(state.created.load(Ordering::SeqCst), 1);
    nodes[0].insert("a", 1, 0.0).await;
    assert_eq!(nodes[7].near("a").await, [1]);
}

/// Why a database with this collection does not come up.
async fn refusal(config: impl Into<VectorsConfig>) -> String {
    let (address, state) = serve(None).await;
    let kept = Kept::up(database(address, patient(), &Time::new())).await;
    drop(kept);
    let create = CreateCollectionBuilder::new(COLLECTION).vectors_config(config).build();
    state.collections.lock().unwrap().get_mut(COLLECTION).unwrap().create = create;
    let kept = Kept::new(database(address, patient(), &Time::new()));
    let stats = kept.until("refused", |stats| stats.last_failure.is_some()).await;
    assert!(!stats.is_up);
    stats.last_failure.unwrap()
}

#[tokio::test]
async fn a_collection_of_another_length_or_distance_is_refused_by_name() {
    let advice = "name another in `cache.semantic.vectors.collection` or delete it";
    let said = refusal(VectorParamsBuilder::new(384, Distance::Cosine)).await;
    let lengths = "holds vectors of length 384, and the embedder's are of length 4";
    assert_eq!(said, format!("the collection `{COLLECTION}` {lengths}; {advice}"));
    let said = refusal(VectorParamsBuilder::new(DIMENSION as u64, Distance::Euclid)).await;
    assert_eq!(said, format!("the collection `{COLLECTION}` does not compare by cosine; {advice}"));
    let named = VectorParamsMap::default();
    let said = refusal(VectorsConfig { config: Some(vectors_config::Config::ParamsMap(named)) }).await;
    assert!(said.contains("has named vectors"), "{said}");
}

#[tokio::test]
async fn a_key_lets_in_and_is_in_no_message() {
    let (address, _) = serve(Some("q-secret")).await;
    let with = |key| {
        let connection = Connection::new(&format!("http://{address}"), key, "peerway").unwrap();
        VectorDatabase::qdrant(connection, patient(), Time::new().clock())
    };
    for key in [None, Some("q-wrong")] {
        let kept = Kept::new(with(key));
        let stats = kept.until("refused", |stats| stats.last_failure.is_some()).await;
        let said = stats.last_failure.unwrap();
        assert!(said.contains("Invalid API key") && !said.contains("q-wrong"), "{said}");
        assert!(!format!("{:?}", kept.database).contains("q-wrong"));
    }
    let kept = Kept::up(with(Some("q-secret"))).await;
    kept.insert("a", 1, 0.0).await;
    assert_eq!(kept.near("a").await, [1]);
}

#[tokio::test]
async fn nothing_that_a_lying_server_says_gets_through() {
    let (kept, state) = up().await;
    for number in 1..=10 {
        kept.insert("a", number, f32::from(number)).await;
        kept.insert("b", 100 + number, 0.0).await;
    }
    let expected = [1, 2, 3, 4, 5, 6, 7, 8];
    for (lie, expected) in
        [(Lie::OtherTenants, &expected[..]), (Lie::NotANumber, &[]), (Lie::NoPayload, &[]), (Lie::WrongTypes, &[])]
    {
        state.set(Way::Lies(lie));
        assert_eq!(kept.near("a").await, expected, "{lie:?}");
    }
    assert_eq!(kept.database.stats().refused_points, 10 + 3 * 8);
}

#[tokio::test]
async fn a_server_that_goes_away_is_a_miss_at_once_and_comes_back_by_itself() {
    let (address, _) = serve(None).await;
    let gate = Gate::before(address).await;
    let kept = Kept::up(database(gate.address, patient(), &Time::new())).await;
    kept.insert("a", 1, 0.0).await;
    gate.set(OnTheWay::Cut);
    kept.error().await;
    kept.until("down", |stats| !stats.is_up).await;
    assert!(kept.error().await.ends_with("is not connected"));
    gate.set(OnTheWay::Open);
    kept.until("up", |stats| stats.is_up).await;
    assert_eq!(kept.near("a").await, [1]);
}

#[tokio::test]
async fn a_connection_that_silently_died_is_given_up_and_made_anew() {
    let (address, _) = serve(None).await;
    let gate = Gate::before(address).await;
    let limits = Limits { deadline: Duration::from_millis(100), ..Limits::default() };
    let kept = Kept::up(database(gate.address, limits, &Time::new())).await;
    gate.set(OnTheWay::Swallows);
    let mut late = 0;
    while kept.database.stats().is_up {
        assert!(kept.error().await.ends_with("took more than 100 ms"));
        late += 1;
    }
    assert!(late >= 5, "{late}");
    kept.until("up", |stats| stats.is_up).await;
    // The first answer over a new connection may be late on a busy machine, but not for ever.
    while kept.database.search(&space("a"), &at(0.0), 8, 0.0).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_slow_server_costs_a_search_its_deadline_and_no_more() {
    let (address, state) = serve(None).await;
    let limits = Limits { deadline: Duration::from_millis(20), ..Limits::default() };
    let kept = Kept::up(database(address, limits, &Time::new())).await;
    state.set(Way::Hung);
    let error = kept.error().await;
    assert_eq!(error, format!("qdrant at {address}: took more than 20 ms"));
    assert_eq!(kept.database.stats().failed_searches, 1);
}

#[tokio::test]
async fn a_collection_that_was_deleted_is_made_again() {
    let (kept, state) = up().await;
    kept.insert("a", 1, 0.0).await;
    state.wipe();
    let error = kept.error().await;
    assert!(error.contains("doesn't exist"), "{error}");
    kept.until("up", |stats| stats.is_up).await;
    kept.insert("a", 2, 0.0).await;
    assert_eq!(kept.near("a").await, [2]);
    state.set(Way::Unavailable);
    let error = kept.error().await;
    assert!(error.contains("Unavailable: shutting down"), "{error}");
}

#[tokio::test]
async fn a_sweep_is_bounded_and_goes_on() {
    let (address, state) = serve(None).await;
    let time = Time::new();
    let kept = Kept::up(database(address, patient(), &time)).await;
    let entry = |number: u16| {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        peerway_cache::vector_store::Stored { id: id.into(), expires_ms: NOW + 1, ..stored(0, "old") }
    };
    let mut points = state.points();
    for hundred in 0..15 {
        let (space, vector) = (space("a"), at(0.0));
        let entries: Vec<_> = (0..100).map(|number| entry(hundred * 100 + number)).collect();
        let inserts = entries.iter().map(|entry| kept.database.insert(&space, entry, &vector));
        futures_util::future::try_join_all(inserts).await.unwrap();
    }
    time.pass(1);
    assert_eq!(*points.borrow_and_update(), 1500);
    let before = state.scrolled.load(Ordering::SeqCst);
    let _sweeper = Kept::up(database(address, Limits { sweep: Duration::from_millis(1), ..patient() }, &time)).await;
    points.wait_for(|points| *points == 500).await.unwrap();
    points.wait_for(|points| *points == 0).await.unwrap();
    assert!(state.scrolled.load(Ordering::SeqCst) >= before + 2);
}
