//! v2 rerank. The bill counts the tokens of the query and of the documents.

use http::Response;
use serde_json::{Map, Value, json};

use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Head, Incoming, Reset, Usage, Written, refusal, serve};
use crate::ranking::Ranking;
use crate::value;

pub(super) async fn answer(incoming: &Incoming<'_>, body: &Map<String, Value>) -> Result<Response<Body>, Reset> {
    let read = value::model(body).and_then(|model| Ok((model, Ranking::read(body)?)));
    let (model, ranking) = match read {
        Ok(read) => read,
        Err(error) => return Ok(refusal(incoming.worker, incoming.dialect, &error)),
    };
    let head = Head { model, shape: Shape::Plain, prompt_tokens: ranking.prompt_tokens };
    serve(incoming, head, |context| {
        let results: Vec<Value> =
            ranking.results().map(|(index, score)| json!({ "index": index, "relevance_score": score })).collect();
        let mut meta = json!({ "api_version": { "version": "2" } });
        if context.usage != Usage::Absent {
            meta["billed_units"] = json!({ "search_units": context.usage.told(1) });
        }
        Written::json(0, &json!({ "id": context.id(""), "results": results, "meta": meta }))
    })
    .await
}
