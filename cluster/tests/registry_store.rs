//! What is saved is there after a restart, and what is not sound is not read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod registry_support;

use std::fs;
use std::path::{Path, PathBuf};

use peerway_cluster::identity::ClusterName;
use peerway_cluster::registry::clock::MAX_AHEAD_MS;
use peerway_cluster::registry::store::{Loaded, WhenAhead};
use peerway_cluster::registry::{Limits, Record, Registry, Store, StoreError};
use proptest::prelude::*;
use registry_support::{START_MS, actor, key, node, records, registry, team};

fn cluster() -> ClusterName {
    "test".parse().unwrap()
}

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, &cluster())
}

fn load(path: &Path, wall_ms: u64, when_ahead: WhenAhead) -> Result<Loaded, StoreError> {
    open(path)?.load(wall_ms, actor(0), Limits::default(), when_ahead)
}

fn save(store: &Store, registry: &mut Registry) {
    if let Some(unsaved) = registry.take_unsaved() {
        store.save(&unsaved).unwrap();
    }
}

fn file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("registry.redb")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_at_any_point_gives_the_same_registry(
        acts in prop::collection::vec((0..4u8, 0..8u8, prop::collection::vec(any::<u8>(), 0..40)), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir);
        let (mut mine, mut other) = (registry(0), registry(1));
        let mut store = open(&path).unwrap();
        for (step, (what, id, value)) in acts.into_iter().enumerate() {
            let wall_ms = START_MS + step as u64;
            match what {
                0 => drop(mine.put(wall_ms, key(&format!("k{id}")), &value).unwrap()),
                1 => drop(mine.remove(wall_ms, key(&format!("k{id}"))).unwrap()),
                2 => {
                    other.put(wall_ms, team(&format!("k{id}")), &value).unwrap();
                    let merged = mine.merge(wall_ms, &node(1), records(&other));
                    prop_assert!(merged.refused.is_empty());
                    mine.adopt(wall_ms, other.versions());
                }
                _ => {
                    save(&store, &mut mine);
                    drop(store);
                    store = open(&path).unwrap();
                    let loaded = store.load(wall_ms, actor(0), Limits::default(), WhenAhead::Refuse).unwrap();
                    prop_assert_eq!(records(&loaded.registry), records(&mine));
                    prop_assert_eq!(loaded.registry.digest(), mine.digest());
                    prop_assert_eq!(loaded.registry.versions(), mine.versions());
                    prop_assert_eq!(loaded.registry.bytes(), mine.bytes());
                    prop_assert!(loaded.dropped.is_empty());
                    mine = loaded.registry;
                    prop_assert!(mine.take_unsaved().is_none());
                }
            }
        }
    }
}

#[test]
fn after_a_restart_with_the_clock_set_back_writes_are_still_later() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&file(&dir)).unwrap();
    let mut mine = registry(0);
    let before = mine.put(START_MS, key("k"), b"before").unwrap().record.stamp;
    save(&store, &mut mine);
    drop(store);
    let mut mine = load(&file(&dir), START_MS - 100_000, WhenAhead::Refuse).unwrap().registry;
    let after = mine.put(START_MS - 100_000, key("k"), b"after").unwrap().record.stamp;
    assert!(after > before);
    assert_eq!(mine.own_writes(before.time, usize::MAX).unwrap().records.len(), 1);
}

#[test]
fn what_could_not_be_saved_comes_with_the_next_batch() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&file(&dir)).unwrap();
    let mut mine = registry(0);
    mine.put(START_MS, key("a"), b"1").unwrap();
    let failed = mine.take_unsaved().unwrap();
    assert!(mine.take_unsaved().is_none());
    mine.put(START_MS, key("b"), b"2").unwrap();
    mine.not_saved(failed);
    save(&store, &mut mine);
    drop(store);
    let loaded = load(&file(&dir), START_MS, WhenAhead::Refuse).unwrap().registry;
    assert_eq!(records(&loaded), records(&mine));
}

#[test]
fn another_cluster_or_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&file(&dir)).unwrap();
    let in_use = open(&file(&dir)).unwrap_err();
    assert!(matches!(in_use, StoreError::InUse { .. }), "{in_use}");
    drop(store);
    let foreign = Store::open(&file(&dir), &"else".parse().unwrap()).unwrap_err();
    assert!(matches!(foreign, StoreError::Foreign { .. }));
    assert!(foreign.to_string().contains("belongs to cluster \"test\", but this node is of \"else\""), "{foreign}");
    assert!(open(&file(&dir)).is_ok(), "the refused one did no harm");
    let nowhere = open(&dir.path().join("no/such/folder")).unwrap_err();
    assert!(matches!(nowhere, StoreError::Failed { action: "open", .. }), "{nowhere}");
}

#[test]
fn records_of_the_future_are_refused_or_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&file(&dir)).unwrap();
    let mut mine = registry(0);
    mine.put(START_MS, key("old"), b"").unwrap();
    mine.put(START_MS + MAX_AHEAD_MS + 1_000, key("future"), b"").unwrap();
    save(&store, &mut mine);
    drop(store);
    let refused = load(&file(&dir), START_MS, WhenAhead::Refuse).unwrap_err();
    assert!(matches!(refused, StoreError::Ahead { records: 1, by_ms: 301_000, .. }), "{refused}");
    let store = open(&file(&dir)).unwrap();
    let Loaded { mut registry, dropped } = store.load(START_MS, actor(0), Limits::default(), WhenAhead::Drop).unwrap();
    assert_eq!(dropped.iter().map(|record| &record.key).collect::<Vec<_>>(), [&key("future")]);
    registry.put(START_MS, key("new"), b"").unwrap();
    save(&store, &mut registry);
    drop(store);
    let again = load(&file(&dir), START_MS, WhenAhead::Refuse).unwrap().registry;
    assert_eq!(records(&again), records(&registry));
}

/// A file with some hundred records, and what they are.
fn saved(path: &Path) -> Vec<Record> {
    let store = open(path).unwrap();
    let mut mine = registry(0);
    for number in 0..300 {
        mine.put(START_MS, key(&format!("key-{number}")), &[number as u8; 300]).unwrap();
    }
    save(&store, &mut mine);
    records(&mine)
}

#[test]
fn a_damaged_file_is_refused_or_reads_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir);
    let expected = saved(&path);
    let sound = fs::read(&path).unwrap();
    let (mut refused, mut unharmed) = (0, 0);
    let mut check = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        match load(&path, START_MS, WhenAhead::Refuse) {
            Ok(loaded) => {
                assert_eq!(records(&loaded.registry), expected, "{what}");
                unharmed += 1;
            }
            Err(StoreError::Damaged { path: named, reason }) => {
                assert_eq!(named, path);
                let text = StoreError::Damaged { path: named, reason }.to_string();
                assert!(text.contains("remove it and start again"), "{text}");
                refused += 1;
            }
            // Lengths and names in the header may be what was hit.
            Err(StoreError::Foreign { .. } | StoreError::Ahead { .. } | StoreError::Failed { .. }) => refused += 1,
            Err(other) => panic!("{what}: {other}"),
        }
    };
    // Only where there is something: most of a fresh file is empty pages.
    let used: Vec<usize> = (0..sound.len()).filter(|at| sound[*at] != 0).collect();
    for at in used.iter().step_by(used.len() / 150) {
        let mut bytes = sound.clone();
        bytes[*at] ^= 0x55;
        check(&bytes, &format!("byte {at} changed"));
    }
    for part in 1..8 {
        check(&sound[..sound.len() * part / 8], &format!("cut to {part} eighths"));
    }
    check(b"this is not a database", "text");
    println!("{refused} damaged files refused, {unharmed} read as they were");
    assert!(refused > 100);
}
