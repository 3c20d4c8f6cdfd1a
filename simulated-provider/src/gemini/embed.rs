//! Embeddings: one text, a batch, and Vertex AI's `predict`.

use http::Response;
use serde_json::{Map, Value, json};

use super::fields::{field, of};
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Head, Incoming, Reset, Written, serve};
use crate::door::Gemini;
use crate::embedding;
use crate::error::ApiError;
use crate::value::{list, number, string, text};

const MOST_REQUESTS: usize = 100;

pub(super) async fn answer(
    incoming: &Incoming<'_>,
    operation: Gemini,
    model: String,
    body: &Map<String, Value>,
) -> Result<Response<Body>, Reset> {
    let texts = match read(operation, body) {
        Ok(texts) => texts,
        Err(error) => return super::refused(incoming, &error),
    };
    let prompt_tokens = texts.iter().map(|(text, _)| embedding::tokens(text)).sum();
    let head = Head { model, shape: Shape::Plain, prompt_tokens };
    serve(incoming, head, |_| {
        let mut vectors = texts.iter().map(|(text, dimensions)| embedding::vector(text, *dimensions));
        let answer = match operation {
            Gemini::BatchEmbed => {
                json!({ "embeddings": vectors.map(|values| json!({ "values": values })).collect::<Vec<_>>() })
            }
            Gemini::Predict => {
                let prediction = |(values, (text, _)): (Vec<f32>, &(String, _))| {
                    let statistics = json!({ "truncated": false, "token_count": embedding::tokens(text) });
                    json!({ "embeddings": { "values": values, "statistics": statistics } })
                };
                json!({ "predictions": vectors.zip(&texts).map(prediction).collect::<Vec<_>>() })
            }
            _ => json!({ "embedding": { "values": vectors.next().unwrap_or_default() } }),
        };
        Written::plain(super::JSON, 0, answer.to_string().into_bytes())
    })
    .await
}

/// Each text with the number of dimensions that is asked for.
fn read(operation: Gemini, body: &Map<String, Value>) -> Result<Vec<(String, Option<u64>)>, ApiError> {
    let missing = |name: &str| ApiError::invalid(format!("* {name}: {name} is not specified"), None, None);
    let one = |request: &Map<String, Value>| {
        let content = field(request, "content").ok_or_else(|| missing("EmbedContentRequest.content"))?;
        let text = text(of(Some(content), "parts"));
        if text.is_empty() {
            return Err(missing("EmbedContentRequest.content.parts"));
        }
        Ok((text, number(field(request, "outputDimensionality"))))
    };
    let texts: Vec<_> = match operation {
        Gemini::BatchEmbed => {
            let requests = list(field(body, "requests")).iter().filter_map(Value::as_object);
            requests
                .map(|request| {
                    // The real API wants the model in each request, as a resource name.
                    if !string(field(request, "model")).starts_with("models/") {
                        return Err(missing("BatchEmbedContentsRequest.requests[].model"));
                    }
                    one(request)
                })
                .collect::<Result<_, _>>()?
        }
        Gemini::Predict => {
            let dimensions = number(of(field(body, "parameters"), "outputDimensionality"));
            let instances = list(field(body, "instances")).iter();
            instances.map(|instance| (string(of(Some(instance), "content")).to_owned(), dimensions)).collect()
        }
        _ => vec![one(body)?],
    };
    if texts.is_empty() || texts.len() > MOST_REQUESTS {
        let message = format!("between 1 and {MOST_REQUESTS} texts can be embedded at once, not {}", texts.len());
        return Err(ApiError::invalid(message, None, None));
    }
    Ok(texts)
}
