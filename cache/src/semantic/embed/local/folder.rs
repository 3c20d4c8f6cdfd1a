//! A folder with a BERT that makes sentence vectors, as sentence-transformers keeps them: what is in it, read and checked
//! without running it.
//!
//! `config.json`, `vocab.txt` and `model.safetensors` must be there. Beside them `tokenizer_config.json`,
//! `sentence_bert_config.json` and `1_Pooling/config.json` may say what this embedder does in any case, and not otherwise.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// No sentence model is larger; a file that is, is another one.
const MAX_WEIGHTS: u64 = 4 << 30;
const MAX_SMALL_FILE: u64 = 16 << 20;
/// Texts are cut at so many tokens: the model was trained on no longer ones.
const MOST_TOKENS: usize = 256;
/// A token, and the two around it.
const FEWEST_TOKENS: usize = 3;

/// Why a folder is no model for the local embedder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {reason}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What `config.json` says of the model's build.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Shape {
    /// Numbers in a vector.
    pub hidden_size: usize,
    /// Numbers in the middle of a layer.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of attention in a layer.
    pub num_attention_heads: usize,
    /// Tokens in a text at most.
    pub max_position_embeddings: usize,
    /// Kinds of text in a pair.
    pub type_vocab_size: usize,
    /// Tokens that the model knows.
    pub vocab_size: usize,
    /// Added to a variance before its root is taken.
    #[serde(default = "layer_norm_eps")]
    pub layer_norm_eps: f64,
    model_type: String,
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

fn layer_norm_eps() -> f64 {
    1e-12
}

/// A folder whose files fit each other.
#[derive(Debug)]
#[cfg_attr(not(feature = "local-embedder"), allow(dead_code, reason = "what only a model that is run reads"))]
pub struct Folder {
    path: PathBuf,
    /// The model's build.
    pub shape: Shape,
    /// Texts are cut at so many tokens.
    pub most_tokens: usize,
    /// The number of each token.
    pub(super) vocabulary: HashMap<Box<str>, u32>,
    /// The tokens around a text.
    pub(super) begin: u32,
    pub(super) end: u32,
    /// What stands before the tensors' names.
    pub(super) prefix: &'static str,
}

#[derive(Default, Deserialize)]
struct Tokenizer {
    do_lower_case: Option<bool>,
}

#[derive(Default, Deserialize)]
struct Sentence {
    max_seq_length: Option<usize>,
}

#[derive(Default, Deserialize)]
struct Pooling {
    pooling_mode_mean_tokens: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Stored {
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
}

impl Folder {
    /// Reads the folder; of the weights their names and shapes.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let pooling: Pooling = optional(path, "1_Pooling/config.json")?;
        if pooling.pooling_mode_mean_tokens == Some(false) {
            let reason =
                "the model's vectors are not the mean of its tokens, which is all that the local embedder makes";
            return Err(content(path, "1_Pooling/config.json", reason));
        }
        let sentence: Sentence = optional(path, "sentence_bert_config.json")?;
        let longest = sentence.max_seq_length.unwrap_or(MOST_TOKENS).clamp(FEWEST_TOKENS, MOST_TOKENS);
        let folder = Self::bert(path)?;
        Ok(Self { most_tokens: longest.min(folder.most_tokens), ..folder })
    }

    /// Any BERT, whatever it was made for; it takes as many tokens as it has places for.
    pub(super) fn bert(path: &Path) -> Result<Self, FolderError> {
        let shape: Shape = json(path, "config.json")?;
        shape.check().map_err(|reason| content(path, "config.json", reason))?;
        let tokenizer: Tokenizer = optional(path, "tokenizer_config.json")?;
        if tokenizer.do_lower_case == Some(false) {
            let reason = "the model tells upper from lower case, which the local embedder cannot: take an uncased one";
            return Err(content(path, "tokenizer_config.json", reason));
        }
        let vocabulary = vocabulary(path, &shape)?;
        let number = |token: &str| {
            let found = vocabulary.get(token).copied();
            found.ok_or_else(|| content(path, "vocab.txt", format!("has no {token}")))
        };
        let (begin, end, _) = (number("[CLS]")?, number("[SEP]")?, number("[UNK]")?);
        let prefix = weights(path, &shape)?;
        let most_tokens = shape.max_position_embeddings;
        Ok(Self { path: path.to_owned(), shape, most_tokens, vocabulary, begin, end, prefix })
    }

    /// The weights as they are in the file.
    #[cfg(feature = "local-embedder")]
    pub(super) fn weights(&self) -> Result<Vec<u8>, FolderError> {
        read(&self.path, WEIGHTS, MAX_WEIGHTS)
    }

    #[cfg(feature = "local-embedder")]
    pub(super) fn unusable(&self, reason: impl std::fmt::Display) -> FolderError {
        content(&self.path, WEIGHTS, reason.to_string())
    }
}

pub(super) const WEIGHTS: &str = "model.safetensors";

impl Shape {
    fn check(&self) -> Result<(), String> {
        let bounds = [
            ("hidden_size", self.hidden_size, 4096),
            ("intermediate_size", self.intermediate_size, 16_384),
            ("num_hidden_layers", self.num_hidden_layers, 64),
            ("num_attention_heads", self.num_attention_heads, 64),
            ("max_position_embeddings", self.max_position_embeddings, 65_536),
            ("type_vocab_size", self.type_vocab_size, 16),
            ("vocab_size", self.vocab_size, 1 << 20),
        ];
        for (name, value, most) in bounds {
            if !(1..=most).contains(&value) {
                return Err(format!("{name} is {value}, not 1 to {most}"));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "hidden_size {} cannot be shared by {} heads",
                self.hidden_size, self.num_attention_heads
            ));
        }
        if self.max_position_embeddings < FEWEST_TOKENS {
            return Err("max_position_embeddings leaves no room for a text".to_owned());
        }
        if self.model_type != "bert" || self.hidden_act != "gelu" {
            return Err(format!("a {} with {}: only a bert with gelu can be run", self.model_type, self.hidden_act));
        }
        match self.position_embedding_type.as_deref() {
            None | Some("absolute") => Ok(()),
            Some(other) => Err(format!("position_embedding_type {other}: only absolute can be run")),
        }
    }

    /// The name and dimensions of every tensor of the model.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let mut all = vec![
            ("embeddings.word_embeddings.weight".to_owned(), vec![self.vocab_size, hidden]),
            ("embeddings.position_embeddings.weight".to_owned(), vec![self.max_position_embeddings, hidden]),
            ("embeddings.token_type_embeddings.weight".to_owned(), vec![self.type_vocab_size, hidden]),
        ];
        let mut norm = |name: String| {
            all.push((format!("{name}.weight"), vec![hidden]));
            all.push((format!("{name}.bias"), vec![hidden]));
        };
        norm("embeddings.LayerNorm".to_owned());
        for layer in 0..self.num_hidden_layers {
            norm(format!("encoder.layer.{layer}.attention.output.LayerNorm"));
            norm(format!("encoder.layer.{layer}.output.LayerNorm"));
        }
        for layer in 0..self.num_hidden_layers {
            for (name, out, into) in [
                ("attention.self.query", hidden, hidden),
                ("attention.self.key", hidden, hidden),
                ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden),
                ("intermediate.dense", inner, hidden),
                ("output.dense", hidden, inner),
            ] {
                all.push((format!("encoder.layer.{layer}.{name}.weight"), vec![out, into]));
                all.push((format!("encoder.layer.{layer}.{name}.bias"), vec![out]));
            }
        }
        all
    }
}

pub(super) fn content(folder: &Path, file: &str, reason: impl Into<String>) -> FolderError {
    FolderError::Content { path: folder.join(file), reason: reason.into() }
}

fn read(folder: &Path, file: &str, most: u64) -> Result<Vec<u8>, FolderError> {
    let path = folder.join(file);
    let failed = |source| FolderError::File { path: path.clone(), source };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(&path).map_err(failed)?;
    opened.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(content(folder, file, format!("is larger than {most} bytes")));
    }
    Ok(bytes)
}

pub(super) fn json<T: DeserializeOwned>(folder: &Path, file: &str) -> Result<T, FolderError> {
    let bytes = read(folder, file, MAX_SMALL_FILE)?;
    serde_json::from_slice(&bytes).map_err(|error| content(folder, file, error.to_string()))
}

fn optional<T: DeserializeOwned + Default>(folder: &Path, file: &str) -> Result<T, FolderError> {
    match json(folder, file) {
        Err(FolderError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        other => other,
    }
}

fn vocabulary(folder: &Path, shape: &Shape) -> Result<HashMap<Box<str>, u32>, FolderError> {
    const FILE: &str = "vocab.txt";
    let bytes = read(folder, FILE, MAX_SMALL_FILE)?;
    let text = String::from_utf8(bytes).map_err(|_| content(folder, FILE, "is not UTF-8"))?;
    let all: HashMap<Box<str>, u32> =
        text.lines().zip(0..).map(|(token, number)| (Box::from(token.trim_end()), number)).collect();
    if all.len() > shape.vocab_size {
        let reason = format!("has {} tokens and the model knows {}", all.len(), shape.vocab_size);
        return Err(content(folder, FILE, reason));
    }
    Ok(all)
}

/// Checks the tensors' names, types and shapes; gives what stands before their names.
fn weights(folder: &Path, shape: &Shape) -> Result<&'static str, FolderError> {
    let stored = header(folder)?;
    let prefix = if stored.contains_key("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
    for (name, expected) in shape.tensors() {
        let name = format!("{prefix}{name}");
        let stored = stored.get(&name).and_then(|value| Stored::deserialize(value).ok());
        let Some(Stored { dtype, shape }) = stored else {
            return Err(content(folder, WEIGHTS, format!("has no tensor {name}")));
        };
        if shape != expected || !is_float(&dtype) {
            let reason = format!("{name} is {dtype} {shape:?}, and config.json asks for floats {expected:?}");
            return Err(content(folder, WEIGHTS, reason));
        }
    }
    Ok(prefix)
}

pub(super) fn is_float(dtype: &str) -> bool {
    matches!(dtype, "F32" | "F16" | "BF16")
}

/// The file's own list of its tensors: a length in eight bytes, then JSON.
pub(super) fn header(folder: &Path) -> Result<HashMap<String, serde_json::Value>, FolderError> {
    let path = folder.join(WEIGHTS);
    let failed = |source| FolderError::File { path: path.clone(), source };
    let mut file = std::fs::File::open(&path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(failed)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_SMALL_FILE || length > size || size > MAX_WEIGHTS {
        return Err(content(folder, WEIGHTS, "is not a safetensors file"));
    }
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(failed)?;
    serde_json::from_slice(&bytes).map_err(|_| content(folder, WEIGHTS, "is not a safetensors file"))
}
