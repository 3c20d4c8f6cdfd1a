//! The local embedder computes what its model's weights say, whatever else is asked at once.

#![cfg(feature = "local-embedder")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]
#![allow(dead_code, clippy::cast_precision_loss, reason = "helpers that other tests share, counts of some tokens")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

#[path = "support/tiny_bert.rs"]
mod tiny_bert;

use std::sync::Arc;
use std::time::Duration;

use peerway_cache::semantic::embed::{Batched, Bounds, Folder, Local, Model, Threads, cosine, local_bounds};
use peerway_cache::semantic::{Embedder, Guard, Prompt};
use tokio::runtime::Handle;

const FOLDER: &str = "PEERWAY_MINILM_FOLDER";

fn tiny() -> Local {
    let dir = tempfile::tempdir().unwrap();
    tiny_bert::write(dir.path(), &tiny_bert::config(), &tiny_bert::tensors());
    Local::load(&Folder::open(dir.path()).unwrap(), &Threads::start(2).unwrap()).unwrap()
}

/// The token numbers of a text of known words, marks around it.
fn tokens(words: &[&str]) -> Vec<u32> {
    let number = |word: &str| tiny_bert::WORDS.iter().position(|known| *known == word).unwrap() as u32;
    let inner = words.iter().map(|word| number(word)).take(14);
    std::iter::once(number("[CLS]")).chain(inner).chain([number("[SEP]")]).collect()
}

#[tokio::test]
async fn a_batch_of_any_lengths_gives_what_plain_loops_give() {
    let model = tiny();
    let long = ["how", "do", "i"].repeat(9);
    let cases: Vec<(String, Vec<u32>)> = vec![
        ("How do I deploy to the cloud?".into(), tokens(&["how", "do", "i", "deploy", "to", "the", "cloud", "[UNK]"])),
        ("deploying".into(), tokens(&["deploy", "##ing"])),
        (String::new(), tokens(&[])),
        ("héllo".into(), tokens(&["[UNK]"])),
        (long.join(" "), tokens(&long)),
        ("to to to".into(), tokens(&["to", "to", "to"])),
        ("cloud".into(), tokens(&["cloud"])),
        ("the cloud".into(), tokens(&["the", "cloud"])),
        ("do i".into(), tokens(&["do", "i"])),
        ("deploying to the cloud".into(), tokens(&["deploy", "##ing", "to", "the", "cloud"])),
    ];
    let texts: Vec<Arc<str>> = cases.iter().map(|(text, _)| text.as_str().into()).collect();
    let tensors = tiny_bert::tensors();
    for ((text, tokens), vector) in cases.iter().zip(model.vectors(&texts).await) {
        let vector = vector.unwrap();
        for (found, expected) in vector.iter().zip(tiny_bert::vector(&tensors, tokens)) {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{text}: {found} is not {expected}");
        }
    }
}

#[tokio::test]
async fn other_weights_are_another_space() {
    let mut tensors = tiny_bert::tensors();
    tensors.get_mut("embeddings.LayerNorm.bias").unwrap().1[0] += 0.25;
    let dir = tempfile::tempdir().unwrap();
    tiny_bert::write(dir.path(), &tiny_bert::config(), &tensors);
    let other = Local::load(&Folder::open(dir.path()).unwrap(), &Threads::start(1).unwrap()).unwrap();
    assert_ne!(tiny().space(), other.space());
    assert_eq!(tiny().space(), tiny().space());
    assert!(tiny().space().starts_with("local:12/"), "{}", tiny().space());
}

#[tokio::test]
async fn weights_that_are_not_numbers_give_no_vector() {
    let mut tensors = tiny_bert::tensors();
    tensors.get_mut("encoder.layer.1.output.LayerNorm.bias").unwrap().1[0] = f32::NAN;
    let dir = tempfile::tempdir().unwrap();
    tiny_bert::write(dir.path(), &tiny_bert::config(), &tensors);
    let model = Local::load(&Folder::open(dir.path()).unwrap(), &Threads::start(1).unwrap()).unwrap();
    let bounds = Bounds { deadline: Duration::from_secs(60), ..local_bounds(1) };
    let embedder = Batched::new(Arc::new(model), bounds, Handle::current());
    let error = embedder.embed("the cloud").await.unwrap_err();
    assert!(error.to_string().contains("no direction"), "{error}");
}

/// The folder of all-MiniLM-L6-v2, where there is one.
fn minilm() -> Option<Local> {
    let Some(folder) = std::env::var_os(FOLDER) else {
        println!("skipped: {FOLDER} names no folder with all-MiniLM-L6-v2");
        return None;
    };
    Some(Local::load(&Folder::open(folder.as_ref()).unwrap(), &Threads::start(2).unwrap()).unwrap())
}

/// Vectors as `cache/semantic/train/golden_vectors.py` computes them, with the model's own tokenizer.
#[tokio::test]
async fn minilm_gives_its_own_vectors() {
    let Some(model) = minilm() else { return };
    let golden: Vec<serde_json::Value> =
        include_str!("data/minilm_vectors.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let texts: Vec<Arc<str>> = golden.iter().map(|line| line["text"].as_str().unwrap().into()).collect();
    let vectors: Vec<Arc<[f32]>> = model.vectors(&texts).await.into_iter().map(Result::unwrap).collect();
    for (line, vector) in golden.iter().zip(&vectors) {
        let first: Vec<f32> = serde_json::from_value(line["first"].clone()).unwrap();
        for (found, expected) in vector.iter().zip(&first) {
            assert!((found - expected).abs() < 1e-4, "{}: {found} is not {expected}", line["text"]);
        }
        let cosines: Vec<f32> = serde_json::from_value(line["cosines"].clone()).unwrap();
        for (other, expected) in vectors.iter().zip(cosines) {
            assert!((cosine(vector, other) - expected).abs() < 1e-4, "{}", line["text"]);
        }
    }
}

/// Pairs that users know from tutorials of other gateways.
#[tokio::test]
async fn pairs_of_tutorials_are_answered_with_minilm() {
    let Some(model) = minilm() else { return };
    let guard = Guard::of_space(model.space());
    for (first, second) in [
        ("How do I deploy to Kubernetes?", "What is the process for deploying on k8s?"),
        ("Explain OAuth 2.0", "How does OAuth2 authentication work?"),
        ("What are the benefits of microservices architecture?", "Why should I use a microservices pattern?"),
    ] {
        let vectors = model.vectors(&[first.into(), second.into()]).await;
        let near = cosine(vectors[0].as_ref().unwrap(), vectors[1].as_ref().unwrap());
        let verdict = guard.judge_found(&Prompt::read(first), &Prompt::read(second), near);
        assert!(verdict.similarity >= 0.85, "{first} / {second}: {near} {verdict:?}");
    }
}
