//! What a node finds out about the way to its seeds, and that one which finds nobody serves alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerway_cluster::cluster::{Cluster, ClusterConfig};
use peerway_cluster::discovery::{SeedStatus, Verdict};
use peerway_cluster::identity::{Generation, Identity, Incarnation, NodeId};
use peerway_cluster::link::{Answer, Refusal, Service};
use peerway_cluster::membership::State;
use peerway_cluster::trust::Trust;
use peerway_cluster::wire::Kind;

const SECRET: &str = "a secret for the tests of discovery";

struct Silent;

impl Service for Silent {
    fn serve(&self, _from: &NodeId, _kind: Kind, _payload: Bytes) -> Answer {
        Answer::Now(Err(Refusal::NotServed))
    }
}

fn config(name: &str, secret: &str, join: &[String]) -> ClusterConfig {
    let identity = Identity {
        cluster: "test".parse().unwrap(),
        node_id: name.parse().unwrap(),
        incarnation: Incarnation(1),
        generation: Generation(1),
    };
    ClusterConfig {
        trust: Trust::from_secret(secret, &identity.cluster, &identity.node_id).unwrap(),
        identity,
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: None,
        join: join.iter().map(|seed| seed.parse().unwrap()).collect(),
        zone: None,
        weight: 1.0,
        http: "127.0.0.1:8080".into(),
        version: "0.1.0".into(),
    }
}

async fn start(config: ClusterConfig) -> Cluster {
    Cluster::start(config, Arc::new(Silent)).await.unwrap()
}

/// A UDP port where packets vanish.
fn hole() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

async fn verdict(cluster: &Cluster, wanted: Verdict) -> SeedStatus {
    let found = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let Some(status) = cluster.reachability().into_iter().find(|status| status.verdict == wanted) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("never {wanted}: {:?}", cluster.reachability()))
}

#[tokio::test]
async fn a_seed_that_is_reached_in_both_directions() {
    let a = start(config("a", SECRET, &[])).await;
    let seed = a.link().advertised().to_string();
    let b = start(config("b", SECRET, std::slice::from_ref(&seed))).await;
    let status = verdict(&b, Verdict::Reachable).await;
    assert_eq!((status.seed.to_string(), status.address), (seed, Some(a.link().advertised())));
    assert!(status.message.contains("a at 127.0.0.1"), "{}", status.message);
}

#[tokio::test]
async fn a_peer_that_cannot_dial_us_is_told_with_what_to_do() {
    let a = start(config("a", SECRET, &[])).await;
    let (_hole, nowhere) = hole();
    let mut behind = config("b", SECRET, &[a.link().advertised().to_string()]);
    behind.advertise = Some(nowhere);
    let b = start(behind).await;
    let status = verdict(&b, Verdict::OneWay).await;
    let expected = format!(
        "peer a at {} answers us, but cannot reach our advertised address {nowhere}/udp: open that UDP port inbound, \
         or set cluster.advertise",
        a.link().advertised()
    );
    assert_eq!(status.message, expected);
}

#[tokio::test]
async fn nobody_there_a_stranger_and_an_unknown_name() {
    let (_hole, nowhere) = hole();
    let stranger = start(config("stranger", "the secret of another cluster", &[])).await;
    let seeds =
        [nowhere.to_string(), stranger.link().advertised().to_string(), "dns:no-such-host.invalid:7946".to_owned()];
    let a = start(config("a", SECRET, &seeds)).await;
    a.set_state(State::Ready).await;
    assert!(a.alone());
    assert_eq!(a.ring().members().len(), 1, "a node that finds nobody serves alone");
    let status = verdict(&a, Verdict::NoAnswer).await;
    let expected =
        format!("no answer from {nowhere}/udp within 5 s: is the node up, and is UDP open in both directions?");
    assert_eq!(status.message, expected);
    let status = verdict(&a, Verdict::Refused).await;
    assert_eq!(status.address, Some(stranger.link().advertised()), "{}", status.message);
    let status = verdict(&a, Verdict::Unresolved).await;
    assert!(status.address.is_none() && status.message.contains("no-such-host.invalid"), "{}", status.message);
    assert!(a.alone() && stranger.alone());
}

#[tokio::test]
async fn a_list_of_all_nodes_may_name_the_node_itself() {
    let (probe, _) = hole();
    let port = probe.local_addr().unwrap().port();
    drop(probe);
    let mut oneself = config("a", SECRET, &[format!("127.0.0.1:{port}"), format!("127.0.0.2:{port}")]);
    oneself.listen = SocketAddr::from(([0, 0, 0, 0], port));
    let a = start(oneself).await;
    assert_eq!(a.link().advertised(), SocketAddr::from(([127, 0, 0, 1], port)), "the seeds are on this machine");
    let by_another_name = tokio::time::timeout(Duration::from_secs(20), async {
        while a.reachability().iter().filter(|status| status.verdict == Verdict::Oneself).count() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(by_another_name.await.is_ok(), "{:?}", a.reachability());
}

#[tokio::test]
async fn a_file_of_seeds_brings_two_nodes_together_after_they_started() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("peers");
    let a = start(config("a", SECRET, &[])).await;
    let b = start(config("b", SECRET, &[format!("file:{}", file.display())])).await;
    assert_eq!(verdict(&b, Verdict::Unresolved).await.address, None);
    assert!(b.alone());
    std::fs::write(&file, format!("# the first node\n{}\n", a.link().advertised())).unwrap();
    for node in [&a, &b] {
        let mut views = node.watch();
        let met = tokio::time::timeout(Duration::from_secs(20), views.wait_for(|view| view.members.len() == 2)).await;
        assert!(met.is_ok(), "{:?}", b.reachability());
        assert!(!node.alone());
    }
}
