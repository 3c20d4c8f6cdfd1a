//! What the shell around every kind promises, at databases that are not there, come late and lie.

use std::sync::Arc;
use std::time::Duration;

use peerway_cache::vector_store::{Limits, VectorDatabase, Vectors as _};

use super::bench::{Kept, Time, at, patient, space, stored};
use super::weaviate_server::{Lie, Way, WeaviateServer};

fn database(server: &Arc<WeaviateServer>, limits: Limits) -> VectorDatabase {
    server.database(limits, &Time::new())
}

#[tokio::test]
async fn before_it_is_open_and_while_it_is_down_there_is_an_error_at_once_and_no_request() {
    let server = WeaviateServer::new();
    server.set(Way::Down);
    let kept = Kept::new(database(&server, patient()));
    kept.until("a first failure", |stats| stats.last_failure.is_some()).await;
    let asked = server.asked_to_search();
    let error = kept.error().await;
    assert_eq!(error, "weaviate at weaviate.test:8080: is not connected");
    assert!(kept.database.insert(&space("a"), &stored(1, "x"), &at(0.0)).await.is_err());
    assert_eq!(server.asked_to_search(), asked);
    let stats = kept.database.stats();
    assert_eq!((stats.is_up, stats.searches, stats.failed_searches, stats.failed_writes), (false, 1, 1, 1));
    server.set(Way::Up);
    let stats = kept.until("up", |stats| stats.is_up).await;
    assert_eq!(stats.last_failure, None);
    kept.insert("a", 1, 0.0).await;
    assert_eq!(kept.near("a").await, [1]);
}

#[tokio::test]
async fn one_that_goes_down_is_left_at_once_and_used_again_when_it_is_back() {
    let server = WeaviateServer::new();
    let kept = Kept::up(database(&server, patient())).await;
    kept.insert("a", 1, 0.0).await;
    for _ in 0..3 {
        server.set(Way::Down);
        kept.error().await;
        let stats = kept.until("down", |stats| !stats.is_up).await;
        assert!(stats.last_failure.unwrap().contains("refused"));
        server.set(Way::Up);
        kept.until("up", |stats| stats.is_up).await;
        assert_eq!(kept.near("a").await, [1]);
    }
}

#[tokio::test]
async fn one_that_lost_its_collection_gets_it_made_again() {
    let server = WeaviateServer::new();
    let kept = Kept::up(database(&server, patient())).await;
    kept.insert("a", 1, 0.0).await;
    server.wipe();
    kept.error().await;
    kept.until("up", |stats| stats.is_up).await;
    kept.insert("a", 2, 0.0).await;
    assert_eq!(kept.near("a").await, [2]);
}

#[tokio::test]
async fn what_comes_after_the_deadline_is_a_miss_and_after_a_few_the_connection_is_made_anew() {
    let server = WeaviateServer::new();
    let limits = Limits { deadline: Duration::from_millis(20), ..Limits::default() };
    let kept = Kept::up(database(&server, limits)).await;
    server.set(Way::Hung);
    let error = kept.error().await;
    assert_eq!(error, "weaviate at weaviate.test:8080: took more than 20 ms");
    assert!(kept.database.stats().is_up, "one late answer is no reason to leave");
    let mut late = 1;
    while kept.database.stats().is_up {
        kept.error().await;
        late += 1;
    }
    assert_eq!(late, 5);
    assert_eq!(kept.error().await, "weaviate at weaviate.test:8080: is not connected");
}

#[tokio::test]
async fn a_request_that_is_refused_closes_nothing_for_others() {
    let server = WeaviateServer::new();
    let kept = Kept::up(database(&server, patient())).await;
    kept.insert("a", 1, 0.0).await;
    server.set(Way::RefusesWrites);
    for _ in 0..20 {
        let error = kept.database.insert(&space("a"), &stored(2, "x"), &at(0.0)).await.unwrap_err().to_string();
        assert!(error.contains("invalid object"), "{error}");
    }
    let stats = kept.database.stats();
    assert_eq!((stats.is_up, stats.writes, stats.failed_writes), (true, 1, 20));
    assert_eq!(kept.near("a").await, [1]);
}

#[tokio::test]
async fn nothing_that_a_lying_database_says_gets_through() {
    let server = WeaviateServer::new();
    let kept = Kept::up(database(&server, patient())).await;
    for number in 1..=20 {
        kept.insert("a", number, f32::from(number)).await;
        kept.insert("b", 100 + number, f32::from(number) / 2.0).await;
    }
    let expected = [1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(kept.near("a").await, expected);
    let cases = [
        (Lie::OtherTenants, &expected[..]),
        (Lie::TooMany, &expected[..]),
        (Lie::Disorder, &expected[..]),
        (Lie::NoCosine, &[]),
        (Lie::ImpossibleCosine, &[]),
        (Lie::Fields, &[]),
        (Lie::Nonsense, &[]),
    ];
    for (lie, expected) in cases {
        server.set(Way::Lies(lie));
        assert_eq!(kept.near("a").await, expected, "{lie:?}");
    }
    assert!(kept.database.stats().refused_points > 40, "{:?}", kept.database.stats());
    assert!(kept.database.stats().is_up);
}
