//! Links on loopback, with a service that echoes.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bincode::{Decode, Encode};
use bytes::Bytes;
use peerway_cluster::identity::{Generation, Identity, Incarnation, NodeId};
use peerway_cluster::link::{Answer, Link, LinkConfig, LinkLimits, Refusal, Service};
use peerway_cluster::trust::Trust;
use peerway_cluster::wire::{self, Kind, Message, Request};
use tokio::sync::Notify;

pub const SECRET: &str = "a secret for tests only";
pub const PATIENCE: Duration = Duration::from_secs(10);
pub const SOON: Duration = Duration::from_secs(20);

/// What the echo service is to do with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum How {
    Now,
    Later,
    Never,
    Refuse,
    Grow(u32),
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ask {
    pub how: How,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Told(pub Vec<u8>);

// Kinds with a large limit and their answers; the numbers are another room's, whose service is not here.
impl Message for Ask {
    const KIND: Kind = Kind::CacheGet;
    const MAX_LEN: usize = Kind::CacheGet.max_len();
}
impl Message for Told {
    const KIND: Kind = Kind::CacheGot;
}
impl Request for Ask {
    type Response = Told;
}

pub fn ask(how: How, bytes: &[u8]) -> Ask {
    Ask { how, bytes: bytes.to_vec() }
}

#[derive(Debug, Default)]
pub struct Echo {
    pub cancelled: Arc<Notify>,
    pub served: Arc<AtomicU64>,
}

struct OnDrop(Arc<Notify>);
impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Service for Echo {
    fn serve(&self, _from: &NodeId, kind: Kind, payload: Bytes) -> Answer {
        self.served.fetch_add(1, Ordering::Relaxed);
        if kind != Kind::CacheGet {
            return Answer::Now(Err(Refusal::NotServed));
        }
        let Ok(ask) = wire::decode::<Ask>(&payload) else {
            return Answer::Now(Err(Refusal::Malformed));
        };
        let told = |bytes: Vec<u8>| wire::encode(&Told(bytes)).map_err(|error| Refusal::Failed(error.to_string()));
        match ask.how {
            How::Now => Answer::Now(told(ask.bytes)),
            How::Later => Answer::Later(Box::pin(async move {
                tokio::task::yield_now().await;
                told(ask.bytes)
            })),
            How::Never => {
                let guard = OnDrop(Arc::clone(&self.cancelled));
                Answer::Later(Box::pin(async move {
                    let _guard = guard;
                    std::future::pending().await
                }))
            }
            How::Refuse => Answer::Now(Err(Refusal::Failed("no".repeat(5_000)))),
            How::Grow(len) => Answer::Now(told(vec![7; len as usize])),
        }
    }
}

pub fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

pub fn identity(name: &str, generation: u64) -> Identity {
    Identity {
        cluster: "test".parse().unwrap(),
        node_id: id(name),
        incarnation: Incarnation(1),
        generation: Generation(generation),
    }
}

pub fn config(identity: Identity, trust: Trust) -> LinkConfig {
    LinkConfig { identity, trust, listen: loopback(), advertise: None, limits: LinkLimits::default() }
}

pub fn secret_config(name: &str, generation: u64) -> LinkConfig {
    let identity = identity(name, generation);
    let trust = Trust::from_secret(SECRET, &identity.cluster, &identity.node_id).unwrap();
    config(identity, trust)
}

pub fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub fn node(name: &str) -> Link {
    Link::bind(secret_config(name, 1), Arc::new(Echo::default())).unwrap()
}

/// Waits until the link's peers are as wanted.
pub async fn until(link: &Link, what: &str, wanted: impl Fn(&Link) -> bool) {
    let mut changes = link.watch();
    let reached = tokio::time::timeout(PATIENCE, async {
        while !wanted(link) {
            // Counters change without a notice, peers with one.
            let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
        }
    });
    let reached = reached.await.is_ok();
    let (peers, dials) = (link.peers(), link.dials());
    assert!(reached, "{what}: {peers:?} {dials:?} {:?} {:?}", link.counters(), link.refusals());
}

/// Two links with a connection between them.
pub async fn pair() -> (Link, Link) {
    let (a, b) = (node("a"), node("b"));
    join(&a, &b).await;
    (a, b)
}

pub async fn join(from: &Link, to: &Link) {
    from.connect(to.local_addr());
    let (from_id, to_id) = (from.identity().node_id.clone(), to.identity().node_id.clone());
    until(from, "the dialler has its peer", |link| link.is_connected(&to_id)).await;
    until(to, "the dialled has its peer", |link| link.is_connected(&from_id)).await;
}

pub async fn echoes(link: &Link, peer: &str) {
    let told = link.call(&id(peer), &ask(How::Now, b"hello"), SOON).await.unwrap();
    assert_eq!(told.0, b"hello");
}
