#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]
//! Requests that are the same and under way at once, on several nodes: one of them asks the provider.

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerway_cache::message::{Follow, Followed, Get, Got};
use peerway_cache::{Boarding, Ending, Entry, Follower, Lead, Next, Origin, Recorded, RecordedEvent, RingCache};
use peerway_cluster::identity::NodeId;
use peerway_cluster::link::{Answer, Service as _};
use peerway_cluster::wire::{Message, decode, encode};
use support::{Simulation, Way, entry, owned_by};

const QUICK: Duration = Duration::from_secs(20);

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(QUICK, what).await.expect("in time")
}

async fn board(cache: &RingCache, entry: &Entry) -> Boarding {
    in_time(cache.board(&entry.id, &entry.namespace)).await
}

#[track_caller]
fn lead(boarding: Boarding) -> Lead {
    let Boarding::Lead(lead) = boarding else { panic!("{boarding:?} instead of the lead") };
    lead
}

#[track_caller]
fn follower(boarding: Boarding) -> Follower {
    let Boarding::Follow(follower) = boarding else { panic!("{boarding:?} instead of somebody to follow") };
    follower
}

#[track_caller]
fn answered<T: Message>(answer: Answer) -> T {
    let Answer::Now(answer) = answer else { panic!("not at once") };
    decode(&answer.unwrap()).unwrap()
}

fn origin() -> Origin {
    Origin { provider: "simulated".to_owned(), model: "echo".to_owned() }
}

/// Three nodes, an entry that the first owns, and the nodes in the order owner, replica, other.
fn three() -> (Arc<Simulation>, Entry, [NodeId; 3]) {
    three_with(|_| ())
}

fn three_with(change: impl Fn(&mut peerway_cache::CacheConfig)) -> (Arc<Simulation>, Entry, [NodeId; 3]) {
    let simulation = Simulation::start_with(&["a", "b", "c"], change);
    let owner = simulation.names()[0].clone();
    let entry = entry(&simulation.cache(&owner), owned_by(&simulation, &owner, 0), 100);
    let (owner, replica, other) = simulation.roles(&entry.id);
    (simulation, entry, [owner, replica, other])
}

#[tokio::test]
async fn whichever_node_leads_all_others_get_its_entry() {
    for leader in 0..3 {
        let (simulation, entry, nodes) = three();
        let lead = lead(board(&simulation.cache(&nodes[leader]), &entry).await);
        let mut waiting = Vec::new();
        for node in nodes.iter().cycle().take(9) {
            let mut follower = follower(board(&simulation.cache(node), &entry).await);
            waiting.push(tokio::spawn(async move { follower.ending().await }));
        }
        in_time(simulation.cache(&nodes[leader]).put(entry.clone())).await;
        drop(lead);
        for waiting in waiting {
            assert_eq!(in_time(waiting).await.unwrap(), Ending::Kept(Arc::new(entry.clone())));
        }
        for node in &nodes {
            assert!(matches!(board(&simulation.cache(node), &entry).await, Boarding::Hit(_)));
        }
    }
}

#[tokio::test]
async fn a_stream_is_followed_event_by_event_and_joined_in_the_middle() {
    let (simulation, mut entry, [owner, replica, other]) = three();
    let lead = lead(board(&simulation.cache(&replica), &entry).await);
    let mut recorder = lead.recorder(origin());
    let mut early = follower(board(&simulation.cache(&other), &entry).await);
    recorder.push(10, b"data: 1\n\n");
    assert_eq!(text(in_time(early.next()).await), "data: 1\n\n");
    assert_eq!(early.origin(), origin());
    recorder.push(20, b"data: 2\n\n");
    assert_eq!(text(in_time(early.next()).await), "data: 2\n\n");
    let mut late = follower(board(&simulation.cache(&owner), &entry).await);
    assert_eq!(text(in_time(late.next()).await), "data: 1\n\ndata: 2\n\n");
    recorder.push(30, b"data: [DONE]\n\n");
    entry.content.recorded = recorder.finish().unwrap();
    in_time(simulation.cache(&replica).put(entry.clone())).await;
    for follower in [&mut early, &mut late] {
        // What is missing is on the tape or in the entry.
        let rest = match in_time(follower.next()).await {
            Next::Ended(Ending::Kept(kept)) => {
                let Recorded::Stream { events } = &kept.content.recorded else { panic!("not a stream") };
                events[follower.seen()..].iter().map(|event| event.bytes.clone()).collect::<Vec<_>>().concat()
            }
            next => text(next).into_bytes(),
        };
        assert_eq!(Bytes::from(rest), "data: [DONE]\n\n");
    }
}

#[track_caller]
fn text(next: Next) -> String {
    let Next::Events(events) = next else { panic!("{next:?} instead of events") };
    events.iter().map(|event| String::from_utf8(event.bytes.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn an_entry_of_another_leader_is_not_mixed_into_a_running_stream() {
    let (simulation, mut entry, [owner, replica, other]) = three();
    let lead = lead(board(&simulation.cache(&other), &entry).await);
    let mut recorder = lead.recorder(origin());
    let mut followers = Vec::new();
    for node in [&owner, &replica, &other] {
        followers.push(follower(board(&simulation.cache(node), &entry).await));
    }
    recorder.push(10, b"data: 1\n\n");
    for follower in &mut followers {
        assert_eq!(text(in_time(follower.next()).await), "data: 1\n\n");
    }
    // Somebody who could not reach the owner in time has asked for itself: its answer comes to owner and replica.
    let stranger = RecordedEvent { delay_us: 0, bytes: Bytes::from_static(b"data: one\n\n") };
    entry.content.recorded = Recorded::Stream { events: vec![stranger.clone(), stranger] };
    in_time(simulation.cache(&replica).put(entry.clone())).await;
    recorder.push(20, b"data: 2\n\n");
    for follower in &mut followers {
        assert_eq!(text(in_time(follower.next()).await), "data: 2\n\n");
    }
    entry.content.recorded = recorder.finish().unwrap();
    in_time(simulation.cache(&other).put(entry.clone())).await;
    for follower in &mut followers {
        let ended = in_time(follower.next()).await;
        assert!(matches!(&ended, Next::Ended(Ending::Kept(kept)) if **kept == entry), "{ended:?}");
    }
}

#[tokio::test]
async fn a_leader_that_gives_up_is_followed_by_another() {
    let (simulation, entry, nodes) = three();
    for leader in 0..3 {
        let lead_ = lead(board(&simulation.cache(&nodes[leader]), &entry).await);
        let mut followers = Vec::new();
        for node in &nodes {
            followers.push(follower(board(&simulation.cache(node), &entry).await));
        }
        drop(lead_);
        for mut follower in followers {
            assert_eq!(in_time(follower.ending()).await, Ending::Lost);
        }
        // Of all that board anew one leads.
        let mut leads = Vec::new();
        for node in nodes.iter().rev() {
            match board(&simulation.cache(node), &entry).await {
                Boarding::Lead(lead) => leads.push(lead),
                Boarding::Follow(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(leads.len(), 1);
        drop(leads);
        // The owner is told beside the way.
        in_time(async {
            while !matches!(board(&simulation.cache(&nodes[(leader + 1) % 3]), &entry).await, Boarding::Lead(_)) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_answer_that_is_not_kept_sends_each_its_own_way() {
    let (simulation, entry, nodes) = three();
    let lead = lead(board(&simulation.cache(&nodes[2]), &entry).await);
    let mut followers = Vec::new();
    for node in &nodes {
        followers.push(follower(board(&simulation.cache(node), &entry).await));
    }
    lead.over();
    for mut follower in followers {
        assert_eq!(in_time(follower.ending()).await, Ending::Over);
    }
}

#[tokio::test]
async fn a_dead_leader_and_a_dead_owner_are_noticed() {
    for dead in [0, 1] {
        let (simulation, entry, nodes) = three();
        let _lead = lead(board(&simulation.cache(&nodes[1]), &entry).await);
        let mut waiting = follower(board(&simulation.cache(&nodes[2]), &entry).await);
        simulation.set(&nodes[dead], Way::Dead);
        assert_eq!(in_time(waiting.ending()).await, Ending::Lost);
        match board(&simulation.cache(&nodes[2]), &entry).await {
            // The replica leads still, and speaks for the owner.
            Boarding::Follow(_) => assert_eq!(dead, 0),
            Boarding::Lead(_) => assert_eq!(dead, 1),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn without_the_owner_the_replica_says_who_leads() {
    for way in [Way::Dead, Way::Hung] {
        for [first, second] in [[1, 2], [2, 1]] {
            let (simulation, entry, nodes) = three_with(|config| config.board_deadline = Duration::from_secs(1));
            simulation.set(&nodes[0], way);
            let lead = lead(board(&simulation.cache(&nodes[first]), &entry).await);
            let mut waiting = follower(board(&simulation.cache(&nodes[second]), &entry).await);
            in_time(simulation.cache(&nodes[first]).put(entry.clone())).await;
            drop(lead);
            assert_eq!(in_time(waiting.ending()).await, Ending::Kept(Arc::new(entry.clone())), "{way:?} {first}");
        }
    }
}

#[tokio::test]
async fn nobody_is_followed_in_a_circle() {
    let (simulation, entry, [owner, replica, _]) = three();
    let service = simulation.cache(&owner).service();
    let (id, namespace) = (entry.id, entry.namespace);
    let get = Get { id, namespace, bulk: false, board: Some(1) };
    let answer = service.serve(&replica, Get::KIND, encode(&get).unwrap());
    assert!(matches!(answered(answer), Got::Miss { .. }));
    // What the owner knows of this flight, it would have to ask of the one that asks.
    let answer = service.serve(&replica, Follow::KIND, encode(&Follow { id, namespace, seen: 0 }).unwrap());
    assert!(matches!(answered(answer), Followed::Lost));
}

#[tokio::test]
async fn who_comes_after_a_purge_does_not_follow_what_was_asked_before() {
    let (simulation, entry, nodes) = three();
    let cache = simulation.cache(&nodes[0]);
    let _lead = lead(board(&cache, &entry).await);
    in_time(cache.purge(peerway_cache::Purge::All)).await.unwrap();
    assert!(matches!(board(&cache, &entry).await, Boarding::Alone));
}

#[tokio::test]
async fn another_namespace_never_follows() {
    let (simulation, entry, nodes) = three();
    let cache = simulation.cache(&nodes[0]);
    let _lead = lead(board(&cache, &entry).await);
    let (_, stranger) =
        cache.identify(&peerway_cache::TenantScope::key("other"), "faq", "chat/completions", b"{}").unwrap();
    assert!(matches!(in_time(cache.board(&entry.id, &stranger)).await, Boarding::Alone));
}

#[tokio::test]
async fn a_stream_beyond_the_size_of_an_entry_lets_its_followers_go() {
    let simulation = Simulation::start_with(&["a"], |config| config.max_entry = 1000);
    let cache = simulation.cache(&simulation.names()[0]);
    let entry = entry(&cache, 0, 10);
    let lead = lead(board(&cache, &entry).await);
    let mut recorder = lead.recorder(origin());
    let mut follower = follower(board(&cache, &entry).await);
    for _ in 0..100 {
        recorder.push(0, &[b'x'; 100]);
    }
    assert_eq!(in_time(follower.ending()).await, Ending::Lost);
    assert_eq!(recorder.finish(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_on_all_nodes_make_one_call() {
    let simulation = Simulation::start(&["a", "b", "c"]);
    for number in 0..50 {
        let names = simulation.names();
        let entry = entry(&simulation.cache(&names[0]), number, 100);
        let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for task in 0..60 {
            let (cache, entry, calls) = (simulation.cache(&names[task % 3]), entry.clone(), calls.clone());
            tasks.push(tokio::spawn(async move {
                match cache.board(&entry.id, &entry.namespace).await {
                    Boarding::Hit(hit) | Boarding::Behind(hit) => assert_eq!(*hit, entry),
                    Boarding::Follow(mut follower) => {
                        assert_eq!(follower.ending().await, Ending::Kept(Arc::new(entry)))
                    }
                    Boarding::Lead(_lead) => {
                        calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(number as u64 % 4)).await;
                        cache.put(entry).await;
                    }
                    Boarding::Alone => panic!("alone"),
                }
            }));
        }
        for task in tasks {
            in_time(task).await.unwrap();
        }
        assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 1, "question {number}");
    }
}
