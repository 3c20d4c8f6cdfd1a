#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "for tests")]
//! One cache over three nodes: an answer that one node fetched is a hit on every node, whatever happens to the owner.

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use peerway_cache::{Alone, CacheConfig, Recorded, RingCache, Stored, TenantScope};
use support::{KEY, NOW, Simulation, Way, entry, has, node_id, owned_by, scope};

const THREE: [&str; 3] = ["a", "b", "c"];

#[tokio::test]
async fn an_answer_put_at_any_node_is_a_hit_at_every_node() {
    let simulation = Simulation::start(&THREE);
    for number in 0..60 {
        let at = &simulation.names()[number % 3];
        let entry = entry(&simulation.cache(at), number, 100);
        assert_eq!(simulation.cache(at).put(entry.clone()).await, Stored::Acknowledged);
        for name in simulation.names() {
            let found = simulation.cache(&name).get(&entry.id, &entry.namespace).await;
            assert_eq!(found.as_deref(), Some(&entry), "{number} at {name}");
        }
    }
    let held: u64 = simulation.names().iter().map(|name| simulation.cache(name).stats().entries).sum();
    assert_eq!(held, 120, "each entry lies with its owner and its replica");
}

#[tokio::test]
async fn a_remote_hit_is_kept_near_and_asks_nobody_again() {
    let simulation = Simulation::start(&THREE);
    let (owner, _, other) = simulation.roles(&entry(&simulation.cache(&node_id("a")), 1, 1).id);
    let entry = entry(&simulation.cache(&owner), 1, 100);
    simulation.cache(&owner).put(entry.clone()).await;
    let cache = simulation.cache(&other);
    assert!(cache.get_local(&entry.id, &entry.namespace).is_none());
    assert!(has(&simulation, &other, &entry.id, &entry.namespace).await);
    let calls = simulation.calls.load(Ordering::SeqCst);
    assert!(cache.get_local(&entry.id, &entry.namespace).is_some());
    assert!(has(&simulation, &other, &entry.id, &entry.namespace).await);
    assert_eq!(simulation.calls.load(Ordering::SeqCst), calls);
    let stats = cache.stats();
    assert_eq!((stats.hits_remote, stats.hits_near, stats.misses), (1, 2, 0));
    let owner = simulation.cache(&owner).stats();
    assert_eq!((owner.hits_local, owner.served_hits), (0, 1));
}

#[tokio::test]
async fn what_nobody_has_is_a_miss() {
    let simulation = Simulation::start(&THREE);
    for name in simulation.names() {
        let cache = simulation.cache(&name);
        let entry = entry(&cache, 7, 1);
        assert!(cache.get(&entry.id, &entry.namespace).await.is_none());
        assert_eq!(cache.stats().misses, 1);
    }
}

#[tokio::test]
async fn a_dead_owner_is_no_loss_before_anybody_has_noticed() {
    let simulation = Simulation::start(&THREE);
    let (owner, replica, other) = simulation.roles(&entry(&simulation.cache(&node_id("a")), 1, 1).id);
    let entry = entry(&simulation.cache(&other), 1, 100);
    simulation.cache(&replica).put(entry.clone()).await;
    simulation.set(&owner, Way::Dead);
    assert!(has(&simulation, &other, &entry.id, &entry.namespace).await);
    assert!(has(&simulation, &replica, &entry.id, &entry.namespace).await);
    assert_eq!(simulation.cache(&other).stats().hedges, 0, "a call that fails at once needs no waiting");
}

#[tokio::test]
async fn a_hung_owner_loses_against_the_replica() {
    let simulation = Simulation::start_with(&THREE, |config| config.first_hedge = Duration::from_millis(1));
    let (owner, replica, other) = simulation.roles(&entry(&simulation.cache(&node_id("a")), 1, 1).id);
    let entry = entry(&simulation.cache(&other), 1, 100);
    simulation.cache(&replica).put(entry.clone()).await;
    simulation.set(&owner, Way::Hung);
    let started = Instant::now();
    assert!(has(&simulation, &other, &entry.id, &entry.namespace).await);
    assert!(started.elapsed() < Duration::from_secs(5), "the deadline of ten seconds was waited for");
    let stats = simulation.cache(&other).stats();
    assert_eq!((stats.hedges, stats.hedges_won), (1, 1));
}

#[tokio::test]
async fn a_replica_without_the_entry_does_not_win_against_a_slow_owner() {
    let simulation = Simulation::start_with(&THREE, |config| config.first_hedge = Duration::ZERO);
    let (owner, replica, other) = simulation.roles(&entry(&simulation.cache(&node_id("a")), 1, 1).id);
    simulation.set(&replica, Way::Dead);
    let entry = entry(&simulation.cache(&other), 1, 100);
    simulation.cache(&owner).put(entry.clone()).await;
    simulation.set(&replica, Way::Up);
    simulation.set(&owner, Way::Last);
    assert!(has(&simulation, &other, &entry.id, &entry.namespace).await);
    let stats = simulation.cache(&other).stats();
    assert_eq!((stats.hedges, stats.hedges_won), (1, 0));
}

#[tokio::test]
async fn when_all_holders_hang_it_is_a_miss_at_the_deadline() {
    let deadline = Duration::from_millis(30);
    let simulation = Simulation::start_with(&THREE, |config| config.get_deadline = deadline);
    let (owner, replica, other) = simulation.roles(&entry(&simulation.cache(&node_id("a")), 1, 1).id);
    let entry = entry(&simulation.cache(&other), 1, 100);
    simulation.set(&owner, Way::Hung);
    simulation.set(&replica, Way::Hung);
    let started = Instant::now();
    assert!(!has(&simulation, &other, &entry.id, &entry.namespace).await);
    assert!((deadline..Duration::from_secs(5)).contains(&started.elapsed()));
    let stats = simulation.cache(&other).stats();
    // On a machine too busy to hedge in time, the replica is not asked at all.
    assert!(stats.misses == 1 && (1..=2).contains(&stats.remote_timeouts), "{stats:?}");
}

#[tokio::test]
async fn the_survivors_find_everything_under_the_new_ring() {
    let simulation = Simulation::start(&THREE);
    let (dead, survivors) = (node_id("b"), ["a", "c"]);
    let mut entries = Vec::new();
    for number in 0..50 {
        let at = &simulation.names()[number % 3];
        let entry = entry(&simulation.cache(at), number, 100);
        simulation.cache(at).put(entry.clone()).await;
        entries.push(entry);
    }
    // Near copies would hide a loss.
    simulation.pass_time(Duration::ZERO);
    simulation.set(&dead, Way::Dead);
    simulation.change_ring(&survivors);
    for entry in &entries {
        let (owner, replica, _) = simulation.roles(&entry.id);
        assert!(owner != dead && replica != dead);
        assert!(simulation.cache(&owner).get_local(&entry.id, &entry.namespace).is_some(), "the new owner has it");
        for name in survivors {
            assert!(has(&simulation, &node_id(name), &entry.id, &entry.namespace).await);
        }
    }
}

#[tokio::test]
async fn a_node_that_dies_takes_less_than_one_in_a_hundred_entries_with_it() {
    const ENTRIES: usize = 3_000;
    // Near copies would hide a loss.
    let simulation = Simulation::start_with(&THREE, |config| config.near_ttl = Duration::ZERO);
    let mut entries = Vec::new();
    for number in 0..ENTRIES {
        let at = &simulation.names()[number % 3];
        let entry = entry(&simulation.cache(at), number, 100);
        simulation.cache(at).put(entry.clone()).await;
        entries.push(entry);
    }
    simulation.pass_time(Duration::from_secs(1));
    simulation.set(&node_id("b"), Way::Dead);
    // Before anybody has noticed, and when the ring is without it.
    for noticed in [false, true] {
        if noticed {
            simulation.change_ring(&["a", "c"]);
        }
        for name in ["a", "c"] {
            let mut hits = 0;
            for entry in &entries {
                hits += usize::from(has(&simulation, &node_id(name), &entry.id, &entry.namespace).await);
            }
            println!("at {name}, death noticed: {noticed}: {hits} of {ENTRIES} hit");
            assert!(hits * 100 >= ENTRIES * 99, "{hits} of {ENTRIES} at {name}, noticed: {noticed}");
        }
    }
}

#[tokio::test]
async fn a_newcomer_asks_who_had_the_entry_before_and_keeps_it() {
    let simulation = Simulation::start(&["a", "b"]);
    let new = node_id("c");
    simulation.boot("c", |_| ());
    // Known before the change, so that only the change can make it look back.
    let before: Vec<_> = (0..200).map(|number| entry(&simulation.cache(&node_id("a")), number, 100)).collect();
    for entry in &before {
        simulation.cache(&node_id("a")).put(entry.clone()).await;
    }
    simulation.change_ring(&THREE);
    let moved: Vec<_> = before.iter().filter(|entry| simulation.roles(&entry.id).0 == new).collect();
    assert!(moved.len() > 40);
    let cache = simulation.cache(&new);
    for entry in moved {
        assert!(cache.get(&entry.id, &entry.namespace).await.is_some());
        assert!(cache.get_local(&entry.id, &entry.namespace).is_some());
    }
    assert_eq!(cache.stats().misses, 0);
    assert!(cache.stats().look_backs_won > 40 && cache.stats().near_entries == 0);
}

#[tokio::test]
async fn an_asker_finds_what_moved_and_brings_it_to_the_new_owner() {
    let simulation = Simulation::start(&["a", "b"]);
    simulation.boot("c", |_| ());
    let number = (0..)
        .find(|number| {
            let id = entry(&simulation.cache(&node_id("a")), *number, 1).id;
            let (before, ..) = roles_of_two(&simulation, &id);
            simulation.change_ring(&THREE);
            let (now, replica, other) = simulation.roles(&id);
            simulation.change_ring(&["a", "b"]);
            now == node_id("c") && replica == before && other != before
        })
        .unwrap();
    let entry = entry(&simulation.cache(&node_id("a")), number, 100);
    let (before, _) = roles_of_two(&simulation, &entry.id);
    // Only the first owner has it, so that the asker must look back for it.
    let asker = simulation.names().into_iter().find(|name| *name != before && *name != node_id("c")).unwrap();
    simulation.set(&asker, Way::Dead);
    simulation.cache(&before).put(entry.clone()).await;
    simulation.set(&asker, Way::Up);
    simulation.change_ring(&THREE);
    assert!(has(&simulation, &asker, &entry.id, &entry.namespace).await);
    let owner = simulation.cache(&node_id("c"));
    let started = Instant::now();
    while owner.get_local(&entry.id, &entry.namespace).is_none() {
        assert!(started.elapsed() < Duration::from_secs(5), "the owner was not given the entry");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn when_both_holders_changed_the_previous_owner_is_asked() {
    let simulation = Simulation::start(&["a", "b"]);
    ["c", "d", "e"].iter().for_each(|name| simulation.boot(name, |_| ()));
    let cache = simulation.cache(&node_id("a"));
    let before: Vec<_> = (0..100).map(|number| entry(&cache, number, 100)).collect();
    for entry in &before {
        cache.put(entry.clone()).await;
    }
    simulation.change_ring(&["c", "d", "e"]);
    for (number, entry) in before.iter().enumerate() {
        let asker = node_id(["c", "d", "e"][number % 3]);
        assert!(has(&simulation, &asker, &entry.id, &entry.namespace).await, "{number} at {asker}");
    }
}

fn roles_of_two(
    simulation: &Simulation,
    id: &peerway_cache::EntryId,
) -> (peerway_cluster::identity::NodeId, peerway_cluster::identity::NodeId) {
    let (owner, replica, _) = simulation.roles(id);
    (owner, replica)
}

#[tokio::test]
async fn an_owner_that_restarted_unnoticed_is_made_up_for_by_its_replica() {
    let simulation = Simulation::start(&THREE);
    let (owner, _, other) = simulation.roles(&entry(&simulation.cache(&node_id("a")), 1, 1).id);
    let entry = entry(&simulation.cache(&owner), 1, 100);
    simulation.cache(&owner).put(entry.clone()).await;
    simulation.boot(owner.as_str(), |_| ());
    assert!(has(&simulation, &other, &entry.id, &entry.namespace).await, "through an asker");
    simulation.boot(owner.as_str(), |_| ());
    assert!(has(&simulation, &owner, &entry.id, &entry.namespace).await, "at the owner itself");
}

#[tokio::test]
async fn a_long_settled_cluster_does_not_look_back() {
    let simulation = Simulation::start_with(&THREE, |config| config.look_back = Duration::ZERO);
    let (owner, _, other) = simulation.roles(&entry(&simulation.cache(&node_id("a")), 1, 1).id);
    let entry = entry(&simulation.cache(&owner), 1, 100);
    assert!(!has(&simulation, &other, &entry.id, &entry.namespace).await);
    assert_eq!(simulation.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_entry_leaves_at_its_expiry_everywhere() {
    let simulation = Simulation::start(&THREE);
    let entry = entry(&simulation.cache(&node_id("a")), 1, 100);
    simulation.cache(&node_id("a")).put(entry.clone()).await;
    simulation.pass_time(Duration::from_millis(299_999));
    for name in simulation.names() {
        assert!(has(&simulation, &name, &entry.id, &entry.namespace).await);
    }
    simulation.pass_time(Duration::from_millis(1));
    for name in simulation.names() {
        assert!(!has(&simulation, &name, &entry.id, &entry.namespace).await);
    }
    assert_eq!(simulation.cache(&node_id("a")).put(entry).await, Stored::Refused);
}

#[tokio::test]
async fn an_entry_from_the_future_is_not_kept() {
    let simulation = Simulation::start(&["a"]);
    let cache = simulation.cache(&node_id("a"));
    let mut entry = entry(&cache, 1, 100);
    entry.created_ms = NOW + 2_001;
    assert_eq!(cache.put(entry.clone()).await, Stored::Refused);
    entry.created_ms = NOW + 2_000;
    assert_eq!(cache.put(entry).await, Stored::Acknowledged);
}

#[tokio::test]
async fn no_tenant_or_namespace_is_ever_given_the_entry_of_another() {
    let simulation = Simulation::start(&THREE);
    let entry = entry(&simulation.cache(&node_id("a")), 1, 100);
    simulation.cache(&node_id("a")).put(entry.clone()).await;
    let mut rejected = 0;
    for name in simulation.names() {
        let cache = simulation.cache(&name);
        for (scope, space) in
            [(TenantScope::key("other"), "faq"), (scope(), "other"), (TenantScope::team("demo"), "faq")]
        {
            let (_, namespace) = cache.identify(&scope, space, "chat/completions", b"{}").unwrap();
            assert!(cache.get(&entry.id, &namespace).await.is_none(), "{scope:?} {space} at {name}");
        }
        assert!(has(&simulation, &name, &entry.id, &entry.namespace).await, "its own tenant still has it");
        rejected += cache.stats().rejected;
    }
    assert!(rejected >= 9);
}

#[tokio::test]
async fn too_large_is_refused_and_large_travels_in_bulk() {
    let simulation = Simulation::start_with(&THREE, |config| config.max_entry = 100_000);
    let (owner, replica, other) = simulation.roles(&entry(&simulation.cache(&node_id("a")), 1, 1).id);
    let too_large = entry(&simulation.cache(&other), 1, 100_000);
    assert_eq!(simulation.cache(&other).put(too_large).await, Stored::Refused);
    assert_eq!(simulation.calls.load(Ordering::SeqCst), 0);
    let large = entry(&simulation.cache(&other), 1, 90_000);
    assert_eq!(simulation.cache(&owner).put(large.clone()).await, Stored::Acknowledged);
    assert!(has(&simulation, &other, &large.id, &large.namespace).await);
    // The put to the replica, a question that was answered "large", and the one in bulk.
    assert_eq!(simulation.calls.load(Ordering::SeqCst), 3);
    assert!(simulation.cache(&replica).get_local(&large.id, &large.namespace).is_some());
}

#[tokio::test]
async fn a_put_with_a_dead_owner_is_kept_by_the_replica_and_said_to_be_unacknowledged() {
    for way in [Way::Dead, Way::Hung] {
        let simulation = Simulation::start(&THREE);
        let (owner, replica, other) = simulation.roles(&entry(&simulation.cache(&node_id("a")), 1, 1).id);
        simulation.set(&owner, way);
        let entry = entry(&simulation.cache(&other), 1, 100);
        assert_eq!(simulation.cache(&other).put(entry.clone()).await, Stored::Unacknowledged);
        assert!(simulation.cache(&replica).get_local(&entry.id, &entry.namespace).is_some());
        assert_eq!(simulation.cache(&other).stats().puts_unacknowledged, 1);
    }
}

#[tokio::test]
async fn the_byte_bound_holds_at_every_node_under_churn() {
    let limit = 4 * 1024 * 1024;
    let simulation = Simulation::start_with(&THREE, |config| config.max_memory = limit);
    for number in 0..1_500 {
        let at = &simulation.names()[number % 3];
        let entry = entry(&simulation.cache(at), number, 1 + number * 7 % 20_000);
        simulation.cache(at).put(entry.clone()).await;
        let reader = &simulation.names()[(number + 1) % 3];
        assert!(has(&simulation, reader, &entry.id, &entry.namespace).await, "{number}");
    }
    for name in simulation.names() {
        let stats = simulation.cache(&name).stats();
        assert!(stats.bytes + stats.near_bytes <= limit, "{name}: {stats:?}");
        assert!(stats.bytes > limit / 2, "{name}: {stats:?}");
    }
}

#[tokio::test]
async fn a_node_alone_owns_everything() {
    let cache = RingCache::new(CacheConfig::new(KEY), std::sync::Arc::new(Alone::new(node_id("a"))));
    let mut entry = entry(&cache, 1, 100);
    let now = peerway_cache::Clock::system().now_ms();
    (entry.created_ms, entry.expires_ms) = (now, now + 60_000);
    assert_eq!(cache.put(entry.clone()).await, Stored::Acknowledged);
    assert!(cache.get(&entry.id, &entry.namespace).await.is_some());
    assert!(cache.purge(peerway_cache::Purge::All).await.is_ok());
    assert!(cache.get(&entry.id, &entry.namespace).await.is_none());
}

#[tokio::test]
async fn a_stream_is_played_back_at_another_node_as_it_was_recorded() {
    let simulation = Simulation::start(&THREE);
    let (owner, _, other) = simulation.roles(&entry(&simulation.cache(&node_id("a")), 1, 1).id);
    let mut recorder = peerway_cache::Recorder::new(10_000);
    recorder.push(1_000, b"data: {\"a\":1}\n\n");
    recorder.push(21_000, b"data: [DONE]\n\n");
    let recorded = recorder.finish().unwrap();
    let mut entry = entry(&simulation.cache(&owner), 1, 1);
    entry.content.recorded = recorded.clone();
    simulation.cache(&owner).put(entry.clone()).await;
    let found = simulation.cache(&other).get(&entry.id, &entry.namespace).await.unwrap();
    assert_eq!(found.content.recorded, recorded);
    let Recorded::Stream { events } = &found.content.recorded else { panic!("no stream") };
    assert_eq!(events[1].delay_us, 20_000);
}

#[tokio::test]
async fn questions_of_a_workload_without_repeats_do_not_double_for_long_after_a_change() {
    let simulation = Simulation::start(&THREE);
    let owner = node_id("a");
    let cache = simulation.cache(&owner);
    let mut number = 0;
    for _ in 0..3_000 {
        number = owned_by(&simulation, &owner, number + 1);
        let entry = entry(&cache, number, 1);
        assert!(cache.get(&entry.id, &entry.namespace).await.is_none());
    }
    assert!((1_000..=1_100).contains(&cache.stats().look_backs), "{:?}", cache.stats());
}
