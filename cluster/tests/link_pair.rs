//! One connection for each pair of nodes, through simultaneous dials and restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod link_support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use link_support::{Echo, How, ask, echoes, id, node, pair, secret_config, until};
use peerway_cluster::identity::Generation;
use peerway_cluster::link::Link;

#[tokio::test]
async fn both_dial_at_once_and_one_connection_remains() {
    for _ in 0..5 {
        let (a, b) = (node("a"), node("b"));
        a.connect(b.local_addr());
        b.connect(a.local_addr());
        until(&a, "a has b", |link| link.is_connected(&id("b"))).await;
        until(&b, "b has a", |link| link.is_connected(&id("a"))).await;
        // The second connection may still come, and then goes: through all of it calls are answered.
        let settled = Instant::now() + Duration::from_millis(1500);
        while Instant::now() < settled {
            echoes(&a, "b").await;
            echoes(&b, "a").await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        until(&a, "one connection", |link| link.open_connections() == 1).await;
        until(&b, "one connection", |link| link.open_connections() == 1).await;
        echoes(&a, "b").await;
        echoes(&b, "a").await;
    }
}

#[tokio::test]
async fn our_own_address_among_the_seeds_costs_nothing() {
    let (a, _b) = pair().await;
    a.connect(a.local_addr());
    // By another name it is only known when it answers.
    a.connect(SocketAddr::from(([127, 0, 0, 2], a.local_addr().port())));
    tokio::time::timeout(Duration::from_millis(300), a.watch().changed()).await.unwrap_err();
    assert_eq!(a.peers().len(), 1);
    assert!(a.refusals().is_empty(), "{:?}", a.refusals());
}

/// A node that can be killed: its runtime goes, and with it all that could say farewell.
struct Mortal {
    address: SocketAddr,
    link: Option<Link>,
    stop: mpsc::Sender<()>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Mortal {
    fn start(name: &'static str, generation: u64, listen: SocketAddr, seeds: Vec<SocketAddr>) -> Mortal {
        let (stop, stopped) = mpsc::channel();
        let (up, started) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let mut config = secret_config(name, generation);
            config.listen = listen;
            let link = runtime.block_on(async { Link::bind(config, Arc::new(Echo::default())).unwrap() });
            for seed in seeds {
                link.connect(seed);
            }
            up.send(link).unwrap();
            let _ = stopped.recv();
            runtime.shutdown_timeout(Duration::from_secs(5));
        });
        let link = started.recv().unwrap();
        Mortal { address: link.local_addr(), link: Some(link), stop, thread: Some(thread) }
    }

    fn kill(mut self) -> SocketAddr {
        self.stop.send(()).unwrap();
        self.thread.take().unwrap().join().unwrap();
        // Only now: a link that is dropped in a living runtime says farewell.
        self.link = None;
        self.address
    }
}

async fn restarted(survivor: &Link, name: &'static str, mortal: Mortal, seeds: Vec<SocketAddr>) -> Duration {
    let here = survivor.identity().node_id.clone();
    // One that is killed within the hello still says something.
    until(mortal.link.as_ref().unwrap(), "it knows us", |link| link.is_connected(&here)).await;
    assert_eq!(survivor.peers()[0].generation, Generation(1));
    let address = mortal.kill();
    let begun = Instant::now();
    let again = Mortal::start(name, 2, address, seeds);
    assert_eq!(again.address, address);
    // Something is sent at least this often in a cluster that gossips.
    let chatter = async {
        loop {
            let _ = survivor.call(&id(name), &ask(How::Now, b""), Duration::from_millis(200)).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let renewed = until(survivor, "the new process is the peer", |link| {
        link.peers().first().is_some_and(|peer| peer.generation == Generation(2))
    });
    tokio::select! {
        () = renewed => {}
        () = chatter => {}
    }
    echoes(survivor, name).await;
    let took = begun.elapsed();
    again.kill();
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_is_back_at_once_whoever_dialled() {
    for dialled in [Dialled::Survivor, Dialled::MortalAgain, Dialled::Mortal] {
        // A busy machine spoils one try, never all.
        let mut took = Vec::new();
        while took.last().is_none_or(|took| *took >= AT_ONCE) {
            assert!(took.len() < 5, "{dialled:?}: {took:?}");
            took.push(killed_and_back(dialled).await);
        }
    }
}

const AT_ONCE: Duration = Duration::from_millis(1500);

/// Who made the connection before the kill, and so knows where the other is.
#[derive(Clone, Copy, Debug)]
enum Dialled {
    /// Nobody told the one that is killed of the survivor.
    Survivor,
    /// The restarted one dials again.
    MortalAgain,
    /// The restarted one has forgotten the survivor.
    Mortal,
}

async fn killed_and_back(dialled: Dialled) -> Duration {
    let survivor = node("a");
    let known = |yes: bool| if yes { vec![survivor.local_addr()] } else { vec![] };
    let before = known(!matches!(dialled, Dialled::Survivor));
    let mortal = Mortal::start("b", 1, link_support::loopback(), before);
    if let Dialled::Survivor = dialled {
        survivor.connect(mortal.address);
    }
    until(&survivor, "up", |link| link.is_connected(&id("b"))).await;
    restarted(&survivor, "b", mortal, known(matches!(dialled, Dialled::MortalAgain))).await
}
