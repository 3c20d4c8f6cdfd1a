//! What talking to a peer costs: the codec, and a call on each lane over loopback.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use peerway_cache::message::{Get, Got};
use peerway_cache::{CacheConfig, RingCache, TenantScope};
use peerway_cluster::identity::{Generation, Identity, Incarnation, NodeId};
use peerway_cluster::link::{Answer, Link, LinkConfig, LinkLimits, Refusal, Service};
use peerway_cluster::trust::Trust;
use peerway_cluster::wire::{Kind, decode, encode};
use tokio::runtime::Runtime;

const DEADLINE: Duration = Duration::from_secs(5);

fn question() -> Get {
    let me: NodeId = "node-1".parse().expect("a valid name");
    let cache = RingCache::new(CacheConfig::new([7; 32]), Arc::new(peerway_cache::Alone::new(me)));
    let (id, namespace) = cache
        .identify(&TenantScope::key("search"), "faq", "chat/completions", b"{\"model\":\"m\"}")
        .expect("the request is valid");
    Get { id, namespace, bulk: false, board: None }
}

fn codec(c: &mut Criterion) {
    let question = question();
    let bytes = encode(&question).expect("fits the wire");
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |b| b.iter(|| encode(black_box(&question)).expect("fits the wire")));
    group.bench_function("decode", |b| b.iter(|| decode::<Get>(black_box(&bytes)).expect("is what was encoded")));
    group.finish();
}

/// Answers each cache question with a miss.
struct Miss;

impl Service for Miss {
    fn serve(&self, _: &NodeId, kind: Kind, _: Bytes) -> Answer {
        match kind {
            Kind::CacheGet => Answer::Now(encode(&Got::Miss { young: false }).map_err(|_| Refusal::Malformed)),
            _ => Answer::Now(Err(Refusal::NotServed)),
        }
    }
}

fn bind(name: &str) -> Link {
    let cluster = "bench".parse().expect("a valid name");
    let node_id: NodeId = name.parse().expect("a valid name");
    let trust = Trust::from_secret("0123456789abcdef", &cluster, &node_id).expect("a long secret");
    let identity = Identity { cluster, node_id, incarnation: Incarnation(1), generation: Generation(1) };
    let listen = "127.0.0.1:0".parse().expect("an address");
    let config = LinkConfig { identity, trust, listen, advertise: None, limits: LinkLimits::default() };
    Link::bind(config, Arc::new(Miss)).expect("a free port")
}

async fn pair() -> (Link, Link, NodeId) {
    let (one, two) = (bind("node-1"), bind("node-2"));
    let mut changes = one.watch();
    one.connect(two.advertised());
    while one.peers().is_empty() {
        changes.changed().await.expect("the link lives");
    }
    let peer = two.identity().node_id.clone();
    (one, two, peer)
}

fn calls(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (one, _two, peer) = runtime.block_on(pair());
    let question = question();
    let mut group = c.benchmark_group("call");
    group.bench_function("small-call lane, one at a time", |b| {
        b.to_async(&runtime).iter(|| async { one.call(&peer, &question, DEADLINE).await.expect("the peer answers") });
    });
    group.bench_function("bulk lane, one at a time", |b| {
        b.to_async(&runtime)
            .iter(|| async { one.call_bulk(&peer, &question, DEADLINE).await.expect("the peer answers") });
    });
    group.throughput(Throughput::Elements(64));
    group.bench_function("small-call lane, 64 at once", |b| {
        b.to_async(&runtime).iter(|| async {
            for answer in join_all((0..64).map(|_| one.call(&peer, &question, DEADLINE))).await {
                answer.expect("the peer answers");
            }
        });
    });
    group.bench_function("bulk lane, 64 at once", |b| {
        b.to_async(&runtime).iter(|| async {
            for answer in join_all((0..64).map(|_| one.call_bulk(&peer, &question, DEADLINE))).await {
                answer.expect("the peer answers");
            }
        });
    });
    group.finish();
}

criterion_group!(benches, codec, calls);
criterion_main!(benches);
