//! The static embedder reads text as the model that its table came from, and its vectors are fit for a cosine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

use peerway_cache::semantic::embed::{DIM, cosine, pieces};
use peerway_cache::semantic::{Embedder, StaticEmbedder};
use proptest::prelude::*;

#[test]
fn the_tokenizer_gives_what_the_models_own_gives() {
    let mut wrong = Vec::new();
    for line in include_str!("data/wordpiece.jsonl").lines() {
        let golden: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = golden["text"].as_str().unwrap();
        let expected: Vec<u32> = serde_json::from_value(golden["pieces"].clone()).unwrap();
        if pieces(text) != expected {
            wrong.push((text.to_owned(), pieces(text), expected));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nearer_texts_have_nearer_vectors() {
    let embedder = StaticEmbedder::new();
    let near = cosine(
        &embedder.vector("How do I reset my password?"),
        &embedder.vector("I forgot my password, how can I change it?"),
    );
    let far = cosine(&embedder.vector("How do I reset my password?"), &embedder.vector("a recipe for tomato soup"));
    assert!(near > far + 0.2, "{near} {far}");
}

#[tokio::test]
async fn the_static_embedder_never_fails() {
    let embedder: &dyn Embedder = &StaticEmbedder::new();
    assert_eq!(embedder.embed("a text").await.unwrap()[..], StaticEmbedder::new().vector("a text"));
    assert_eq!(embedder.embed("").await.unwrap()[..], [0.0; DIM]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_gives_a_vector_of_length_one_or_zero(text in any::<String>()) {
        let vector = StaticEmbedder::new().vector(&text);
        let length = cosine(&vector, &vector);
        prop_assert!(length == 0.0 || (length - 1.0).abs() < 1e-3, "{length}");
    }
}
