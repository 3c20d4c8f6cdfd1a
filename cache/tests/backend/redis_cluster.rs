//! A real Redis Cluster of three masters: its redirections are followed, a master that is gone costs the entries that it
//! had, and all that was gone is used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use peerway_cache::backend::{Backend as _, PARTS, Redis, check_redis_cluster};
use peerway_cache::{Entry, EntryId};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::conformance::{conforms, node, ready, until};
use crate::last_server;
use crate::redis_server::{Authority, Masters, SLOTS, Server};
use crate::support::entry;

const ENTRIES: usize = 40;

fn redis(masters: &Masters, seeds: &[usize]) -> Arc<Redis> {
    let urls: Vec<String> = seeds.iter().map(|at| masters.0[*at].url()).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    Arc::new(Redis::cluster(&urls, None).unwrap())
}

fn slot(masters: &Masters, id: &EntryId) -> usize {
    masters.slot(&format!("peerway:1:{id}"))
}

fn part(masters: &Masters, id: &EntryId) -> usize {
    slot(masters, id) * PARTS / 16_384
}

/// Which master has it.
fn master_of(masters: &Masters, id: &EntryId) -> usize {
    let slot = slot(masters, id);
    SLOTS.iter().position(|(first, last)| (*first..=*last).contains(&slot)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_a_backend_by_one_of_its_servers() {
    let masters = Masters::start(None);
    conforms(redis(&masters, &[1])).await;
    for server in &masters.0 {
        assert_ne!(server.cli(&["dbsize"]), "0", "each has its share");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_tls_with_an_authority_of_the_operators() {
    let authority = Authority::new();
    let masters = Masters::start(Some(&authority));
    conforms(Arc::new(Redis::cluster(&[&masters.0[0].url()], Some(authority.pem.as_bytes())).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_dies_costs_its_own_entries_until_it_is_back() {
    let mut masters = Masters::start(None);
    // The purges are on one master as well; another one dies here.
    let slot = masters.slot("peerway:1:purges");
    let dead = SLOTS.iter().position(|(first, last)| !(*first..=*last).contains(&slot)).unwrap();
    let redis = redis(&masters, &[0, 1, 2]);
    ready(&*redis).await;
    let before = node(redis.clone());
    let entries: Vec<(Entry, usize)> = (0..ENTRIES)
        .map(|number| entry(&before, number, 100))
        .map(|entry| (entry.clone(), master_of(&masters, &entry.id)))
        .collect();
    for (entry, _) in &entries {
        redis.put(entry, std::time::Duration::from_secs(300)).await.unwrap();
    }
    let (lost, kept): (Vec<_>, Vec<_>) = entries.iter().partition(|(_, master)| *master == dead);
    assert!(lost.len() > 3 && kept.len() > 3, "{} and {}", lost.len(), kept.len());

    let after = node(redis.clone());
    let probe = &kept[0].0;
    until("the node asks there", async || after.get(&probe.id, &probe.namespace).await.is_some()).await;
    masters.0[dead].kill();
    let mut asked = 0;
    // Each in its turn with those that are lost, so that failures of theirs have every chance to cost others.
    for ((gone, _), (entry, _)) in lost.iter().cycle().zip(&kept) {
        assert!(after.get(&gone.id, &gone.namespace).await.is_none());
        // Where two masters' slots meet, some of both are one part.
        if lost.iter().any(|(gone, _)| part(&masters, &gone.id) == part(&masters, &entry.id)) {
            continue;
        }
        asked += 1;
        assert!(after.get(&entry.id, &entry.namespace).await.is_some(), "{}", after.stats().backend_failures);
    }
    assert!(asked > 3 && after.stats().backend_failures > 0);

    assert!(masters.0[dead].begin());
    masters.wait();
    let (again, _) = lost[0];
    until("it is given entries again", async || {
        before.put(again.clone()).await;
        redis.get(&again.id).await.is_ok_and(|found| found.is_some())
    })
    .await;
    until("and asked for them", async || after.get(&again.id, &again.namespace).await.is_some()).await;
}

/// An address that leads to another server later, as a name does.
struct Name {
    url: String,
    port: Arc<AtomicU16>,
}

impl Name {
    async fn of(port: u16) -> Name {
        let port = Arc::new(AtomicU16::new(port));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let leads_to = port.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = leads_to.load(Ordering::SeqCst);
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Name { url, port }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_gone_as_a_whole_is_found_again_elsewhere() {
    let mut masters = Masters::start(None);
    let name = Name::of(masters.0[0].port).await;
    let redis = Arc::new(Redis::cluster(&[&name.url], None).unwrap());
    ready(&*redis).await;
    masters.0.iter_mut().for_each(Server::kill);
    assert!(redis.get(&EntryId::from([1; 32])).await.is_err());
    // No server is where one was.
    let others = Masters::start(None);
    name.port.store(others.0[1].port, Ordering::SeqCst);
    ready(&*redis).await;
    conforms(redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_last_server_went_while_it_sent_somebody_on_is_found_again() {
    let name = Name::of(last_server::start().await).await;
    let redis = Redis::cluster(&[&name.url], None).unwrap();
    let nobody = EntryId::from([1; 32]);
    until("the last server is asked", async || match redis.get(&nobody).await {
        Ok(found) => panic!("{found:?}"),
        Err(error) => !error.reason.contains("no server was found yet"),
    })
    .await;
    let masters = Masters::start(None);
    name.port.store(masters.0[0].port, Ordering::SeqCst);
    ready(&redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_there_yet_is_used_once_it_is() {
    let mut masters = Masters::start(None);
    masters.0.iter_mut().for_each(Server::kill);
    let redis = redis(&masters, &[2, 0]);
    let asked = redis.get(&EntryId::from([1; 32])).await.unwrap_err();
    assert!(asked.backend.starts_with("redis cluster at 127.0.0.1:"), "{asked}");
    assert!(masters.0.iter_mut().all(Server::begin));
    masters.wait();
    conforms(redis).await;
}

#[test]
fn what_cannot_be_a_cluster_is_said_at_once() {
    assert!(check_redis_cluster(&["redis://a:6379", "redis://b:6379"]).is_ok());
    for bad in [
        &[] as &[&str],
        &["redis+unix:///run/redis.sock"],
        &["redis://a", "rediss://b"],
        &["redis://:x@a", "redis://:y@b"],
    ] {
        let error = check_redis_cluster(bad).unwrap_err();
        assert!(!error.reason.is_empty() && !error.reason.contains(":x@"), "{error}");
    }
}
