//! The cross encoder computes what its model's weights say of a pair, and does not guess where it cannot read all of it.

#![cfg(feature = "local-embedder")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]
#![allow(dead_code, clippy::cast_precision_loss, reason = "helpers that other tests share")]

#[path = "support/tiny_bert.rs"]
mod tiny_bert;

use std::time::Duration;

use peerway_cache::semantic::confirm::{ConfirmError, CrossEncoder, PromptPair};
use peerway_cache::semantic::embed::{PairFolder, Threads};
use peerway_cache::semantic::{Confirm, Confirmer};
use serde_json::{Value, json};
use tiny_bert::{Tensors, WORDS};

const FIRST: &str = "How do I deploy";
const SECOND: &str = "deploying the cloud";

fn open(config: &Value, tensors: &Tensors, label: Option<&str>) -> Result<CrossEncoder, String> {
    let dir = tempfile::tempdir().unwrap();
    tiny_bert::write(dir.path(), config, tensors);
    let folder = PairFolder::open(dir.path(), label).map_err(|error| error.to_string())?;
    Ok(CrossEncoder::load(&folder, &Threads::start(1).unwrap(), 0.9, Duration::from_secs(60)).unwrap())
}

fn config(labels: &[&str]) -> Value {
    let mut config = tiny_bert::config();
    let names = labels.iter().enumerate().map(|(number, name)| (number.to_string(), json!(name)));
    config["id2label"] = Value::Object(names.collect());
    config
}

async fn sure(model: &CrossEncoder, stored: &str, asked: &str) -> Result<f32, ConfirmError> {
    model.confirm(PromptPair { stored, asked }).await
}

/// The logits of a pair, in plain loops.
fn logits(tensors: &Tensors, first: &[&str], second: &[&str]) -> Vec<f64> {
    let number = |word: &&str| WORDS.iter().position(|known| known == word).unwrap() as u32;
    let words: Vec<&str> = [&["[CLS]"], first, &["[SEP]"], second, &["[SEP]"]].concat();
    let tokens: Vec<u32> = words.iter().map(number).collect();
    let bert: Tensors = tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix("bert.")?.to_owned(), tensor.clone())))
        .collect();
    let states = tiny_bert::states(&bert, &tokens, first.len() + 2);
    let pooled: Vec<f64> = tiny_bert::linear(&bert, "pooler.dense", &states[0]).into_iter().map(f64::tanh).collect();
    tiny_bert::linear(tensors, "classifier", &pooled)
}

/// The logits of both ways to read the pair.
fn both(tensors: &Tensors) -> [Vec<f64>; 2] {
    let (first, second) = (["how", "do", "i", "deploy"], ["deploy", "##ing", "the", "cloud"]);
    [logits(tensors, &first, &second), logits(tensors, &second, &first)]
}

fn is_near(found: f32, expected: f64) {
    assert!((f64::from(found) - expected).abs() < 1e-4, "{found} is not {expected}");
}

#[tokio::test]
async fn one_label_is_read_by_the_sigmoid() {
    let tensors = tiny_bert::classifier(1);
    let model = open(&config(&["LABEL_0"]), &tensors, None).unwrap();
    let [one, other] = both(&tensors).map(|logits| 1.0 / (1.0 + (-logits[0]).exp()));
    assert!((one - other).abs() > 1e-3, "the ways differ, or this test tells nothing");
    is_near(sure(&model, FIRST, SECOND).await.unwrap(), one.min(other));
    is_near(sure(&model, SECOND, FIRST).await.unwrap(), one.min(other));
    assert_eq!(model.kind(), Confirmer::CrossEncoder);
}

#[tokio::test]
async fn of_several_labels_the_named_one_is_read_by_the_softmax() {
    let tensors = tiny_bert::classifier(3);
    let names = ["contradiction", "neutral", "ENTAILMENT"];
    let share = |label: usize| {
        let of = |logits: Vec<f64>| logits[label].exp() / logits.iter().map(|x| x.exp()).sum::<f64>();
        both(&tensors).map(of).into_iter().fold(1.0, f64::min)
    };
    for (wanted, label) in [(None, 2), (Some("neutral"), 1), (Some("Contradiction"), 0)] {
        let model = open(&config(&names), &tensors, wanted).unwrap();
        is_near(sure(&model, FIRST, SECOND).await.unwrap(), share(label));
    }
    let models = [None, Some("neutral")].map(|label| open(&config(&names), &tensors, label).unwrap());
    assert_ne!(models[0].model(), models[1].model(), "what one has answered is not taken for the other's");
}

#[tokio::test]
async fn a_pair_that_it_cannot_read_whole_is_not_judged() {
    let model = open(&config(&["LABEL_0"]), &tiny_bert::classifier(1), None).unwrap();
    // Sixteen places, three of which are for marks.
    assert!(sure(&model, &"to ".repeat(7), &"to ".repeat(6)).await.is_ok());
    let told = sure(&model, &"to ".repeat(7), &"to ".repeat(7)).await.unwrap_err();
    assert!(matches!(&told, ConfirmError::Declined(why) if why.contains("longer")), "{told}");
}

#[tokio::test]
async fn weights_that_are_not_numbers_give_no_probability() {
    let mut tensors = tiny_bert::classifier(2);
    tensors.get_mut("classifier.bias").unwrap().1[0] = f32::NAN;
    let model = open(&config(&["no", "yes"]), &tensors, None).unwrap();
    assert!(sure(&model, FIRST, SECOND).await.unwrap().is_nan(), "whoever asks refuses it");
}

#[test]
fn a_folder_that_is_no_classifier_is_told_so() {
    let refused = |config: &Value, tensors: &Tensors| open(config, tensors, None).unwrap_err();
    let plain = config(&["LABEL_0"]);
    let told = refused(&plain, &tiny_bert::tensors());
    assert!(told.contains("pooler.dense.weight") && told.contains("no classifier of pairs"), "{told}");
    let mut headless = tiny_bert::classifier(1);
    headless.remove("classifier.bias");
    assert!(refused(&plain, &headless).contains("has no tensor classifier.bias"));
    let mut narrow = tiny_bert::classifier(1);
    narrow.insert("classifier.weight".to_owned(), (vec![1, 3], vec![0.0; 3]));
    assert!(refused(&plain, &narrow).contains("classifier.weight is [1, 3]"));
    assert!(refused(&config(&["a", "b"]), &tiny_bert::classifier(2)).contains("It has a, b; name it with `label`"));
    let mut alone = plain.clone();
    alone["type_vocab_size"] = json!(1);
    let mut tensors = tiny_bert::classifier(1);
    let kinds = tensors.get_mut("bert.embeddings.token_type_embeddings.weight").unwrap();
    *kinds = (vec![1, tiny_bert::HIDDEN], kinds.1[..tiny_bert::HIDDEN].to_vec());
    assert!(refused(&alone, &tensors).contains("texts of a pair apart"));
}
