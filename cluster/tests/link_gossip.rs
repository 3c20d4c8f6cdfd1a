//! The gossip lane, as the membership uses it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod link_support;

use chitchat::ChitchatMessage;
use chitchat::transport::Transport as _;
use link_support::{id, node, pair, until};

fn message() -> ChitchatMessage {
    // The only message that can be made outside chitchat.
    ChitchatMessage::BadCluster
}

#[tokio::test]
async fn messages_come_from_the_advertised_address() {
    let (a, b) = pair().await;
    let mut from_a = a.gossip_transport().open(a.advertised()).await.unwrap();
    let mut at_b = b.gossip_transport().open(b.advertised()).await.unwrap();
    from_a.send(b.advertised(), message()).await.unwrap();
    let (from, received) = tokio::time::timeout(link_support::SOON, at_b.recv()).await.unwrap().unwrap();
    assert_eq!((from, received), (a.advertised(), message()));
}

#[tokio::test]
async fn gossip_to_a_stranger_is_dropped_counted_and_dials_it() {
    let (a, b) = (node("a"), node("b"));
    let mut from_a = a.gossip_transport().open(a.advertised()).await.unwrap();
    from_a.send(b.advertised(), message()).await.unwrap();
    assert_eq!(a.counters().gossip_dropped, 1);
    until(&a, "dialled", |link| link.is_connected(&id("b"))).await;
    from_a.send(b.advertised(), message()).await.unwrap();
    until(&b, "received", |link| link.counters().gossip_received == 1).await;
}

#[tokio::test]
async fn one_socket_at_a_time() {
    let a = node("a");
    let transport = a.gossip_transport();
    let first = transport.open(a.advertised()).await.unwrap();
    assert!(transport.open(a.advertised()).await.is_err());
    drop(first);
    assert!(transport.open(a.advertised()).await.is_ok());
}

#[tokio::test]
async fn a_full_queue_drops_and_never_waits() {
    let (a, b) = pair().await;
    let mut from_a = a.gossip_transport().open(a.advertised()).await.unwrap();
    // Without an await that yields, the sending task cannot run: the queue of 64 fills up.
    for _ in 0..100 {
        from_a.send(b.advertised(), message()).await.unwrap();
    }
    let counters = a.counters();
    assert_eq!((counters.gossip_sent, counters.gossip_dropped), (64, 36));
    until(&b, "what was queued arrives", |link| link.counters().gossip_received == 64).await;
}
