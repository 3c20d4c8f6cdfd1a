#![allow(clippy::unwrap_used, reason = "for tests")]
//! A thousand keys ask the same questions: no answer ever crosses from one key to another.

mod support;

use peerway_cache::{Entry, EntryId, NamespaceId, TenantScope};
use support::{Simulation, entry, node_id};

const KEYS: usize = 1_000;
const QUESTIONS: usize = 100;

fn asked(simulation: &Simulation, key: usize, question: usize) -> (EntryId, NamespaceId) {
    let body = format!(r#"{{"model":"demo","messages":[{{"role":"user","content":"question {question}"}}]}}"#);
    let scope = TenantScope::key(&format!("key-{key}"));
    simulation.cache(&node_id("a")).identify(&scope, "faq", "chat/completions", body.as_bytes()).unwrap()
}

#[tokio::test]
async fn of_a_hundred_thousand_look_ups_only_those_of_the_asking_key_hit() {
    let simulation = Simulation::start(&["a", "b", "c"]);
    let names = simulation.names();
    let template = entry(&simulation.cache(&names[0]), 0, 200);
    // Each question was answered for one key.
    for question in 0..QUESTIONS {
        let (id, namespace) = asked(&simulation, question * 7, question);
        let answer = Entry { id, namespace, ..template.clone() };
        simulation.cache(&names[question % 3]).put(answer).await;
    }
    let (mut own, mut across, mut forged) = (0, 0, 0);
    for key in 0..KEYS {
        for question in 0..QUESTIONS {
            let (id, namespace) = asked(&simulation, key, question);
            let cache = simulation.cache(&names[(key + question) % 3]);
            if cache.get(&id, &namespace).await.is_some() {
                *(if question * 7 == key { &mut own } else { &mut across }) += 1;
            }
        }
        // Who knows another one's id has nothing by it.
        let question = key % QUESTIONS;
        let (theirs, _) = asked(&simulation, question * 7, question);
        let (_, mine) = asked(&simulation, KEYS + key, question);
        for name in &names {
            forged += usize::from(simulation.cache(name).get(&theirs, &mine).await.is_some());
        }
    }
    assert_eq!((own, across, forged), (QUESTIONS, 0, 0), "own, across keys, by a stranger's id");
}
