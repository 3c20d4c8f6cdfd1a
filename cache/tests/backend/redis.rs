//! One real Redis server, plain and by TLS.

use std::sync::Arc;
use std::time::Duration;

use peerway_cache::EntryId;
use peerway_cache::backend::{Backend as _, Redis, check_redis_url};

use crate::conformance::{conforms, ready};
use crate::redis_server::{Authority, Server};

const NOBODY: [u8; 32] = [1; 32];

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_a_backend() {
    let server = Server::start(&[], None);
    conforms(Arc::new(Redis::new(&server.url(), None).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_tls_with_an_authority_of_the_operators() {
    let authority = Authority::new();
    let server = Server::start(&[], Some(&authority));
    conforms(Arc::new(Redis::new(&server.url(), Some(authority.pem.as_bytes())).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_nobody_vouches_for_is_not_used() {
    let authority = Authority::new();
    let server = Server::start(&[], Some(&authority));
    let stranger = Authority::new();
    for ca in [None, Some(stranger.pem.as_bytes())] {
        let redis = Redis::new(&server.url(), ca).unwrap();
        let asked = tokio::time::timeout(Duration::from_secs(1), redis.get(&EntryId::from(NOBODY))).await;
        assert!(!matches!(asked, Ok(Ok(_))), "{asked:?}");
        assert_eq!(server.cli(&["dbsize"]), "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_gone_is_used_again() {
    let mut server = Server::start(&[], None);
    let redis = Redis::new(&server.url(), None).unwrap();
    ready(&redis).await;
    server.kill();
    assert!(redis.get(&EntryId::from(NOBODY)).await.is_err());
    assert!(server.begin());
    ready(&redis).await;
}

#[test]
fn what_is_no_url_and_what_is_no_authority_is_said_at_once() {
    assert!(check_redis_url("http://a").is_err());
    let refused = Redis::new("rediss://localhost", Some(b"no certificate")).unwrap_err();
    assert!(refused.reason.contains("no certificate"), "{refused}");
}
