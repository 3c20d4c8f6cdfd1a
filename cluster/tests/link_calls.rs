//! Calls between two links on both lanes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod link_support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use link_support::{Ask, Echo, How, SOON, Told, ask, echoes, id, join, node, pair, secret_config, until};
use peerway_cluster::link::{CallError, Link, MAX_LANE_MESSAGE, Refusal};
use peerway_cluster::wire::WireError;

#[tokio::test]
async fn both_sides_call_on_both_lanes() {
    let (a, b) = pair().await;
    for (from, to) in [(&a, id("b")), (&b, id("a"))] {
        for how in [How::Now, How::Later] {
            assert_eq!(from.call(&to, &ask(how, b"small"), SOON).await.unwrap(), Told(b"small".to_vec()));
            assert_eq!(from.call_bulk(&to, &ask(how, b"bulk"), SOON).await.unwrap(), Told(b"bulk".to_vec()));
        }
    }
    // One ping from each side may be under way beside the eight.
    assert!(a.counters().calls_answered >= 4 && a.counters().calls_served >= 4, "{:?}", a.counters());
    let peers = a.peers();
    assert_eq!((peers.len(), peers[0].id.clone(), peers[0].address), (1, id("b"), b.advertised()));
    until(&a, "the clock of a peer is known", |link| link.peers()[0].clock_offset_ms.is_some()).await;
    assert!(a.peers()[0].clock_offset_ms.unwrap().abs() < 1000, "one machine has one clock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_once_are_all_answered() {
    let (a, _b) = pair().await;
    let peer = id("b");
    let calls: Vec<Ask> =
        (0..1000u32).map(|n| ask(if n % 3 == 0 { How::Later } else { How::Now }, &n.to_be_bytes())).collect();
    let answers = join_all(calls.iter().map(|call| a.call(&peer, call, SOON))).await;
    // The bound of tasks per peer is 512, and 334 of the calls need one.
    for (call, answer) in calls.iter().zip(answers) {
        assert_eq!(answer.unwrap().0, call.bytes);
    }
}

#[tokio::test]
async fn a_call_without_an_answer_ends_at_its_deadline_and_holds_up_no_other() {
    let (a, _b) = pair().await;
    let peer = id("b");
    let begun = Instant::now();
    let deadline = Duration::from_millis(100);
    let (late, quick) = (ask(How::Never, b""), ask(How::Now, b"quick"));
    let (slow, bulk, fast) =
        tokio::join!(a.call(&peer, &late, deadline), a.call_bulk(&peer, &late, deadline), a.call(&peer, &quick, SOON));
    assert!(matches!(slow, Err(CallError::DeadlineExceeded { .. })), "{slow:?}");
    assert!(matches!(bulk, Err(CallError::DeadlineExceeded { .. })), "{bulk:?}");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(fast.unwrap().0, b"quick");
    assert_eq!(a.counters().calls_timed_out, 2);
    echoes(&a, "b").await;
}

#[tokio::test]
async fn a_bulk_call_that_is_dropped_is_cancelled_at_the_peer() {
    let echo = Echo::default();
    let (cancelled, served) = (Arc::clone(&echo.cancelled), Arc::clone(&echo.served));
    let (a, b) = (node("a"), Link::bind(secret_config("b", 1), Arc::new(echo)).unwrap());
    join(&a, &b).await;
    let call = {
        let a = a.clone();
        tokio::spawn(async move { a.call_bulk(&id("b"), &ask(How::Never, b""), SOON * 10).await })
    };
    until(&b, "the call is served", |_| served.load(Ordering::Relaxed) == 1).await;
    call.abort();
    tokio::time::timeout(SOON, cancelled.notified()).await.expect("the peer dropped its future");
    assert_eq!(b.counters().malformed_frames, 0);
}

#[tokio::test]
async fn refusals_and_limits_come_back_as_errors() {
    let (a, _b) = pair().await;
    let peer = id("b");
    let refused = a.call(&peer, &ask(How::Refuse, b""), SOON).await.unwrap_err();
    assert!(matches!(&refused, CallError::Refused { refusal: Refusal::Failed(text), .. } if text.starts_with("nono")));
    let long = u32::try_from(MAX_LANE_MESSAGE).unwrap() + 1;
    let too_long = a.call(&peer, &ask(How::Grow(long), b""), SOON).await.unwrap_err();
    assert!(matches!(too_long, CallError::Refused { refusal: Refusal::TooLong, .. }), "{too_long}");
    let bulk = a.call_bulk(&peer, &ask(How::Grow(15_000_000), b""), SOON).await.unwrap();
    assert_eq!(bulk.0.len(), 15_000_000);
    let request = a.call(&peer, &ask(How::Now, &[0; 5000]), SOON).await.unwrap_err();
    assert!(matches!(request, CallError::Wire(WireError::TooLong { .. })), "{request}");
    assert!(matches!(a.call(&id("x"), &ask(How::Now, b""), SOON).await, Err(CallError::NotConnected(_))));
    assert!(matches!(a.call(&id("a"), &ask(How::Now, b""), SOON).await, Err(CallError::Oneself(_))));
    echoes(&a, "b").await;
}

#[tokio::test]
async fn a_call_may_be_awaited_on_another_runtime() {
    let (a, _b) = pair().await;
    let link = a.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let peer = id("b");
            for n in 0..200u32 {
                let call = ask(How::Now, &n.to_be_bytes());
                assert_eq!(link.call(&peer, &call, SOON).await.unwrap().0, call.bytes);
            }
            link.call_bulk(&peer, &ask(How::Now, b"bulk"), SOON).await.unwrap().0
        })
    });
    let bulk = tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    assert_eq!(bulk, b"bulk");
}

#[tokio::test]
async fn closing_fails_what_waits_and_frees_the_port() {
    let (a, b) = pair().await;
    let address = a.local_addr();
    let waiting = {
        let a = a.clone();
        tokio::spawn(async move { a.call(&id("b"), &ask(How::Never, b""), SOON * 10).await })
    };
    until(&b, "the call is served", |link| link.counters().calls_served >= 2).await;
    a.close().await;
    let ended = tokio::time::timeout(SOON, waiting).await.expect("no call outlives its link").unwrap();
    assert!(matches!(ended, Err(CallError::Disconnected(_) | CallError::Closed)), "{ended:?}");
    until(&b, "the peer is told", |link| link.peers().is_empty()).await;
    drop(a);
    let mut again = secret_config("a", 2);
    again.listen = address;
    until(&b, "the port is free", |_| std::net::UdpSocket::bind(address).is_ok()).await;
    let a = Link::bind(again, Arc::new(Echo::default())).unwrap();
    join(&a, &b).await;
}

#[tokio::test]
async fn a_peer_says_whether_it_reaches_us() {
    let (a, _b) = pair().await;
    assert!(a.reached_by(&id("b"), SOON).await.unwrap());
    let mut elsewhere = secret_config("c", 1);
    // Bound, so that nobody else has it, and silent.
    let deaf = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    elsewhere.advertise = Some(deaf.local_addr().unwrap());
    let c = Link::bind(elsewhere, Arc::new(Echo::default())).unwrap();
    c.connect(a.local_addr());
    until(&c, "connected", |link| link.is_connected(&id("a"))).await;
    assert!(!c.reached_by(&id("a"), SOON).await.unwrap());
}
