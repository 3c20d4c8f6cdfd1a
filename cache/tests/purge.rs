#![allow(clippy::unwrap_used, reason = "for tests")]
//! A purge at any node holds at all of them.

mod support;

use peerway_cache::{Entry, Purge, PurgeError, Stored, TenantScope};
use peerway_cluster::identity::NodeId;
use std::sync::Arc;
use support::{Simulation, Way, entry, has, node_id, scope};

const THREE: [&str; 3] = ["a", "b", "c"];

/// An entry in another namespace of another tenant, which no narrow purge may reach.
fn foreign(simulation: &Simulation) -> Entry {
    let cache = simulation.cache(&node_id("a"));
    let (id, namespace) = cache.identify(&TenantScope::key("other"), "news", "chat/completions", b"{}").unwrap();
    Entry { id, namespace, generation: cache.generation(&namespace), ..entry(&cache, 0, 10) }
}

/// Three nodes that all have both entries, be it as holders or near.
async fn filled() -> (Arc<Simulation>, Entry, Entry) {
    let simulation = Simulation::start(&THREE);
    let (own, foreign) = (entry(&simulation.cache(&node_id("a")), 1, 100), foreign(&simulation));
    for entry in [&own, &foreign] {
        simulation.cache(&node_id("a")).put(entry.clone()).await;
        for name in simulation.names() {
            assert!(has(&simulation, &name, &entry.id, &entry.namespace).await);
        }
    }
    (simulation, own, foreign)
}

async fn holds_at(simulation: &Simulation, entry: &Entry) -> Vec<NodeId> {
    let mut holders = Vec::new();
    for name in simulation.names() {
        if has(simulation, &name, &entry.id, &entry.namespace).await {
            holders.push(name);
        }
    }
    holders
}

fn purges(own: &Entry) -> [Purge; 5] {
    [
        Purge::Id(own.id),
        Purge::Scope(scope()),
        Purge::Name("faq".to_owned()),
        Purge::Namespace(scope(), "faq".to_owned()),
        Purge::All,
    ]
}

#[tokio::test]
async fn each_purge_at_each_node_reaches_all_nodes_and_only_its_target() {
    for at in THREE {
        for index in 0..5 {
            let (simulation, own, foreign) = filled().await;
            let purge = purges(&own)[index].clone();
            let report = simulation.cache(&node_id(at)).purge(purge.clone()).await.unwrap();
            assert_eq!(report.confirmed, 3);
            assert_eq!(report.held_at, if index == 0 { 3 } else { 0 }, "{purge:?}");
            assert_eq!(holds_at(&simulation, &own).await, [] as [NodeId; 0], "{purge:?} at {at}");
            let others = holds_at(&simulation, &foreign).await.len();
            assert_eq!(others, if purge == Purge::All { 0 } else { 3 }, "{purge:?} at {at}");
        }
    }
}

#[tokio::test]
async fn new_answers_are_kept_after_a_purge_and_those_under_way_are_not() {
    let (simulation, own, _) = filled().await;
    let cache = simulation.cache(&node_id("b"));
    cache.purge(Purge::Scope(scope())).await.unwrap();
    for name in simulation.names() {
        assert_eq!(
            simulation.cache(&name).put(own.clone()).await,
            Stored::Refused,
            "it was asked for before the purge"
        );
    }
    let fresh = Entry { generation: cache.generation(&own.namespace), ..own };
    assert_eq!(cache.put(fresh.clone()).await, Stored::Acknowledged);
    assert_eq!(holds_at(&simulation, &fresh).await.len(), 3);
}

#[tokio::test]
async fn a_node_that_could_not_be_told_learns_from_the_gossip_even_when_the_teller_is_gone() {
    for index in 1..5 {
        let (simulation, own, _) = filled().await;
        simulation.set(&node_id("c"), Way::Hung);
        let report = simulation.cache(&node_id("a")).purge(purges(&own)[index].clone()).await.unwrap();
        assert_eq!((report.confirmed, report.unreached), (2, vec![node_id("c")]));
        simulation.set(&node_id("c"), Way::Up);
        let deaf = simulation.cache(&node_id("c"));
        assert!(deaf.get_local(&own.id, &own.namespace).is_some());
        // "a" speaks once to "b" and is gone; "c" hears it from "b".
        let relay = simulation.cache(&node_id("b"));
        relay.learn_generations([simulation.gossiped(&node_id("a")).unwrap().as_str()]).await;
        simulation.forget_gossip(&node_id("a"));
        simulation.gossip().await;
        assert!(deaf.get_local(&own.id, &own.namespace).is_none(), "{:?}", purges(&own)[index]);
    }
}

#[tokio::test]
async fn a_purge_by_id_that_misses_a_node_says_so() {
    let (simulation, own, _) = filled().await;
    simulation.set(&node_id("c"), Way::Dead);
    let error = simulation.cache(&node_id("a")).purge(Purge::Id(own.id)).await.unwrap_err();
    assert!(error.to_string().contains("but c did not answer"), "{error}");
    let PurgeError::Unreached { report, .. } = error else { panic!("{error}") };
    assert_eq!((report.confirmed, report.unreached), (2, vec![node_id("c")]));
}

#[tokio::test]
async fn a_node_that_restarted_does_not_bring_purged_entries_back() {
    let (simulation, own, _) = filled().await;
    simulation.set(&node_id("c"), Way::Hung);
    simulation.cache(&node_id("a")).purge(Purge::Scope(scope())).await.unwrap();
    simulation.set(&node_id("c"), Way::Up);
    simulation.boot("a", |_| ());
    simulation.boot("b", |_| ());
    // Nobody but the gossip remembers, and "c" still has the entry.
    simulation.gossip().await;
    assert_eq!(holds_at(&simulation, &own).await, [] as [NodeId; 0]);
}
