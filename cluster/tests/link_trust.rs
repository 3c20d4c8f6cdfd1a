//! Who becomes a peer, and what both sides are told when one does not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod link_support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use link_support::{Echo, SECRET, config, echoes, id, identity, join, node, secret_config, until};
use peerway_cluster::identity::{ClusterName, Identity};
use peerway_cluster::link::{Link, LinkError, RefusalReason};
use peerway_cluster::trust::{Authority, Trust, TrustError};

fn with_secret(name: &str, cluster: &str, secret: &str) -> Link {
    let cluster: ClusterName = cluster.parse().unwrap();
    let identity = Identity { cluster: cluster.clone(), ..identity(name, 1) };
    let trust = Trust::from_secret(secret, &cluster, &id(name)).unwrap();
    Link::bind(config(identity, trust), Arc::new(Echo::default())).unwrap()
}

fn issued(authority: &Authority, name: &str, dir: &Path) -> Trust {
    let node = authority.issue(&id(name)).unwrap();
    let path = |file: &str| dir.join(format!("{name}-{file}"));
    fs::write(path("ca.pem"), authority.certificate_pem()).unwrap();
    fs::write(path("cert.pem"), node.certificate_pem).unwrap();
    fs::write(path("key.pem"), node.key_pem).unwrap();
    Trust::from_pem_files(&path("ca.pem"), &path("cert.pem"), &path("key.pem")).unwrap()
}

async fn never_peers(stranger: &Link, member: &Link) {
    stranger.connect(member.local_addr());
    for (link, other) in [(stranger, member.local_addr()), (member, stranger.local_addr())] {
        until(link, "the refusal is counted", |link| link.counters().refused_trust > 0).await;
        let refusals = link.refusals();
        assert_eq!((refusals[0].reason, refusals[0].address), (RefusalReason::Trust, other));
        let said = &refusals[0].detail;
        assert!(said.contains(&other.to_string()) && said.contains("secret or certificate"), "{said}");
        assert!(link.peers().is_empty());
    }
    let dial = &stranger.dials()[0];
    assert!(dial.last_error.as_ref().is_some_and(|error| error.contains("secret or certificate")), "{dial:?}");
}

#[tokio::test]
async fn a_wrong_secret_is_never_a_peer_and_harms_no_other() {
    let (a, b) = link_support::pair().await;
    let stranger = with_secret("c", "test", "another secret, for tests");
    stranger.connect(a.local_addr());
    until(&stranger, "the stranger is told", |link| link.counters().refused_trust > 0).await;
    until(&a, "the member counts", |link| link.counters().refused_trust > 0).await;
    assert!(stranger.peers().is_empty());
    assert_eq!(a.peers().len(), 1);
    assert_eq!(a.refusals()[0].address, stranger.local_addr());
    echoes(&a, "b").await;
    echoes(&b, "a").await;
    let alone = node("d");
    never_peers(&with_secret("e", "test", "another secret, for tests"), &alone).await;
}

#[tokio::test]
async fn another_cluster_of_the_same_secret_is_never_a_peer() {
    never_peers(&with_secret("b", "other", SECRET), &node("a")).await;
}

#[tokio::test]
async fn certificates_of_one_authority_make_peers_and_of_another_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::create("test".parse().unwrap()).unwrap();
    // As an operator has it: kept in files between two nodes.
    let authority = Authority::from_pem(authority.certificate_pem(), &authority.key_pem()).unwrap();
    let bind =
        |trust: Trust, name: &str| Link::bind(config(identity(name, 1), trust), Arc::new(Echo::default())).unwrap();
    let a = bind(issued(&authority, "a", dir.path()), "a");
    let b = bind(issued(&authority, "b", dir.path()), "b");
    join(&a, &b).await;
    echoes(&a, "b").await;
    let foreign = Authority::create("test".parse().unwrap()).unwrap();
    let c = bind(issued(&foreign, "c", dir.path()), "c");
    let alone = bind(issued(&authority, "d", dir.path()), "d");
    never_peers(&c, &alone).await;
    assert_eq!(a.peers().len(), 1);
}

#[tokio::test]
async fn a_trusted_ca_of_another_cluster_does_not_join_them() {
    let dir = tempfile::tempdir().unwrap();
    let one = Authority::create("test".parse().unwrap()).unwrap();
    let other = Authority::create("other".parse().unwrap()).unwrap();
    let foreign_identity = Identity { cluster: "other".parse().unwrap(), ..identity("b", 1) };
    let both = format!("{}\n{}", one.certificate_pem(), other.certificate_pem());
    let with_both = |authority: &Authority, name: &str| {
        let _ = issued(authority, name, dir.path());
        let path = |file: &str| dir.path().join(format!("{name}-{file}"));
        fs::write(path("ca.pem"), &both).unwrap();
        Trust::from_pem_files(&path("ca.pem"), &path("cert.pem"), &path("key.pem")).unwrap()
    };
    let (a_trust, b_trust) = (with_both(&one, "a"), with_both(&other, "b"));
    let a = Link::bind(config(identity("a", 1), a_trust), Arc::new(Echo::default())).unwrap();
    let b = Link::bind(config(foreign_identity, b_trust), Arc::new(Echo::default())).unwrap();
    a.connect(b.local_addr());
    until(&a, "refused", |link| link.counters().refused_trust > 0).await;
    assert!(a.refusals()[0].detail.contains("of cluster \"other\", not of \"test\""), "{:?}", a.refusals());
    assert!(a.peers().is_empty() && b.peers().is_empty());
}

#[tokio::test]
async fn a_second_process_with_our_identity_is_refused_by_name() {
    let first = node("a");
    let second = Link::bind(secret_config("a", 2), Arc::new(Echo::default())).unwrap();
    second.connect(first.local_addr());
    for link in [&first, &second] {
        until(link, "refused", |link| link.counters().refused_hello > 0).await;
        let refused = &link.refusals()[0];
        assert_eq!(refused.reason, RefusalReason::SameIdentity);
        assert!(refused.detail.contains("two processes"), "{}", refused.detail);
    }
}

#[tokio::test]
async fn a_certificate_of_another_node_does_not_start() {
    let trust = Trust::from_secret(SECRET, &"test".parse().unwrap(), &id("b")).unwrap();
    let refused = Link::bind(config(identity("a", 1), trust), Arc::new(Echo::default())).unwrap_err();
    assert!(matches!(refused, LinkError::Name { .. }), "{refused}");
}

#[test]
fn secrets_must_be_long_and_files_must_fit() {
    let weak = Trust::from_secret("short", &"test".parse().unwrap(), &id("a")).unwrap_err();
    assert!(matches!(weak, TrustError::WeakSecret { len: 5 }));
    assert!(weak.to_string().contains("at least 16"), "{weak}");

    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file);
    let missing = Trust::from_pem_files(&path("ca"), &path("cert"), &path("key")).unwrap_err();
    assert!(missing.to_string().contains("CA certificate"), "{missing}");

    let authority = Authority::create("test".parse().unwrap()).unwrap();
    let (one, two) = (authority.issue(&id("a")).unwrap(), authority.issue(&id("b")).unwrap());
    fs::write(path("ca"), authority.certificate_pem()).unwrap();
    fs::write(path("cert"), &one.certificate_pem).unwrap();
    fs::write(path("key"), &two.key_pem).unwrap();
    assert!(Trust::from_pem_files(&path("ca"), &path("cert"), &path("key")).is_err(), "the key is another node's");
    fs::write(path("key"), &one.key_pem).unwrap();
    let foreign = Authority::create("test".parse().unwrap()).unwrap();
    fs::write(path("ca"), foreign.certificate_pem()).unwrap();
    assert!(Trust::from_pem_files(&path("ca"), &path("cert"), &path("key")).is_err(), "the CA is another one");
}
