//! A folder that is no model for the local embedder is told so by name before anything is run.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]
#![allow(dead_code, clippy::cast_precision_loss, reason = "helpers that other tests share")]

#[path = "support/tiny_bert.rs"]
mod tiny_bert;

use std::path::Path;

use peerway_cache::semantic::embed::Folder;
use serde_json::json;

fn folder(change: impl FnOnce(&Path)) -> Result<Folder, String> {
    let dir = tempfile::tempdir().unwrap();
    tiny_bert::write(dir.path(), &tiny_bert::config(), &tiny_bert::tensors());
    change(dir.path());
    Folder::open(dir.path()).map_err(|error| {
        let text = error.to_string();
        text.strip_prefix(&format!("{}/", dir.path().display())).unwrap_or(&text).to_owned()
    })
}

fn refused(change: impl FnOnce(&Path)) -> String {
    folder(change).unwrap_err()
}

fn with(key: &str, value: &serde_json::Value) -> String {
    let mut config = tiny_bert::config();
    config[key] = value.clone();
    refused(|path| std::fs::write(path.join("config.json"), config.to_string()).unwrap())
}

#[test]
fn a_whole_folder_is_taken() {
    let whole = folder(|_| {}).unwrap();
    assert_eq!((whole.shape.hidden_size, whole.most_tokens), (tiny_bert::HIDDEN, 16));
    let short =
        folder(|path| std::fs::write(path.join("sentence_bert_config.json"), r#"{"max_seq_length":9}"#).unwrap());
    assert_eq!(short.unwrap().most_tokens, 9);
}

#[test]
fn what_is_missing_is_named() {
    for file in ["config.json", "vocab.txt", "model.safetensors"] {
        let told = refused(|path| std::fs::remove_file(path.join(file)).unwrap());
        assert!(told.starts_with(&format!("{file} cannot be read: ")), "{told}");
    }
    let told = refused(|path| std::fs::write(path.join("vocab.txt"), "[CLS]\n[SEP]\n").unwrap());
    assert_eq!(told, "vocab.txt: has no [UNK]");
    let told = refused(|path| {
        let mut tensors = tiny_bert::tensors();
        tensors.remove("encoder.layer.1.output.dense.bias");
        tiny_bert::write(path, &tiny_bert::config(), &tensors);
    });
    assert_eq!(told, "model.safetensors: has no tensor encoder.layer.1.output.dense.bias");
}

#[test]
fn what_cannot_be_run_is_refused() {
    assert!(with("model_type", &json!("roberta")).contains("a roberta with gelu"));
    assert!(with("hidden_act", &json!("relu")).contains("a bert with relu"));
    assert!(with("position_embedding_type", &json!("relative_key")).contains("only absolute"));
    assert!(with("num_attention_heads", &json!(5)).contains("cannot be shared by 5 heads"));
    assert!(with("num_hidden_layers", &json!(1000)).contains("num_hidden_layers is 1000"));
    assert!(with("max_position_embeddings", &json!(2)).contains("no room for a text"));
    let told = with("hidden_size", &json!(15));
    assert!(told.contains("embeddings.word_embeddings.weight is F32 [12, 12]"), "{told}");
    let told = with("vocab_size", &json!(3));
    assert!(told.contains("has 12 tokens and the model knows 3"), "{told}");
    let write = |file: &'static str, text: &'static str| {
        refused(move |path| {
            std::fs::create_dir_all(path.join("1_Pooling")).unwrap();
            std::fs::write(path.join(file), text).unwrap();
        })
    };
    assert!(write("tokenizer_config.json", r#"{"do_lower_case":false}"#).contains("uncased"));
    assert!(write("1_Pooling/config.json", r#"{"pooling_mode_mean_tokens":false}"#).contains("mean"));
    assert!(write("config.json", "{").starts_with("config.json: "));
    assert!(write("model.safetensors", "far too short for a list").contains("not a safetensors file"));
    assert!(write("model.safetensors", "short").contains("cannot be read"));
}
