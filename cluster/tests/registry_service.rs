//! The promises of the registry at work, over real QUIC on this machine: how soon a write is known, and that it stays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use peerway_cluster::cluster::{Cluster, ClusterConfig};
use peerway_cluster::identity::{Generation, Identity, Incarnation, NodeId};
use peerway_cluster::link::{Answer, Refusal, Service};
use peerway_cluster::membership::State;
use peerway_cluster::registry::service::{Durability, Expected, ServiceConfig, WriteError};
use peerway_cluster::registry::store::WhenAhead;
use peerway_cluster::registry::{Limits, RecordKind, RegistryService, Snapshot};
use peerway_cluster::trust::Trust;
use peerway_cluster::wire::Kind;

const SECRET: &str = "a secret for the tests of the registry";
const PATIENCE: Duration = Duration::from_secs(10);
const KEY: RecordKind = RecordKind::KEY;

struct Room(OnceLock<RegistryService>);

impl Service for Room {
    fn serve(&self, from: &NodeId, kind: Kind, payload: Bytes) -> Answer {
        let registry = self.0.get().expect("it is set before the link is bound");
        registry.answer(from, kind, &payload).unwrap_or(Answer::Now(Err(Refusal::NotServed)))
    }
}

struct Node {
    cluster: Cluster,
    registry: RegistryService,
}

impl Node {
    async fn start(name: &str, generation: u64, folder: Option<&Path>, join: &[SocketAddr]) -> Node {
        let identity = Identity {
            cluster: "test".parse().unwrap(),
            node_id: name.parse().unwrap(),
            incarnation: Incarnation(1),
            generation: Generation(generation),
        };
        let data_dir = folder.map(|folder| {
            let own: PathBuf = folder.join(name);
            std::fs::create_dir_all(&own).unwrap();
            own
        });
        let settings = ServiceConfig {
            identity: identity.clone(),
            data_dir,
            limits: Limits::default(),
            when_ahead: WhenAhead::Refuse,
        };
        let registry = RegistryService::start(settings).unwrap();
        let config = ClusterConfig {
            trust: Trust::from_secret(SECRET, &identity.cluster, &identity.node_id).unwrap(),
            identity,
            listen: "127.0.0.1:0".parse().unwrap(),
            advertise: None,
            join: join.iter().map(|address| address.to_string().parse().unwrap()).collect(),
            zone: None,
            weight: 1.0,
            http: "127.0.0.1:8080".into(),
            version: "0.1.0".into(),
        };
        let room = Room(OnceLock::from(registry.clone()));
        let cluster = Cluster::start(config, Arc::new(room)).await.unwrap();
        cluster.set_state(State::Ready).await;
        tokio::spawn(registry.clone().attach(cluster.clone()));
        Node { cluster, registry }
    }

    fn address(&self) -> SocketAddr {
        self.cluster.link().advertised()
    }

    async fn until(&self, what: &str, wanted: impl Fn(&Snapshot) -> bool) {
        let mut snapshots = self.registry.watch();
        let seen = tokio::time::timeout(PATIENCE, snapshots.wait_for(|snapshot| wanted(snapshot))).await.is_ok();
        assert!(seen, "not within {PATIENCE:?}: {what}: {:?}", self.registry.status());
    }

    async fn connected_to(&self, peers: usize) {
        let mut views = self.cluster.watch();
        let all = views.wait_for(|view| view.members.len() == peers + 1);
        tokio::time::timeout(PATIENCE, all).await.unwrap().unwrap();
        let mut links = self.cluster.link().watch();
        while self.cluster.link().peers().len() < peers {
            tokio::time::timeout(PATIENCE, links.changed()).await.unwrap().unwrap();
        }
    }

    async fn stop(self) {
        self.cluster.leave().await;
        self.registry.close().await;
    }
}

async fn three(generation: u64, folder: Option<&Path>) -> [Node; 3] {
    let a = Node::start("a", generation, folder, &[]).await;
    let seed = [a.address()];
    let nodes =
        [a, Node::start("b", generation, folder, &seed).await, Node::start("c", generation, folder, &seed).await];
    for node in &nodes {
        node.connected_to(2).await;
    }
    nodes
}

/// The median: a busy machine holds up some of them.
fn tell(what: &str, mut figures: Vec<Duration>) -> Duration {
    figures.sort_unstable();
    let (median, max) = (figures[figures.len() / 2], figures[figures.len() - 1]);
    println!("{what}: median {median:?}, max {max:?} of {}", figures.len());
    median
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_and_a_removal_are_known_to_all_within_a_second_and_survive_a_restart_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = three(1, Some(folder.path())).await;
    let (mut puts, mut returned, mut removals) = (Vec::new(), Vec::new(), Vec::new());
    let mut told_to_all = 0;
    for round in 0..20 {
        let id = format!("key-{round}");
        let begin = Instant::now();
        let written = a.registry.put(KEY, &id, b"{}", Expected::Seen(None)).await.unwrap();
        returned.push(begin.elapsed());
        for node in [&b, &c] {
            node.until("the key", |snapshot| snapshot.get(KEY, &id).is_some()).await;
        }
        puts.push(begin.elapsed());
        assert_eq!((written.durable, written.peers), (true, 2));
        told_to_all += usize::from(written.told == 2);
        if round % 2 == 0 {
            let begin = Instant::now();
            c.registry.remove(KEY, &id, Expected::Anything).await.unwrap();
            for node in [&a, &b] {
                node.until("the removal", |snapshot| snapshot.get(KEY, &id).is_none()).await;
            }
            removals.push(begin.elapsed());
        }
    }
    tell("put returned", returned);
    // The peers' word is waited for a moment only, which may pass on a busy machine.
    assert!(told_to_all > 0, "no put came back with the word of both peers");
    let put = tell("put known to all of three", puts);
    let removal = tell("removal known to all of three", removals);
    assert!(put < Duration::from_secs(1) && removal < Duration::from_secs(1));
    let revision = a.registry.status().revision;

    let newcomer = Node::start("d", 1, None, &[a.address()]).await;
    tokio::time::timeout(PATIENCE, newcomer.registry.caught_up()).await.unwrap();
    assert_eq!(newcomer.registry.status().revision, revision, "it has caught up");
    newcomer.stop().await;
    assert_eq!([b.registry.status().revision, c.registry.status().revision], [revision; 2]);

    for node in [a, b, c] {
        node.stop().await;
    }
    let nodes = three(2, Some(folder.path())).await;
    for node in &nodes {
        let status = node.registry.status();
        assert_eq!((status.live, status.records, status.durability), (10, 20, Durability::Ok));
        assert_eq!(status.revision, revision);
    }
    // What a node writes after a restart is later than what it wrote before.
    let [a, b, _c] = &nodes;
    a.registry.put(KEY, "key-0", b"again", Expected::Anything).await.unwrap();
    b.until("the key again", |snapshot| snapshot.get(KEY, "key-0").is_some_and(|value| *value == *b"again")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_of_one_record_on_two_sides_of_a_partition_converge() {
    let (a, b) = (Node::start("a", 1, None, &[]).await, Node::start("b", 1, None, &[]).await);
    let written = a.registry.put(KEY, "one", b"from a", Expected::Anything).await.unwrap();
    assert_eq!((written.durable, written.told, written.peers), (false, 0, 0));
    tokio::time::sleep(Duration::from_millis(5)).await; // the later of two writes is the one with the later clock
    b.registry.put(KEY, "one", b"from b", Expected::Anything).await.unwrap();
    a.registry.put(KEY, "only a", b"x", Expected::Anything).await.unwrap();
    b.registry.remove(KEY, "only b", Expected::Anything).await.unwrap();
    let begin = Instant::now();
    a.cluster.link().connect(b.address());
    for node in [&a, &b] {
        node.until("one of the two", |snapshot| {
            snapshot.get(KEY, "one").is_some_and(|value| *value == *b"from b")
                && snapshot.get(KEY, "only a").is_some()
                && snapshot.record(KEY, "only b").is_some()
        })
        .await;
    }
    println!("two sides alike {:?} after they met", begin.elapsed());
    assert_eq!(a.registry.status().revision, b.registry.status().revision);
}

#[tokio::test]
async fn a_write_that_relies_on_what_is_no_longer_so_is_refused() {
    let identity = Identity {
        cluster: "test".parse().unwrap(),
        node_id: "a".parse().unwrap(),
        incarnation: Incarnation(1),
        generation: Generation(1),
    };
    let config = ServiceConfig { identity, data_dir: None, limits: Limits::default(), when_ahead: WhenAhead::Refuse };
    let registry = RegistryService::start(config).unwrap();
    let first = registry.put(KEY, "k", b"1", Expected::Seen(None)).await.unwrap().stamp;
    let twice = registry.put(KEY, "k", b"2", Expected::Seen(None)).await;
    assert!(matches!(twice, Err(WriteError::Changed(_))), "{twice:?}");
    let second = registry.put(KEY, "k", b"2", Expected::Seen(Some(first.clone()))).await.unwrap().stamp;
    assert!(registry.remove(KEY, "k", Expected::Seen(Some(first))).await.is_err());
    registry.remove(KEY, "k", Expected::Seen(Some(second))).await.unwrap();
    assert_eq!((registry.get(KEY, "k"), registry.list(KEY).len()), (None, 0));
    registry.close().await;
    assert_eq!(registry.put(KEY, "k", b"3", Expected::Anything).await.unwrap_err(), WriteError::Closed);
    assert!(registry.snapshot().record(KEY, "k").is_some(), "reading goes on");
}

/// A queue that is dropped while somebody is sending keeps what was sent, and its answer, for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_at_the_very_end_are_answered() {
    for round in 0..1000 {
        let identity = Identity {
            cluster: "test".parse().unwrap(),
            node_id: "a".parse().unwrap(),
            incarnation: Incarnation(1),
            generation: Generation(1),
        };
        let config =
            ServiceConfig { identity, data_dir: None, limits: Limits::default(), when_ahead: WhenAhead::Refuse };
        let registry = RegistryService::start(config).unwrap();
        let writers = (0..4).map(|_| {
            let registry = registry.clone();
            tokio::spawn(async move { while registry.put(KEY, "k", b"1", Expected::Anything).await.is_ok() {} })
        });
        let writers: Vec<_> = writers.collect();
        registry.close().await;
        for writer in writers {
            let answered = tokio::time::timeout(PATIENCE, writer).await;
            answered.unwrap_or_else(|_| panic!("round {round}: no answer")).unwrap();
        }
    }
}
