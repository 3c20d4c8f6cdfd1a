//! What every kind of database is held to.

use std::time::Duration;

use peerway_cache::vector::Space;
use peerway_cache::vector_store::{Limits, Stored, VectorDatabase, Vectors as _};
use tokio::sync::watch;

use super::bench::{Kept, NOW, PATIENCE, Time, at, id, namespace, patient, space, stored};

/// All promises at an empty database; `make` connects to it, `points` is how many it holds.
pub(crate) async fn holds(make: impl Fn(Limits, &Time) -> VectorDatabase, mut points: watch::Receiver<usize>) {
    let time = Time::new();
    let kept = Kept::up(make(patient(), &time)).await;
    finds_the_nearest(&kept).await;
    keeps_tenants_apart(&kept).await;
    replaces_and_deletes(&kept).await;
    gives_back_what_it_was_given(&kept).await;
    takes_no_vector_without_direction(&kept).await;
    purges(&kept).await;
    // Another node, or this one after a restart, opens what is there.
    kept.insert("a", 1, 0.0).await;
    let other = Kept::up(make(patient(), &time)).await;
    assert_eq!(other.near("a").await, [1]);
    kept.database.purge(None).await.unwrap();
    drop(kept);
    forgets_what_expired(&other, &time, &mut points, |limits| make(limits, &time)).await;
}

async fn finds_the_nearest(kept: &Kept) {
    assert!(kept.near("a").await.is_empty());
    for (number, degrees) in [(1, 50.0), (2, 10.0), (3, 30.0), (4, 170.0)] {
        kept.insert("a", number, degrees).await;
    }
    assert_eq!(kept.near("a").await, [2, 3, 1], "the nearest first, none below the floor");
    let near = kept.database.search(&space("a"), &at(0.0), 2, 0.0).await.unwrap();
    assert_eq!(near.len(), 2, "no more than asked for");
    assert!((near[0].cosine - 10_f32.to_radians().cos()).abs() < 1e-4, "{}", near[0].cosine);
    let floor = 40_f32.to_radians().cos();
    assert_eq!(kept.database.search(&space("a"), &at(0.0), 8, floor).await.unwrap().len(), 2);
    assert!(kept.database.search(&space("a"), &at(0.0), 0, 0.0).await.unwrap().is_empty());
    // The length of a vector says nothing.
    let twice: Vec<f32> = at(10.0).iter().map(|part| part * 2.0).collect();
    let near = kept.database.search(&space("a"), &twice, 1, 0.99).await.unwrap();
    assert!((near[0].cosine - 1.0).abs() < 1e-4, "{}", near[0].cosine);
}

async fn keeps_tenants_apart(kept: &Kept) {
    kept.insert("b", 5, 1.0).await;
    assert_eq!(kept.near("b").await, [5]);
    assert_eq!(kept.near("a").await, [2, 3, 1]);
    assert!(kept.near("c").await.is_empty());
    let other_context = Space { context: [2; 32], ..space("a") };
    assert!(kept.near_in(&other_context).await.is_empty());
}

async fn replaces_and_deletes(kept: &Kept) {
    kept.insert("a", 2, 40.0).await;
    assert_eq!(kept.near("a").await, [3, 2, 1]);
    kept.database.delete(&id(3)).await.unwrap();
    assert_eq!(kept.near("a").await, [2, 1]);
    kept.database.delete(&id(3)).await.unwrap();
    kept.database.delete(&id(99)).await.unwrap();
    assert_eq!(kept.near("a").await, [2, 1]);
    assert_eq!(kept.near("b").await, [5]);
}

async fn gives_back_what_it_was_given(kept: &Kept) {
    let texts =
        ["", "\"quoted\" \\ {braces} } #", "one\nline\tand\r\nanother", "Grüße an 東京 👋", &"long ".repeat(6000)];
    for (number, text) in texts.iter().enumerate() {
        // Beyond what a double holds, up to what a signed number does.
        let generation = (1 << 60) + number as u64;
        let stored = Stored { generation, ..stored(20, text) };
        kept.database.insert(&space("texts"), &stored, &at(0.0)).await.unwrap();
        let near = kept.database.search(&space("texts"), &at(0.0), 8, 0.0).await.unwrap();
        let [near] = near.as_slice() else { panic!("{near:?}") };
        assert_eq!((&*near.text, near.generation, near.id), (*text, generation, id(20)));
    }
    let too_long = stored(21, &"x".repeat(40_000));
    let error = kept.database.insert(&space("texts"), &too_long, &at(0.0)).await.unwrap_err().to_string();
    assert!(error.contains("more than 32768 bytes"), "{error}");
    let forever = Stored { expires_ms: u64::MAX, ..stored(22, "forever") };
    kept.database.insert(&space("forever"), &forever, &at(0.0)).await.unwrap();
    assert_eq!(kept.near("forever").await, [22]);
}

async fn takes_no_vector_without_direction(kept: &Kept) {
    let before = kept.near("a").await;
    let bad = [vec![0.0; 4], vec![f32::NAN, 0.0, 0.0, 0.0], vec![f32::INFINITY; 4], at(0.0)[..3].to_vec(), Vec::new()];
    for vector in bad {
        assert!(kept.database.insert(&space("a"), &stored(9, "bad"), &vector).await.is_err(), "{vector:?}");
        assert!(kept.database.search(&space("a"), &vector, 8, 0.0).await.is_err(), "{vector:?}");
    }
    assert_eq!(kept.near("a").await, before);
    assert!(kept.database.stats().is_up, "a bad question is no reason to leave");
}

async fn purges(kept: &Kept) {
    kept.database.purge(Some(&namespace("a"))).await.unwrap();
    assert!(kept.near("a").await.is_empty());
    assert_eq!(kept.near("b").await, [5]);
    kept.database.purge(Some(&namespace("nobody"))).await.unwrap();
    kept.database.purge(None).await.unwrap();
    for tenant in ["a", "b", "texts", "forever"] {
        assert!(kept.near(tenant).await.is_empty(), "{tenant}");
    }
    kept.database.purge(None).await.unwrap();
}

async fn forgets_what_expired(
    kept: &Kept,
    time: &Time,
    points: &mut watch::Receiver<usize>,
    make: impl Fn(Limits) -> VectorDatabase,
) {
    kept.insert("a", 1, 0.0).await;
    let longer = Stored { expires_ms: NOW + 600_000, ..stored(2, "longer") };
    kept.database.insert(&space("a"), &longer, &at(5.0)).await.unwrap();
    assert_eq!(kept.near("a").await, [1, 2]);
    time.pass(60_000);
    assert_eq!(kept.near("a").await, [2], "what expired is not found, swept or not");
    assert_eq!(*points.borrow_and_update(), 2);
    let _sweeper = Kept::up(make(Limits { sweep: Duration::from_millis(1), ..patient() })).await;
    tokio::time::timeout(PATIENCE, points.wait_for(|points| *points == 1)).await.expect("swept").unwrap();
    assert_eq!(kept.near("a").await, [2]);
}
