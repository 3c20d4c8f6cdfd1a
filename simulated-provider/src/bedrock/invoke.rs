//! InvokeModel, for embeddings: Cohere's models take Cohere's body, all others Titan's.

use http::Response;
use serde_json::{Map, Value, json};

use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Head, Incoming, Reset, Written, refusal, serve};
use crate::embedding;
use crate::error::ApiError;
use crate::value::{number, string, strings};

pub(super) async fn answer(
    incoming: &Incoming<'_>,
    model: String,
    body: &Map<String, Value>,
) -> Result<Response<Body>, Reset> {
    let cohere = body.contains_key("texts");
    let texts = if cohere { strings(body.get("texts")) } else { strings(body.get("inputText")) };
    let dimensions = number(body.get("dimensions").or(body.get("output_dimension")));
    if texts.is_empty() || cohere && string(body.get("input_type")).is_empty() {
        let message = "Malformed input request: #: required key [inputText] or [texts, input_type] not found, please reformat your input and try again.";
        return Ok(refusal(incoming.worker, incoming.dialect, &ApiError::invalid(message, None, None)));
    }
    let prompt_tokens = texts.iter().map(|text| embedding::tokens(text)).sum();
    let head = Head { model, shape: Shape::Plain, prompt_tokens };
    serve(incoming, head, |context| {
        let vectors: Vec<_> = texts.iter().map(|text| embedding::vector(text, dimensions)).collect();
        let answer = if cohere {
            let by_type = body.contains_key("embedding_types");
            let kind = if by_type { "embeddings_by_type" } else { "embeddings_floats" };
            let embeddings = if by_type { json!({ "float": vectors }) } else { json!(vectors) };
            json!({ "id": context.id(""), "embeddings": embeddings, "texts": texts, "response_type": kind })
        } else {
            json!({ "embedding": vectors[0], "inputTextTokenCount": context.usage.told(prompt_tokens) })
        };
        Written::json(0, &answer)
    })
    .await
}
