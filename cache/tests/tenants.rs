#![allow(clippy::unwrap_used, reason = "for tests")]
//! A thousand keys ask the same questions: no answer ever crosses from one key to another.

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peerway_cache::semantic::Embedder;
use peerway_cache::semantic::embed::EmbedError;
use peerway_cache::{Entry, EntryId, NamespaceId, Question, SemanticConfig, Similar, TenantScope};
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

/// The same text has the same vector, and other texts are far from it: what separates tenants here is not what they ask.
#[derive(Debug)]
struct Same;

#[async_trait]
impl Embedder for Same {
    fn space(&self) -> &'static str {
        "same"
    }

    async fn embed(&self, text: &str) -> Result<Arc<[f32]>, EmbedError> {
        let digest = blake3::hash(text.as_bytes());
        let signs = digest.as_bytes()[..6].iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1));
        Ok(signs.map(|sign| if sign == 1 { 1.0 } else { -1.0 }).collect())
    }
}

#[tokio::test]
async fn of_a_hundred_thousand_look_ups_by_meaning_only_those_of_the_asking_key_hit() {
    let semantic = || SemanticConfig { deadline: Duration::from_secs(10), ..SemanticConfig::new(Arc::new(Same)) };
    let simulation = Simulation::start_with(&["a", "b", "c"], |config| config.semantic = Some(semantic()));
    let names = simulation.names();
    let template = entry(&simulation.cache(&names[0]), 0, 200);
    // All but the last text is the same for all.
    let question = |namespace, question: usize| Question {
        namespace,
        context: [7; 32],
        text: format!("What is written on page {question} of the handbook?").into(),
    };
    // Each key has an answer to one question, so that each has something to be found.
    for key in 0..KEYS {
        let (id, namespace) = asked(&simulation, key, key % QUESTIONS);
        let answer = Entry { id, namespace, ..template.clone() };
        let cache = simulation.cache(&names[key % 3]);
        cache.put(answer.clone()).await;
        cache.learn(question(namespace, key % QUESTIONS), &answer).await;
    }
    let (mut own, mut across) = (0, 0);
    for key in 0..KEYS {
        let (mine, namespace) = asked(&simulation, key, key % QUESTIONS);
        for number in 0..QUESTIONS {
            let cache = simulation.cache(&names[(key + number) % 3]);
            if let Similar::Hit { entry, .. } = cache.find_similar(&question(namespace, number), 0.85).await {
                let is_own = number == key % QUESTIONS && (entry.id, entry.namespace) == (mine, namespace);
                *(if is_own { &mut own } else { &mut across }) += 1;
            }
        }
    }
    assert_eq!((own, across), (KEYS, 0), "own, across keys");
}
