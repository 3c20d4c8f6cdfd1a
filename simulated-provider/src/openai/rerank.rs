//! Rerank as Jina and most that speak like OpenAI have it.

use http::Response;
use serde_json::{Map, Value, json};

use super::refused;
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Head, Incoming, Reset, Usage, Written, serve};
use crate::ranking::Ranking;
use crate::value;

pub(super) async fn rank(incoming: &Incoming<'_>, body: &Map<String, Value>) -> Result<Response<Body>, Reset> {
    let (model, ranking) = match value::model(body).and_then(|model| Ok((model, Ranking::read(body)?))) {
        Ok(read) => read,
        Err(error) => return refused(incoming, &error),
    };
    // Jina gives the documents back unless told otherwise.
    let with_documents = body.get("return_documents").and_then(Value::as_bool).unwrap_or(true);
    let head = Head { model: model.clone(), shape: Shape::Plain, prompt_tokens: ranking.prompt_tokens };
    serve(incoming, head, |context| {
        let result = |(index, score): (usize, f64)| {
            let mut result = json!({ "index": index, "relevance_score": score });
            if with_documents {
                result["document"] = json!({ "text": ranking.documents[index] });
            }
            result
        };
        let results: Vec<Value> = ranking.results().map(result).collect();
        let mut answer = json!({ "model": model, "object": "list", "results": results });
        if context.usage != Usage::Absent {
            let told = context.usage.told(ranking.prompt_tokens);
            answer["usage"] = json!({ "total_tokens": told, "prompt_tokens": told });
        }
        Written::json(0, &answer)
    })
    .await
}
