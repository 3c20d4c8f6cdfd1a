//! Moderations: a text with the word `violence` is flagged. They are free, as at OpenAI.

use http::Response;
use serde_json::{Map, Value, json};

use super::{missing, refused};
use crate::bill::Shape;
use crate::body::Body;
use crate::call::{Head, Incoming, Reset, Written, serve};
use crate::value::{string, strings, text};

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

pub(super) async fn moderate(incoming: &Incoming<'_>, body: &Map<String, Value>) -> Result<Response<Body>, Reset> {
    let mut inputs = strings(body.get("input"));
    if inputs.is_empty() {
        // A list of parts is one input.
        inputs.extend(body.get("input").filter(|input| input.is_array()).map(|parts| text(Some(parts))));
    }
    if inputs.is_empty() {
        return refused(incoming, &missing("input"));
    }
    let model = match string(body.get("model")) {
        "" => "omni-moderation-latest".to_owned(),
        model => model.to_owned(),
    };
    let head = Head { model: model.clone(), shape: Shape::Plain, prompt_tokens: 0 };
    serve(incoming, head, |context| {
        let results: Vec<Value> = inputs.iter().map(|input| result(input)).collect();
        Written::json(0, &json!({ "id": context.id("modr-"), "model": model, "results": results }))
    })
    .await
}

fn result(input: &str) -> Value {
    let flagged = |category: &str| category == "violence" && input.contains("violence");
    let categories: Map<_, _> =
        CATEGORIES.iter().map(|category| ((*category).to_owned(), flagged(category).into())).collect();
    let scores: Map<_, _> = CATEGORIES
        .iter()
        .map(|category| ((*category).to_owned(), if flagged(category) { 0.9 } else { 0.001 }.into()))
        .collect();
    let types: Map<_, _> = CATEGORIES.iter().map(|category| ((*category).to_owned(), json!(["text"]))).collect();
    json!({ "flagged": flagged("violence"), "categories": categories, "category_scores": scores,
            "category_applied_input_types": types })
}
