#![allow(dead_code, clippy::unwrap_used, reason = "for tests, each of which uses its part")]
//! Several nodes in one process: the real ring and the real messages, and a wire that can be told to misbehave.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use peerway_cache::message::{
    Follow, Followed, Forget, Forgotten, Get, Got, Landed, Learn, Learned, Pull, Pulled, PurgeCall, Purged, Put,
    PutDone, Search, Searched,
};
use peerway_cache::peers::{PeerError, Placement};
use peerway_cache::{
    CacheConfig, Clock, Content, Entry, EntryId, NamespaceId, Peers, Recorded, RingCache, TenantScope,
};
use peerway_cluster::identity::NodeId;
use peerway_cluster::link::{Answer, Service as _};
use peerway_cluster::ring::{Partition, Ring, RingMember};
use peerway_cluster::wire::{Request, decode, encode};

pub(crate) const KEY: [u8; 32] = [5; 32];
pub(crate) const NOW: u64 = 1_700_000_000_000;

/// How calls to a node go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    /// Calls fail at once.
    Dead,
    /// Calls are never answered.
    Hung,
    /// Calls are answered when another node has answered one.
    Last,
}

pub(crate) struct Simulation {
    nodes: Mutex<BTreeMap<NodeId, Node>>,
    rings: Mutex<(Arc<Ring>, Option<Arc<Ring>>, u64)>,
    /// What was gossiped, by node; delivered when a test says so.
    gossip: Mutex<BTreeMap<NodeId, String>>,
    now_ms: Arc<AtomicU64>,
    pub(crate) calls: AtomicUsize,
    answered: AtomicUsize,
    /// What a peer that cannot be trusted makes of its answers to semantic look-ups.
    twist: Mutex<Option<Twist>>,
    /// Who was asked for the nearest entries, in order.
    pub(crate) searched: Mutex<Vec<NodeId>>,
}

type Twist = Box<dyn Fn(&mut Searched) + Send>;

struct Node {
    cache: RingCache,
    way: Way,
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Simulation")
    }
}

pub(crate) fn node_id(name: &str) -> NodeId {
    name.parse().unwrap()
}

fn ring(names: &[&str]) -> Arc<Ring> {
    let member = |name: &&str| RingMember { id: node_id(name), weight: 1.0, zone: None };
    Arc::new(Ring::build(names.iter().map(member).collect()))
}

impl Simulation {
    pub(crate) fn start(names: &[&str]) -> Arc<Simulation> {
        Simulation::start_with(names, |_| ())
    }

    pub(crate) fn start_with(names: &[&str], change: impl Fn(&mut CacheConfig)) -> Arc<Simulation> {
        let simulation = Arc::new(Simulation {
            nodes: Mutex::default(),
            rings: Mutex::new((ring(names), None, 1)),
            gossip: Mutex::default(),
            now_ms: Arc::new(AtomicU64::new(NOW)),
            calls: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            twist: Mutex::default(),
            searched: Mutex::default(),
        });
        names.iter().for_each(|name| simulation.boot(name, &change));
        simulation
    }

    /// An empty node, new or in place of one that was there.
    pub(crate) fn boot(self: &Arc<Self>, name: &str, change: impl Fn(&mut CacheConfig)) {
        let now_ms = self.now_ms.clone();
        let mut config = CacheConfig {
            // Long enough that a loaded machine does not decide a test; what must not wait is told to hang for ever.
            get_deadline: Duration::from_secs(10),
            board_deadline: Duration::from_secs(10),
            put_deadline: Duration::from_millis(100),
            purge_deadline: Duration::from_millis(100),
            first_hedge: Duration::from_secs(5),
            clock: Clock::new(move || now_ms.load(Ordering::SeqCst)),
            ..CacheConfig::new(KEY)
        };
        change(&mut config);
        let peers = Arc::new(SimulatedPeers { me: node_id(name), simulation: Arc::downgrade(self) });
        let node = Node { cache: RingCache::new(config, peers), way: Way::Up };
        self.nodes.lock().unwrap().insert(node_id(name), node);
    }

    pub(crate) fn cache(&self, name: &NodeId) -> RingCache {
        self.nodes.lock().unwrap()[name].cache.clone()
    }

    pub(crate) fn names(&self) -> Vec<NodeId> {
        self.nodes.lock().unwrap().keys().cloned().collect()
    }

    pub(crate) fn set(&self, name: &NodeId, way: Way) {
        self.nodes.lock().unwrap().get_mut(name).unwrap().way = way;
    }

    pub(crate) fn twist(&self, twist: impl Fn(&mut Searched) + Send + 'static) {
        *self.twist.lock().unwrap() = Some(Box::new(twist));
    }

    pub(crate) fn change_ring(&self, names: &[&str]) {
        let mut rings = self.rings.lock().unwrap();
        let previous = std::mem::replace(&mut rings.0, ring(names));
        rings.1 = Some(previous);
        rings.2 += 1;
    }

    pub(crate) fn pass_time(&self, time: Duration) {
        self.now_ms.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }

    /// Every node hears what every other has published, to the end.
    pub(crate) async fn gossip(&self) {
        for _ in 0..3 {
            let said: Vec<_> = self.gossip.lock().unwrap().values().cloned().collect();
            for name in self.names() {
                self.cache(&name).learn_generations(said.iter().map(String::as_str)).await;
            }
        }
    }

    pub(crate) fn gossiped(&self, name: &NodeId) -> Option<String> {
        self.gossip.lock().unwrap().get(name).cloned()
    }

    pub(crate) fn forget_gossip(&self, name: &NodeId) {
        self.gossip.lock().unwrap().remove(name);
    }

    fn place(&self, id: &EntryId) -> Placement {
        let rings = self.rings.lock().unwrap();
        let partition = Partition::of(id.as_bytes());
        let owners = rings.0.owners(partition);
        Placement {
            owner: owners.owner.cloned(),
            replica: owners.replica.cloned(),
            previous_owner: rings.1.as_ref().and_then(|ring| ring.owners(partition).owner.cloned()),
            ring: rings.2,
        }
    }

    /// Owner, replica and the first of the others, for an entry.
    pub(crate) fn roles(&self, id: &EntryId) -> (NodeId, NodeId, NodeId) {
        let placement = self.place(id);
        let other = self.names().into_iter().find(|name| !placement.holds(name)).unwrap();
        (placement.owner.unwrap(), placement.replica.unwrap(), other)
    }

    async fn call<M: Request>(&self, from: &NodeId, to: &NodeId, message: &M) -> Result<M::Response, PeerError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let way = |name: &NodeId| self.nodes.lock().unwrap().get(name).map_or(Way::Dead, |node| node.way);
        match way(to) {
            Way::Up => {}
            Way::Dead => return Err(PeerError::Unreachable(to.clone())),
            Way::Hung => std::future::pending().await,
            Way::Last => {
                let before = self.answered.load(Ordering::SeqCst);
                while self.answered.load(Ordering::SeqCst) == before {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
        let service = self.cache(to).service();
        let answer = match service.serve(from, M::KIND, encode(message).unwrap()) {
            Answer::Now(answer) => answer,
            Answer::Later(answer) => answer.await,
        };
        let payload = answer.unwrap_or_else(|error| panic!("{to} did not answer {}: {error}", M::KIND));
        // Who dies before its answer has come does not answer.
        if way(to) == Way::Dead {
            return Err(PeerError::Unreachable(to.clone()));
        }
        // As a network would, let others run between question and answer.
        tokio::task::yield_now().await;
        self.answered.fetch_add(1, Ordering::SeqCst);
        Ok(decode(&payload).unwrap())
    }
}

#[derive(Debug)]
struct SimulatedPeers {
    me: NodeId,
    simulation: Weak<Simulation>,
}

impl SimulatedPeers {
    fn simulation(&self) -> Arc<Simulation> {
        self.simulation.upgrade().unwrap()
    }
}

#[async_trait]
impl Peers for SimulatedPeers {
    fn me(&self) -> &NodeId {
        &self.me
    }

    fn placement(&self, id: &EntryId) -> Placement {
        self.simulation().place(id)
    }

    fn others(&self) -> Vec<NodeId> {
        self.simulation().names().into_iter().filter(|name| *name != self.me).collect()
    }

    async fn get(&self, peer: &NodeId, message: &Get, _: Duration) -> Result<Got, PeerError> {
        self.simulation().call(&self.me, peer, message).await
    }

    async fn put(&self, peer: &NodeId, message: &Put, _: Duration) -> Result<PutDone, PeerError> {
        self.simulation().call(&self.me, peer, message).await
    }

    async fn follow(&self, peer: &NodeId, message: &Follow, _: Duration) -> Result<Followed, PeerError> {
        self.simulation().call(&self.me, peer, message).await
    }

    async fn landed(&self, peer: &NodeId, message: &Landed, _: Duration) -> Result<(), PeerError> {
        self.simulation().call(&self.me, peer, message).await.map(|_| ())
    }

    async fn purge(&self, peer: &NodeId, message: &PurgeCall, _: Duration) -> Result<Purged, PeerError> {
        self.simulation().call(&self.me, peer, message).await
    }

    async fn search(&self, peer: &NodeId, message: &Search, _: Duration) -> Result<Searched, PeerError> {
        let simulation = self.simulation();
        simulation.searched.lock().unwrap().push(peer.clone());
        let mut answer = simulation.call(&self.me, peer, message).await?;
        if let Some(twist) = simulation.twist.lock().unwrap().as_ref() {
            twist(&mut answer);
        }
        Ok(answer)
    }

    async fn learn(&self, peer: &NodeId, message: &Learn, _: Duration) -> Result<Learned, PeerError> {
        self.simulation().call(&self.me, peer, message).await
    }

    async fn forget(&self, peer: &NodeId, message: &Forget, _: Duration) -> Result<Forgotten, PeerError> {
        self.simulation().call(&self.me, peer, message).await
    }

    async fn pull(&self, peer: &NodeId, message: &Pull, _: Duration) -> Result<Pulled, PeerError> {
        self.simulation().call(&self.me, peer, message).await
    }

    async fn publish_generations(&self, part: usize, text: String) {
        assert_eq!(part, 0, "these tests purge a few targets only");
        self.simulation().gossip.lock().unwrap().insert(self.me.clone(), text);
    }
}

pub(crate) fn scope() -> TenantScope {
    TenantScope::key("demo")
}

/// An answer of `size` bytes to question `number`, in the namespace `faq` of `scope`.
pub(crate) fn entry(cache: &RingCache, number: usize, size: usize) -> Entry {
    let body = format!(r#"{{"question":{number}}}"#);
    let (id, namespace) = cache.identify(&scope(), "faq", "chat/completions", body.as_bytes()).unwrap();
    Entry {
        id,
        namespace,
        generation: cache.generation(&namespace),
        created_ms: NOW,
        expires_ms: NOW + 300_000,
        content: Content {
            provider: "simulated".to_owned(),
            model: "echo".to_owned(),
            usage: None,
            recorded: Recorded::Plain { body: noise(size) },
        },
    }
}

/// What no compression makes smaller.
pub(crate) fn noise(size: usize) -> Bytes {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// The first question from `from` on that this node owns.
pub(crate) fn owned_by(simulation: &Simulation, owner: &NodeId, from: usize) -> usize {
    let cache = simulation.cache(owner);
    (from..).find(|number| simulation.roles(&entry(&cache, *number, 1).id).0 == *owner).unwrap()
}

pub(crate) async fn has(simulation: &Simulation, at: &NodeId, id: &EntryId, namespace: &NamespaceId) -> bool {
    simulation.cache(at).get(id, namespace).await.is_some()
}
