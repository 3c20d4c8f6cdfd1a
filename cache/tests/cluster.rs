//! The cache over a real cluster: three nodes with QUIC, gossip and ring on the loopback.

#![allow(clippy::unwrap_used, reason = "for tests")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use peerway_cache::semantic::StaticEmbedder;
use peerway_cache::{
    CacheConfig, Clock, ClusterPeers, Entry, Purge, Question, RingCache, SemanticConfig, Similar, Stored,
};
use peerway_cluster::cluster::{Cluster, ClusterConfig};
use peerway_cluster::discovery::Seed;
use peerway_cluster::identity::{Identity, NodeId};
use peerway_cluster::membership::State;
use peerway_cluster::ring::Partition;
use peerway_cluster::trust::Trust;
use support::{KEY, node_id, scope};

const SOON: Duration = Duration::from_secs(20);

struct Node {
    id: NodeId,
    cluster: Cluster,
    peers: Arc<ClusterPeers>,
    cache: RingCache,
    following: tokio::task::JoinHandle<()>,
}

impl Node {
    async fn start(name: &str, join: Vec<Seed>) -> Node {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
        let (identity, _) =
            Identity::load_or_create(None, "test".parse().unwrap(), Some(node_id(name)), now, || unreachable!())
                .unwrap();
        let peers = ClusterPeers::new(node_id(name));
        let cache = RingCache::new(patient(), peers.clone());
        let config = ClusterConfig {
            trust: Trust::from_secret("a secret of the cluster, long enough", &identity.cluster, &identity.node_id)
                .unwrap(),
            identity,
            listen: "127.0.0.1:0".parse().unwrap(),
            advertise: None,
            join,
            zone: None,
            weight: 1.0,
            http: String::new(),
            version: String::new(),
        };
        let cluster = Cluster::start(config, Arc::new(cache.service())).await.unwrap();
        let following = tokio::spawn(peers.attach(cluster.clone(), cache.clone()));
        cluster.set_state(State::Ready).await;
        Node { id: node_id(name), cluster, peers, cache, following }
    }

    /// Gone without a word to the gossip.
    async fn crash(self) {
        self.peers.detach();
        self.following.abort();
        self.cluster.link().close().await;
    }

    async fn until_ring_has(&self, members: usize) {
        let mut views = self.cluster.watch();
        let started = Instant::now();
        while self.cluster.ring().members().len() != members {
            assert!(started.elapsed() < SOON, "{} sees {:?}", self.id, self.cluster.ring().members());
            let _ = tokio::time::timeout(Duration::from_millis(50), views.changed()).await;
        }
    }

    async fn has(&self, entry: &Entry) -> bool {
        self.cache.get(&entry.id, &entry.namespace).await.as_deref() == Some(entry)
    }
}

/// The machine that runs the tests may be busy: the deadlines of production must not decide them.
fn patient() -> CacheConfig {
    let patience = Duration::from_secs(5);
    let semantic = SemanticConfig { deadline: patience, ..SemanticConfig::new(Arc::new(StaticEmbedder::new())) };
    CacheConfig {
        get_deadline: patience,
        bulk_deadline: patience,
        put_deadline: patience,
        semantic: Some(semantic),
        ..CacheConfig::new(KEY)
    }
}

async fn three() -> [Node; 3] {
    let first = Node::start("a", Vec::new()).await;
    let seed: Seed = first.cluster.link().advertised().to_string().parse().unwrap();
    let nodes = [first, Node::start("b", vec![seed.clone()]).await, Node::start("c", vec![seed]).await];
    for node in &nodes {
        node.until_ring_has(3).await;
    }
    nodes
}

fn fresh(node: &Node, number: usize, size: usize) -> Entry {
    let now = Clock::system().now_ms();
    Entry { created_ms: now, expires_ms: now + 300_000, ..support::entry(&node.cache, number, size) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_put_all_have_and_a_dead_owner_takes_nothing_with_it() {
    let nodes = three().await;
    let mut entries = Vec::new();
    for number in 0..30 {
        // Every tenth is large enough for a bulk call.
        let entry = fresh(&nodes[0], number, if number % 10 == 0 { 300_000 } else { 500 });
        assert_eq!(nodes[number % 3].cache.put(entry.clone()).await, Stored::Acknowledged, "{number}");
        for node in &nodes {
            assert!(node.has(&entry).await, "{number} at {}", node.id);
        }
        entries.push(entry);
    }
    let [a, b, dead] = nodes;
    let ring = a.cluster.ring();
    let owned = |entry: &&Entry| ring.owners(Partition::of(entry.id.as_bytes())).owner == Some(&dead.id);
    let lost: Vec<_> = entries.iter().filter(owned).collect();
    assert!(!lost.is_empty());
    // Without what it has near, a survivor must ask: first over the old ring, with the owner dead, then over the new.
    let blind = |node: &Node| RingCache::new(patient(), node.peers.clone());
    dead.crash().await;
    let (blind_a, blind_b) = (blind(&a), blind(&b));
    for entry in &lost {
        let owners = ring.owners(Partition::of(entry.id.as_bytes()));
        let asker = if owners.replica == Some(&a.id) { &blind_b } else { &blind_a };
        assert!(asker.get(&entry.id, &entry.namespace).await.is_some(), "before the death is noticed");
    }
    for node in [&a, &b] {
        node.until_ring_has(2).await;
    }
    for entry in &entries {
        assert!(a.has(entry).await && b.has(entry).await, "after the death was noticed");
        let owner =
            if a.cluster.ring().owners(Partition::of(entry.id.as_bytes())).owner == Some(&a.id) { &a } else { &b };
        let stats = owner.cache.stats();
        assert!(owner.cache.get_local(&entry.id, &entry.namespace).is_some());
        assert_eq!(owner.cache.stats().hits_local, stats.hits_local + 1, "the new owner holds it itself");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_reaches_all_and_those_who_come_later() {
    let nodes = three().await;
    let entry = fresh(&nodes[0], 1, 100);
    nodes[0].cache.put(entry.clone()).await;
    for node in &nodes {
        assert!(node.has(&entry).await);
    }
    let report = nodes[1].cache.purge(Purge::Scope(scope())).await.unwrap();
    assert_eq!((report.confirmed, report.unreached), (3, Vec::new()));
    for node in &nodes {
        assert!(!node.has(&entry).await, "{}", node.id);
    }
    let seed: Seed = nodes[0].cluster.link().advertised().to_string().parse().unwrap();
    let late = Node::start("d", vec![seed]).await;
    let started = Instant::now();
    while late.cache.generation(&entry.namespace) != nodes[1].cache.generation(&entry.namespace) {
        assert!(started.elapsed() < SOON, "the newcomer did not hear of the purge");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(late.cache.put(entry).await, Stored::Refused);
}

async fn finds(node: &Node, entry: &Entry, context: [u8; 32]) -> bool {
    let question = Question { namespace: entry.namespace, context, text: "How can I reset my password?".into() };
    match node.cache.find_similar(&question, 0.85).await {
        Similar::Hit { entry: found, .. } => *found == *entry,
        Similar::Miss(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_learned_all_find_by_its_meaning_and_a_newcomer_takes_it_over() {
    let nodes = three().await;
    let mut learned = Vec::new();
    for number in 0..30 {
        let (at, entry) = (&nodes[number % 3].cache, fresh(&nodes[0], number, 500));
        assert_eq!(at.put(entry.clone()).await, Stored::Acknowledged);
        let question = Question {
            namespace: entry.namespace,
            context: [number as u8; 32],
            text: "How do I reset my password?".into(),
        };
        at.learn(question, &entry).await;
        for node in &nodes {
            assert!(finds(node, &entry, [number as u8; 32]).await, "{number} at {}", node.id);
        }
        learned.push(entry);
    }
    let seed: Seed = nodes[0].cluster.link().advertised().to_string().parse().unwrap();
    let late = Node::start("d", vec![seed]).await;
    for node in nodes.iter().chain([&late]) {
        node.until_ring_has(4).await;
    }
    let started = Instant::now();
    while late.cache.semantic_stats().unwrap().vectors == 0 {
        assert!(started.elapsed() < SOON, "nothing was handed over");
        late.cache.take_over_vectors().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (number, entry) in learned.iter().enumerate() {
        assert!(finds(&late, entry, [number as u8; 32]).await, "{number}");
    }
}
