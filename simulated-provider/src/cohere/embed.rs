//! v2 embed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Response;
use serde_json::{Map, Value, json};

use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Head, Incoming, Reset, Usage, Written, refusal, serve};
use crate::embedding;
use crate::error::ApiError;
use crate::value::{self, list, number, string, strings, text};

const MOST_TEXTS: usize = 96;

pub(super) async fn answer(incoming: &Incoming<'_>, body: &Map<String, Value>) -> Result<Response<Body>, Reset> {
    let (model, texts) = match value::model(body).and_then(|model| Ok((model, texts(body)?))) {
        Ok(read) => read,
        Err(error) => return Ok(refusal(incoming.worker, incoming.dialect, &error)),
    };
    let prompt_tokens = texts.iter().map(|text| embedding::tokens(text)).sum();
    let head = Head { model, shape: Shape::Plain, prompt_tokens };
    serve(incoming, head, |context| {
        let dimensions = number(body.get("output_dimension"));
        let vectors: Vec<_> = texts.iter().map(|text| embedding::vector(text, dimensions)).collect();
        let mut kinds = strings(body.get("embedding_types"));
        if kinds.is_empty() {
            kinds.push("float".to_owned());
        }
        let embeddings: Map<_, _> = kinds
            .into_iter()
            .map(|kind| {
                let written = vectors.iter().map(|vector| typed(&kind, vector)).collect();
                (kind, written)
            })
            .collect();
        let mut meta = json!({ "api_version": { "version": "2" } });
        if context.usage != Usage::Absent {
            meta["billed_units"] = json!({ "input_tokens": context.usage.told(prompt_tokens) });
        }
        let answer = json!({ "id": context.id(""), "embeddings": embeddings, "texts": texts, "meta": meta,
                             "response_type": "embeddings_by_type" });
        Written::json(0, &answer)
    })
    .await
}

fn texts(body: &Map<String, Value>) -> Result<Vec<String>, ApiError> {
    let invalid = |message: String| Err(ApiError::invalid(message, None, None));
    if string(body.get("input_type")).is_empty() {
        return invalid("invalid request: input_type is required".to_owned());
    }
    let mut texts = strings(body.get("texts"));
    texts.extend(list(body.get("inputs")).iter().map(|input| text(input.get("content"))));
    if texts.is_empty() || texts.len() > MOST_TEXTS {
        return invalid(format!(
            "invalid request: between 1 and {MOST_TEXTS} texts must be given, not {}",
            texts.len()
        ));
    }
    Ok(texts)
}

fn typed(kind: &str, vector: &[f32]) -> Value {
    let bits =
        || vector.chunks(8).map(|chunk| chunk.iter().fold(0_u8, |bits, value| bits << 1 | u8::from(*value > 0.0)));
    match kind {
        "int8" => vector.iter().map(|value| (value * 127.0) as i8).collect(),
        "uint8" => vector.iter().map(|value| (value * 127.0 + 128.0) as u8).collect(),
        "binary" => bits().map(|bits| i16::from(bits) - 128).collect(),
        "ubinary" => bits().collect(),
        "base64" => {
            let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            BASE64_STANDARD.encode(bytes).into()
        }
        _ => json!(vector),
    }
}
