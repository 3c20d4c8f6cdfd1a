//! Two processes with one identity: the later is refused by everybody, and the first does not notice.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod link_support;

use std::sync::Arc;

use link_support::{Echo, PATIENCE, echoes, id, join, node, pair, secret_config, until};
use peerway_cluster::link::{Link, RefusalReason};

fn second(name: &str) -> Link {
    Link::bind(secret_config(name, 2), Arc::new(Echo::default())).unwrap()
}

async fn told(link: &Link) -> String {
    let mut double = link.double();
    let said = tokio::time::timeout(PATIENCE, double.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    said.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_later_of_two_is_refused_by_a_peer_of_the_first() {
    let (a, b) = pair().await;
    let clone = second("b");
    clone.connect(a.local_addr());
    let said = told(&clone).await;
    assert!(said.contains("two processes run with one identity"), "{said}");
    assert!(a.refusals().iter().any(|refused| refused.reason == RefusalReason::SameIdentity), "{:?}", a.refusals());
    assert_eq!(a.peers()[0].address, b.local_addr());
    assert!(b.double().borrow().is_none() && a.double().borrow().is_none());
    echoes(&a, "b").await;
    echoes(&b, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_when_the_peer_dials_it() {
    let (a, b) = pair().await;
    let clone = second("b");
    a.connect(clone.local_addr());
    told(&clone).await;
    assert!(b.double().borrow().is_none());
    echoes(&a, "b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_meet_each_other_the_later_goes_whoever_dialled() {
    for later_dials in [true, false] {
        let (first, later) = (node("b"), second("b"));
        if later_dials {
            later.connect(first.local_addr());
        } else {
            first.connect(later.local_addr());
        }
        told(&later).await;
        assert!(first.double().borrow().is_none(), "the later one dials: {later_dials}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_in_the_place_of_a_dead_one_is_no_double() {
    let (a, b) = pair().await;
    b.close().await;
    drop(b);
    let again = second("b");
    join(&again, &a).await;
    until(&a, "the younger is its peer", |link| link.peers()[0].generation.0 == 2).await;
    assert!(again.double().borrow().is_none());
    assert!(again.is_connected(&id("a")));
}
