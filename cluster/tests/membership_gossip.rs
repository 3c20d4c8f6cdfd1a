//! What the membership promises, over chitchat's in-process transport and virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chitchat::ChitchatMessage;
use chitchat::transport::{ChannelTransport, Socket, Transport};
use peerway_cluster::identity::{Generation, Identity, Incarnation, NodeId};
use peerway_cluster::membership::{Gossip, GossipSettings, Member, Membership, Presence, State, View};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(10);

fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

async fn start(name: &str, generation: u64, port: u16, transport: impl Transport) -> Gossip {
    let identity = Identity {
        cluster: "test".parse().unwrap(),
        node_id: id(name),
        incarnation: Incarnation(7),
        generation: Generation(generation),
    };
    let presence =
        Presence { zone: Some("east".into()), http: format!("{name}:8080"), version: "0.1.0".into(), weight: 1.5 };
    Gossip::start(identity, address(port), &presence, GossipSettings::default(), transport).await.unwrap()
}

/// Nodes a, b, c at ports 1, 2, 3 who all know each other.
async fn three(transport: &ChannelTransport) -> [Gossip; 3] {
    let nodes = [
        start("a", 1, 1, transport.clone()).await,
        start("b", 1, 2, transport.clone()).await,
        start("c", 1, 3, transport.clone()).await,
    ];
    nodes[1].meet(address(1));
    nodes[2].meet(address(1));
    for node in &nodes {
        until(node, |view| names(view) == ["a", "b", "c"]).await;
    }
    nodes
}

/// Waits for a view and tells how long that took.
async fn until(node: &Gossip, wanted: impl Fn(&View) -> bool) -> Duration {
    let begin = Instant::now();
    let mut views = node.watch();
    let seen = timeout(SOON, views.wait_for(|view| wanted(view))).await;
    assert!(seen.is_ok(), "still {:?}", node.view());
    begin.elapsed()
}

fn names(view: &View) -> Vec<&str> {
    view.members.iter().map(|member| member.id.as_str()).collect()
}

fn published<'a>(view: &'a View, who: &str, key: &str) -> Option<&'a str> {
    view.member(&id(who))?.published.get(key).map(String::as_str)
}

#[tokio::test(start_paused = true)]
async fn nodes_meet_and_tell_each_other_who_they_are() {
    let [a, b, c] = three(&ChannelTransport::default()).await;
    let view = c.view();
    let Member { incarnation, generation, state, zone, http, address: at, version, weight, .. } =
        view.member(&id("a")).unwrap();
    assert_eq!((*incarnation, *generation, *state), (Incarnation(7), Generation(1), State::Starting));
    assert_eq!((zone.as_deref(), http.as_str(), version.as_str()), (Some("east"), "a:8080", "0.1.0"));
    assert_eq!((*at, *weight), (address(1), 1.5));

    a.set_state(State::Ready).await;
    a.publish("namespace/demo", "4".into()).await.unwrap();
    assert_eq!(a.view().member(&id("a")).unwrap().state, State::Ready, "a node knows its own state at once");
    for node in [&b, &c] {
        let ready = |view: &View| view.member(&id("a")).is_some_and(|member| member.state == State::Ready);
        until(node, |view| ready(view) && published(view, "a", "namespace/demo") == Some("4")).await;
    }
    assert_eq!(a.view().hash(), b.view().hash());
    assert_eq!(b.view().hash(), c.view().hash());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_no_news_but_the_age_is_fresh() {
    let [a, _b, _c] = three(&ChannelTransport::default()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut views = a.watch();
    views.mark_unchanged();
    let held = a.view();
    assert!(timeout(Duration::from_secs(30), views.changed()).await.is_err(), "a heartbeat changed the view");
    assert_eq!(held.member(&id("a")).unwrap().gossip_age(), Duration::ZERO);
    let age = held.member(&id("b")).unwrap().gossip_age();
    assert!(age <= Duration::from_millis(400), "an old view tells an old age: {age:?}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_known_within_a_second_and_a_half_and_the_dead_may_return() {
    let transport = ChannelTransport::default();
    let [a, b, c] = three(&transport).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    drop(c);
    let begin = Instant::now();
    for node in [&a, &b] {
        until(node, |view| names(view) == ["a", "b"]).await;
    }
    println!("crash of one of three known to all after {:?}", begin.elapsed());
    assert!(begin.elapsed() <= Duration::from_millis(1500));

    let c = start("c", 2, 3, transport).await;
    c.meet(address(2));
    for node in [&a, &b, &c] {
        until(node, |view| view.member(&id("c")).is_some_and(|member| member.generation == Generation(2))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_lives_of_one_node_the_newest_counts() {
    let transport = ChannelTransport::default();
    let [a, b, c] = three(&transport).await;
    let reborn = start("c", 2, 4, transport).await;
    reborn.meet(address(1));
    let newer = |view: &View| view.member(&id("c")).is_some_and(|member| member.generation == Generation(2));
    for node in [&a, &b] {
        let took = until(node, newer).await;
        assert!(took < Duration::from_millis(1000), "the old life held the name for {took:?}");
        assert_eq!(names(&node.view()), ["a", "b", "c"]);
    }
    // The older one still gossips, and stays unseen.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(newer(&a.view()) && newer(&b.view()));
    drop(c);
}

#[tokio::test(start_paused = true)]
async fn one_who_leaves_is_gone_at_once() {
    let [a, b, c] = three(&ChannelTransport::default()).await;
    let begin = Instant::now();
    let (_, first, second) = tokio::join!(
        c.leave(),
        until(&a, |view| names(view) == ["a", "b"]),
        until(&b, |view| names(view) == ["a", "b"])
    );
    assert!(first.max(second) <= Duration::from_millis(400), "{first:?} {second:?}");
    assert!(begin.elapsed() <= Duration::from_millis(500), "two rounds, then the end");
    assert_eq!(names(&c.view()), ["a", "b"], "one who left is not a member, for itself neither");
}

/// A transport whose socket breaks on command, as chitchat's contract allows.
struct Breakable {
    inner: ChannelTransport,
    cut: Arc<Notify>,
}

struct BreakableSocket {
    inner: Box<dyn Socket>,
    cut: Arc<Notify>,
}

#[async_trait]
impl Transport for Breakable {
    async fn open(&self, listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let inner = self.inner.open(listen).await?;
        Ok(Box::new(BreakableSocket { inner, cut: Arc::clone(&self.cut) }))
    }
}

#[async_trait]
impl Socket for BreakableSocket {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        self.inner.send(to, message).await
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        tokio::select! {
            received = self.inner.recv() => received,
            () = self.cut.notified() => anyhow::bail!("the socket broke"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn gossip_that_ends_is_started_again_with_all_it_had_to_say() {
    let (transport, cut) = (ChannelTransport::default(), Arc::new(Notify::new()));
    let a = start("a", 1, 1, transport.clone()).await;
    let b = start("b", 1, 2, Breakable { inner: transport, cut: Arc::clone(&cut) }).await;
    b.meet(address(1));
    b.set_state(State::Ready).await;
    b.publish("load", "3".into()).await.unwrap();
    until(&a, |view| published(view, "b", "load") == Some("3")).await;

    cut.notify_one();
    let again = |view: &View| {
        view.member(&id("b")).is_some_and(|member| member.generation == Generation(2) && member.state == State::Ready)
            && published(view, "b", "load") == Some("3")
    };
    until(&a, again).await;
    until(&b, |view| names(view) == ["a", "b"]).await;
    b.publish("load", "4".into()).await.unwrap();
    until(&a, |view| published(view, "b", "load") == Some("4")).await;
}
