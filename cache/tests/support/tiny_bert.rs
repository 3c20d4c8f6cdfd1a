//! A BERT of a few hundred numbers in a folder, and the same arithmetic in plain loops.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

pub(crate) const HIDDEN: usize = 12;
const INNER: usize = 20;
const LAYERS: usize = 2;
const HEADS: usize = 3;
const PLACES: usize = 16;
pub(crate) const WORDS: [&str; 12] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "how", "do", "i", "deploy", "##ing", "to", "the", "cloud"];

pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Numbers that look random and are the same each time.
pub(crate) fn tensors() -> Tensors {
    let mut state = 7_u64;
    let mut number = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    let mut all = Tensors::new();
    let mut add = |name: String, shape: Vec<usize>| {
        let numbers = (0..shape.iter().product()).map(|_| number()).collect();
        all.insert(name, (shape, numbers));
    };
    for (name, rows) in [("word", WORDS.len()), ("position", PLACES), ("token_type", 2)] {
        add(format!("embeddings.{name}_embeddings.weight"), vec![rows, HIDDEN]);
    }
    let mut parts = vec![("embeddings.LayerNorm".to_owned(), vec![HIDDEN])];
    for layer in 0..LAYERS {
        let at = |name: &str| format!("encoder.layer.{layer}.{name}");
        for name in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
            parts.push((at(name), vec![HIDDEN, HIDDEN]));
        }
        parts.push((at("attention.output.LayerNorm"), vec![HIDDEN]));
        parts.push((at("intermediate.dense"), vec![INNER, HIDDEN]));
        parts.push((at("output.dense"), vec![HIDDEN, INNER]));
        parts.push((at("output.LayerNorm"), vec![HIDDEN]));
    }
    for (name, shape) in parts {
        add(format!("{name}.bias"), shape[..1].to_vec());
        add(format!("{name}.weight"), shape);
    }
    all
}

/// A classifier of pairs with so many labels, as it is published: the same model behind a prefix, and what reads its first
/// state.
pub(crate) fn classifier(labels: usize) -> Tensors {
    let mut all: Tensors = tensors().into_iter().map(|(name, tensor)| (format!("bert.{name}"), tensor)).collect();
    let number = |at: usize| ((at * 37 + labels) % 19) as f32 / 19.0 - 0.45;
    let numbers = |count: usize| (0..count).map(number).collect::<Vec<f32>>();
    for (name, out) in [("bert.pooler.dense", HIDDEN), ("classifier", labels)] {
        all.insert(format!("{name}.weight"), (vec![out, HIDDEN], numbers(out * HIDDEN)));
        all.insert(format!("{name}.bias"), (vec![out], numbers(out)));
    }
    all
}

pub(crate) fn config() -> serde_json::Value {
    json!({
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": HIDDEN, "intermediate_size": INNER,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "max_position_embeddings": PLACES,
        "type_vocab_size": 2, "vocab_size": WORDS.len(), "layer_norm_eps": 1e-12,
    })
}

pub(crate) fn write(folder: &Path, config: &serde_json::Value, tensors: &Tensors) {
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.join("vocab.txt"), WORDS.join("\n") + "\n").unwrap();
    let (mut header, mut bytes) = (serde_json::Map::new(), Vec::new());
    for (name, (shape, numbers)) in tensors {
        let begin = bytes.len();
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let offsets = [begin, bytes.len()];
        header.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": offsets }));
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(bytes);
    std::fs::write(folder.join("model.safetensors"), file).unwrap();
}

fn numbers(tensors: &Tensors, name: &str) -> Vec<f64> {
    tensors[name].1.iter().map(|x| f64::from(*x)).collect()
}

pub(crate) fn linear(tensors: &Tensors, name: &str, x: &[f64]) -> Vec<f64> {
    let (weight, bias) = (numbers(tensors, &format!("{name}.weight")), numbers(tensors, &format!("{name}.bias")));
    let row = |(at, bias): (usize, &f64)| {
        bias + x.iter().zip(&weight[at * x.len()..]).map(|(x, weight)| x * weight).sum::<f64>()
    };
    bias.iter().enumerate().map(row).collect()
}

/// The vector of a text's tokens, in plain loops and twice the precision.
pub(crate) fn vector(tensors: &Tensors, tokens: &[u32]) -> Vec<f64> {
    let states = states(tensors, tokens, tokens.len());
    let mean: Vec<f64> =
        (0..HIDDEN).map(|at| states.iter().map(|x| x[at]).sum::<f64>() / states.len() as f64).collect();
    let length = mean.iter().map(|x| x * x).sum::<f64>().sqrt();
    mean.into_iter().map(|x| x / length).collect()
}

/// The state of each token, of which those from `second` on are a pair's second text.
pub(crate) fn states(tensors: &Tensors, tokens: &[u32], second: usize) -> Vec<Vec<f64>> {
    let get = |name: &str| numbers(tensors, name);
    let linear = |name: &str, x: &[f64]| linear(tensors, name, x);
    let norm = |name: &str, x: &[f64]| {
        let (weight, bias) = (get(&format!("{name}.weight")), get(&format!("{name}.bias")));
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let of = |((x, weight), bias): ((&f64, &f64), &f64)| (x - mean) / (variance + 1e-12).sqrt() * weight + bias;
        x.iter().zip(&weight).zip(&bias).map(of).collect::<Vec<f64>>()
    };
    let add = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f64>>();
    let row = |name: &str, at: usize| get(name)[at * HIDDEN..(at + 1) * HIDDEN].to_vec();
    let mut states: Vec<Vec<f64>> = tokens
        .iter()
        .enumerate()
        .map(|(place, &token)| {
            let word = row("embeddings.word_embeddings.weight", token as usize);
            let kind = row("embeddings.token_type_embeddings.weight", usize::from(place >= second));
            let place = row("embeddings.position_embeddings.weight", place);
            norm("embeddings.LayerNorm", &add(&add(&word, &place), &kind))
        })
        .collect();
    for layer in 0..LAYERS {
        let at = |name: &str| format!("encoder.layer.{layer}.{name}");
        let all = |name: &str| states.iter().map(|x| linear(&at(name), x)).collect::<Vec<_>>();
        let (queries, keys, values) =
            (all("attention.self.query"), all("attention.self.key"), all("attention.self.value"));
        let size = HIDDEN / HEADS;
        let mixed = queries.iter().map(|query| {
            let head = |head: usize| {
                let part = head * size..(head + 1) * size;
                let score = |key: &Vec<f64>| {
                    let inner: f64 = query[part.clone()].iter().zip(&key[part.clone()]).map(|(q, k)| q * k).sum();
                    (inner / (size as f64).sqrt()).exp()
                };
                let scores: Vec<f64> = keys.iter().map(score).collect();
                let sum: f64 = scores.iter().sum();
                let value = |at: usize| scores.iter().zip(&values).map(|(s, v)| s / sum * v[at]).sum::<f64>();
                part.clone().map(value).collect::<Vec<f64>>()
            };
            (0..HEADS).flat_map(head).collect::<Vec<f64>>()
        });
        let mixed: Vec<Vec<f64>> = mixed.collect();
        states = states
            .iter()
            .zip(&mixed)
            .map(|(x, mixed)| {
                let dense = linear(&at("attention.output.dense"), mixed);
                let x = norm(&at("attention.output.LayerNorm"), &add(x, &dense));
                let inner: Vec<f64> = linear(&at("intermediate.dense"), &x).into_iter().map(gelu).collect();
                norm(&at("output.LayerNorm"), &add(&x, &linear(&at("output.dense"), &inner)))
            })
            .collect();
    }
    states
}

fn gelu(x: f64) -> f64 {
    x * 0.5 * (1.0 + erf(x / 2.0_f64.sqrt()))
}

/// By its Taylor series, which is exact enough for numbers as small as these.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..60_i32 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}
