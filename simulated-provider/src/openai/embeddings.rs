//! Embeddings, as lists of numbers or as base64 of little-endian floats.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Response;
use serde_json::{Map, Value, json};

use super::{missing, refused};
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Head, Incoming, Reset, Usage, Written, serve};
use crate::embedding;
use crate::error::ApiError;
use crate::value::{self, number, string};

const MOST_INPUTS: usize = 2_048;

pub(super) async fn embed(incoming: &Incoming<'_>, body: &Map<String, Value>) -> Result<Response<Body>, Reset> {
    let (model, inputs) = match value::model(body).and_then(|model| Ok((model, inputs(body)?))) {
        Ok(read) => read,
        Err(error) => return refused(incoming, &error),
    };
    let prompt_tokens = inputs.iter().map(|input| input.tokens).sum();
    let head = Head { model: model.clone(), shape: Shape::Plain, prompt_tokens };
    serve(incoming, head, |context| {
        let dimensions = number(body.get("dimensions"));
        let base64 = string(body.get("encoding_format")) == "base64";
        let data = inputs.iter().enumerate().map(|(index, input)| {
            let vector = embedding::vector(&input.text, dimensions);
            let embedding = if base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                BASE64_STANDARD.encode(bytes).into()
            } else {
                json!(vector)
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        });
        let mut answer = json!({ "object": "list", "data": data.collect::<Vec<_>>(), "model": model });
        if context.usage != Usage::Absent {
            let told = context.usage.told(prompt_tokens);
            answer["usage"] = json!({ "prompt_tokens": told, "total_tokens": told });
        }
        Written::json(0, &answer)
    })
    .await
}

struct Input {
    text: String,
    tokens: u64,
}

/// A text, a list of texts, a list of tokens, or a list of such lists.
fn inputs(body: &Map<String, Value>) -> Result<Vec<Input>, ApiError> {
    let text = |text: &str| Input { text: text.to_owned(), tokens: embedding::tokens(text) };
    let of_tokens = |tokens: &[Value]| Input { text: Value::from(tokens).to_string(), tokens: tokens.len() as u64 };
    let inputs: Vec<Input> = match body.get("input").ok_or_else(|| missing("input"))? {
        Value::String(input) => vec![text(input)],
        Value::Array(tokens) if tokens.iter().all(Value::is_u64) && !tokens.is_empty() => vec![of_tokens(tokens)],
        Value::Array(inputs) => inputs
            .iter()
            .filter_map(|input| match input {
                Value::String(input) => Some(text(input)),
                Value::Array(tokens) => Some(of_tokens(tokens)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    if inputs.is_empty() || inputs.len() > MOST_INPUTS || inputs.iter().any(|input| input.text.is_empty()) {
        return Err(ApiError::invalid(
            "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
            Some("input"),
            None,
        ));
    }
    Ok(inputs)
}
