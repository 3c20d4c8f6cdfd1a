//! Nodes with a ledger over the real link on loopback, each on a runtime of its own: dropping one is a crash.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use peerway_cluster::cluster::{Cluster, ClusterConfig};
use peerway_cluster::identity::{DataDirLock, Identity, NodeId};
use peerway_cluster::ledger::allowance::{Allowance, AllowanceId, Tier, Unit};
use peerway_cluster::ledger::counting::Begin;
use peerway_cluster::ledger::hot::{Hold, Part, Slot};
use peerway_cluster::ledger::reservation::Denial;
use peerway_cluster::ledger::service::{CounterView, LedgerService, LedgerStatus, ServiceConfig};
use peerway_cluster::ledger::window::WindowKind;
use peerway_cluster::link::{Answer, Refusal, Service};
use peerway_cluster::membership::State;
use peerway_cluster::trust::Trust;
use peerway_cluster::wire::Kind;
use tokio::runtime::Runtime;

pub const SECRET: &str = "a secret for the tests of the ledger";
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const FOREVER: WindowKind = WindowKind::Forever;

pub fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// What a node says that all have spent of the one allowance.
pub fn spent(node: &Node) -> u64 {
    node.counters()[0].spent
}

/// The part of a node's rooms that matters here.
#[derive(Debug, Default)]
struct Rooms(OnceLock<LedgerService>);

impl Service for Rooms {
    fn serve(&self, from: &NodeId, kind: Kind, payload: Bytes) -> Answer {
        let answer = self.0.get().and_then(|ledger| ledger.answer(from, kind, &payload));
        answer.unwrap_or(Answer::Now(Err(Refusal::NotServed)))
    }
}

/// A node; dropped, it ends as in a crash.
pub struct Node {
    pub runtime: Option<Runtime>,
    pub cluster: Option<Cluster>,
    pub ledger: LedgerService,
    pub identity: Identity,
    pub data_dir: PathBuf,
    pub lock: Option<DataDirLock>,
}

/// Times grow, so that generations do.
pub fn micros() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    let next = |last: u64| Some(now.max(last + 1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap();
    now.max(last + 1)
}

pub fn unix() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

pub fn founders() -> Begin {
    Begin::Founders(["a", "b", "c"].map(|name| name.parse().unwrap()).into())
}

impl Node {
    /// A node with peers.
    pub fn start(name: &str, data_dir: &Path, join: &[SocketAddr]) -> Node {
        let (identity, lock) = identity(name, data_dir);
        let runtime = runtime();
        let (ledger, cluster) = runtime.block_on(async {
            let ledger = LedgerService::start(config(&identity, founders(), data_dir)).unwrap();
            let rooms = Arc::new(Rooms::default());
            rooms.0.set(ledger.clone()).unwrap();
            let cluster = Cluster::start(cluster_config(&identity, join), rooms).await.unwrap();
            cluster.set_state(State::Ready).await;
            tokio::spawn(ledger.clone().attach(cluster.clone()));
            (ledger, cluster)
        });
        let data_dir = data_dir.to_owned();
        Node { runtime: Some(runtime), cluster: Some(cluster), ledger, identity, data_dir, lock }
    }

    /// A node without any.
    pub fn alone(name: &str, data_dir: &Path) -> Node {
        let (identity, lock) = identity(name, data_dir);
        let runtime = runtime();
        let ledger =
            runtime.block_on(async { LedgerService::start(config(&identity, Begin::Alone, data_dir)).unwrap() });
        Node { runtime: Some(runtime), cluster: None, ledger, identity, data_dir: data_dir.to_owned(), lock }
    }

    pub fn address(&self) -> SocketAddr {
        self.cluster.as_ref().unwrap().link().advertised()
    }

    pub fn run<F: Future>(&self, future: F) -> F::Output {
        self.runtime.as_ref().unwrap().block_on(future)
    }

    /// Waits until the status is as wanted.
    pub fn until(&self, what: &str, wanted: impl Fn(&LedgerStatus) -> bool) {
        let mut statuses = self.ledger.watch();
        let seen = self.run(async {
            tokio::time::timeout(PATIENCE, statuses.wait_for(|status| wanted(status))).await.is_ok_and(|it| it.is_ok())
        });
        assert!(seen, "not in time at {}: {what}; {:#?}", self.identity.node_id, self.ledger.status());
    }

    pub fn slot(&self, limit: u64, window: WindowKind) -> Arc<Slot> {
        self.ledger.slot(allowance(limit, window))
    }

    pub fn hold(&self, slot: &Arc<Slot>, amount: u64) -> Result<Hold, Denial> {
        self.run(self.ledger.hold(&[Part { slot, amount }]))
    }

    /// Holds until it is denied several times in a row: what was on its way to a peer has come by then.
    pub fn spend_all(&self, slot: &Arc<Slot>, amount: u64) -> u64 {
        let (mut spent, mut denied) = (0, 0);
        while denied < 10 {
            match self.hold(slot, amount) {
                Ok(hold) => {
                    hold.settle(&[amount]);
                    (spent, denied) = (spent + amount, 0);
                }
                Err(Denial::Exhausted { .. } | Denial::Late(_)) => {
                    denied += 1;
                    std::thread::sleep(Duration::from_millis(60));
                }
                Err(error) => panic!("{error}"),
            }
        }
        spent
    }

    /// Waits until a node knows by itself of what was spent: the data plane's view of it is made anew with each request
    /// that asks the ledger.
    pub fn until_known(&self, slot: &Arc<Slot>, spent: u64) {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Ok(hold) = self.hold(slot, 1) {
                hold.release();
            }
            let known = slot.view(unix()).spent;
            if known >= spent {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{} knows of {known}, not {spent}", self.identity.node_id);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn counters(&self) -> Vec<CounterView> {
        self.run(self.ledger.counters())
    }

    /// Waits until the counters are as wanted: they are asked for, nobody tells of their changes.
    pub fn until_counters(&self, what: &str, wanted: impl Fn(&[CounterView]) -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let counters = self.counters();
            if wanted(&counters) {
                return;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "not in time at {}: {what}: {counters:#?}",
                self.identity.node_id
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub fn allowance(limit: u64, window: WindowKind) -> Allowance {
    let id = AllowanceId::of(Tier::Key, "test", Unit::Requests, window, 0);
    Allowance { id, unit: Unit::Requests, limit, window }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn identity(name: &str, data_dir: &Path) -> (Identity, Option<DataDirLock>) {
    let name: NodeId = name.parse().unwrap();
    Identity::load_or_create(Some(data_dir), "test".parse().unwrap(), Some(name), micros(), || unreachable!()).unwrap()
}

fn config(identity: &Identity, begin: Begin, data_dir: &Path) -> ServiceConfig {
    ServiceConfig {
        identity: identity.clone(),
        begin,
        data_dir: Some(data_dir.to_owned()),
        // Longer than in life: tests share a slow disk.
        gather: Duration::from_secs(1),
    }
}

fn cluster_config(identity: &Identity, join: &[SocketAddr]) -> ClusterConfig {
    ClusterConfig {
        trust: Trust::from_secret(SECRET, &identity.cluster, &identity.node_id).unwrap(),
        identity: identity.clone(),
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: None,
        join: join.iter().map(|address| address.to_string().parse().unwrap()).collect(),
        zone: None,
        weight: 1.0,
        http: "127.0.0.1:8080".into(),
        version: "0.1.0".into(),
    }
}

/// Three founders that have met, each active.
pub fn three(dir: &Path) -> [Node; 3] {
    let a = Node::start("a", &dir.join("a"), &[]);
    let seed = [a.address()];
    let nodes = [a, Node::start("b", &dir.join("b"), &seed), Node::start("c", &dir.join("c"), &seed)];
    for node in &nodes {
        node.until("active with all three", |status| {
            status.is_active() && status.counted.len() == 3 && status.live.len() == 2
        });
    }
    nodes
}

/// The data directory as a crash at this moment would leave it.
pub fn image(of: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(of).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            image(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
