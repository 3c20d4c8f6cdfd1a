#![allow(clippy::unwrap_used, reason = "for tests")]
//! Look-ups by meaning over three nodes: what one node learned all find, nobody else's is found, and whatever is wrong
//! with a peer is a miss.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use peerway_cache::backend::BackendError;
use peerway_cache::semantic::embed::{EmbedError, cosine};
use peerway_cache::semantic::{Embedder, Guard, Reason, StaticEmbedder};
use peerway_cache::vector::Space;
use peerway_cache::vector_store::{Near, Stored, Vectors};
use peerway_cache::{
    CacheConfig, Entry, EntryId, NamespaceId, Purge, Question, Refused, RingCache, SemanticConfig, SemanticStats,
    Similar, TenantScope,
};
use peerway_cluster::identity::NodeId;
use support::{Simulation, Way, entry, node_id, scope};

const THREE: [&str; 3] = ["a", "b", "c"];
const THRESHOLD: f32 = 0.85;
const ASKED: &str = "How do I reset my password?";
const AGAIN: &str = "How can I reset my password?";

/// Deadlines long enough that a loaded machine does not decide a test.
fn semantic(config: &mut CacheConfig) {
    let embedder = Arc::new(StaticEmbedder::new());
    config.semantic = Some(SemanticConfig { deadline: Duration::from_secs(10), ..SemanticConfig::new(embedder) });
}

fn start() -> Arc<Simulation> {
    Simulation::start_with(&THREE, semantic)
}

fn start_with(change: impl Fn(&mut CacheConfig)) -> Arc<Simulation> {
    Simulation::start_with(&THREE, |config| {
        semantic(config);
        change(config);
    })
}

/// A question of the tenant that the simulation's entries belong to.
fn question(cache: &RingCache, context: usize, text: &str) -> Question {
    question_of(cache, &scope(), "faq", context, text)
}

fn question_of(cache: &RingCache, scope: &TenantScope, name: &str, context: usize, text: &str) -> Question {
    let (_, namespace) = cache.identify(scope, name, "chat/completions", b"{}").unwrap();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&context.to_le_bytes());
    Question { namespace, context: *blake3::hash(&bytes).as_bytes(), text: text.into() }
}

/// Has a node answer a question of context `context`: the answer is put, and learned.
async fn answer(simulation: &Simulation, at: &NodeId, context: usize, text: &str) -> Entry {
    let cache = simulation.cache(at);
    let entry = entry(&cache, context, 100);
    cache.put(entry.clone()).await;
    cache.learn(question(&cache, context, text), &entry).await;
    entry
}

async fn find(simulation: &Simulation, at: &NodeId, context: usize, text: &str) -> Similar {
    let cache = simulation.cache(at);
    cache.find_similar(&question(&cache, context, text), THRESHOLD).await
}

async fn hits(simulation: &Simulation, at: &NodeId, context: usize, text: &str) -> bool {
    matches!(find(simulation, at, context, text).await, Similar::Hit { .. })
}

fn stats(simulation: &Simulation, at: &NodeId) -> SemanticStats {
    simulation.cache(at).semantic_stats().unwrap()
}

fn vectors(simulation: &Simulation) -> u64 {
    simulation.names().iter().map(|name| stats(simulation, name).vectors).sum()
}

/// Owner, replica and the other one, for the space of the one question that was learned.
async fn roles(simulation: &Simulation, context: usize) -> (NodeId, NodeId, NodeId) {
    let names = simulation.names();
    let (holders, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| stats(simulation, name).vectors > 0);
    let other = others.into_iter().next().unwrap();
    simulation.searched.lock().unwrap().clear();
    find(simulation, &other, context, ASKED).await;
    let owner = simulation.searched.lock().unwrap()[0].clone();
    let replica = holders.into_iter().find(|name| *name != owner).unwrap();
    (owner, replica, other)
}

async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "never came: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_one_node_learned_all_find_by_its_meaning() {
    let simulation = start();
    for context in 0..20 {
        let at = simulation.names()[context % 3].clone();
        let learned = answer(&simulation, &at, context, ASKED).await;
        for name in simulation.names() {
            let Similar::Hit { entry, similarity, cosine, .. } = find(&simulation, &name, context, AGAIN).await else {
                panic!("{context} at {name}: a miss")
            };
            assert_eq!(*entry, learned);
            assert_eq!(similarity, Guard::new().judge(ASKED, AGAIN).similarity);
            assert!(similarity >= THRESHOLD && (0.4..=1.0001).contains(&cosine));
        }
    }
    assert_eq!(vectors(&simulation), 40, "each vector lies with the owner of its space and its replica");
    let stats = stats(&simulation, &node_id("a"));
    assert_eq!((stats.hits, stats.misses, stats.learned), (20, 0, 7));
    let exact = simulation.cache(&node_id("a")).stats();
    assert_eq!((exact.hits_local + exact.hits_near + exact.hits_remote, exact.misses), (0, 0), "not exact look-ups");
}

#[tokio::test]
async fn a_near_miss_is_refused_and_says_why() {
    let simulation = start();
    answer(&simulation, &node_id("a"), 1, "flights from Paris to Rome").await;
    for name in simulation.names() {
        let found = find(&simulation, &name, 1, "flights from Rome to Paris").await;
        let Similar::Miss(Some(Refused { similarity, cosine, reason, by: None })) = found else { panic!("{found:?}") };
        assert_eq!((similarity, reason), (0.0, Reason::Direction));
        assert!(cosine > 0.9);
        let cache = simulation.cache(&name);
        let anything = cache.find_similar(&question(&cache, 1, "flights from Rome to Paris"), 0.0).await;
        assert!(matches!(anything, Similar::Miss(Some(_))), "no threshold lets a contradiction pass");
        let stats = stats(&simulation, &name);
        assert_eq!((stats.hits, stats.misses), (0, 2));
        assert!(stats.refusals.contains(&(Reason::Direction, 2)) && stats.refusals.len() == Reason::ALL.len());
    }
}

#[tokio::test]
async fn of_several_candidates_the_first_that_answers_is_served() {
    let simulation = start();
    let (at, cache) = (node_id("b"), simulation.cache(&node_id("b")));
    for (number, text) in
        ["How do I reset my PIN?", "How do I change my password?", AGAIN, "How do I not reset my password?"]
            .into_iter()
            .enumerate()
    {
        let entry = entry(&cache, number, 100);
        cache.put(entry.clone()).await;
        cache.learn(question(&cache, 7, text), &entry).await;
    }
    let Similar::Hit { entry: found, .. } = find(&simulation, &at, 7, ASKED).await else { panic!("a miss") };
    assert_eq!(found.id, entry(&cache, 2, 100).id);
}

#[tokio::test]
async fn no_tenant_no_namespace_and_no_context_ever_finds_what_is_another_ones() {
    let simulation = start();
    for context in 0..30 {
        answer(&simulation, &node_id("a"), context, ASKED).await;
    }
    let tenants = [
        (TenantScope::key("other"), "faq"),
        (TenantScope::team("demo"), "faq"),
        (TenantScope::cluster(), "faq"),
        (scope(), "other"),
        (scope(), ""),
    ];
    for round in 0..900 {
        let cache = simulation.cache(&simulation.names()[round % 3]);
        let (tenant, name) = &tenants[round % tenants.len()];
        let foreign = cache.find_similar(&question_of(&cache, tenant, name, round % 30, ASKED), 0.0).await;
        assert_eq!(foreign, Similar::Miss(None), "{tenant:?} {name} {round}");
        let elsewhere = cache.find_similar(&question(&cache, 1_000 + round, ASKED), 0.0).await;
        assert_eq!(elsewhere, Similar::Miss(None), "another context");
    }
    assert!(hits(&simulation, &node_id("b"), 3, AGAIN).await, "its own still finds it");
}

#[tokio::test]
async fn when_the_owner_dies_or_hangs_the_replica_answers() {
    for way in [Way::Dead, Way::Hung] {
        let simulation = start_with(|config| config.first_hedge = Duration::from_millis(1));
        answer(&simulation, &node_id("a"), 1, ASKED).await;
        let (owner, replica, other) = roles(&simulation, 1).await;
        simulation.set(&owner, way);
        assert!(hits(&simulation, &other, 1, AGAIN).await, "{way:?}");
        assert!(hits(&simulation, &replica, 1, AGAIN).await, "{way:?}");
    }
}

#[tokio::test]
async fn when_nobody_answers_it_is_a_miss_at_the_deadline() {
    let deadline = Duration::from_millis(30);
    let simulation = start_with(|config| config.semantic.as_mut().unwrap().deadline = deadline);
    // On a busy machine the deadline may pass before anybody could answer; the learning has a time of its own.
    answer(&simulation, &node_id("a"), 1, ASKED).await;
    let other = simulation.names().into_iter().find(|name| stats(&simulation, name).vectors == 0).unwrap();
    let (before, holders): (u64, Vec<_>) =
        (stats(&simulation, &other).remote_timeouts, simulation.names().into_iter().filter(|n| *n != other).collect());
    holders.iter().for_each(|holder| simulation.set(holder, Way::Hung));
    let started = Instant::now();
    assert_eq!(find(&simulation, &other, 1, AGAIN).await, Similar::Miss(None));
    assert!((deadline..Duration::from_secs(5)).contains(&started.elapsed()));
    assert!(stats(&simulation, &other).remote_timeouts > before);
    holders.iter().for_each(|holder| simulation.set(holder, Way::Dead));
    assert_eq!(find(&simulation, &other, 1, AGAIN).await, Similar::Miss(None));
    assert!(stats(&simulation, &other).remote_failures > 0);
}

#[tokio::test]
async fn what_is_purged_is_never_served_and_its_vectors_go() {
    for purge in [
        |entry: &Entry| Purge::Id(entry.id),
        |_: &Entry| Purge::Namespace(scope(), "faq".to_owned()),
        |_: &Entry| Purge::Scope(scope()),
        |_: &Entry| Purge::Name("faq".to_owned()),
        |_: &Entry| Purge::All,
    ] {
        let simulation = start();
        let entry = answer(&simulation, &node_id("a"), 1, ASKED).await;
        assert_eq!(vectors(&simulation), 2);
        simulation.cache(&node_id("c")).purge(purge(&entry)).await.unwrap();
        assert_eq!(vectors(&simulation), 0, "{:?}", purge(&entry));
        for name in simulation.names() {
            assert_eq!(find(&simulation, &name, 1, AGAIN).await, Similar::Miss(None));
        }
        let late = simulation.cache(&node_id("b"));
        if !matches!(purge(&entry), Purge::Id(_)) {
            late.learn(question(&late, 1, ASKED), &entry).await;
            assert_eq!(vectors(&simulation), 0, "an answer from before the purge comes too late");
        }
    }
}

#[tokio::test]
async fn a_node_that_did_not_hear_of_the_purge_proposes_and_nothing_is_served() {
    let simulation = start();
    answer(&simulation, &node_id("a"), 1, ASKED).await;
    let (owner, replica, other) = roles(&simulation, 1).await;
    simulation.set(&owner, Way::Dead);
    simulation.set(&replica, Way::Dead);
    simulation.cache(&other).purge(Purge::Name("faq".to_owned())).await.unwrap();
    simulation.set(&owner, Way::Up);
    simulation.set(&replica, Way::Up);
    assert_eq!(vectors(&simulation), 2, "they did not hear of it");
    assert_eq!(find(&simulation, &other, 1, AGAIN).await, Similar::Miss(None));
    simulation.gossip().await;
    for name in simulation.names() {
        assert_eq!(find(&simulation, &name, 1, AGAIN).await, Similar::Miss(None));
    }
    assert_eq!(vectors(&simulation), 0, "each forgets what it then finds");
}

#[tokio::test]
async fn an_entry_leaves_at_its_expiry() {
    let simulation = start();
    answer(&simulation, &node_id("a"), 1, ASKED).await;
    simulation.pass_time(Duration::from_millis(299_999));
    for name in simulation.names() {
        assert!(hits(&simulation, &name, 1, AGAIN).await);
    }
    simulation.pass_time(Duration::from_millis(1));
    for name in simulation.names() {
        assert_eq!(find(&simulation, &name, 1, AGAIN).await, Similar::Miss(None));
    }
}

#[tokio::test]
async fn the_vector_of_an_entry_that_is_gone_is_forgotten_by_its_holders() {
    let simulation = start();
    let cache = simulation.cache(&node_id("a"));
    // Learned and never put, as if it had been pushed out since.
    cache.learn(question(&cache, 1, ASKED), &entry(&cache, 1, 100)).await;
    assert_eq!(vectors(&simulation), 2);
    for name in simulation.names() {
        assert_eq!(find(&simulation, &name, 1, AGAIN).await, Similar::Miss(None));
    }
    eventually("both holders forget it", || vectors(&simulation) == 0).await;
}

#[tokio::test]
async fn a_newcomer_finds_through_others_at_once_and_then_has_what_it_is_to_hold() {
    let simulation = Simulation::start_with(&["a", "b"], semantic);
    for context in 0..60 {
        answer(&simulation, &node_id(["a", "b"][context % 2]), context, ASKED).await;
    }
    let new = node_id("c");
    simulation.boot("c", semantic);
    simulation.change_ring(&THREE);
    for context in 0..60 {
        assert!(hits(&simulation, &new, context, AGAIN).await, "{context} before it has anything");
    }
    assert_eq!(stats(&simulation, &new).vectors, 0);
    for name in simulation.names() {
        simulation.cache(&name).take_over_vectors().await;
    }
    let held = stats(&simulation, &new).vectors;
    assert!((20..=60).contains(&held), "{held} of 60, of which two thirds are its own to hold");
    simulation.searched.lock().unwrap().clear();
    for context in 0..60 {
        assert!(hits(&simulation, &new, context, AGAIN).await);
    }
    assert_eq!(simulation.searched.lock().unwrap().len() as u64, 60 - held, "what it holds it answers itself");
    let calls = simulation.calls.load(Ordering::SeqCst);
    simulation.cache(&new).take_over_vectors().await;
    assert_eq!(simulation.calls.load(Ordering::SeqCst), calls, "once");
}

#[tokio::test]
async fn a_node_that_began_alone_takes_over_what_those_have_whom_it_then_meets() {
    let simulation = Simulation::start_with(&["a", "b", "c"], semantic);
    for context in 0..30 {
        answer(&simulation, &node_id("a"), context, ASKED).await;
    }
    let back = node_id("b");
    simulation.boot("b", semantic);
    // Alone in its own eyes, it has all that there is.
    simulation.change_ring(&["b"]);
    for other in ["a", "c"] {
        simulation.set(&node_id(other), Way::Dead);
    }
    for _ in 0..5 {
        simulation.cache(&back).take_over_vectors().await;
    }
    assert!(!hits(&simulation, &back, 1, AGAIN).await);
    for other in ["a", "c"] {
        simulation.set(&node_id(other), Way::Up);
    }
    simulation.change_ring(&THREE);
    for context in 0..30 {
        assert!(hits(&simulation, &back, context, AGAIN).await, "{context} before it has anything");
    }
    simulation.cache(&back).take_over_vectors().await;
    assert!((10..30).contains(&stats(&simulation, &back).vectors));
    simulation.searched.lock().unwrap().clear();
    let held = stats(&simulation, &back).vectors;
    for context in 0..30 {
        assert!(hits(&simulation, &back, context, AGAIN).await, "{context}");
    }
    assert_eq!(simulation.searched.lock().unwrap().len() as u64, 30 - held);
}

#[tokio::test]
async fn after_a_death_the_survivors_hold_two_copies_again() {
    let simulation = start();
    for context in 0..60 {
        answer(&simulation, &simulation.names()[context % 3].clone(), context, ASKED).await;
    }
    let (dead, survivors) = (node_id("b"), ["a", "c"].map(node_id));
    for name in &survivors {
        simulation.cache(name).take_over_vectors().await;
    }
    simulation.set(&dead, Way::Dead);
    simulation.change_ring(&["a", "c"]);
    for name in &survivors {
        // One that does not answer is given up after some attempts.
        for _ in 0..5 {
            simulation.cache(name).take_over_vectors().await;
        }
        assert_eq!(stats(&simulation, name).vectors, 60, "{name}");
        simulation.searched.lock().unwrap().clear();
        for context in 0..60 {
            assert!(hits(&simulation, name, context, AGAIN).await);
        }
        assert!(simulation.searched.lock().unwrap().is_empty(), "nobody is asked");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_none() {
    let simulation = start();
    let learned = answer(&simulation, &node_id("a"), 1, ASKED).await;
    let (.., other) = roles(&simulation, 1).await;
    // An entry of another tenant, whose answer must not come out.
    let cache = simulation.cache(&node_id("a"));
    let tenant = TenantScope::key("other");
    let (id, namespace) = cache.identify(&tenant, "faq", "chat/completions", b"{}").unwrap();
    cache.put(Entry { id, namespace, ..learned }).await;
    assert!(hits(&simulation, &other, 1, AGAIN).await);

    let before = stats(&simulation, &other).remote_failures;
    simulation.twist(|answer| answer.near = vec![answer.near[0].clone(); 5]);
    assert_eq!(find(&simulation, &other, 1, AGAIN).await, Similar::Miss(None), "more than were asked for");
    simulation.twist(|answer| answer.near[0].text = "x".repeat(5_000).into());
    assert_eq!(find(&simulation, &other, 1, AGAIN).await, Similar::Miss(None), "a text that nobody learns");
    simulation.twist(|answer| answer.near[0].cosine = 7.0);
    assert_eq!(find(&simulation, &other, 1, AGAIN).await, Similar::Miss(None), "no cosine");
    simulation.twist(|answer| answer.shards = 1 << 31);
    assert_eq!(find(&simulation, &other, 1, AGAIN).await, Similar::Miss(None), "more shards than there may be");
    simulation.twist(|answer| answer.shards = 0);
    assert_eq!(find(&simulation, &other, 1, AGAIN).await, Similar::Miss(None), "no shards");
    assert!(stats(&simulation, &other).remote_failures >= before + 5);

    simulation.twist(move |answer| answer.near.iter_mut().for_each(|near| near.id = id));
    assert_eq!(find(&simulation, &other, 1, AGAIN).await, Similar::Miss(None), "another tenant's entry");
    simulation.twist(|answer| answer.near.iter_mut().for_each(|near| near.cosine = -0.5));
    assert_eq!(find(&simulation, &other, 1, AGAIN).await, Similar::Miss(None), "below the floor");
    simulation.twist(|_| ());
    assert!(hits(&simulation, &other, 1, AGAIN).await, "and the peer is asked again");
}

#[tokio::test]
async fn a_split_space_is_asked_and_taught_in_all_its_shards() {
    let simulation = start();
    simulation.twist(|answer| answer.shards = 4);
    answer(&simulation, &node_id("a"), 1, ASKED).await;
    let (.., other) = roles(&simulation, 1).await;
    let cache = simulation.cache(&other);
    for number in 0..40 {
        let entry = entry(&cache, 100 + number, 100);
        cache.put(entry.clone()).await;
        cache.learn(question(&cache, 1, &format!("Where is shop number {number}?")), &entry).await;
    }
    let spaces: u64 = simulation.names().iter().map(|name| stats(&simulation, name).spaces).sum();
    assert_eq!(spaces, 8, "four shards, two copies each");
    for number in 0..40 {
        assert!(hits(&simulation, &other, 1, &format!("Where is shop number {number}?")).await, "{number}");
    }
    assert!(hits(&simulation, &other, 1, AGAIN).await, "what was learned before the split stays where it is");
}

#[tokio::test]
async fn the_memory_is_bounded_at_every_node() {
    let bound = 400_000;
    let simulation = start_with(|config| config.semantic.as_mut().unwrap().max_bytes = bound);
    for number in 0..2_000 {
        let cache = simulation.cache(&simulation.names()[number % 3]);
        let entry = entry(&cache, number, 10);
        cache.put(entry.clone()).await;
        cache
            .learn(question(&cache, number % 5, &format!("{} number {number}", "word ".repeat(number % 50))), &entry)
            .await;
        if number % 100 == 99 {
            for name in simulation.names() {
                let bytes = stats(&simulation, &name).bytes;
                assert!(bytes <= bound, "{bytes} at {name}");
            }
        }
    }
    let last = format!("{} number 1999", "word ".repeat(1999 % 50));
    assert!(hits(&simulation, &node_id("b"), 1999 % 5, &last).await, "the latest is still found");
    let long = "long ".repeat(1_000);
    let before = vectors(&simulation);
    answer(&simulation, &node_id("a"), 5_000, &long).await;
    assert_eq!(vectors(&simulation), before, "what the guard cannot compare is not learned");
    assert_eq!(find(&simulation, &node_id("a"), 5_000, &long).await, Similar::Miss(None));
}

#[tokio::test]
async fn a_namespace_that_never_hits_is_hardly_asked_and_an_empty_one_not_at_all() {
    let simulation = start();
    for name in simulation.names() {
        simulation.cache(&name).take_over_vectors().await;
    }
    answer(&simulation, &node_id("a"), 1, ASKED).await;
    let (owner, _, other) = roles(&simulation, 1).await;
    let asked = stats(&simulation, &other).remote_asks;
    let cache = simulation.cache(&other);
    let mut compared = 0;
    for number in 0..6_000 {
        let question = question(&cache, 1, &format!("zebra {number}"));
        if cache.compares(&question.namespace) {
            compared += 1;
            assert!(matches!(cache.find_similar(&question, THRESHOLD).await, Similar::Miss(_)));
        }
    }
    let after = stats(&simulation, &other);
    assert!(after.unasked > 1_000 && after.remote_asks - asked < 5_000, "{after:?}");
    assert_eq!(after.unasked + compared, 6_000);
    // Time brings one back now and then, and a hit many at once.
    let namespace = question(&cache, 1, AGAIN).namespace;
    assert!(!cache.compares(&namespace));
    simulation.pass_time(Duration::from_secs(1));
    assert!(cache.compares(&namespace));
    assert!(hits(&simulation, &other, 1, AGAIN).await);
    assert_eq!((0..1_000).filter(|_| cache.compares(&namespace)).count(), 64 + 1_000 / 64 - 1);

    let calls = simulation.calls.load(Ordering::SeqCst);
    let owner = simulation.cache(&owner);
    let before = owner.semantic_stats().unwrap();
    // Enough contexts that it holds the space of some of them.
    for context in 100..400 {
        owner.find_similar(&question(&owner, context, ASKED), THRESHOLD).await;
    }
    let asked = owner.semantic_stats().unwrap().remote_asks - before.remote_asks;
    assert_eq!(simulation.calls.load(Ordering::SeqCst) as u64 - calls as u64, asked);
    assert!(asked < 200, "of what it holds itself it asks nobody: {asked}");
}

#[tokio::test]
async fn without_the_configuration_nothing_is_found_and_no_peer_is_answered() {
    let simulation = start();
    answer(&simulation, &node_id("a"), 1, ASKED).await;
    let (owner, replica, other) = roles(&simulation, 1).await;
    simulation.boot(other.as_str(), |_| ());
    assert_eq!(find(&simulation, &other, 1, AGAIN).await, Similar::Miss(None));
    assert_eq!(simulation.cache(&other).semantic_stats(), None);
    assert!(hits(&simulation, &owner, 1, AGAIN).await && hits(&simulation, &replica, 1, AGAIN).await);
}

/// A vector database: a list, and whether it answers.
#[derive(Debug, Default)]
struct List {
    kept: Mutex<Vec<(Space, Stored, Vec<f32>)>>,
    is_broken: AtomicBool,
}

#[async_trait]
impl Vectors for List {
    async fn search(&self, space: &Space, vector: &[f32], k: usize, floor: f32) -> Result<Vec<Near>, BackendError> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(BackendError { backend: "list".to_owned(), reason: "broken".to_owned() });
        }
        let kept = self.kept.lock().unwrap();
        let near = kept.iter().filter(|(of, ..)| of == space).map(|(_, stored, kept)| Near {
            id: stored.id,
            cosine: cosine(kept, vector),
            text: stored.text.clone(),
            generation: stored.generation,
        });
        Ok(near.filter(|near| near.cosine >= floor).take(k).collect())
    }

    async fn insert(&self, space: &Space, near: &Stored, vector: &[f32]) -> Result<(), BackendError> {
        self.kept.lock().unwrap().push((*space, near.clone(), vector.to_vec()));
        Ok(())
    }

    async fn delete(&self, id: &EntryId) -> Result<(), BackendError> {
        self.kept.lock().unwrap().retain(|(_, stored, _)| stored.id != *id);
        Ok(())
    }

    async fn purge(&self, namespace: Option<&NamespaceId>) -> Result<(), BackendError> {
        self.kept.lock().unwrap().retain(|(space, ..)| namespace.is_some_and(|purged| space.namespace != *purged));
        Ok(())
    }
}

#[tokio::test]
async fn a_vector_database_stands_in_place_of_the_nodes() {
    let list = Arc::new(List::default());
    let simulation = start_with(|config| config.semantic.as_mut().unwrap().vectors = Some(list.clone()));
    let learned = answer(&simulation, &node_id("a"), 1, ASKED).await;
    for name in simulation.names() {
        assert!(hits(&simulation, &name, 1, AGAIN).await);
        assert!(!hits(&simulation, &name, 2, AGAIN).await);
    }
    assert_eq!((vectors(&simulation), simulation.searched.lock().unwrap().len()), (0, 0), "no node holds or is asked");
    list.is_broken.store(true, Ordering::SeqCst);
    assert_eq!(find(&simulation, &node_id("b"), 1, AGAIN).await, Similar::Miss(None));
    assert_eq!(stats(&simulation, &node_id("b")).remote_failures, 1);
    list.is_broken.store(false, Ordering::SeqCst);
    assert!(hits(&simulation, &node_id("b"), 1, AGAIN).await, "one failure stands for no other");
    let cache = simulation.cache(&node_id("b"));
    cache.learn(question(&cache, 2, ASKED), &entry(&cache, 2, 100)).await;
    assert_eq!(find(&simulation, &node_id("b"), 2, AGAIN).await, Similar::Miss(None), "its entry is not there");
    eventually("it is deleted", || list.kept.lock().unwrap().len() == 1).await;
    cache.purge(Purge::Id(learned.id)).await.unwrap();
    assert!(list.kept.lock().unwrap().is_empty());
    answer(&simulation, &node_id("a"), 3, ASKED).await;
    cache.purge(Purge::Namespace(scope(), "faq".to_owned())).await.unwrap();
    assert!(list.kept.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_purge_right_after_a_failed_look_up_leaves_nothing_in_the_vector_database() {
    for purge in 0..3 {
        let list = Arc::new(List::default());
        let simulation = start_with(|config| config.semantic.as_mut().unwrap().vectors = Some(list.clone()));
        let learned = answer(&simulation, &node_id("a"), 1, ASKED).await;
        list.is_broken.store(true, Ordering::SeqCst);
        assert_eq!(find(&simulation, &node_id("b"), 1, AGAIN).await, Similar::Miss(None));
        list.is_broken.store(false, Ordering::SeqCst);
        let purge =
            [Purge::Id(learned.id), Purge::Namespace(scope(), "faq".to_owned()), Purge::All].into_iter().nth(purge);
        simulation.cache(&node_id("b")).purge(purge.unwrap()).await.unwrap();
        assert!(list.kept.lock().unwrap().is_empty());
    }
}

#[derive(Debug)]
struct Broken;

#[async_trait]
impl Embedder for Broken {
    fn space(&self) -> &'static str {
        "broken"
    }

    async fn embed(&self, text: &str) -> Result<Arc<[f32]>, EmbedError> {
        match text {
            "nan" => Ok(vec![f32::NAN; 8].into()),
            "long" => Ok(vec![0.5; 5_000].into()),
            _ => Err(EmbedError { embedder: "broken".to_owned(), reason: "no reason".to_owned() }),
        }
    }
}

#[tokio::test]
async fn a_text_without_a_vector_is_a_miss_and_counted() {
    let simulation = start_with(|config| config.semantic = Some(SemanticConfig::new(Arc::new(Broken))));
    for (number, text) in ["nan", "long", "fails"].into_iter().enumerate() {
        answer(&simulation, &node_id("a"), 1, text).await;
        assert_eq!(find(&simulation, &node_id("a"), 1, text).await, Similar::Miss(None));
        assert_eq!(stats(&simulation, &node_id("a")).embed_failures, 2 * (number as u64 + 1));
    }
    assert_eq!(vectors(&simulation), 0);
}
