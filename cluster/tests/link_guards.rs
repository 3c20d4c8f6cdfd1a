//! What a peer may not do, and what becomes of it: it is cut off and counted, and nobody else notices.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod link_support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bincode::{Decode, Encode};
use link_support::{Echo, PATIENCE, SECRET, config, echoes, id, identity, loopback, node, pair, until};
use peerway_cluster::link::{Link, LinkCounters, RefusalReason};
use peerway_cluster::trust::Trust;
use peerway_cluster::wire::{self, Envelope, Flags, Frame, HEADER_LEN, Header, Kind, MAGIC, Message, VERSION};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};

/// The fields of a hello, as a peer of another make would write them.
#[derive(Clone, Debug, Encode, Decode)]
struct Hello {
    protocol_min: u16,
    protocol_max: u16,
    features: u64,
    cluster: String,
    node_id: String,
    incarnation: u64,
    generation: u64,
    advertised: SocketAddr,
    wall_micros: u64,
}

impl Message for Hello {
    const KIND: Kind = Kind::LinkHello;
}

/// A peer with good papers and bad manners.
struct Rogue {
    _endpoint: Endpoint,
    connection: Connection,
}

fn hello(name: &str) -> Hello {
    Hello {
        protocol_min: 1,
        protocol_max: 1,
        features: 0,
        cluster: "test".to_owned(),
        node_id: name.to_owned(),
        incarnation: 1,
        generation: 1,
        advertised: "127.0.0.1:9".parse().unwrap(),
        wall_micros: 1,
    }
}

async fn dial(name: &str, address: SocketAddr) -> Rogue {
    let trust = Trust::from_secret(SECRET, &"test".parse().unwrap(), &id(name)).unwrap();
    let tls = QuicClientConfig::try_from(trust.client_config().unwrap()).unwrap();
    let endpoint = Endpoint::client(loopback()).unwrap();
    let client = ClientConfig::new(Arc::new(tls));
    let connection = endpoint.connect_with(client, address, "any").unwrap().await.unwrap();
    Rogue { _endpoint: endpoint, connection }
}

async fn say(connection: &Connection, hello: &Hello) -> Option<Vec<u8>> {
    let (mut send, mut recv) = connection.open_bi().await.ok()?;
    let frame = Frame::encode(Envelope::Plain, Kind::LinkHello, &wire::encode(hello).unwrap()).unwrap();
    send.write_all(&frame).await.ok()?;
    send.finish().ok()?;
    recv.read_to_end(8192).await.ok()
}

async fn rogue(name: &str, victim: &Link) -> Rogue {
    let rogue = dial(name, victim.local_addr()).await;
    assert!(say(&rogue.connection, &hello(name)).await.is_some());
    until(victim, "the rogue is a peer", |link| link.is_connected(&id(name))).await;
    rogue
}

async fn write_bi(connection: &Connection, bytes: &[u8]) {
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    // The cut may come while it is written.
    let _ = send.write_all(bytes).await;
    let _ = send.finish();
    let _ = connection.closed().await;
}

async fn write_uni(connection: &Connection, bytes: &[u8]) {
    let mut send = connection.open_uni().await.unwrap();
    let _ = send.write_all(bytes).await;
    let _ = send.finish();
    let _ = connection.closed().await;
}

fn header(flags: u8, kind: u16, len: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_be_bytes().to_vec();
    bytes.extend([VERSION, flags]);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(len.to_be_bytes());
    bytes
}

#[tokio::test]
async fn nonsense_on_any_stream_cuts_its_sender_and_nobody_else() {
    let (a, b) = pair().await;
    let get = Kind::CacheGet.number();
    let request =
        |body: &[u8]| Frame::encode(Envelope::Request { id: 1, deadline_ms: 9 }, Kind::LinkPong, body).unwrap();
    let cases: Vec<(&str, bool, Vec<u8>)> = vec![
        ("magic", true, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("version", true, [&MAGIC.to_be_bytes()[..], &[99, 0, 0, 2, 0, 0, 0, 0]].concat()),
        ("flags", true, header(77, get, 0)),
        ("kind", true, header(0, 0xffff, 0)),
        ("cut", true, header(0, get, 4000)),
        ("trailing", true, [header(0, get, 0), vec![1]].concat()),
        ("not a request", true, header(0, Kind::LinkHello.number(), 0)),
        ("not a request on the lane", true, request(b"").to_vec()),
        ("an answer where none was asked", true, header(2, get, 0)),
        ("gossip on a call's stream", true, header(0, Kind::MembershipGossip.number(), 0)),
        ("a call on gossip's stream", false, header(0, get, 0)),
        ("gossip that is none", false, [header(0, Kind::MembershipGossip.number(), 3), vec![1, 2, 3]].concat()),
    ];
    for (count, (what, bi, bytes)) in cases.into_iter().enumerate() {
        let rogue = rogue("r", &a).await;
        let write = async {
            if bi { write_bi(&rogue.connection, &bytes).await } else { write_uni(&rogue.connection, &bytes).await }
        };
        assert!(tokio::time::timeout(PATIENCE, write).await.is_ok(), "{what}: not cut");
        let count = u64::try_from(count).unwrap() + 1;
        until(&a, what, |link| link.counters().malformed_frames == count && link.peers().len() == 1).await;
    }
    assert_eq!(a.refusals()[0].reason, RefusalReason::Misbehaved);
    assert_eq!(a.counters().oversized_frames, 0);
    echoes(&a, "b").await;
    echoes(&b, "a").await;
}

#[tokio::test]
async fn an_oversized_frame_cuts_its_sender_before_it_is_read() {
    let (a, b) = pair().await;
    let get = Kind::CacheGet;
    let over = u32::try_from(get.max_len()).unwrap() + 1;
    let lane = [header(1, Kind::CachePut.number(), 1024 * 1024), vec![0; 12]].concat();
    let cases = [(true, header(0, get.number(), over)), (true, lane), (false, header(0, 0x0100, 65 * 1024))];
    for (count, (bi, bytes)) in cases.into_iter().enumerate() {
        let rogue = rogue("r", &a).await;
        let write = async {
            if bi { write_bi(&rogue.connection, &bytes).await } else { write_uni(&rogue.connection, &bytes).await }
        };
        assert!(tokio::time::timeout(PATIENCE, write).await.is_ok(), "case {count}: not cut");
        let count = u64::try_from(count).unwrap() + 1;
        until(&a, "counted", |link| link.counters().oversized_frames == count && link.peers().len() == 1).await;
    }
    assert_eq!(a.counters().malformed_frames, 0);
    echoes(&a, "b").await;
    echoes(&b, "a").await;
}

#[tokio::test]
async fn a_flood_of_gossip_is_cut() {
    let (a, _b) = pair().await;
    let rogue = rogue("r", &a).await;
    // The smallest message of chitchat: magic, version 0, "bad cluster".
    let message = [&45_139u16.to_le_bytes()[..], &[0, 3]].concat();
    let frame = Frame::encode(Envelope::Plain, Kind::MembershipGossip, &message).unwrap();
    let flood = async {
        loop {
            let Ok(mut send) = rogue.connection.open_uni().await else { return };
            if send.write_all(&frame).await.is_err() || send.finish().is_err() {
                return;
            }
        }
    };
    assert!(tokio::time::timeout(PATIENCE, flood).await.is_ok(), "not cut");
    until(&a, "counted", |link| link.counters().floods == 1 && link.peers().len() == 1).await;
    assert_eq!(a.counters().malformed_frames, 0);
    echoes(&a, "b").await;
}

async fn refused(change: impl FnOnce(&mut Hello)) -> (LinkCounters, RefusalReason) {
    let a = node("a");
    let rogue = dial("r", a.local_addr()).await;
    let mut words = hello("r");
    change(&mut words);
    assert_eq!(say(&rogue.connection, &words).await, None);
    until(&a, "refused", |link| !link.refusals().is_empty()).await;
    assert!(a.peers().is_empty());
    (a.counters(), a.refusals()[0].reason)
}

#[tokio::test]
async fn a_hello_must_be_true_and_of_our_time() {
    let (counters, reason) = refused(|words| words.node_id = "b".to_owned()).await;
    assert_eq!((counters.refused_hello, reason), (1, RefusalReason::Name));
    let (counters, reason) = refused(|words| words.cluster = "other".to_owned()).await;
    assert_eq!((counters.refused_hello, reason), (1, RefusalReason::Name));
    let (counters, reason) = refused(|words| (words.protocol_min, words.protocol_max) = (7, 9)).await;
    assert_eq!((counters.refused_hello, reason), (1, RefusalReason::Protocol));
    // What a newer version will say: it still speaks ours.
    let a = node("a");
    let newer = dial("r", a.local_addr()).await;
    let words = Hello { protocol_max: 9, features: u64::MAX, ..hello("r") };
    assert!(say(&newer.connection, &words).await.is_some());
    until(&a, "a peer", |link| link.is_connected(&id("r"))).await;
    assert_eq!((a.peers()[0].protocol, a.peers()[0].features), (1, 0));
}

#[tokio::test]
async fn an_older_process_of_a_peer_is_refused() {
    let a = node("a");
    let young = dial("r", a.local_addr()).await;
    assert!(say(&young.connection, &Hello { generation: 5, ..hello("r") }).await.is_some());
    until(&a, "a peer", |link| link.is_connected(&id("r"))).await;
    let old = dial("r", a.local_addr()).await;
    assert_eq!(say(&old.connection, &Hello { generation: 4, ..hello("r") }).await, None);
    until(&a, "refused", |link| !link.refusals().is_empty()).await;
    assert_eq!(a.refusals()[0].reason, RefusalReason::Stale);
    assert_eq!(a.peers()[0].generation.0, 5);
    let younger = dial("r", a.local_addr()).await;
    assert!(say(&younger.connection, &Hello { generation: 6, ..hello("r") }).await.is_some());
    until(&a, "replaced", |link| link.peers()[0].generation.0 == 6).await;
    assert!(tokio::time::timeout(PATIENCE, young.connection.closed()).await.is_ok());
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let mut config = config(identity("a", 1), Trust::from_secret(SECRET, &"test".parse().unwrap(), &id("a")).unwrap());
    config.limits.handshake = Duration::from_millis(200);
    let a = Link::bind(config, Arc::new(Echo::default())).unwrap();
    let silent = dial("r", a.local_addr()).await;
    assert!(tokio::time::timeout(PATIENCE, silent.connection.closed()).await.is_ok());
    until(&a, "gone", |link| link.open_connections() == 0).await;
}

#[test]
fn a_header_is_ten_bytes() {
    assert_eq!(header(0, 0x0200, 4).len(), HEADER_LEN);
    assert_eq!(Header::new(Flags::Plain, Kind::CacheGet, 4).unwrap().to_bytes()[..], header(0, 0x0200, 4));
}
